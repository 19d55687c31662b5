"""Times what others take for the work of `benches/cohort.rs` and `benches/cohort_weights.rs`: `python3 benches/peers/cohort.py`.

Needs scipy and numpy; evidently 0.7.23 and balance 0.23.0 are timed where they are installed (`pip install evidently==0.7.23
balance==0.23.0`), and said to be missing where not. Microseconds per call, the least of several rounds, in one thread. Inputs have the
sizes of those benches, made outside the timed part from constant seeds. evidently and balance take rows: ours beside them is the tally
of the same rows (`tally`) and what follows from counts.
"""

import logging
import warnings

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
    for levels in [10, 100, 1000]:
        random = np.random.default_rng(levels)
        canary, reference = users(random, levels, 400.0), users(random, levels, 8000.0)
        table = np.array([canary, reference])
        took = microseconds(lambda: stats.chi2_contingency(table, correction=False), 500)
        print(f"scipy chi2_contingency, {levels} levels: {took:.1f}")
        expected = reference / reference.sum() * canary.sum()
        print(f"scipy chisquare, {levels} levels: {microseconds(lambda: stats.chisquare(canary, expected), 500):.1f}")
    random = np.random.default_rng(4)
    dimensions = [(users(random, 6, 2000.0), users(random, 6, 40000.0)) for _ in range(4)]
    print(f"scipy, 4 dimensions of 6 levels with upper bounds: {microseconds(lambda: assessed(dimensions), 20):.1f}")
    for levels in [10, 1000]:
        codes = np.random.default_rng(6).integers(0, levels, 1_000_000, dtype=np.uint32)
        print(f"numpy bincount of 1e6 u32 codes, {levels} levels: {microseconds(lambda: np.bincount(codes), 20):.1f}")
    rows()


def rows():
    """Libraries that take a row for each user."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    try:
        import pandas
        from evidently.legacy.calculations.stattests.registry import get_stattest
        from evidently.legacy.core import ColumnType

        random = np.random.default_rng(7)
        draw = lambda count: pandas.Series(random.integers(0, 10, count).astype(str))
        current, reference = draw(10_000), draw(100_000)
        for name in ["chisquare", "psi"]:
            test = get_stattest(reference, current, ColumnType.Categorical, name)
            took = microseconds(lambda: test(reference, current, ColumnType.Categorical, 0.05), 3)
            print(f"evidently {name}, 10 levels, 1e4 against 1e5 rows: {took:.1f}")
    except ImportError as missing:
        print(f"evidently: {missing}")
    try:
        import pandas
        from balance.weighting_methods.rake import rake

        random = np.random.default_rng(8)
        for count in [10_000, 100_000]:
            table = lambda power: pandas.DataFrame({
                "a": (100 * random.random(count) ** power).astype(int).astype(str),
                "b": (5 * random.random(count) ** power).astype(int).astype(str),
            })
            sample, target, ones = table(1.0), table(1.5), pandas.Series(np.ones(count))
            call = lambda: rake(sample, ones, target, ones, variables=["a", "b"], transformations=None)
            print(f"balance rake, 100 by 5 levels, {count} rows: {microseconds(call, 1):.1f}")
    except ImportError as missing:
        print(f"balance: {missing}")


if __name__ == "__main__":
    main()
