"""Writes ratio.json: reference values for amounts per unit and for means.

    python3 make_ratio.py > ratio.json

Everything is computed by mpmath with 50 digits, from the formulas at the top of `src/compare/ratio.rs`, `long_run.rs` and
`moments.rs`, as they are defined: each cosine by itself, exact fractions for totals and moments, limits by halving. scipy gives
Welch's test a second time (`ttest_ind`, `ttest_ind_from_stats`), and must agree to 1e-8.

The inputs are multiples of 1/64 or whole numbers, so that any reader of JSON has them exactly.
"""

import json
import platform
from fractions import Fraction

import mpmath as mp
import numpy as np
import scipy
from mpmath import mpf
from scipy import stats

mp.mp.dps = 50


def exact(x):
    x = Fraction(x)
    return mpf(x.numerator) / mpf(x.denominator)


def ln_tail(t, df):
    """ln P(T > t): the incomplete beta function, or the density's integral where its series is too long."""
    if df < 1000:
        tail = mp.betainc(df / 2, mpf(1) / 2, 0, df / (df + t * t), regularized=True) / 2
    else:
        ln_front = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(df * mp.pi) / 2
        steps = [abs(t) + k / (abs(t) + 1) for k in (0, 1, 2, 4, 8, 16, 32, 64, 128)]
        tail = mp.quad(lambda x: mp.exp(ln_front - (df + 1) / 2 * mp.log1p(x * x / df)), steps)
    return mp.log(tail) if t >= 0 else mp.log1p(-tail)


def quantile(tail, df):
    """The t with P(T > t) = tail: scipy's, made exact by the secant method."""
    near = mpf(float(stats.t.isf(float(tail), float(df))))
    return mp.findroot(lambda t: ln_tail(t, df) - mp.log(tail), (near, near * (1 + mpf(10) ** -8)))


# ---- amounts per unit ----


def strata(intervals):
    """Intervals without units in an arm count with the next that has, the last ones with the last."""
    kept, rest = [], [Fraction(0)] * 4
    for interval in intervals:
        rest = [a + Fraction(b) for a, b in zip(rest, interval)]
        if rest[1] > 0 and rest[3] > 0:
            kept.append(rest)
            rest = [Fraction(0)] * 4
    kept[-1] = [a + b for a, b in zip(kept[-1], rest)]
    return kept


