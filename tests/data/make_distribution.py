"""The numbers of Anderson and Darling's test in src/compare/distribution/limit.rs and tests/distribution.rs, printed.

Python 3.11.7, mpmath 1.3.0, numpy 2.4.6, scipy 1.17.1. Independent of the Rust code in the quadrature (adaptive, 40 to 50 digits) and,
with ties, in the weights (eigenvalues of the full matrix instead of a recurrence). Without ties and up to x = 30 the tail is checked here
against one minus the series of Anderson and Darling (1952, equation 4.35).
"""

import numpy as np
from mpmath import cos, eigsy, erfc, exp, expm1, factorial, fprod, gamma, log, matrix, mp, mpf, nstr, pi, quad, sin, sqrt
from scipy import stats

NEGLIGIBLE = 120


def untied(x):
    x, total, k = mpf(x), mpf(0), 1
    while True:
        a, b = mpf((2 * k - 1) * 2 * k), mpf(2 * k * (2 * k + 1))
        if (a - 2) * x / 2 > NEGLIGIBLE:
            return log(total / pi) - x

        def integrand(t):
            u = (a + b) / 2 - (b - a) / 2 * cos(t)
            determinant = abs(cos(pi / 2 * sqrt(1 + 4 * u)) / (pi * u))
            return exp(-x * (u - 2) / 2) / u * sqrt((u - a) * (b - u) / determinant)

        width = 1 / sqrt(x * (b - a) / 2)
        points = [mpf(0)] + [width * i for i in (1, 3, 6, 10, 16) if width * i < pi] + [+pi]
        total -= (-1) ** k * quad(integrand, points)
        k += 1


def series_1952(x):
    x, total = mpf(x), mpf(0)
    for j in range(60):
        c = (4 * j + 1) ** 2 * pi**2 / (8 * x)
        integral = quad(lambda w: exp(x / (8 * (w * w + 1)) - c * w * w), [0, 1 / sqrt(c), 4 / sqrt(c), 16 / sqrt(c)])
        term = (-1) ** j * gamma(j + mpf(1) / 2) / (gamma(mpf(1) / 2) * factorial(j)) * (4 * j + 1) * exp(-c) * integral
        total += term
        if abs(term) < mpf(10) ** -45:
            break
    return log(1 - sqrt(2 * pi) / x * total)


def values(sizes):
    """The u of groups of these sizes, smallest first."""
    total, groups = mpf(sum(sizes)), len(sizes)
    middle = [mpf(sum(sizes[:k])) + mpf(sizes[k]) / 2 for k in range(groups)]
    variance = [m * (total - m) - total * size / 4 for m, size in zip(middle, sizes)]
    full = matrix(groups, groups)
    for i in range(groups):
        for j in range(groups):
            shared = variance[i] if i == j else middle[min(i, j)] * (total - middle[max(i, j)])
            full[i, j] = shared * sqrt(mpf(sizes[i]) * sizes[j] / (variance[i] * variance[j])) / total
    weights = sorted(eigsy(full, eigvals_only=True), reverse=True)[: groups - 1]
    return [1 / w for w in weights]


def tied(sizes, x):
    us, x, total = values(sizes), mpf(x), mpf(0)
    for k in range(0, len(us), 2):
        a = us[k]
        if (a - us[0]) * x / 2 > NEGLIGIBLE:
            break
        if k + 1 < len(us):
            others = [u for i, u in enumerate(us) if i not in (k, k + 1)]
            half = log(us[k + 1] / a) / 2

            def integrand(t):
                if t in (0, pi):
                    return mpf(0)
                v = 2 * half * sin(t / 2) ** 2
                u = a * exp(v)
                ends = expm1(v) * -expm1(-2 * half * sin((pi - t) / 2) ** 2)
                return exp(-x * (u - us[0]) / 2) / sqrt(ends * abs(fprod(1 - u / o for o in others))) * half * sin(t)

            width = sqrt(2 / (x * a * half))
            points = {mpf(0), +pi} | {pi * i / 16 for i in range(1, 16)}
            points |= {width * i for i in (mpf(1) / 4, 1, 2, 4, 8, 16) if width * i < pi}
            part = quad(integrand, sorted(points))
        else:
            others = us[:-1]

            def integrand(s):
                u = a + s * s
                return exp(-x * (u - us[0]) / 2) * 2 * sqrt(a) / (u * sqrt(abs(fprod(1 - u / o for o in others))))

            most = sqrt(2 * NEGLIGIBLE / x)
            points = [most * mpf(10) ** -i * m for i in range(7, 0, -1) for m in (1, 3)]
            part = quad(integrand, [mpf(0)] + points + [most / 2, most])
        total += (-1) ** (k // 2) * part
    return log(total / pi) - x * us[0] / 2


mp.dps = 50
print("UNTIED")
for x in ["0.04", "0.1", "0.2", "0.5", "1", "2.492", "3.857", "10", "30", "60", "155.5", "1000", "18420.680743952367"]:
    tail = untied(x)
    if mpf(x) <= 30:
        # At 0.04 the tail is 4e-13 from 1, which takes 13 digits.
        assert abs(tail / series_1952(x) - 1) < mpf(10) ** -15, x
    print(x, nstr(tail, 17))

mp.dps = 40
print("TIED")
for sizes in [[90, 10], [1, 1, 1], [1] * 5, [1, 10**9, 1], [5, 1, 7, 3]]:
    for x in ["1e-6", "0.01", "0.1", "1", "3.84", "40", "1e4"]:
        tail = tied(sizes, x)
        if len(sizes) == 2:
            assert abs(tail / log(erfc(sqrt(mpf(x) / 2))) - 1) < mpf(10) ** -17, x
        print(sizes, x, nstr(tail, 17))

print("STANDARDIZED")
deviation = sqrt(2 * (pi * pi - 9) / 3)
for n, m, shift in [(51, 50, 3), (51, 50, 20), (150, 60, -40), (10000, 10000, 40), (10000, 10000, 200), (10000, 10000, 5000),
                    (10000, 10000, 20000), (3000, 9000, 500)]:
    samples = [np.arange(m) * 1.0, np.arange(n) + shift + 0.5]
    statistic = float(stats.anderson_ksamp(samples, variant="midrank").statistic)
    print((n, m, shift), statistic, nstr(untied(1 + deviation * mpf(statistic)), 17))
