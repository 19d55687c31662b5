//! From counts to the report of a dimension: which test, how large, which level.

use super::chi_square::{ChiSquare, goodness_of_fit_of, homogeneity_of};
use super::design::Design;
use super::dimension::{Counterpart, DimensionReport, LevelReport, Method, MetricBias, Mixes, Rare, Unit};
use super::exact::{drawn, exact_fit, exact_homogeneity_of};
use super::size::{cohen_w, stability};
use super::table::total;
use crate::arm::Arms;
use crate::compare::counts::{Tail, fisher};
use crate::error::Error;
use crate::evidence::PValue;
use crate::special::noncentral::chi_square_quantile;
use crate::telemetry::Counts;

/// Tables of more users than this are not drawn.
const DRAWABLE: u64 = 100_000;

/// Shares of both sides, level by level.
struct Compared {
    /// Users.
    n: f64,
    /// Infinite where shares are known.
    m: f64,
    /// Over the design effect.
    effective: f64,
    q: Vec<f64>,
    p: Vec<f64>,
    /// q - p, from whole numbers where both are counted.
    apart: Vec<f64>,
    /// Of the null hypothesis.
    pooled: Vec<f64>,
    /// 1 over the design effect.
    worth: f64,
}

impl Compared {
    fn new(mixes: &Mixes, unit: Unit) -> Result<Compared, Error> {
        let users = total(&mixes.canary)?;
        let n = users as f64;
        let q: Vec<f64> =
            mixes.canary.iter().map(|count| if n > 0.0 { *count as f64 / n } else { 0.0 }).collect();
        let effects = |m: Option<u64>| design_effects(unit, users, m);
        Ok(match &mixes.counterpart {
            Counterpart::Known(shares) => {
                let sum: f64 = shares.iter().sum();
                let p: Vec<f64> =
                    shares.iter().map(|share| if sum > 0.0 { share / sum } else { 0.0 }).collect();
                let apart = q.iter().zip(&p).map(|(q, p)| q - p).collect();
                let worth = 1.0 / effects(None)?;
                let possible = mixes.canary.iter().zip(shares).filter(|(_, share)| **share > 0.0);
                let effective = possible.map(|(count, _)| *count).sum::<u64>() as f64 * worth;
                Compared { n, m: f64::INFINITY, effective, q, apart, pooled: p.clone(), p, worth }
            }
            Counterpart::Sampled(counts) => {
                let reference = total(counts)?;
                let m = reference as f64;
                let p: Vec<f64> =
                    counts.iter().map(|count| if m > 0.0 { *count as f64 / m } else { 0.0 }).collect();
                let both = mixes.canary.iter().zip(counts);
                let apart = both.clone().map(|(c, r)| {
                    let apart = i128::from(*c) * i128::from(reference) - i128::from(*r) * i128::from(users);
                    if n > 0.0 && m > 0.0 { apart as f64 / n / m } else { 0.0 }
                });
                let pooled =
                    both.clone().map(|(c, r)| if n + m > 0.0 { (c + r) as f64 / (n + m) } else { 0.0 });
                let (apart, pooled) = (apart.collect(), pooled.collect());
                let worth = 1.0 / effects(Some(reference))?;
                let effective = if n > 0.0 && m > 0.0 { n * (m / (n + m)) * worth } else { 0.0 };
                Compared { n, m, effective, q, p, apart, pooled, worth }
            }
        })
    }
}

/// How many times as much shares differ as those of users, `(n d_b + m d_c) / (n + m)` with the arms' own effects.
fn design_effects(unit: Unit, n: u64, m: Option<u64>) -> Result<f64, Error> {
    let Unit::Requests { squares } = unit else { return Ok(1.0) };
    let of = |arm: &str, squares: f64, requests: u64| {
        let requests = requests as f64;
        if requests == 0.0 {
            Ok(1.0)
        } else if squares >= requests && squares <= requests * requests {
            Ok(squares / requests)
        } else {
            let message = format!("sum of squares {squares} of {requests} requests");
            Err(Error::value(message).at(format!("unit.squares.{arm}")))
        }
    };
    let canary = of("canary", squares.canary, n)?;
    match m {
        None => Ok(canary),
        Some(m) => {
            let baseline = of("baseline", squares.baseline, m)?;
            let all = n as f64 + m as f64;
            Ok(if all > 0.0 { (n as f64 * baseline + m as f64 * canary) / all } else { 1.0 })
        }
    }
}

