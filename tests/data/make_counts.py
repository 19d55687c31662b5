"""Writes counts.json: reference values for comparisons of counts and of events per exposure.

    python3 make_counts.py > counts.json

mpmath gives everything with 60 digits, by other formulas than the library's. statsmodels gives the Poisson tests,
Clopper-Pearson limits and the score test of equal shares, scipy binomial tails.

The score test against a difference that is not 0 has two ways here, which must agree to 25 digits: halving on the score
equation, and the cosine of Farrington and Manning's cubic. statsmodels 0.15.0 is no reference for it: its cubic has
`count0 * diff` where Miettinen and Nurminen have the total, `nobs0 * diff` (score_test_proportions_2indep, tmp1), so
its p values are off in the third digit and its limits in the second. Newcombe (1998, table II, method 6) prints
0.0528 and 0.3382 for 56/70 against 48/80; statsmodels says 0.0526 and 0.3440.
"""

import json
import platform
import warnings

import mpmath as mp
import scipy
import statsmodels
from mpmath import mpf
from scipy import stats
from statsmodels.stats import proportion, rates

warnings.simplefilter("ignore")
mp.mp.dps = 60

# canary bad, canary total, baseline bad, baseline total
COUNTS = {
    "newcombe": (56, 70, 48, 80),
    "typical": (6, 500, 20, 9500),
    "equal_totals": (200, 10000, 150, 10000),
    "canary_larger": (40, 3000, 9, 400),
    "canary_smaller": (9, 400, 40, 3000),
    "no_bad_in_baseline": (5, 500, 0, 9500),
    "no_bad_in_canary": (0, 500, 20, 9500),
    "no_bad": (0, 40, 0, 300),
    "all_bad": (40, 40, 300, 300),
    "all_bad_in_canary": (25, 25, 3, 60),
    "one_of_one_each": (1, 1, 0, 1),
    "one_element": (1, 1, 30, 100),
    "one_of_thirty": (1, 30, 0, 10000),
    "half": (55, 100, 45, 100),
    "nearly_all": (998, 1000, 9900, 10000),
    "large": (1_010_000, 10**9, 1_000_000, 10**9),
    "huge": (10**9 + 200_000, 10**12, 10**9, 10**12),
    "huge_and_rare": (12, 10**12, 3, 10**12),
    "huge_against_small": (3, 100, 10**9, 10**12),
    "apart": (900, 1000, 100, 1000),
    "far_apart": (9_000, 10_000, 1_000, 10_000),
}
DIFFERENCES = [0.0, 0.001, -0.001, 0.01, 0.3, -0.3]
RATIOS = [1.0, 1.5, 0.5, 20.0]
# canary events, canary exposure, baseline events, baseline exposure
EVENTS = {
    "crashes": (3, 10.0, 4, 190.0),
    "none_in_baseline": (2, 10.0, 0, 30.0),
    "none_in_canary": (0, 10.0, 7, 30.0),
    "none": (0, 20.0, 0, 10.0),
    "many": (200, 10.0, 150, 10.0),
    "huge": (1_010_000, 1e6, 1_000_000, 1e6),
    "page_faults": (5_000_000, 0.25, 90_000_000, 5.0),
}
RATE_DIFFERENCES = [0.0, 0.05, -0.05, 3.0]
LIMITS = [
    (3, 100, 0.01), (0, 100, 0.01), (100, 100, 0.99), (1, 1, 0.5), (50, 10**6, 1e-4), (160, 10**6, 1e-4),
    (10**9 + 200_000, 10**12, 0.001), (10**9 - 200_000, 10**12, 0.001), (700, 1000, 0.01), (4000, 10**4, 1e-3),
]
RATE_LIMITS = [(3, 100.0, 0.01), (0, 100.0, 0.01), (40, 2.5, 1e-3), (620, 1000.0, 0.5), (390, 1000.0, 0.5), (5, 1.0, 200.0)]
LEVEL = 0.95
cases = []


def number(x):
    if x is None or x != x:
        return None
    return float(x)


def add(test, tool, name, params, **result):
    cases.append({
        "id": f"{test}/{name}" + "".join(f"/{v:g}" for v in params.values() if isinstance(v, float)),
        "test": test, "tool": tool, "params": params, "result": {k: number(v) for k, v in result.items()},
    })


def arms(x1, n1, x0, n0):
    return {"canary": [x1, n1], "baseline": [x0, n0]}


def ln_sf(z):
    return mp.log(mp.erfc(z / mp.sqrt(2)) / 2)


def root_between(f, low, high):
    """The root of a decreasing function, by halving."""
    for _ in range(230):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) > 0 else (low, middle)
    return (low + high) / 2


