"""Writes paired.json: reference values for the signed-rank test, Brunner and Munzel's test and van Elteren's.

    python3 make_paired.py > paired.json

Needs numpy, scipy, mpmath and an `Rscript` in the path. Each number comes from one of these, and where two can give it they
must agree:

- signed ranks: R's `wilcox.test` where there are no ties and zeros, or for the normal approximation; scipy's `wilcoxon`;
  for exact p with ties the distribution of W as Python integers, and for up to 14 differences all assignments of signs;
- the shift of pairs: all means of two differences, listed; R's interval where it has one (without zeros, and a level that can
  be reached);
- Brunner-Munzel: scipy's `brunnermunzel`, and the formulas of the paper in mpmath; for permutations, all arrangements, with
  statistics compared as fractions;
- van Elteren: the variance of each stratum's U over all its arrangements, as a fraction, or the formula with ties for strata
  that are too large; tails by mpmath.

The inputs have no more than 15 digits, so that any reader of JSON has them exactly.
"""

import itertools
import json
import math
import platform
import subprocess
from collections import Counter
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


def normal_tail(z):
    return mp.erfc(z / mp.sqrt(2)) / 2


def two_sided(greater, less):
    return min(2 * min(greater, less), type(greater)(1))


def near(a, b, tolerance=1e-12):
    assert abs(a - b) <= tolerance * abs(b), (a, b)


# ---- R ----


def r(script):
    found = subprocess.run(["Rscript", "--vanilla", "-"], input=script, capture_output=True, text=True, check=True)
    return found.stdout


R_VERSION = r('cat(R.version$major, R.version$minor, sep=".")')


def r_signed_rank(differences, alternative, method, correct, level):
    """W, p, and where R gives them the estimate and the limits."""
    script = f"""
    options(warn=-1)
    x <- c({",".join(repr(float(d)) for d in differences)})
    t <- wilcox.test(x, alternative="{alternative}", exact={"TRUE" if method == "exact" else "FALSE"},
                     correct={"TRUE" if correct else "FALSE"}, conf.int=TRUE, conf.level={level}, tol.root=1e-12)
    cat(sprintf("%.17g", c(t$statistic, t$p.value, t$estimate, t$conf.int)))
    """
    return [float(v) for v in r(script).split()]


# ---- signed ranks ----


def multiples(values, unit=64):
    return [round(float(v) * unit) / unit for v in values]


def untied(n, draw):
    """So many values without ties in size."""
    found = {}
    while len(found) < n:
        (value,) = multiples([draw()], 2**13)
        found.setdefault(abs(value), value)
    return list(found.values())


rng = np.random.default_rng(20260101)
DIFFERENCES = {
    "one": [2.5],
    "two_zeros": [0.0, 0.0],
    "four": [3.0, -1.0, 4.0, 2.0],
    "all_above": [float(i) for i in range(1, 9)],
    "all_below": [-float(i) for i in range(1, 9)],
    "depression": [0.952, -0.147, 1.022, 0.43, 0.62, 0.59, 0.49, -0.08, 0.01],
    "untied_14": untied(14, lambda: rng.normal(0.5, 1)),
    "untied_50": untied(50, lambda: rng.normal(0.3, 1)),
    "untied_200": untied(200, lambda: rng.normal(0.1, 1)),
    "untied_600": untied(600, lambda: rng.normal(0.1, 1)),
    "ties_6": [1.0, 1.0, -1.0, 2.0, 3.0, 3.0],
    "ties_12": [1.0, -1.0, 2.0, 2.0, 2.0, -3.0, 4.0, 5.0, 5.0, -5.0, 6.0, 7.0],
    "ties_and_zeros_13": [0.0, 0.0, 1.0, -1.0, 2.0, 2.0, 3.0, 3.0, -2.0, 4.0, 0.0, 5.0, 5.0],
    "one_size_10": [2.0] * 8 + [-2.0] * 2,
    "rounded_40": [float(v) for v in np.round(rng.normal(0.6, 2, 40))],
    "rounded_120": [float(v) for v in np.round(rng.normal(0.5, 3, 120))],
    "rounded_500": [float(v) for v in np.round(rng.normal(0.2, 2, 500))],
    "no_zero_ties_60": [float(v) + 0.5 for v in np.floor(rng.normal(0.4, 2, 60))],
    "skewed_25": untied(25, lambda: rng.exponential(1) - 0.6),
    "infinite_9": [math.inf, -math.inf, 1.0, 2.0, math.inf, 3.0, -4.0, 5.0, 6.0],
}


