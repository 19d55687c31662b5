"""Writes moments.json: reference values for difference in differences, ratios of sums over units, and CUPED.

    python3 make_moments.py > moments.json

Everything is computed with exact fractions, or by mpmath with 50 digits, from the definitions in `src/compare/differences.rs`,
`moments.rs` and `cuped.rs`: each variance as a sum of squares, the delta method with its covariance, coefficients from the normal
equations, the limits of a ratio by halving. numpy and scipy give some of it a second time, and must agree: coefficients by
`lstsq`, the difference as the arm's coefficient in a regression of the outcomes on the arm and the covariates, and the four cells
as an interaction of arm and period with equal variances of equally many.

The inputs are multiples of 1/64 or whole numbers, so that any reader of JSON has them exactly.
"""

import json
from fractions import Fraction

import mpmath as mp
import numpy as np
from mpmath import mpf
from scipy import stats

from make_ratio import TOOLS, exact, lines, ln_tail, of, quantile


# ---- difference in differences ----


def cells_freedom(variances, counts):
    return sum(variances) ** 2 / sum(v**2 / (n - 1) for v, n in zip(variances, counts))


def scaled(cells, ratio):
    """Variances of the means, the canary's after the change first, and the others times the ratio."""
    _, others = cells[0], cells[1:]
    return [cells[0][2] / cells[0][0]] + [ratio**2 * c[2] / c[0] for c in others]


def expected(cells):
    _, canary_before, baseline_after, baseline_before = cells
    return canary_before[1] + baseline_after[1] - baseline_before[1]


def cells_sides(cells, ratio, difference):
    variances = scaled(cells, Fraction(ratio))
    df = exact(cells_freedom(variances, [c[0] for c in cells]))
    distance = cells[0][1] - Fraction(ratio) * expected(cells) - Fraction(difference)
    t = exact(distance) / mp.sqrt(exact(sum(variances)))
    return {"ln_greater": ln_tail(t, df), "ln_less": ln_tail(-t, df)}


def cells_difference_limits(cells):
    variances = scaled(cells, Fraction(1))
    df = exact(cells_freedom(variances, [c[0] for c in cells]))
    reach = quantile(mpf("0.025"), df) * mp.sqrt(exact(sum(variances)))
    estimate = exact(cells[0][1] - expected(cells))
    return [estimate - reach, estimate + reach]


def cells_ratio_limits(cells):
    """Where the canary's mean is t standard errors from r times what is expected, by halving outwards from the estimate."""
    e = expected(cells)
    if e <= 0:
        return [None, None]
    estimate = cells[0][1] / e
    df = exact(cells_freedom(scaled(cells, estimate), [c[0] for c in cells]))
    t = quantile(mpf("0.025"), df)
    v_c, *v_e = scaled(cells, Fraction(1))
    v_c, v_e, m_c, e, estimate = (exact(x) for x in (v_c, sum(v_e), cells[0][1], e, estimate))
    if e <= t * mp.sqrt(v_e):
        return [None, None]
    limits = []
    for sign in (-1, 1):
        inside = lambda step: abs(m_c - (estimate + sign * step) * e) <= t * mp.sqrt(v_c + (estimate + sign * step) ** 2 * v_e)
        near, far = mpf(0), mpf(1)
        while inside(far):
            far *= 2
        for _ in range(220):
            middle = (near + far) / 2
            near, far = (middle, far) if inside(middle) else (near, middle)
        limits.append(estimate + sign * near)
    return limits


def drawn(rng, n, mean, spread):
    return [round(float(v) * 64) / 64 for v in rng.normal(mean, spread, n)]


def four(seed, counts, means, spreads):
    rng = np.random.default_rng(seed)
    return [drawn(rng, n, m, s) for n, m, s in zip(counts, means, spreads)]