def mn_z(x1, n1, x0, n0, d):
    """By halving on the score, not by the cubic."""
    x1, n1, x0, n0, d = map(mpf, (x1, n1, x0, n0, d))
    low, high = max(mpf(0), -d), min(mpf(1), 1 - d)

    def term(x, p):
        return x / p if x else mpf(0)

    def score(p):
        return term(x0, p) + term(x1, p + d) - term(n0 - x0, 1 - p) - term(n1 - x1, 1 - p - d)

    p = root_between(score, low, high)
    variance = (p * (1 - p) / n0 + (p + d) * (1 - p - d) / n1) * (n0 + n1) / (n0 + n1 - 1)
    excess = x1 / n1 - x0 / n0 - d
    return excess / mp.sqrt(variance) if excess else mpf(0)


def check_cubic(x1, n1, x0, n0, d):
    """The constrained estimate by Farrington and Manning's closed form satisfies the same score equation."""
    x1, n1, x0, n0, d = map(mpf, (x1, n1, x0, n0, d))
    n, c = n1 + n0, x1 + x0
    l2, l1, l0 = (n1 + 2 * n0) * d - n - c, (n0 * d - n - 2 * x0) * d + c, x0 * d * (1 - d)
    q = (l2 / (3 * n)) ** 3 - l1 * l2 / (6 * n * n) + l0 / (2 * n)
    p = mp.sign(q) * mp.sqrt((l2 / (3 * n)) ** 2 - l1 / (3 * n))
    if not p:
        return
    p0 = 2 * p * mp.cos((mp.pi + mp.acos(max(min(q / p**3, mpf(1)), mpf(-1)))) / 3) - l2 / (3 * n)
    variance = (p0 * (1 - p0) / n0 + (p0 + d) * (1 - p0 - d) / n1) * n / (n - 1)
    z, other = (x1 / n1 - x0 / n0 - d) / mp.sqrt(variance), mn_z(x1, n1, x0, n0, d)
    assert abs(z - other) < mpf(10) ** -25 * (1 + abs(z)), (x1, n1, x0, n0, d, z, other)


def poisson_z(x1, e1, x0, e0, d):
    x1, e1, x0, e0, d = map(mpf, (x1, e1, x0, e0, d))
    low = max(mpf(0), -d)
    excess = x1 / e1 - x0 / e0 - d
    if not excess:
        return mpf(0)
    r = root_between(lambda r: (x0 / r if x0 else 0) + (x1 / (r + d) if x1 else 0) - e0 - e1, low,
                     low + 2 * (x0 + x1 + 1) * (1 / e0 + 1 / e1) + abs(d))
    return excess / mp.sqrt(r / e0 + (r + d) / e1)


def ln_pmf(k, n, p):
    if k < 0 or k > n:
        return mp.ninf
    ways = mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)
    return ways + (k * mp.log(p) if k else 0) + ((n - k) * mp.log(1 - p) if n - k else 0)


def beyond(k, n, p):
    """ln P(X >= k) for k above the mean: a sum of falling terms, or the integral of the beta density."""
    k, n, p = mpf(k), mpf(n), mpf(p)
    if k > n:
        return mp.ninf
    if n * p * (1 - p) < 10**7:
        total, term, j = mpf(1), mpf(1), 0
        while j < n - k and term > mpf(10) ** -40 * total:
            term *= (n - k - j) * p / ((k + j + 1) * (1 - p))
            total += term
            j += 1
        return ln_pmf(k, n, p) + mp.log(total)
    slope = ((k - 1) - (n - 1) * p) / (p * (1 - p))
    unit = 1 / max(slope, mp.sqrt(n / (p * (1 - p))))
    f = lambda s: mp.exp((k - 1) * mp.log(1 - s / p) + (n - k) * mp.log(1 + s / (1 - p)))
    return ln_pmf(k, n, p) + mp.log(k / p * mp.quad(f, [2 * i * unit for i in range(40)]))


def ln_upper(k, n, p):
    if k <= 0:
        return mpf(0)
    return beyond(k, n, p) if k > n * mpf(p) else mp.log(1 - mp.exp(beyond(n - k + 1, n, 1 - mpf(p))))


def ln_lower(k, n, p):
    return ln_upper(n - k, n, 1 - mpf(p))


def mid_p(x1, s1, x0, s0, ratio):
    weight = mpf(ratio) * mpf(s1)
    pi = weight / (weight + mpf(s0))
    half, m = ln_pmf(x1, x1 + x0, pi) - mp.log(2), x1 + x0
    above = ln_upper(x1 + 1, m, pi) if x1 < m else mp.ninf
    below = ln_lower(x1 - 1, m, pi) if x1 > 0 else mp.ninf
    return mp.log(mp.exp(above) + mp.exp(half)), mp.log(mp.exp(below) + mp.exp(half))


def ratio_limits(x1, s1, x0, s0):
    tail = mp.log((1 - mpf(LEVEL)) / 2)
    guess = lambda: (mpf(10) ** -12, mpf(10) ** 12)

    def solve(f):
        low, high = map(mp.log, guess())
        for _ in range(90):
            middle = (low + high) / 2
            low, high = (middle, high) if f(mp.exp(middle)) else (low, middle)
        return mp.exp(low)

    low = solve(lambda r: mid_p(x1, s1, x0, s0, r)[0] < tail) if x1 else mpf(0)
    high = solve(lambda r: mid_p(x1, s1, x0, s0, r)[1] > tail) if x0 else None
    return low, high


