"""Writes users.csv: 5,000 users of a service, half of whom see a canary that differs in nothing.

    python3 make_users.py > users.csv

Needs nothing but Python 3. Of the population 60 % come by desktop and 40 % by phone, 80 % are on the free plan and 20 % pay; phones fail a
checkout in 8 % of cases, desktops in 2 %, whatever the version. The baseline's users are drawn like the population. The canary's
balancer keeps sessions, and so has more phones: 70 %. Compared as they come the canary fails more checkouts; like with like it does not.
"""

import csv
import random
import sys

USERS = 5_000
PHONES = {"baseline": 0.40, "canary": 0.70}
PAID = 0.20
FAILS = {"desktop": 0.02, "phone": 0.08}

rng = random.Random(2026_11_23)  # the day it was made
out = csv.writer(sys.stdout, lineterminator="\n")
out.writerow(["user", "arm", "platform", "plan", "failed"])
for user in range(USERS):
    arm = "canary" if user % 2 else "baseline"
    platform = "phone" if rng.random() < PHONES[arm] else "desktop"
    plan = "paid" if rng.random() < PAID else "free"
    out.writerow([f"u{user:04}", arm, platform, plan, int(rng.random() < FAILS[platform])])