def doubled_ranks(differences):
    """Of the differences that are not 0: (twice the midrank, whether positive)."""
    kept = [d for d in differences if d != 0]
    sizes = [abs(d) for d in kept]
    below = {s: sum(t < s for t in sizes) for s in set(sizes)}
    equal = Counter(sizes)
    return [(2 * below[abs(d)] + equal[abs(d)] + 1, d > 0) for d in kept]


def signed_rank_exact(differences):
    ranked = doubled_ranks(differences)
    seen = sum(rank for rank, positive in ranked if positive)
    ways = Counter({0: 1})
    for rank, _ in ranked:
        ways = ways + Counter({w + rank: count for w, count in ways.items()})
    all_ways = 2 ** len(ranked)
    assert sum(ways.values()) == all_ways
    greater = Fraction(sum(c for w, c in ways.items() if w >= seen), all_ways)
    less = Fraction(sum(c for w, c in ways.items() if w <= seen), all_ways)
    if len(ranked) <= 14:
        sums = [
            sum(rank for (rank, _), sign in zip(ranked, signs) if sign)
            for signs in itertools.product([False, True], repeat=len(ranked))
        ]
        assert greater == Fraction(sum(s >= seen for s in sums), all_ways)
        assert less == Fraction(sum(s <= seen for s in sums), all_ways)
    return {"greater": exact(greater), "less": exact(less), "two_sided": exact(two_sided(greater, less))}


def signed_rank_normal(differences, correct):
    ranked = doubled_ranks(differences)
    n = len(ranked)
    if n == 0:
        return {"greater": mpf(1), "less": mpf(1), "two_sided": mpf(1)}
    above = Fraction(sum(rank for rank, positive in ranked if positive), 2) - Fraction(n * (n + 1), 4)
    ties = sum(t**3 - t for t in Counter(rank for rank, _ in ranked).values())
    deviation = mp.sqrt(exact(Fraction(n * (n + 1) * (2 * n + 1), 24) - Fraction(ties, 48)))
    half = Fraction(1, 2) if correct else Fraction(0)
    greater, less = (normal_tail(exact(side - half) / deviation) for side in (above, -above))
    return {"greater": greater, "less": less, "two_sided": two_sided(greater, less)}


def signed_rank_cases():
    for name, differences in DIFFERENCES.items():
        ranked = doubled_ranks(differences)
        w, n = sum(rank for rank, positive in ranked if positive) / 2, len(ranked)
        no_ties = len({rank for rank, _ in ranked}) == n == len(differences)
        for method, correct in [("exact", True), ("normal", True), ("normal", False)]:
            if method == "exact" and n > 200:
                continue
            result = signed_rank_exact(differences) if method == "exact" else signed_rank_normal(differences, correct)
            checked = ["python"]
            for side, alternative in [("greater", "greater"), ("less", "less"), ("two_sided", "two-sided")]:
                if n == 0:
                    continue
                if no_ties if method == "exact" else math.inf not in differences:
                    found = r_signed_rank(differences, alternative.replace("-", "."), method, correct, 0.95)
                    assert found[0] == w, (found, w)
                    near(found[1], result[side], 1e-9 if method == "exact" else 1e-12)
                    checked.append("R")
                if method == "normal" or no_ties:
                    peer = "exact" if method == "exact" else "asymptotic"
                    kept = [d for d in differences if d != 0]
                    p = stats.wilcoxon(kept, alternative=alternative, method=peer, correction=correct).pvalue
                    # scipy moves W by one half also where that goes beyond the mean
                    if not (side == "two_sided" and correct and 4 * w == n * (n + 1)):
                        near(p, result[side], 1e-9 if method == "exact" else 1e-12)
                        checked.append("scipy")
            yield {
                "id": f"signed_rank_{name}_{method}{'' if correct else '_plain'}",
                "test": "signed_rank",
                "tool": " and ".join(dict.fromkeys(checked)),
                "differences": differences,
                "params": {"method": method, "continuity": correct},
                "result": {"w": w, "n": n, "zeros": len(differences) - n, **result},
            }


