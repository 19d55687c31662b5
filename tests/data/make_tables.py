"""Writes tables.json: reference values for Fisher's test, the odds ratio, the score interval of a risk ratio, and
Mantel and Haenszel's strata.

    python3 make_tables.py > tables.json

Needs mpmath, scipy, statsmodels and an `Rscript` in the path. Tails and limits of the odds ratio come from sums in mpmath (50
digits); R's `fisher.test` must agree with its p to 1e-7 (by how much R takes a probability to be larger than another) and with
its limits to 2 % (its root stops early). The limits of a risk ratio are roots of the score in mpmath, and statsmodels'
must agree to 1e-5. Strata: statsmodels' `StratifiedTable` and R's `mantelhaen.test`, and Sato's variance by its formula in
fractions.
"""

import json
import platform
import random
import subprocess
from fractions import Fraction

import mpmath as mp
import scipy
import statsmodels
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.proportion import confint_proportions_2indep

mp.mp.dps = 50


def r(script):
    found = subprocess.run(["Rscript", "--vanilla", "-"], input=script, capture_output=True, text=True, check=True)
    return [float(x) for x in found.stdout.split()]


def near(a, b, tolerance):
    assert abs(a - b) <= tolerance * abs(b), (a, b)


class Noncentral:
    def __init__(self, x, n, y, m):
        self.x = x
        bad = x + y
        self.low, self.high = max(0, bad - m), min(n, bad)
        # From the centre outwards, as far as 1e-60 of it.
        self.counts = {k: mp.binomial(n, k) * mp.binomial(m, bad - k) for k in range(self.low, self.high + 1)}

    def weights(self, odds):
        return {k: c * mp.mpf(odds) ** (k - self.x) for k, c in self.counts.items()}

    def tails(self, odds, half=False):
        w = self.weights(odds)
        all_ = mp.fsum(w.values())
        at = w[self.x] / 2 if half else w[self.x]
        above = mp.fsum(v for k, v in w.items() if k > self.x)
        below = mp.fsum(v for k, v in w.items() if k < self.x)
        return (above + at) / all_, (below + at) / all_

    def two_sided(self, odds):
        w = self.weights(odds)
        limit = w[self.x] * (1 + mp.mpf(10) ** -7)
        return mp.fsum(v for v in w.values() if v <= limit) / mp.fsum(w.values())

    def mean(self, odds):
        w = self.weights(odds)
        return mp.fsum(k * v for k, v in w.items()) / mp.fsum(w.values())

    def root(self, f):
        # f rises with the logarithm of the odds.
        low, high = mp.mpf(-500), mp.mpf(500)
        for _ in range(120):
            middle = (low + high) / 2
            if f(mp.e ** middle) > 0:
                high = middle
            else:
                low = middle
        return mp.e ** high


def fisher_cases():
    random.seed(4)
    tables = [(8, 10, 1, 6), (120, 1000, 90, 1000), (0, 25, 7, 407), (3, 3, 0, 40), (1, 1, 0, 1), (5, 5, 2, 9), (7, 200, 7, 200),
              (2, 5000, 0, 95000), (60, 3000, 900, 57000), (400, 500, 380, 500)]
    while len(tables) < 40:
        n, m = random.choice([3, 12, 60, 400]), random.choice([3, 12, 60, 400])
        tables.append((random.randint(0, n), n, random.randint(0, m), m))
    for i, (x, n, y, m) in enumerate(tables):
        law = Noncentral(x, n, y, m)
        for odds in [1.0, 0.25, 7.5]:
            exact, mid, two = law.tails(odds), law.tails(odds, True), law.two_sided(odds)
            if odds == 1.0:
                near(stats.fisher_exact([[x, n - x], [y, m - y]])[1], float(two), 1e-7)
            values = {"ln_greater": exact[0], "ln_less": exact[1], "ln_mid_greater": mid[0], "ln_mid_less": mid[1], "ln_two_sided": two}
            yield {"id": f"fisher_{i}_{odds}", "test": "fisher", "params": {"canary": [x, n], "baseline": [y, m], "odds": odds},
                   "result": {k: float(mp.log(v)) for k, v in values.items()}}
        if law.low == law.high:
            continue
        result = {}
        for half, name in [(False, ""), (True, "mid_")]:
            tail = mp.mpf("0.025")
            result[name + "low"] = float(law.root(lambda o: law.tails(o, half)[0] - tail)) if x > law.low else 0.0
            result[name + "high"] = float(law.root(lambda o: tail - law.tails(o, half)[1])) if x < law.high else None
        result["estimate"] = float(law.root(lambda o: law.mean(o) - x)) if law.low < x < law.high else None
        if law.low < x < law.high:
            found = r(f"t <- fisher.test(matrix(c({x},{y},{n-x},{m-y}),2)); cat(t$estimate, t$conf.int)")
            for got, name in zip(found, ["estimate", "low", "high"]):
                near(got, result[name], 0.02)
        yield {"id": f"odds_{i}", "test": "odds_ratio", "params": {"canary": [x, n], "baseline": [y, m], "level": 0.95}, "result": result}


