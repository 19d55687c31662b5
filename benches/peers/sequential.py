"""Times a sequential peer in one process; `run` beside this file calls it.

    sequential.py version PACKAGE...
    sequential.py time PROGRAM KIND N M CANARY BASELINE

As peer.py. One call is a whole set, a look after the other; rust/src/sequential.rs has the constants.
"""

import sys
import warnings

import numpy as np

from peer import measure

CONCENTRATION = 10_000
HALVES = np.array([0.5, 0.5])
# The canary's share of the traffic is the second.
SPLIT = np.array([0.9, 0.1])
CANARY_LESS_BASELINE = np.array([[-1, 1]])


def ssrm_split(looks):
    from ssrm_test.ssrm_test import sequential_p_values

    return {"ln_p": np.log(sequential_p_values(looks, HALVES, dirichlet_concentration=CONCENTRATION)[-1])}


def savvi_split(looks):
    from savvi.multinomial import Multinomial

    test, p = Multinomial(0.05, HALVES, k=CONCENTRATION), 1.0
    for users in looks:
        test.update(users)
        # Its `infer` would also make an interval, which the others do not.
        p = min(p, test.calculate_p_value())
    return {"ln_p": np.log(p)}


def savvi_events(looks):
    process, p = poisson(), 1.0
    for events in looks:
        process.update(events)
        p = min(p, process.calculate_p_value())
    return {"events": process.n}


def savvi_events_interval(looks):
    process = poisson()
    for events in looks:
        process.update(events)
        process.infer()
    return {"ratio": np.exp(process.estimate[0])}


# Of bad trials, which hypotheses are about; the mixtures are best after so many.
SHARE, BEST_AT, ALPHA = 0.01, 500, 0.05
QUANTILE = 0.95


def trials(arms):
    """Sum and variance of what is left of the trials after the share, at each look."""
    bad = arms[:, 1] - SHARE
    return np.cumsum(bad), SHARE * (1 - SHARE) * np.arange(1, len(bad) + 1)


def confseq_normal(looks):
    from confseq.boundaries import normal_log_mixture

    s, v = trials(looks)
    return {"ln_e": normal_log_mixture(s, v, SHARE * (1 - SHARE) * BEST_AT, ALPHA, False)[-1]}


def confseq_normal_bound(looks):
    from confseq.boundaries import normal_mixture_bound

    _, v = trials(looks)
    return {"high": normal_mixture_bound(v, ALPHA, SHARE * (1 - SHARE) * BEST_AT, ALPHA, False)[-1]}


def confseq_beta_binomial(looks):
    from confseq.boundaries import beta_binomial_log_mixture

    s, v = trials(looks)
    opt = SHARE * (1 - SHARE) * BEST_AT
    return {"ln_e": beta_binomial_log_mixture(s, v, opt, SHARE, 1 - SHARE, ALPHA, False)[-1]}


def confseq_quantile(looks):
    """How far the shares of values below a quantile may be from it, on both sides."""
    from confseq.boundaries import beta_binomial_mixture_bound

    t, p = np.arange(1, len(looks) + 1), QUANTILE
    v, opt = p * (1 - p) * t, p * (1 - p) * BEST_AT
    high = beta_binomial_mixture_bound(v, ALPHA, opt, p, 1 - p, ALPHA, False) / t
    low = beta_binomial_mixture_bound(v, ALPHA, opt, 1 - p, p, ALPHA, False) / t
    return {"low": low[-1], "high": high[-1]}


def gbstats_means(looks):
    from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
    from gbstats.models.statistics import SampleMeanStatistic

    config = SequentialConfig(difference_type="absolute", alpha=ALPHA)
    sums, squares = np.cumsum(looks, 0).tolist(), np.cumsum(looks**2, 0).tolist()
    for n, sum, square in list(zip(range(1, len(looks) + 1), sums, squares))[1:]:
        arms = [SampleMeanStatistic(n=n, sum=sum[i], sum_squares=square[i]) for i in range(2)]
        result = SequentialTwoSidedTTest(*arms, config).compute_result()
    return {"p": result.p_value, "low": result.ci[0], "high": result.ci[1]}


def poisson():
    from savvi.multinomial import InhomogeneousPoissonProcess

    return InhomogeneousPoissonProcess(0.05, SPLIT, CANARY_LESS_BASELINE)


CALLS = {
    ("ssrm", "split"): ssrm_split,
    ("savvi", "split"): savvi_split,
    ("savvi", "events"): savvi_events,
    ("savvi", "events_interval"): savvi_events_interval,
    ("confseq", "normal"): confseq_normal,
    ("confseq", "normal_bound"): confseq_normal_bound,
    ("confseq", "beta_binomial"): confseq_beta_binomial,
    ("confseq", "quantile_bound"): confseq_quantile,
    ("gbstats", "means_at_any_time"): gbstats_means,
}


def main(program, kind, n, m, canary, baseline):
    canary = np.fromfile(canary, "<f8").reshape(-1, int(n))
    baseline = np.fromfile(baseline, "<f8").reshape(-1, int(m))
    sets = [np.column_stack([b, c]) for b, c in zip(baseline, canary)]
    if program in ("ssrm", "savvi"):
        sets = [counts.astype(np.int64) for counts in sets]
    warnings.simplefilter("ignore")
    seconds, answer = measure(lambda i: sets[i % len(sets)], CALLS[program, kind])
    print("seconds", repr(seconds))
    for name, value in answer.items():
        print(name, repr(float(value)))


if __name__ == "__main__":
    if sys.argv[1] == "version":
        from importlib.metadata import version

        for package in sys.argv[2:]:
            print(package, version(package))
    else:
        main(*sys.argv[2:])
