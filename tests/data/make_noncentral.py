"""Prints the numbers of `src/special/noncentral.rs`: tails of noncentral chi-square, and the noncentralities at which they are p.

mpmath, 60 digits: the Poisson mixture of regularised incomplete gamma functions, summed over every term that matters; roots by
bisection.
"""

from mpmath import mp, mpf, gammainc, loggamma, log, exp, sqrt, floor, ceil

mp.dps = 60


def pmf(k, mean):
    return exp(k * log(mean) - mean - loggamma(k + 1))


def tails(x, df, lam):
    """Both tails: P(a + j + 1, y) = P(a + j, y) - y^(a+j) exp(-y)/Gamma(a+j+1), exact to many digits beyond those asked for."""
    a, mean, y = mpf(df) / 2, mpf(lam) / 2, mpf(x) / 2
    if mean == 0:
        return gammainc(a, 0, y, regularized=True), gammainc(a, y, regularized=True)
    mid = [mean, sqrt(mean * y)]
    low = int(max(0, floor(min(mid) - 16 * sqrt(max(mid)) - 40)))
    high = int(ceil(max(mid) + 16 * sqrt(max(mid)) + 60))
    below = above = mpf(0)
    p, q = gammainc(a + low, 0, y, regularized=True), gammainc(a + low, y, regularized=True)
    w, t = pmf(mpf(low), mean), pmf(a + low, y)
    for j in range(low, high + 1):
        below += w * p
        above += w * q
        p, q = p - t, q + t
        w *= mean / (j + 1)
        t *= y / (a + j + 1)
    return below, above


def root(x, df, p, which):
    f = lambda lam: tails(x, df, lam)[which]
    low, high = mpf(0), mpf(1)
    moves = lambda lam: (f(lam) > p) if which == 0 else (f(lam) < p)
    if not moves(low):
        return mpf(0)
    while moves(high):
        low, high = high, 2 * high
    for _ in range(70):
        middle = (low + high) / 2
        low, high = (middle, high) if moves(middle) else (low, middle)
    return low


if __name__ == "__main__":
    print("tails: x, df, lambda, ln lower, ln upper")
    for x, df, lam in [
        (3, 1, 2), (10, 5, 4), (25, 5, 10), (120, 19, 80), (0.001, 1, 3), (1, 3, 200), (400, 3, 2), (5000, 10, 40),
        (1100, 999, 120), (9, 2, 1e-9), (2000, 5, 2100), (9000, 5, 9500), (9600, 5, 9500), (10300, 5, 9500), (12000, 40, 9500),
        (40000, 999, 38000), (7000, 3, 9500), (9505, 5, 9500),
    ]:
        below, above = tails(x, df, lam)
        print(f"({x}, {df}, {lam}, {float(log(below))!r}, {float(log(above))!r}),")
    print("roots: x, df, p, lambda of the lower tail, of the upper")
    for x, df, p in [(6.8, 5, 0.05), (30, 5, 0.05), (0.2, 3, 0.05), (300, 9, 0.05), (1040, 999, 0.05), (12, 1, 0.05), (15000, 5, 0.05), (1200, 1, 0.2)]:
        p = mpf(str(p))
        print(f"({x}, {df}, {p}, {float(root(x, df, p, 0))!r}, {float(root(x, df, p, 1))!r}),")
    print("quantiles: upper tail, df, x")
    for tail, df in [(0.001, 1), (0.05, 5), (0.001, 999), (0.8, 3), (1e-12, 2), (0.999, 1)]:
        tail = mpf(tail)
        low, high = mpf(0), mpf(4000)
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if gammainc(mpf(df) / 2, middle / 2, regularized=True) > tail else (low, middle)
        print(f"({float(tail)!r}, {df}, {float(low)!r}),")
