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


def main(_program, kind, n, m, canary, baseline):
    canary = np.fromfile(canary, "<f8").reshape(-1, int(n))
    baseline = np.fromfile(baseline, "<f8").reshape(-1, int(m))
    if kind == "histogram":
        # Each bucket's number, as often as it was counted.
        def values(counts):
            return np.repeat(np.arange(len(counts), dtype=float), counts.astype(int))

        canary, baseline = [values(canary[0])], [values(baseline[0])]
    seconds, answer = sort(canary, baseline) if kind == "sort" else test(kind, canary, baseline)
    print("seconds", repr(seconds))
    for name, value in answer.items():
        print(name, repr(value))


if __name__ == "__main__":
    if sys.argv[1] == "version":
        import scipy

        print("scipy", scipy.__version__)
        print("numpy", np.__version__)
    else:
        main(*sys.argv[2:])