def long_run(value, psi, weights):
    n = len(psi)
    assert abs(sum(psi)) < mpf(10) ** -40
    terms = [p / mp.sqrt(w) for p, w in zip(psi, weights)]
    mean = sum(terms) / n
    r1 = sum((a - mean) * (b - mean) for a, b in zip(terms, terms[1:])) / sum((a - mean) ** 2 for a in terms)
    r = min(max(r1 + (1 + 3 * r1) / n, mpf(0)), mpf("0.99"))
    ru = min(max(r + 1 / mp.sqrt(n), mpf("0.02")), mpf("0.97"))
    wanted = int(mp.floor(n / mp.pi * (1 - ru) * mp.sqrt(mpf("0.3") / ru)))
    # the cube root of n^2 is whole only where a float finds it so, too
    cap = min(max(8, int(mp.floor(mpf("0.4") * mp.cbrt(n * n)))), max(3, n // 2))
    nu = max(3, min(wanted, cap))
    total, before, square = sum(weights), mpf(0), mpf(0)
    times = []
    for w in weights:
        times.append((before + w / 2) / total)
        before += w
    for j in range(1, nu + 1):
        square += (mp.sqrt(2) * sum(p * mp.cos(mp.pi * j * t) for p, t in zip(psi, times))) ** 2
    return {
        "estimate": value,
        "standard_error": mp.sqrt(square / nu),
        "cosines": nu,
        "lag_one": r,
        "effective": n * (1 - r) / (1 + r),
    }


def scales(intervals):
    kept = strata(intervals)
    a_c, u_c, a_b, u_b = (exact(sum(s[i] for s in kept)) for i in range(4))
    kept = [[exact(x) for x in s] for s in kept]
    weights = [s[1] * s[3] / (s[1] + s[3]) for s in kept]
    r_c, r_b = a_c / u_c, a_b / u_b
    difference = [(s[0] - r_c * s[1]) / u_c - (s[2] - r_b * s[3]) / u_b for s in kept]
    found = {"difference": long_run(r_c - r_b, difference, weights)}
    if a_c > 0 and a_b > 0:
        ratio = [s[0] / a_c - s[1] / u_c - (s[2] / a_b - s[3] / u_b) for s in kept]
        found["ratio"] = long_run(mp.log(r_c / r_b), ratio, weights)
    return found


def made(n, seed, *, share=0.5, cost=1.0, memory=0.0, idle=()):
    """Requests and a cost of about a sixteenth each; `memory` is the autocorrelation of the canary's cost."""
    rng = np.random.default_rng(seed)
    noise, rows = 0.0, []
    for t in range(n):
        noise = memory * noise + rng.normal(0, 0.1 * np.sqrt(1 - memory**2))
        load = 200 * (1 + 0.5 * np.sin(t / 5))
        u_c, u_b = (int(rng.poisson(load * s)) + 1 for s in (share, 1 - share))
        a_c = u_c / 16 * cost * np.exp(noise) * rng.gamma(100, 0.01)
        a_b = u_b / 16 * rng.gamma(100, 0.01)
        if t in idle:
            u_c = 0
        rows.append([round(a_c * 64) / 64, float(u_c), round(a_b * 64) / 64, float(u_b)])
    return rows


AMOUNTS = {
    "fewest": made(8, 1),
    "few": made(19, 2, cost=1.3),
    "half": made(30, 3),
    "dearer": made(30, 4, cost=1.25),
    "ten_percent": made(60, 5, share=0.1, cost=1.1),
    "idle_canary": made(40, 6, idle=(0, 7, 8, 38, 39)),
    "memory": made(120, 7, memory=0.6),
    "long": made(1000, 8, cost=1.01),
    "free_canary": [[0.0, *row[1:]] for row in made(24, 9)],
}


def amounts():
    for name, intervals in AMOUNTS.items():
        result = {}
        for scale, found in scales(intervals).items():
            boundaries = [0.9, 1.0, 1.25] if scale == "ratio" else [-0.0078125, 0.0, 0.0078125]
            sides = []
            for boundary in boundaries:
                null = mp.log(exact(boundary)) if scale == "ratio" else exact(boundary)
                t = (found["estimate"] - null) / found["standard_error"]
                df = mpf(found["cosines"])
                sides.append({"boundary": boundary, "ln_greater": ln_tail(t, df), "ln_less": ln_tail(-t, df)})
            reach = quantile(mpf("0.025"), mpf(found["cosines"])) * found["standard_error"]
            limits = [found["estimate"] - reach, found["estimate"] + reach]
            limits = [mp.exp(v) for v in limits] if scale == "ratio" else limits
            result[scale] = {**found, "sides": sides, "limits": limits}
        yield {"id": name, "intervals": intervals, "result": result}


# ---- means ----


def moments(n, total, squares):
    """Exactly, from whole sums."""
    mean = Fraction(total) / n
    return n, mean, (Fraction(squares) - total * mean) / (n - 1) if n > 1 else None


def of(values):
    values = [Fraction(v) for v in values]
    return moments(len(values), sum(values), sum(v * v for v in values))


def freedom(v_c, n_c, v_b, n_b):
    return (v_c + v_b) ** 2 / (v_c**2 / (n_c - 1) + v_b**2 / (n_b - 1))


def welch(canary, baseline, ratio, difference):
    (n_c, m_c, s_c), (n_b, m_b, s_b) = canary, baseline
    v_c, v_b = s_c / n_c, Fraction(ratio) ** 2 * s_b / n_b
    df = exact(freedom(v_c, n_c, v_b, n_b))
    t = exact(m_c - Fraction(ratio) * m_b - Fraction(difference)) / mp.sqrt(exact(v_c + v_b))
    return {"ln_greater": ln_tail(t, df), "ln_less": ln_tail(-t, df)}


def difference_limits(canary, baseline):
    (n_c, m_c, s_c), (n_b, m_b, s_b) = canary, baseline
    v_c, v_b = s_c / n_c, s_b / n_b
    reach = quantile(mpf("0.025"), exact(freedom(v_c, n_c, v_b, n_b))) * mp.sqrt(exact(v_c + v_b))
    return [exact(m_c - m_b) - reach, exact(m_c - m_b) + reach]


def ratio_limits(canary, baseline):
    """Where |m_c - r m_b| is t standard errors, by halving outwards from the estimate; None if a side has no such r."""
    (n_c, m_c, s_c), (n_b, m_b, s_b) = canary, baseline
    if m_b <= 0:
        return [None, None]
    v_c, v_b = s_c / n_c, s_b / n_b
    estimate = m_c / m_b
    df = exact(freedom(v_c, n_c, estimate**2 * v_b, n_b))
    t = quantile(mpf("0.025"), df)
    v_c, v_b, m_c, m_b, estimate = (exact(x) for x in (v_c, v_b, m_c, m_b, estimate))
    if m_b <= t * mp.sqrt(v_b):
        return [None, None]

    def inside(r):
        return abs(m_c - r * m_b) <= t * mp.sqrt(v_c + r * r * v_b)

    limits = []
    for sign in (-1, 1):
        near, step = mpf(0), mpf(1)
        while inside(estimate + sign * step):
            step *= 2
        far = step
        for _ in range(220):
            middle = (near + far) / 2
            near, far = (middle, far) if inside(estimate + sign * middle) else (near, middle)
        limits.append(estimate + sign * near)
    return limits


VALUES = {
    "small": ([3.0, 5.0, 7.0], [1.0, 2.0, 3.0, 4.0]),
    "larger_canary": ([12.0, 15.5, 11.25, 18.0, 14.0, 13.5, 16.0], [10.0, 14.0, 9.5]),
    "equal_baseline": ([4.0, 5.0, 6.5], [5.0, 5.0, 5.0, 5.0]),
    "two_each": ([1.0, 2.0], [4.0, 8.0]),
    "near_zero_baseline": ([2.0, 4.0, 3.0, 5.0], [-3.0, 4.0, 1.0, -1.0, 2.0]),
    "negative_canary": ([-2.0, -4.0, -3.0, -5.5], [3.0, 4.0, 5.0, 4.5, 3.5]),
    "offset": ([1e9 + 0.25, 1e9 + 0.5, 1e9 + 1.0], [1e9 + 0.125, 1e9 + 0.375, 1e9, 1e9 + 0.5]),
    "huge": ([3e100, 5e100, 7e100], [1e100, 2e100, 3e100, 4e100]),
    "tiny": ([3e-100, 5e-100, 7e-100], [1e-100, 2e-100, 3e-100, 4e-100]),
    "far_apart": ([1000.0 + i % 3 for i in range(40)], [10.0 + i % 5 for i in range(60)]),
    "users": (
        [float(i * i % 37) if i % 3 == 0 else 0.0 for i in range(400)],
        [float(i * i % 31) if i % 3 == 0 else 0.0 for i in range(3000)],
    ),
}
# n, sum, sum of squares: more units than a list holds
SUMS = {
    "million": ((10**6, 2_050_000, 9_000_000), (10**6, 2_000_000, 8_500_000)),
    "billion": ((10**9, 2_000_100_000, 8_500_000_000), (10**8, 200_000_000, 850_000_000)),
    "thousand_billion": ((10**12, 2 * 10**12 + 10**7, 5 * 10**12), (10**12, 2 * 10**12, 5 * 10**12)),
}


def means():
    for name, arms in {**VALUES, **SUMS}.items():
        canary, baseline = (of(a) if name in VALUES else moments(*a) for a in arms)
        sides = []
        unit = abs(baseline[1]) if baseline[1] else 1
        for kind, boundary in [("difference", 0.0), ("difference", float(unit) / 8), ("ratio", 1.0), ("ratio", 1.25)]:
            ratio, difference = (boundary, 0) if kind == "ratio" else (1, boundary)
            sides.append({"kind": kind, "boundary": boundary, **welch(canary, baseline, ratio, difference)})
        peer_checked(arms if name in VALUES else None, canary, baseline, sides[0])
        yield {
            "id": name,
            "from": "values" if name in VALUES else "sums",
            "canary": arms[0],
            "baseline": arms[1],
            "result": {
                "sides": sides,
                "difference_limits": difference_limits(canary, baseline),
                "ratio_limits": ratio_limits(canary, baseline),
            },
        }


def peer_checked(values, canary, baseline, side):
    """Against a difference of 0. scipy takes far means and tiny values for equal ones, and warns."""
    if not 1e-6 < max(abs(m) for _, m, _ in (canary, baseline)) < 1e6:
        return
    if values:
        p = stats.ttest_ind(*values, equal_var=False, alternative="greater").pvalue
    else:
        args = [x for n, m, v in (canary, baseline) for x in (float(m), float(v) ** 0.5, n)]
        p = stats.ttest_ind_from_stats(*args, equal_var=False, alternative="greater").pvalue
    expected = mp.exp(side["ln_greater"])
    assert abs(p - expected) <= 1e-8 * expected or expected < 1e-200, (p, expected)


def number(value):
    if isinstance(value, mpf):
        return float(value)
    if isinstance(value, dict):
        return {k: number(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [number(v) for v in value]
    return value


def lines(cases):
    return ",\n".join(json.dumps(number(case)) for case in cases)


TOOLS = {
    "python": platform.python_version(),
    "mpmath": mp.__version__,
    "numpy": np.__version__,
    "scipy": scipy.__version__,
}
if __name__ == "__main__":
    print(f'{{"tools": {json.dumps(TOOLS)},\n"amounts": [\n{lines(amounts())}\n],\n"means": [\n{lines(means())}\n]}}')