def ratio_z(x, n, y, m, ratio):
    x, n, y, m, ratio = map(mp.mpf, (x, n, y, m, ratio))
    a, b, c = (n + m) * ratio, -(n * ratio + x + m + y * ratio), x + y
    p = (-b - mp.sqrt(b * b - 4 * a * c)) / (2 * a)
    q = p * ratio
    v = (q * (1 - q) / n + ratio**2 * p * (1 - p) / m) * (n + m) / (n + m - 1)
    return (x / n - ratio * y / m) / mp.sqrt(v)


def ratio_cases():
    for i, (x, n, y, m) in enumerate([(200, 10000, 150, 10000), (6, 500, 20, 9500), (3200, 10000, 3000, 10000), (45, 50, 30, 60), (5, 10, 400, 1000),
                                      (70, 90000, 60, 100000), (1, 30, 2, 3000), (59, 60, 58, 60)]):
        z = stats.norm.ppf(0.975)
        z = mp.sqrt(2) * mp.erfinv(mp.mpf("0.95"))
        limits = []
        for target in [z, -z]:
            low, high = mp.mpf(10) ** -9, mp.mpf(10) ** 9
            for _ in range(160):
                middle = mp.sqrt(low * high)
                if ratio_z(x, n, y, m, middle) <= target:
                    high = middle
                else:
                    low = middle
            limits.append(high)
        found = confint_proportions_2indep(x, n, y, m, method="score", compare="ratio")
        near(found[0], limits[0], 1e-5)
        near(found[1], limits[1], 1e-5)
        yield {"id": f"risk_ratio_{i}", "test": "risk_ratio", "params": {"canary": [x, n], "baseline": [y, m], "level": 0.95},
               "result": {"low": float(limits[0]), "high": float(limits[1])}}
        for ratio in [0.5, 1.0, 1.25]:
            z = ratio_z(x, n, y, m, ratio)
            yield {"id": f"ratio_score_{i}_{ratio}", "test": "ratio_score", "params": {"canary": [x, n], "baseline": [y, m], "ratio": ratio},
                   "result": {"ln_greater": float(mp.log(mp.ncdf(-z))), "ln_less": float(mp.log(mp.ncdf(z)))}}


def strata_cases():
    random.seed(5)
    sets = [[(random.randint(0, 6), 40, random.randint(0, 30), 300) for _ in range(k)] for k in (2, 5, 30)]
    sets += [[(random.randint(20, 60), random.randint(80, 400), random.randint(20, 60), random.randint(80, 400)) for _ in range(k)] for k in (2, 8, 100)]
    sets += [[(1, 2, 0, 1), (0, 1, 1, 2), (2, 3, 1, 3), (0, 4, 1, 3)], [(900, 1000, 800, 1000), (50, 1000, 40, 1000)]]
    for i, strata in enumerate(sets):
        tables = [[[x, n - x], [y, m - y]] for x, n, y, m in strata]
        table = StratifiedTable([[list(map(float, row)) for row in t] for t in tables])
        weight = sum(Fraction(n * m, n + m) for _, n, _, m in strata)
        excess = sum(Fraction(x * m - y * n, n + m) for x, n, y, m in strata)
        difference = excess / weight
        p = sum(Fraction(n * n * y - m * m * x, (n + m) ** 2) + Fraction(n * m * (m - n), 2 * (n + m) ** 2) for x, n, y, m in strata)
        q = sum(Fraction(x * (m - y) + y * (n - x), 2 * (n + m)) for x, n, y, m in strata)
        sato = (difference * p + q) / weight**2
        cells = ",".join(str(v) for x, n, y, m in strata for v in (x, y, n - x, m - y))
        test = r(f"t <- mantelhaen.test(array(c({cells}), c(2,2,{len(strata)}))); u <- mantelhaen.test(array(c({cells}), c(2,2,{len(strata)})), correct=FALSE); "
                 "cat(sprintf('%.17g', c(t$statistic, u$statistic, t$estimate, t$conf.int)))")
        near(test[2], table.oddsratio_pooled, 1e-10)
        near(test[1], table.test_null_odds(correction=False).statistic, 1e-9)
        homogeneity = table.test_equal_odds(adjust=True)
        yield {"id": f"strata_{i}", "test": "mantel_haenszel", "params": {"strata": strata, "level": 0.95},
               "result": {"difference": float(difference), "sato": float(mp.sqrt(mp.mpf(sato.numerator) / sato.denominator)),
                          "risk_ratio": float(table.riskratio_pooled), "odds_ratio": test[2], "odds_low": test[3], "odds_high": test[4],
                          "chi2_corrected": test[0], "chi2": test[1], "tarone_p": float(homogeneity.pvalue)}}


cases = [*fisher_cases(), *ratio_cases(), *strata_cases()]
about = {"tools": {"python": platform.python_version(), "mpmath": mp.__version__, "scipy": scipy.__version__,
                   "statsmodels": statsmodels.__version__, "R": r("cat(paste0(R.version$major, R.version$minor))")[0]},
         "made_by": "make_tables.py"}
print(json.dumps({"about": about, "cases": cases}, indent=1))