# after canary, before canary, after baseline, before baseline
CELLS = {
    "documented": ([24.0, 25.0, 26.0], [19.0, 20.0, 21.0], [11.0, 12.0, 13.0], [9.0, 10.0, 11.0]),
    "two_each": ([5.0, 7.0], [4.0, 4.5], [2.0, 3.0], [1.0, 3.0]),
    "seasonal": four(1, (60, 60, 60, 60), (112, 100, 62, 50), (10, 10, 5, 5)),
    "effect": four(2, (40, 200, 400, 300), (118, 100, 62, 50), (20, 10, 5, 5)),
    "small_canary": four(3, (5, 8, 400, 300), (90, 100, 50, 50), (20, 10, 5, 5)),
    "steady_cell": ([10.0, 11.0, 12.5], [9.0, 9.0, 9.0], [5.0, 6.0, 7.0, 7.5], [5.0, 5.5]),
    "loss_expected": ([-3.0, -2.0, -4.0], [-1.0, -1.5, -2.0], [1.0, 2.0, 1.5], [3.0, 2.5, 3.5]),
    "unsure_expectation": ([3.0, 5.0, 4.0], [-9.0, 10.0, 2.0], [1.0, 9.0, -4.0], [3.0, -5.0, 6.0]),
    "huge": ([4e100, 5e100, 9e100], [3e100, 5e100], [2e100, 3e100, 2.5e100], [1e100, 2e100]),
    "tiny": ([4e-100, 5e-100, 9e-100], [3e-100, 5e-100], [2e-100, 3e-100, 2.5e-100], [1e-100, 2e-100]),
}


def differences():
    for name, values in CELLS.items():
        cells = [of(v) for v in values]
        unit = abs(cells[0][1])
        sides = []
        for kind, boundary in [("difference", 0.0), ("difference", float(unit) / 8), ("ratio", 1.0), ("ratio", 1.25)]:
            if kind == "ratio" and boundary != 1 and expected(cells) < 0:
                continue
            ratio, difference = (boundary, 0) if kind == "ratio" else (1, boundary)
            sides.append({"kind": kind, "boundary": boundary, **cells_sides(cells, ratio, difference)})
        if name == "documented":  # equal numbers and variances: the interaction in a linear model has the same t
            p = interaction(values)
            assert abs(p - mp.exp(sides[0]["ln_greater"])) < 1e-10, (p, sides[0])
        yield {
            "id": name,
            "cells": dict(zip(("after_canary", "before_canary", "after_baseline", "before_baseline"), values)),
            "result": {
                "expected": exact(expected(cells)),
                "sides": sides,
                "difference_limits": cells_difference_limits(cells),
                "ratio_limits": cells_ratio_limits(cells),
            },
        }


def interaction(values):
    y = np.concatenate(values)
    canary = np.repeat([1, 1, 0, 0], [len(v) for v in values])
    after = np.repeat([1, 0, 1, 0], [len(v) for v in values])
    design = np.column_stack([np.ones(len(y)), canary, after, canary * after])
    theta, rest, *_ = np.linalg.lstsq(design, y, rcond=None)
    df = len(y) - 4
    error = np.sqrt(rest[0] / df * np.linalg.inv(design.T @ design)[3, 3])
    return stats.t.sf(theta[3] / error, df)


# ---- ratios of sums over units ----


def users(seed, n, rate):
    rng = np.random.default_rng(seed)
    views = rng.geometric(0.1, n).astype(float)
    clicks = rng.binomial(views.astype(int), rng.beta(2, 2 / rate - 2, n)).astype(float)
    return list(clicks), list(views)


UNITS = {
    "documented": ([1.0, 0.0, 4.0, 2.0], [10.0, 5.0, 40.0, 15.0]),
    "two": ([1.0, 3.0], [2.0, 5.0]),
    "users": users(1, 300, 0.2),
    "rare": users(2, 500, 0.01),
    "idle_users": ([0.0, 0.0, 3.0, 0.5, 0.0], [0.0, 0.0, 4.0, 1.0, 2.0]),
    "refunds": ([-5.0, 20.0, -1.0, 7.5], [1.0, 2.0, 1.0, 3.0]),
    "proportional": ([1.5, 3.0, 4.5], [1.0, 2.0, 3.0]),
    "large_ratio": ([1e9, 3e9, 2e9 + 64], [1.0, 3.0, 2.0]),
    "mean_alone": ([2.0, 4.0, 4.0, 6.0], [1.0, 1.0, 1.0, 1.0]),
}


