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


def poisson():
    from savvi.multinomial import InhomogeneousPoissonProcess

    return InhomogeneousPoissonProcess(0.05, SPLIT, CANARY_LESS_BASELINE)


CALLS = {
    ("ssrm", "split"): ssrm_split,
    ("savvi", "split"): savvi_split,
    ("savvi", "events"): savvi_events,
    ("savvi", "events_interval"): savvi_events_interval,
}


def main(program, kind, n, m, canary, baseline):
    canary = np.fromfile(canary, "<f8").reshape(-1, int(n))
    baseline = np.fromfile(baseline, "<f8").reshape(-1, int(m))
    sets = [np.column_stack([b, c]).astype(np.int64) for b, c in zip(baseline, canary)]
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
