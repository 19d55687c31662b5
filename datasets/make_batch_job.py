"""Writes batch_job.csv: 40 nights of a batch job, of which the last 10 ran a version that takes 15 % longer.

    python3 make_batch_job.py > batch_job.csv

Needs nothing but Python 3. Durations are log-normal around 21 minutes, as those of a job whose input hardly changes: one
in three is more than 6 % off. An attempt fails with probability 0.1, in both versions; a run is tried three times at most,
and its duration is that of the last attempt.
"""

import csv
import datetime
import math
import random
import sys

NIGHTS = 40
NEW_FROM = 30
MEDIAN = 21 * 60
SPREAD = 0.06
SLOWER = 1.15
FAILS = 0.1
MOST_ATTEMPTS = 3

rng = random.Random(2025_03_01)  # the first night
out = csv.writer(sys.stdout, lineterminator="\n")
out.writerow(["run", "version", "started", "duration_seconds", "attempts", "failures"])
first = datetime.datetime(2025, 3, 1, 2, 0, 0)
for night in range(NIGHTS):
    version, factor = ("v1.8.2", 1.0) if night < NEW_FROM else ("v1.9.0", SLOWER)
    duration = rng.lognormvariate(math.log(MEDIAN * factor), SPREAD)
    attempts, failures = 0, 0
    while attempts == failures and attempts < MOST_ATTEMPTS:
        attempts += 1
        failures += rng.random() < FAILS
    started = (first + datetime.timedelta(days=night)).isoformat() + "Z"
    out.writerow([night + 1, version, started, f"{duration:.1f}", attempts, failures])