def linearised():
    for name, (x, y) in UNITS.items():
        n = len(x)
        xs, ys = [Fraction(v) for v in x], [Fraction(v) for v in y]
        mean_x, mean_y = sum(xs) / n, sum(ys) / n
        ratio = mean_x / mean_y
        covariance = lambda a, ma, b, mb: sum((p - ma) * (q - mb) for p, q in zip(a, b)) / (n - 1)
        s_xx, s_xy, s_yy = (
            covariance(xs, mean_x, xs, mean_x),
            covariance(xs, mean_x, ys, mean_y),
            covariance(ys, mean_y, ys, mean_y),
        )
        variance = (s_xx - 2 * ratio * s_xy + ratio**2 * s_yy) / mean_y**2
        yield {
            "id": name,
            "numerators": x,
            "denominators": y,
            "result": {"mean": exact(ratio), "variance": exact(variance)},
        }


# ---- CUPED ----


def solve(a, b):
    k = len(b)
    if k == 0:
        return []
    a, b = mp.matrix([[exact(v) for v in row] for row in a]), mp.matrix([exact(v) for v in b])
    return list(mp.lu_solve(a, b))


def adjusted(baseline, canary, kept, within):
    """Of an arm (outcomes, rows of covariates)."""
    arms = [([Fraction(v) for v in y], [[Fraction(row[j]) for j in kept] for row in x]) for y, x in (baseline, canary)]
    counts = [len(y) for y, _ in arms]
    n, k = sum(counts), len(kept)
    mean = lambda values: sum(values) / len(values)
    columns = lambda rows: list(zip(*rows)) if k else []
    means = [(mean(y), [mean(c) for c in columns(x)]) for y, x in arms]
    centre = (
        mean([v for y, _ in arms for v in y]),
        [mean(c) for c in columns([row for _, x in arms for row in x])],
    )
    about = means if within else [centre, centre]
    rows = []
    for (y, x), (m_y, m_x) in zip(arms, about):
        rows.append([(v - m_y, [c - m for c, m in zip(row, m_x)]) for v, row in zip(y, x)])
    everyone = rows[0] + rows[1]
    cross = [[sum(r[i] * r[j] for _, r in everyone) for j in range(k)] for i in range(k)]
    theta = solve(cross, [sum(v * r[i] for v, r in everyone) for i in range(k)])
    delta = [b - a for a, b in zip(means[0][1], means[1][1])]
    weight = Fraction(counts[0] * counts[1], n)
    told = sum(exact(d) * s for d, s in zip(delta, solve(cross, delta))) * exact(weight) if k else mpf(0)
    imbalance = told / (1 + told) if within else told
    wider = (n - 2) / mpf(n - 2 - k) / (1 - imbalance) if within else mpf(1)
    result = {"theta": theta, "imbalance": imbalance, "means": [], "variances": []}
    for (m_y, m_x), arm, count in zip(means, rows, counts):
        result["means"].append(exact(m_y) - sum(t * exact(m - c) for t, m, c in zip(theta, m_x, centre[1])))
        rest = [exact(v) - sum(t * exact(c) for t, c in zip(theta, row)) for v, row in arm]
        middle = sum(rest) / count
        result["variances"].append(wider * sum((r - middle) ** 2 for r in rest) / (count - 1))
    raw = [sum((v - m_y) ** 2 for v in y) / (len(y) - 1) for (y, _), (m_y, _) in zip(arms, means)]
    of_difference = lambda variances: sum(v / c for v, c in zip(variances, counts))
    result["removed"] = 1 - of_difference(result["variances"]) / of_difference([exact(v) for v in raw])
    return result


def population(seed, n_b, n_c, theta, noise, effect, centre=10.0, scale=1.0):
    rng = np.random.default_rng(seed)
    arms = []
    for n, more in ((n_b, 0.0), (n_c, effect)):
        first = rng.normal(0, 2, n)
        columns = [first] + [0.6 * first + rng.normal(0, 1, n) for _ in theta[1:]]
        y = 20 + more + sum(t * c for t, c in zip(theta, columns)) + rng.normal(0, noise, n)
        sixty_fourths = lambda v: [float(w) * scale for w in np.round(np.asarray(v) * 64) / 64]
        x = list(zip(*(sixty_fourths(c + centre) for c in columns)))
        arms.append((sixty_fourths(y), [list(row) for row in x]))
    return arms