/// A dimension's counts, or those of its unknown labels.
pub(super) fn examine(
    labels: &[&str],
    mixes: &Mixes,
    means: Option<&[f64]>,
    unit: Unit,
    design: &Design,
) -> Result<DimensionReport, Error> {
    let compared = Compared::new(mixes, unit)?;
    let Tested { test, method, p, pooled } = tested(mixes, &compared, unit, design)?;
    let nobody = compared.n == 0.0 || compared.m == 0.0;
    let unknown = nobody || (test.freedom == 0 && pooled > 0);
    let w = if unknown {
        None
    } else {
        Some(cohen_w(test.statistic, test.freedom, compared.effective, design.confidence)?)
    };
    let (n, m) = (compared.n, compared.m);
    let filled = compared.pooled.iter().filter(|share| **share > 0.0).count() as f64;
    let half = |share: f64, size: f64| {
        if size == f64::INFINITY { share } else { (share * size + 0.5) / (size + 0.5 * filled) }
    };
    let all =
        || compared.q.iter().zip(&compared.p).zip(&compared.pooled).filter(|(_, pooled)| **pooled > 0.0);
    let stability_index =
        if nobody { 0.0 } else { stability(all().map(|((q, p), _)| (half(*q, n), half(*p, m)))) };
    let stability_critical = if filled > 1.0 && compared.effective > 0.0 {
        chi_square_quantile(libm::log(design.alpha), filled - 1.0) / compared.effective
    } else {
        0.0
    };
    let uncovered: f64 =
        if nobody { 0.0 } else { all().filter(|((q, _), _)| **q == 0.0).map(|((_, p), _)| p).sum() };
    let uncovered_by_chance = if uncovered > 0.0 {
        let draws = n * compared.worth;
        all().map(|((_, p), pooled)| p * libm::exp(draws * libm::log1p(-pooled.min(1.0)))).sum()
    } else {
        0.0
    };
    // Kish: (sum c w)^2 / (n sum c w^2) with w = p/q.
    let (sum, squares) = all()
        .filter(|((q, _), _)| **q > 0.0)
        .fold((0.0, 0.0), |(sum, squares), ((q, p), _)| (sum + p, squares + p * (p / q)));
    let weighted_worth = if squares > 0.0 { sum * (sum / squares) } else { 0.0 };
    Ok(DimensionReport {
        canary: n as u64,
        reference: (m < f64::INFINITY).then_some(m as u64),
        effective: compared.effective,
        method,
        statistic: test.statistic,
        freedom: test.freedom,
        p,
        pooled,
        w,
        total_variation: 0.5 * compared.apart.iter().map(|apart| apart.abs()).sum::<f64>(),
        stability_index,
        stability_critical,
        uncovered,
        uncovered_by_chance,
        unexpected: test.impossible,
        weighted_worth,
        metric_bias: means
            .and_then(|means| metric_bias(means, &compared, w.as_ref().map(|w| w.estimate.max(w.upper)))),
        levels: levels(labels, mixes, &compared),
    })
}

/// `sum (q - p) mu`, and Cauchy and Schwarz's bound with the null's shares.
fn metric_bias(means: &[f64], compared: &Compared, w: Option<f64>) -> Option<MetricBias> {
    let weighed = |weights: &[f64], of: &dyn Fn(f64) -> f64| {
        weights.iter().zip(means).filter(|(w, _)| **w != 0.0).map(|(w, mean)| w * of(*mean)).sum::<f64>()
    };
    let middle = weighed(&compared.pooled, &|mean| mean);
    let variance = weighed(&compared.pooled, &|mean| (mean - middle) * (mean - middle));
    let possible = compared.pooled.iter().zip(&compared.q).all(|(pooled, q)| *pooled > 0.0 || *q == 0.0);
    let bound = if possible { Some(w? * libm::sqrt(variance)) } else { None };
    // Around the middle, so that a large mean takes no digits.
    Some(MetricBias { estimate: weighed(&compared.apart, &|mean| mean - middle), bound })
}

