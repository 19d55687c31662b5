"""Times scipy, or numpy's sort, in one process; `run` beside this file calls it.

    peer.py version
    peer.py time PROGRAM KIND N M CANARY BASELINE

Prints seconds per call and the answer, one `name value` a line. The method is that of rust/src/timing.rs.
"""

import sys
from time import perf_counter

import numpy as np

SHORT = 1e-3
LOOP = 20e-3
BATCH_BYTES = 1 << 18


def measure(prepare, call):
    """Seconds per call after a discarded one, and what that one answered."""
    answer = call(prepare(0))
    return after_first(prepare, call), answer


def after_first(prepare, call):
    once = loop([prepare(1)], call)
    if once >= SHORT:
        return once
    size = max(1, BATCH_BYTES // sum(values.nbytes for values in prepare(0)))
    seconds, calls = 0.0, 0
    while seconds < LOOP:
        seconds += loop([prepare(calls + i) for i in range(size)], call)
        calls += size
    return seconds / calls


def loop(inputs, call):
    start = perf_counter()
    for one in inputs:
        call(one)
    return perf_counter() - start


def sort(canary, baseline):
    def call(arms):
        # In place, as the others do.
        for arm in arms:
            arm.sort()
        return arms

    def order(values):
        places = np.arange(1, len(values) + 1, dtype=np.uint64)
        return int((values.view(np.uint64) * places).sum()) >> 11

    sets = len(canary)
    seconds, (c, b) = measure(lambda i: (canary[i % sets].copy(), baseline[i % sets].copy()), call)
    return seconds, {"canary_order": float(order(c)), "baseline_order": float(order(b))}


def test(kind, canary, baseline):
    from scipy.stats import mannwhitneyu

    methods = {"test": "asymptotic", "presorted": "asymptotic", "exact": "exact", "default": "auto"}
    sets = len(canary)

    def prepare(i):
        return canary[i % sets], baseline[i % sets]

    def call(arms, method=methods.get(kind, "asymptotic")):
        return mannwhitneyu(*arms, use_continuity=True, alternative="two-sided", method=method)

    if kind == "exact":
        # The null distribution is kept for the life of the process: the first exact call is the one to time. The code
        # itself is warmed by the other method.
        call(prepare(0), "asymptotic")
        start = perf_counter()
        answer = call(prepare(0))
        seconds = perf_counter() - start
        more = {"warm": after_first(lambda _: prepare(0), call)}
    else:
        seconds, answer = measure(prepare, call)
        more = {}
    return seconds, {"u": float(answer.statistic), "p": float(answer.pvalue), **more}


def other(kind, canary, baseline):
    """Tests other than Mann-Whitney's; counts come as `bad, total` of one stratum after the other."""
    import warnings

    from scipy import stats

    warnings.simplefilter("ignore")

    def interval(limits):
        return {"low": float(limits[0]), "high": float(limits[1])}

    def ks(x, y):
        test = stats.ks_2samp(x, y)
        return {"estimate": test.statistic, **({"p": test.pvalue} if len(x) <= 1000 else {})}

    def table(x, y):
        return [[x[0], x[1] - x[0]], [y[0], y[1] - y[0]]]

    def score(x, y):
        from statsmodels.stats.proportion import confint_proportions_2indep

        return interval(confint_proportions_2indep(x[0], x[1], y[0], y[1], method="score", compare="diff"))

    def rates(x, y):
        from statsmodels.stats.rates import test_poisson_2indep

        test = test_poisson_2indep(x[0], x[1], y[0], y[1], method="cond-midp", compare="ratio", alternative="larger")
        return {"p": test.pvalue}

    def strata(x, y):
        from statsmodels.stats.contingency_tables import StratifiedTable

        cells = np.array([x[::2], x[1::2] - x[::2], y[::2], y[1::2] - y[::2]]).reshape(2, 2, -1)
        all = StratifiedTable(cells)
        limits = interval(all.oddsratio_pooled_confint())
        return {"p": all.test_equal_odds(adjust=True).pvalue, "estimate": all.oddsratio_pooled, **limits}

    def holm(x, _):
        from statsmodels.stats.multitest import multipletests

        return {"estimate": multipletests(x, method="holm")[1].sum()}

    def cuped(x, y, known):
        both = np.concatenate([y, x])
        columns = np.column_stack([np.ones(len(both)), np.repeat([0.0, 1.0], [len(y), len(x)]), known])
        return {"estimate": np.linalg.lstsq(columns, both, rcond=None)[0][1]}

    calls = {
        "ks": ks,
        "anderson": lambda x, y: {"estimate": stats.anderson_ksamp([x, y]).statistic},
        "brunner": lambda x, y: {"p": stats.brunnermunzel(x, y).pvalue},
        "welch": lambda x, y: {"p": stats.ttest_ind(x, y, equal_var=False).pvalue},
        "harrell": lambda x, _: {"estimate": stats.mstats.hdquantiles(x, [0.95])[0]},
        "quantile": lambda x, _: interval(stats.quantile_test(x, p=0.5).confidence_interval(0.95)),
        "signed": lambda x, y: {"p": stats.wilcoxon(x, y, correction=True, method="asymptotic").pvalue},
        "fisher": lambda x, y: {"p": stats.fisher_exact(table(x, y))[1]},
        "score": score,
        "rates": rates,
        "strata": strata,
        "holm": holm,
        "cuped": cuped,
    }
    sets = [(x, y) for x, y in zip(canary, baseline)]
    if kind == "cuped":
        known = [np.log(v) + np.sin(v * 1e6) for v in (np.concatenate([y, x]) for x, y in sets)]
        sets = [(*arms, x) for arms, x in zip(sets, known)]
    seconds, answer = measure(lambda i: sets[i % len(sets)], lambda arms: calls[kind](*arms))
    return seconds, {name: float(value) for name, value in answer.items()}


MANN_WHITNEY = ("test", "presorted", "exact", "default", "histogram")


def main(_program, kind, n, m, canary, baseline):
    canary = np.fromfile(canary, "<f8").reshape(-1, int(n))
    baseline = np.fromfile(baseline, "<f8").reshape(-1, int(m))
    if kind == "histogram":
        # Each bucket's number, as often as it was counted.
        def values(counts):
            return np.repeat(np.arange(len(counts), dtype=float), counts.astype(int))

        canary, baseline = [values(canary[0])], [values(baseline[0])]
    if kind == "sort":
        seconds, answer = sort(canary, baseline)
    elif kind in MANN_WHITNEY:
        seconds, answer = test(kind, canary, baseline)
    else:
        seconds, answer = other(kind, canary, baseline)
    print("seconds", repr(seconds))
    for name, value in answer.items():
        print(name, repr(value))


if __name__ == "__main__":
    if sys.argv[1] == "version":
        import scipy

        print("scipy", scipy.__version__)
        print("numpy", np.__version__)
        try:
            import statsmodels

            print("statsmodels", statsmodels.__version__)
        except ImportError:
            pass
    else:
        main(*sys.argv[2:])