def with_columns(arms, *more):
    """Columns computed from a row's others and the unit's place."""
    return [(y, [row + [f(row, i) for f in more] for i, row in enumerate(x)]) for y, x in arms]


PEOPLE = {
    "one": (population(1, 40, 30, [1.0], 1.0, 0.0), [0]),
    "one_with_effect": (population(2, 40, 30, [1.0], 0.25, 5.0), [0]),
    "two": (population(3, 25, 60, [1.0, -0.5], 1.0, 0.5), [0, 1]),
    "four": (population(4, 80, 50, [1.0, 0.5, 0.0, -2.0], 2.0, 0.0), [0, 1, 2, 3]),
    "unequal": (population(5, 300, 12, [0.5, 0.5], 1.0, 1.0), [0, 1]),
    "constant_and_twice": (
        with_columns(population(6, 30, 40, [1.0], 1.0, 0.0), lambda r, i: 7.0, lambda r, i: 2 * r[0] - 3, lambda r, i: float(i % 5)),
        [0, 3],
    ),
    "no_use": (population(7, 30, 30, [0.0], 1.0, 0.0), [0]),
    "far_from_zero": (population(8, 40, 40, [1.0, 0.5], 1.0, 0.0, centre=2.0**30), [0, 1]),
    "huge": (population(9, 30, 30, [1.0, 1.0], 1.0, 0.0, scale=2.0**500), [0, 1]),
    "tiny": (population(10, 30, 30, [1.0, 1.0], 1.0, 0.0, scale=2.0**-400), [0, 1]),
    "none_left": (with_columns([(y, [[] for _ in y]) for y, _ in population(11, 10, 12, [1.0], 1.0, 0.0)], lambda r, i: 3.0), []),
}


def cuped():
    for name, ((baseline, canary), kept) in PEOPLE.items():
        width = len(baseline[1][0])
        results = {}
        for key, within in (("within_arms", True), ("pooled", False)):
            result = adjusted(baseline, canary, kept, within)
            peer_checked(baseline, canary, kept, within, result)
            theta = dict(zip(kept, result["theta"]))
            results[key] = {**result, "theta": [theta.get(j) for j in range(width)]}
        arm = lambda a: {"outcomes": a[0], "covariates": a[1]}
        yield {"id": name, "baseline": arm(baseline), "canary": arm(canary), "result": results}


def peer_checked(baseline, canary, kept, within, result):
    """numpy's least squares: of the distances, and within the arms of the outcomes on arm and covariates at once."""
    if not kept:
        return
    y = [np.array(a[0]) for a in (baseline, canary)]
    x = [np.array(a[1])[:, kept] for a in (baseline, canary)]
    both = np.concatenate(y), np.concatenate(x)
    if within:
        arm = np.repeat([0.0, 1.0], [len(v) for v in y])
        design = np.column_stack([np.ones(len(arm)), arm, both[1] - both[1].mean(0)])
        scale = np.abs(design).max(0)
        found = np.linalg.lstsq(design / scale, both[0], rcond=None)[0] / scale
        difference = float(result["means"][1] - result["means"][0])
        error = float(mp.sqrt(sum(v / len(w) for v, w in zip(result["variances"], y))))
        assert abs(found[1] - difference) < 1e-6 * error, (found[1], difference)
        found = found[2:]
    else:
        design = both[1] - both[1].mean(0)
        scale = np.abs(design).max()
        found = np.linalg.lstsq(design / scale, both[0] - both[0].mean(), rcond=None)[0] / scale
    expected = np.array([float(t) for t in result["theta"]])
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max()), (found, expected)


if __name__ == "__main__":
    print(
        f'{{"tools": {json.dumps(TOOLS)},\n"differences": [\n{lines(differences())}\n],'
        f'\n"linearised": [\n{lines(linearised())}\n],\n"cuped": [\n{lines(cuped())}\n]}}'
    )
