"""Times what others take for the work of `benches/cohort.rs`: `python3 benches/peers/cohort.py`.

scipy and numpy are needed; evidently and balance are timed where they are installed. Microseconds per call, the least of several rounds,
in one thread. Inputs have the sizes of `benches/cohort.rs`, made outside the timed part from constant seeds.
"""

from timeit import repeat

import numpy as np
import scipy
from scipy import optimize, stats


def microseconds(call, number):
    return min(repeat(call, number=number, repeat=7)) / number * 1e6


def users(random, levels, mean):
    return 1 + random.poisson(mean / np.sqrt(1.0 + np.arange(levels)))


def w_upper(statistic, freedom, n):
    if stats.chi2.cdf(statistic, freedom) <= 0.05:
        return 0.0
    below = lambda noncentrality: stats.ncx2.cdf(statistic, freedom, noncentrality) - 0.05
    return np.sqrt(optimize.brentq(below, 1e-9, 4 * statistic + 100) / n)


def assessed(dimensions):
    """What scipy has of an assessment: tests and upper bounds, without residuals, Holm and status."""
    for canary, reference in dimensions:
        statistic, _, freedom, _ = stats.chi2_contingency([canary, reference], correction=False)
        n, m = canary.sum(), reference.sum()
        w_upper(statistic, freedom, n * m / (n + m))


def main():
    print(f"numpy {np.__version__}, scipy {scipy.__version__}")
    rows = []
    for levels in [10, 100, 1000]:
        random = np.random.default_rng(levels)
        canary, reference = users(random, levels, 400.0), users(random, levels, 8000.0)
        table = np.array([canary, reference])
        rows.append((f"scipy chi2_contingency, {levels} levels", lambda: stats.chi2_contingency(table, correction=False), 500))
        expected = reference / reference.sum() * canary.sum()
        rows.append((f"scipy chisquare, {levels} levels", lambda: stats.chisquare(canary, expected), 500))
        for name, call, number in rows:
            print(f"{name}: {microseconds(call, number):.1f}")
        rows.clear()
    random = np.random.default_rng(4)
    dimensions = [(users(random, 6, 2000.0), users(random, 6, 40000.0)) for _ in range(4)]
    print(f"scipy, 4 dimensions of 6 levels with upper bounds: {microseconds(lambda: assessed(dimensions), 20):.1f}")
    for levels in [10, 1000]:
        codes = np.random.default_rng(6).integers(0, levels, 1_000_000, dtype=np.uint32)
        print(f"numpy bincount of 1e6 u32 codes, {levels} levels: {microseconds(lambda: np.bincount(codes), 20):.1f}")
    try:
        import pandas as pd
        from evidently.legacy.calculations.stattests import chi_stat_test  # 0.7
    except ImportError:
        print("evidently is not installed")
    else:
        rows = [pd.Series(random.choice(10, 10_000).astype(str)) for _ in range(2)]
        call = lambda: chi_stat_test.func(rows[0], rows[1], "cat", 0.05)
        print(f"evidently chi-square of 10,000 rows, 10 levels: {microseconds(call, 10):.1f}")


if __name__ == "__main__":
    main()