fn levels(labels: &[&str], mixes: &Mixes, compared: &Compared) -> Vec<LevelReport> {
    let mut levels: Vec<LevelReport> = labels
        .iter()
        .enumerate()
        .map(|(i, label)| {
            let (q, p, apart) = (compared.q[i], compared.p[i], compared.apart[i]);
            let spread = compared.pooled[i] * (1.0 - compared.pooled[i]);
            let residual = apart * libm::sqrt(compared.effective / spread);
            let varies = libm::sqrt(0.5 * (q * (1.0 - q) + p * (1.0 - p)));
            LevelReport {
                label: (*label).to_string(),
                canary: mixes.canary[i],
                share: q,
                reference_share: p,
                residual: if residual.is_nan() { 0.0 } else { residual },
                standardised: Some(apart / varies).filter(|d| d.is_finite()),
            }
        })
        .collect();
    levels.sort_by(|a, b| b.residual.abs().total_cmp(&a.residual.abs()));
    levels
}

struct Tested {
    test: ChiSquare,
    method: Method,
    p: PValue,
    pooled: u64,
}

/// Chi-square where Cochran's rule trusts it; else all tables, if these are few; else with rare levels together, or tables drawn.
fn tested(mixes: &Mixes, compared: &Compared, unit: Unit, design: &Design) -> Result<Tested, Error> {
    let test = pearson(&mixes.canary, &mixes.counterpart, compared.worth)?;
    let plain = |test: ChiSquare, pooled: u64| {
        let method = if test.freedom == 0 { Method::Nothing } else { Method::ChiSquare };
        Tested { test, method, p: test.p, pooled }
    };
    if !test.sparse {
        return Ok(plain(test, 0));
    }
    if unit == Unit::Users
        && let Some(p) = exact(mixes)?
    {
        return Ok(Tested { test, method: Method::Exact, p, pooled: 0 });
    }
    match design.rare {
        Rare::Pool { below } => {
            let (canary, counterpart, pooled) = pool(mixes, compared, below);
            Ok(plain(
                ChiSquare { impossible: test.impossible, ..pearson(&canary, &counterpart, compared.worth)? },
                pooled,
            ))
        }
        Rare::Keep => Ok(match draw(mixes, compared, test.statistic, design)? {
            Some((p, drawn)) => Tested { test, method: Method::Drawn(drawn), p, pooled: 0 },
            None => plain(test, 0),
        }),
    }
}

fn pearson(canary: &[u64], counterpart: &Counterpart, worth: f64) -> Result<ChiSquare, Error> {
    match counterpart {
        // All that is known of the reference was unknown labels.
        Counterpart::Known(shares) if shares.iter().all(|share| *share == 0.0) => {
            homogeneity_of(&[canary], worth)
        }
        Counterpart::Known(shares) => goodness_of_fit_of(canary, shares, worth),
        Counterpart::Sampled(counts) => homogeneity_of(&[canary, counts], worth),
    }
}

fn exact(mixes: &Mixes) -> Result<Option<PValue>, Error> {
    match &mixes.counterpart {
        Counterpart::Known(shares) => {
            let possible = |i: &usize| shares[*i] > 0.0;
            let places: Vec<usize> = (0..shares.len()).filter(possible).collect();
            let canary: Vec<u64> = places.iter().map(|i| mixes.canary[*i]).collect();
            let shares: Vec<f64> = places.iter().map(|i| shares[*i]).collect();
            exact_fit(&canary, &shares)
        }
        // Of two levels for any number of users.
        Counterpart::Sampled(counts) => match (mixes.canary.as_slice(), counts.as_slice()) {
            (&[c, canary], &[r, reference]) => {
                let arms =
                    Arms { baseline: Counts::new(r, r + reference)?, canary: Counts::new(c, c + canary)? };
                Ok(Some(fisher(arms, 1.0, Tail::Exact)?.two_sided))
            }
            (canary, reference) => Ok(exact_homogeneity_of(&[canary, reference])),
        },
    }
}

