"""Writes mann_kendall.json: reference values for Mann and Kendall's test of a trend.

    python3 make_mann_kendall.py > mann_kendall.json

Needs numpy, scipy, mpmath and an `Rscript` in the path. Two tools give each case and must agree:

- exact p without ties: the orders counted in Python integers; scipy's `kendalltau` (two-sided, method exact), and R's
  `cor.test(method = "kendall", exact = TRUE)` below 50 values;
- the normal approximation: the formula in mpmath, and R's `cor.test(exact = FALSE, continuity = TRUE)`;
- tau-b: scipy.
"""

import json
import platform
import subprocess
from collections import Counter
from fractions import Fraction

import mpmath as mp
import numpy as np
import scipy
from scipy import stats

mp.mp.dps = 50


def near(a, b, tolerance, absolute=0.0):
    assert abs(a - b) <= tolerance * abs(b) + absolute, (a, b)


def r(values, exact):
    x = ", ".join(repr(v) for v in values)
    flags = "TRUE" if exact else "FALSE, continuity = TRUE"
    script = f"x <- c({x}); cat(sprintf('%.17g', cor.test(seq_along(x), x, method = 'kendall', exact = {flags})$p.value))"
    found = subprocess.run(["Rscript", "--vanilla", "-"], input=script, capture_output=True, text=True, check=True)
    return float(found.stdout)


def s_of(values):
    return sum((b > a) - (b < a) for i, a in enumerate(values) for b in values[i + 1 :])


def exact_tails(n, s):
    """P(S >= s) and P(S <= s), with orders of n values counted by falling pairs."""
    counts = [1]
    for i in range(2, n + 1):
        wider = [0] * (len(counts) + i - 1)
        for d, count in enumerate(counts):
            for k in range(i):
                wider[d + k] += count
        counts = wider
    pairs = n * (n - 1) // 2
    falling = (pairs - s) // 2
    all_orders = sum(counts)
    return Fraction(sum(counts[: falling + 1]), all_orders), Fraction(sum(counts[falling:]), all_orders)


def normal_tails(values, s):
    n = len(values)
    weighted = n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    deviation = mp.sqrt(mp.mpf(weighted) / 18)
    tail = lambda z: mp.erfc(z / mp.sqrt(2)) / 2
    return tail((s - 1) / deviation), tail((-s - 1) / deviation)


def case(name, values):
    values = [float(v) for v in values]
    s, n = s_of(values), len(values)
    ties = len(set(values)) < n
    exact = not ties and n <= 170
    if exact:
        greater, less = (mp.mpf(p.numerator) / p.denominator for p in exact_tails(n, s))
    else:
        greater, less = normal_tails(values, s)
    two_sided = min(2 * min(greater, less), mp.mpf(1))
    if exact:
        near(stats.kendalltau(range(n), values, method="exact").pvalue, float(two_sided), 1e-12)
        if n < 50:
            near(r(values, True), float(two_sided), 1e-12, 1e-14)  # R takes one less a distribution function.
    elif n < 1000:
        near(r(values, False), float(two_sided), 1e-12)
    tau = float(stats.kendalltau(range(n), values).statistic)
    text = lambda p: mp.nstr(mp.log(p), 20)
    return {
        "id": name, "values": values, "s": s, "tau": tau, "method": "exact" if exact else "normal",
        "ln_greater": text(greater), "ln_less": text(less), "ln_two_sided": text(two_sided),
    }


rng = np.random.default_rng(20250301)
draw = lambda n: [round(v, 6) for v in rng.normal(100, 5, n)]
cases = [
    case("ten", [0.5, 0.2, 0.9, 0.7, 1.1, 1.0, 1.6, 1.2, 1.9, 1.5]),
    case("rising", range(30)),
    case("falling", range(20, 0, -1)),
    case("none", [2, 1, 4, 3, 0.5, 5, 4.5, 1.5]),
    case("noise_30", draw(30)),
    case("drift_30", [round(v + 0.5 * i, 6) for i, v in enumerate(draw(30))]),
    case("noise_49", draw(49)),
    case("drift_120", [round(v + 0.1 * i, 6) for i, v in enumerate(draw(120))]),
    case("rising_170", range(170)),
    case("noise_171", draw(171)),
    case("rising_2000", range(2000)),
    case("tied_12", [3, 3, 4, 4, 4, 5, 3, 6, 6, 5, 7, 7]),
    case("tied_30", [int(v) for v in rng.poisson(1.0, 30)]),
    case("two_values", [0] * 12 + [1] * 9),
    case("falling_tied", [int(v) for v in np.sort(rng.poisson(3.0, 40))[::-1]]),
]
tools = {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__, "mpmath": mp.__version__, "R": "4.2.2"}
print(json.dumps({"tools": tools}, separators=(", ", ": "))[:-1] + ', "cases": [')
print(",\n".join(json.dumps(c) for c in cases))
print("]}")