for name, (x1, n1, x0, n0) in COUNTS.items():
    a = arms(x1, n1, x0, n0)
    for d in DIFFERENCES:
        z = mn_z(x1, n1, x0, n0, d)
        add("score", "mpmath", name, {**a, "difference": d}, ln_greater=ln_sf(z), ln_less=ln_sf(-z))
        if d != 0:
            check_cubic(x1, n1, x0, n0, d)
            continue
        found = proportion.test_proportions_2indep(
            x1, n1, x0, n0, value=d, compare="diff", method="score", correction=True, alternative="larger")
        if found.statistic == found.statistic and abs(found.statistic) < 30:
            add("score_peer", "statsmodels", name, {**a, "difference": d}, greater=found.pvalue)
    limit = mp.sqrt(2) * mp.erfinv(mpf(LEVEL))
    low = root_between(lambda d: mn_z(x1, n1, x0, n0, d) - limit, mpf(-1), mpf(1))
    high = root_between(lambda d: mn_z(x1, n1, x0, n0, d) + limit, mpf(-1), mpf(1))
    add("risk_difference", "mpmath", name, {**a, "level": LEVEL}, low=low, high=high)
    if x1 + x0:
        for r in RATIOS:
            greater, less = mid_p(x1, n1, x0, n0, r)
            add("conditional", "mpmath", name, {**a, "ratio": r}, ln_greater=greater, ln_less=less)
        if x1 + x0 < 10**7:
            low, high = ratio_limits(x1, n1, x0, n0)
            add("risk_ratio", "mpmath", name, {**a, "level": LEVEL}, low=low, high=high)
    low, high = proportion.proportion_confint(x1, n1, alpha=1 - LEVEL, method="beta")
    add("share_interval", "statsmodels", name, {"canary": [x1, n1], "level": LEVEL}, low=low, high=high)

for x, n, limit in LIMITS:
    a = {"canary": [x, n], "limit": limit}
    add("limit", "mpmath", f"{x}_of_{n}", a, ln_greater=ln_upper(x, n, limit), ln_less=ln_lower(x, n, limit))
    if n < 10**7 and stats.binom.sf(x - 1, n, limit) > 1e-290:
        add("limit_peer", "scipy", f"{x}_of_{n}", a, greater=stats.binom.sf(x - 1, n, limit),
            less=stats.binom.cdf(x, n, limit))

for x, exposure, limit in RATE_LIMITS:
    mean = mpf(exposure) * mpf(limit)
    upper = mp.gammainc(x, 0, mean, regularized=True) if x else mpf(1)
    add("rate_limit", "mpmath", f"{x}_in_{exposure:g}", {"canary": [x, exposure], "limit": limit},
        ln_greater=mp.log(upper), ln_less=mp.log(mp.gammainc(x + 1, mean, mp.inf, regularized=True)))

for name, (x1, e1, x0, e0) in EVENTS.items():
    a = arms(x1, e1, x0, e0)
    for d in RATE_DIFFERENCES:
        z = poisson_z(x1, e1, x0, e0, d)
        add("rate_score", "mpmath", name, {**a, "difference": d}, ln_greater=ln_sf(z), ln_less=ln_sf(-z))
        found = rates.test_poisson_2indep(x1, e1, x0, e0, value=d, compare="diff", method="score", alternative="larger")
        # the library's score test of rates is not public by itself: the two tools are compared here
        if found.statistic == found.statistic:
            assert abs(found.statistic - z) < 1e-7 * (1 + abs(z)), (name, d, found.statistic, z)
    if x1 + x0:
        for r in RATIOS:
            greater, less = mid_p(x1, e1, x0, e0, r)
            add("rate_conditional", "mpmath", name, {**a, "ratio": r}, ln_greater=greater, ln_less=less)
            found = rates.test_poisson_2indep(
                x1, e1, x0, e0, value=r, compare="ratio", method="cond-midp", alternative="larger")
            if x1 + x0 < 1000:
                add("rate_conditional_peer", "statsmodels", name, {**a, "ratio": r}, greater=found.pvalue)
    if 0 < x1 + x0 < 10**6:
        low, high = ratio_limits(x1, e1, x0, e0)
        add("rate_ratio", "mpmath", name, {**a, "level": LEVEL}, low=low, high=high)

print("{" + json.dumps("tool_versions") + ":" + json.dumps({
    "python": platform.python_version(), "mpmath": mp.__version__, "scipy": scipy.__version__,
    "statsmodels": statsmodels.__version__}) + ',\n"notes":' + json.dumps(
        "Made by make_counts.py. An arm is [bad, total] or [events, exposure]; ln_ is a natural logarithm; null is "
        "unbounded. Duplicate formulas on purpose: a case and its _peer ask the same of two tools.") + ',\n"cases":[')
print(",\n".join(json.dumps(case) for case in cases))
print("]}")