/// Takes levels together, the rarest first, while they or all that were taken expect fewer than `below` users in the smaller arm.
fn pool(mixes: &Mixes, compared: &Compared, below: f64) -> (Vec<u64>, Counterpart, u64) {
    let smaller = compared.n.min(compared.m) * compared.worth;
    let mut order: Vec<usize> = (0..mixes.canary.len()).filter(|i| compared.pooled[*i] > 0.0).collect();
    order.sort_by(|a, b| compared.pooled[*a].total_cmp(&compared.pooled[*b]).then(a.cmp(b)));
    let mut together = 0.0;
    let rare = order
        .iter()
        .take_while(|i| {
            let expected = compared.pooled[**i] * smaller;
            let few = expected < below || (together > 0.0 && together < below);
            if few {
                together += expected;
            }
            few
        })
        .count();
    let (rare, others) = order.split_at(rare);
    let counts = |counts: &[u64]| {
        let sum: u64 = rare.iter().map(|i| counts[*i]).sum();
        others.iter().map(|i| counts[*i]).chain((!rare.is_empty()).then_some(sum)).collect::<Vec<u64>>()
    };
    let counterpart = match &mixes.counterpart {
        Counterpart::Sampled(reference) => Counterpart::Sampled(counts(reference)),
        Counterpart::Known(shares) => {
            let sum: f64 = rare.iter().map(|i| shares[*i]).sum();
            let kept = others.iter().map(|i| shares[*i]);
            Counterpart::Known(kept.chain((!rare.is_empty()).then_some(sum)).collect())
        }
    };
    (counts(&mixes.canary), counterpart, rare.len() as u64)
}

/// p from tables that are drawn, in users (requests are taken as so many users as they are worth), and how many.
fn draw(
    mixes: &Mixes,
    compared: &Compared,
    seen: f64,
    design: &Design,
) -> Result<Option<(PValue, u64)>, Error> {
    let worth = |counts: &[u64]| {
        counts.iter().map(|count| libm::round(*count as f64 * compared.worth) as u64).collect::<Vec<u64>>()
    };
    let canary = worth(&mixes.canary);
    let n = total(&canary)?;
    let statistic = |counts: &[u64], expected: &dyn Fn(usize) -> f64| {
        let term = |(i, count): (usize, &u64)| {
            let e = expected(i);
            if e > 0.0 { (*count as f64 - e) * ((*count as f64 - e) / e) } else { 0.0 }
        };
        counts.iter().enumerate().map(term).sum::<f64>()
    };
    let found = match &mixes.counterpart {
        Counterpart::Known(_) if n > DRAWABLE || n == 0 => return Ok(None),
        Counterpart::Known(_) => {
            let expected = |i: usize| n as f64 * compared.p[i];
            drawn(n, &compared.p, true, seen, design.draws, design.seed, |counts| {
                statistic(counts, &expected)
            })
        }
        Counterpart::Sampled(reference) => {
            let reference = worth(reference);
            let m = total(&reference)?;
            let (smaller, all) = (n.min(m), n + m);
            if smaller > DRAWABLE || smaller == 0 {
                return Ok(None);
            }
            let columns: Vec<f64> = canary.iter().zip(&reference).map(|(c, r)| (c + r) as f64).collect();
            let expected = |i: usize| smaller as f64 * (columns[i] / all as f64);
            // Of the arm that is not drawn the distances are the opposite.
            let both = all as f64 / (all - smaller) as f64;
            drawn(smaller, &columns, false, seen, design.draws, design.seed, |counts| {
                both * statistic(counts, &expected)
            })
        }
    };
    Ok(Some((found.p, found.drawn)))
}