# ---- the shift of pairs ----


def walsh(differences):
    return sorted((Fraction(a) + Fraction(b)) / 2 for a, b in itertools.combinations_with_replacement(differences, 2))


def signs_below(n):
    """The numbers of assignments with W = 0, 1, ..., without ties."""
    ways = [1]
    for rank in range(1, n + 1):
        longer = ways + [0] * rank
        for w, count in enumerate(ways):
            longer[w + rank] += count
        ways = longer
    return ways


def limit_rank(differences, level, method):
    """The smallest k with P(W <= k) > (1 - level)/2; 0: no limit."""
    n = len(differences)
    tail = (1 - Fraction(str(level))) / 2
    if method == "exact":
        below = 0
        for k, count in enumerate(signs_below(n)):
            below += count
            if below > tail * 2**n:
                return k
    ties = sum(t**3 - t for t in Counter(differences).values())
    deviation = mp.sqrt(exact(Fraction(n * (n + 1) * (2 * n + 1), 24) - Fraction(ties, 48)))
    z = mp.sqrt(2) * mp.erfinv(1 - 2 * exact(tail))
    return max(0, int(mp.floor(mpf(n * (n + 1)) / 4 - mpf(1) / 2 - z * deviation)) + 1)


def shift_cases():
    for name, differences in DIFFERENCES.items():
        if math.inf in differences or len(differences) > 200:
            continue
        means = walsh(differences)
        count = len(means)
        estimate = (means[(count - 1) // 2] + means[count // 2]) / 2
        all_zero = not any(differences)
        for method, level in [("exact", 0.95), ("exact", 0.8), ("normal", 0.95)]:
            k = 0 if all_zero else limit_rank(differences, level, method)
            limits = (means[k - 1], means[count - k]) if k else (None, None)
            ranked = doubled_ranks(differences)
            no_ties = len({rank for rank, _ in ranked}) == len(differences)
            checked = "python"
            # R drops zeros here too; of few values it widens alpha until the extremes fit; its normal estimate is a root
            # between two means.
            if k and 0.0 not in differences and (no_ties if method == "exact" else len(differences) >= 12):
                found = r_signed_rank(differences, "two.sided", method, True, level)
                scale = max(abs(d) for d in differences)
                for got, limit in zip(found[-2:], limits):
                    assert abs(got - float(limit)) <= 1e-9 * scale, (name, method, level, found, limits)
                if method == "exact":
                    near(found[2], float(estimate), 1e-9)
                checked = "python and R"
            yield {
                "id": f"paired_shift_{name}_{method}_{level}",
                "test": "paired_shift",
                "tool": checked,
                "differences": differences,
                "params": {"method": method, "level": level},
                "result": {"estimate": estimate, "low": limits[0], "high": limits[1]},
            }


# ---- Brunner-Munzel ----

ARMS = {
    "3v7": ([4.0, 9.0, 7.0], [1.0, 5.0, 2.0, 8.0, 3.0, 6.0, 2.5]),
    "7v3": ([1.0, 5.0, 2.0, 8.0, 3.0, 6.0, 2.5], [4.0, 9.0, 7.0]),
    "2v2": ([1.0, 4.0], [2.0, 3.0]),
    "2v9": ([3.5, 8.5], [float(i) for i in range(9)]),
    "ties_5v6": ([1.0, 2.0, 2.0, 3.0, 3.0], [1.0, 1.0, 2.0, 2.0, 2.0, 3.0]),
    "ties_6v4": ([4.0, 4.0, 5.0, 3.0, 4.0, 1.0], [4.0, 2.0, 2.0, 3.0]),
    "two_values": ([1.0, 1.0, 0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0, 1.0]),
    "one_tied_pair": ([3.0, 4.0, 5.0, 6.0], [1.0, 2.0, 3.0]),
    "infinite": ([math.inf, 2.0, -math.inf, math.inf], [0.0, 3.0, math.inf, -1.0, 1.0]),
    "spread_20v50": (multiples(rng.normal(0, 3, 20)), multiples(rng.normal(0, 1, 50))),
    "spread_50v20": (multiples(rng.normal(0, 1, 50)), multiples(rng.normal(1, 3, 20))),
    "rounded_300v200": ([float(v) for v in np.round(rng.normal(1, 2, 300))], [float(v) for v in np.round(rng.normal(0, 3, 200))]),
    "far_100v100": (multiples(rng.normal(4, 1, 100)), multiples(rng.normal(0, 1, 100))),
}


def placements(x, others):
    return sum(Fraction(1) if x > y else Fraction(1, 2) if x == y else Fraction(0) for y in others) / len(others)


def spread(values):
    mean = sum(values) / len(values)
    return sum((v - mean) ** 2 for v in values) / (len(values) - 1)


def brunner_munzel(x, y):
    """theta - 1/2, and the two parts of its variance, as fractions."""
    p = [placements(v, y) for v in x]
    q = [placements(v, x) for v in y]
    return sum(p) / len(p) - Fraction(1, 2), spread(p) / len(p), spread(q) / len(q)


def student_tail(t, df):
    tail = mp.betainc(df / 2, mpf(1) / 2, 0, df / (df + t * t), regularized=True) / 2
    return tail if t >= 0 else 1 - tail


def brunner_munzel_cases():
    for name, (x, y) in ARMS.items():
        above, a, b = brunner_munzel(x, y)
        t = exact(above) / mp.sqrt(exact(a + b))
        df = exact((a + b) ** 2 / (a * a / (len(x) - 1) + b * b / (len(y) - 1)))
        separated = -mp.log(math.comb(len(x) + len(y), len(x)))
        result = {"theta": above + Fraction(1, 2), "statistic": t, "degrees_of_freedom": df, "ln_separated": separated}
        for law, tail in [("student", lambda t: student_tail(t, df)), ("normal", normal_tail)]:
            greater, less = tail(t), tail(-t)
            p = {"greater": greater, "less": less, "two_sided": two_sided(greater, less)}
            result[law] = {f"ln_{side}": mp.log(value) for side, value in p.items()}
            for side, alternative in [("greater", "greater"), ("less", "less"), ("two_sided", "two-sided")]:
                found = stats.brunnermunzel(x, y, alternative=alternative, distribution="t" if law == "student" else law)
                near(-found.statistic, t)
                assert p[side] < 1e-300 or abs(found.pvalue - p[side]) <= 1e-8 * p[side]
        arms = {"canary": x, "baseline": y}
        yield {"id": f"bm_{name}", "test": "brunner_munzel", "tool": "mpmath and scipy", **arms, "result": result}
        arrangements = math.comb(len(x) + len(y), len(x))
        if arrangements > 1000:
            continue
        pooled = x + y

        def order(x, y):
            """The square of t with its sign; beyond all others where the arms are separated."""
            above, a, b = brunner_munzel(x, y)
            return above * abs(above) / (a + b) if a + b else above * 10**9

        seen, greater, less = order(x, y), 0, 0
        for chosen in itertools.combinations(range(len(pooled)), len(x)):
            canary = [pooled[i] for i in chosen]
            baseline = [v for i, v in enumerate(pooled) if i not in chosen]
            other = order(canary, baseline)
            greater += other >= seen
            less += other <= seen
        yield {
            "id": f"bm_permutation_{name}",
            "test": "brunner_munzel_permutation",
            "tool": "python",
            **arms,
            "result": {"arrangements": arrangements, "greater": Fraction(greater, arrangements), "less": Fraction(less, arrangements)},
        }


# ---- van Elteren ----


def whole(low, high, count):
    return [float(v) for v in rng.integers(low, high, count)]


STRATA = {
    "one": [([5.0, 7.0, 9.0], [4.0, 6.0, 3.0, 1.0])],
    "two": [([11.5, 12.5, 13.0, 13.5], [11.0, 12.0]), ([83.5, 85.0], [81.0, 82.0, 83.0, 84.0])],
    "ties": [(whole(0, 4, 5), whole(0, 4, 6)) for _ in range(6)],
    "one_value_each": [([float(i % 3)], [1.0]) for i in range(20)],
    "tied_among_others": [([2.0] * 3, [2.0] * 4), ([1.0, 5.0, 6.0], [0.0, 5.0]), ([7.0], [7.0]), ([3.0, 9.0], [4.0, 1.0, 2.0])],
    "all_tied": [([2.0], [2.0]), ([3.0, 3.0], [3.0])],
    "unequal": [(whole(0, 50, n), whole(0, 60, m)) for n, m in [(1, 9), (9, 1), (2, 5), (7, 3), (40, 60), (300, 10)]],
    "effects": [(multiples(rng.normal(10 * h + 1, 1, 30)), multiples(rng.normal(10 * h, 1, 20 + h))) for h in range(8)],
    "far": [(multiples(rng.normal(9, 1, 200)), multiples(rng.normal(0, 1, 200))) for _ in range(5)],
    "infinite": [([math.inf, 1.0, 2.0], [0.0, math.inf, -math.inf]), ([-math.inf, 3.0], [-math.inf, 1.0, 2.0])],
}


def u_of(x, y):
    return sum(placements(v, y) for v in x) * len(y)


def u_variance(x, y):
    """Over all arrangements; by the formula where these are many."""
    pooled, n = x + y, len(x)
    total = len(pooled)
    ties = sum(t**3 - t for t in Counter(pooled).values())
    formula = Fraction(n * len(y), 12) * (total + 1 - Fraction(ties, total * (total - 1)))
    if math.comb(total, n) <= 1000:
        mean = Fraction(n * len(y), 2)
        squares = []
        for chosen in itertools.combinations(range(total), n):
            rest = [v for i, v in enumerate(pooled) if i not in chosen]
            squares.append((u_of([pooled[i] for i in chosen], rest) - mean) ** 2)
        assert sum(squares) / len(squares) == formula
    return formula


def numpy_z(strata):
    """From midranks, in floats."""
    above, variance = 0.0, 0.0
    for x, y in strata:
        ranks = stats.rankdata(np.concatenate([x, y]))
        n, total = len(x), len(x) + len(y)
        above += (ranks[:n].sum() - n * ranks.mean()) / (total + 1)
        variance += n * (total - n) / total * ranks.var(ddof=1) / (total + 1) ** 2
    return above / np.sqrt(variance)


def van_elteren_cases():
    for name, strata in STRATA.items():
        above = sum((u_of(x, y) - Fraction(len(x) * len(y), 2)) / (len(x) + len(y) + 1) for x, y in strata)
        weight = sum(Fraction(len(x) * len(y), len(x) + len(y) + 1) for x, y in strata)
        variance = sum(u_variance(x, y) / (len(x) + len(y) + 1) ** 2 for x, y in strata)
        result = {"theta": Fraction(1, 2) + above / weight, "z": None, "ln_greater": 0.0, "ln_less": 0.0, "ln_two_sided": 0.0}
        if variance:
            z = exact(above) / mp.sqrt(exact(variance))
            near(numpy_z(strata), z)
            greater, less = normal_tail(z), normal_tail(-z)
            result["z"] = z
            result["ln_greater"], result["ln_less"] = mp.log(greater), mp.log(less)
            result["ln_two_sided"] = mp.log(two_sided(greater, less))
        yield {
            "id": f"van_elteren_{name}",
            "test": "van_elteren",
            "tool": "mpmath and numpy",
            "strata": [{"canary": x, "baseline": y} for x, y in strata],
            "result": result,
        }


# ---- the file ----


def plain(value):
    if isinstance(value, (mpf, Fraction, np.floating)):
        return float(value)
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


tools = {
    "python": platform.python_version(),
    "numpy": np.__version__,
    "scipy": scipy.__version__,
    "mpmath": mp.__version__,
    "R": R_VERSION,
}
cases = itertools.chain(signed_rank_cases(), shift_cases(), brunner_munzel_cases(), van_elteren_cases())
text = ",\n".join(json.dumps(plain(case), allow_nan=False) for case in cases)
print(f'{{"tools": {json.dumps(tools)},\n"cases": [\n{text}\n]}}')
