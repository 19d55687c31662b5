//! Whether cohorts are called what they are: scenarios of known truth, inputs at the edge, and laws of the assessment.

use serde_json::Value;
use serinus::cohort::{
    Asked, Bias, Cohort, CohortReport, Covariate, Crossover, Design, Dimension, Method, NamedCovariate, Rare,
    Reference, SplitPlan, Status, Unit, Zeros, assess, exact_fit, exact_homogeneity, homogeneity,
    level_difference, mahalanobis, stability_index, tally,
};
use serinus::synth::Random;
use serinus::telemetry::{Histogram, Moments, Samples};
use serinus::{Arms, ErrorKind, Tolerance};

fn counts(values: &Value) -> Vec<u64> {
    values.as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect()
}

fn dimension(name: &str, canary: Vec<u64>, reference: Reference) -> Dimension {
    let labels: Vec<String> = (0..canary.len()).map(|i| format!("{name} {i}")).collect();
    Dimension::new(name, labels, canary, reference)
}

fn cohort_of(dimensions: Vec<Dimension>) -> Cohort {
    let mut cohort = Cohort::new(Unit::Users);
    cohort.dimensions = dimensions;
    cohort
}

/// Every field of the two arms that holds counts, as a dimension.
fn arms_of(data: &Value) -> Cohort {
    let fields = data["canary"].as_object().unwrap();
    cohort_of(
        fields
            .iter()
            .map(|(name, canary)| {
                dimension(name, counts(canary), Reference::Sample(counts(&data["baseline"][name])))
            })
            .collect(),
    )
}

fn biased(report: &CohortReport) -> Vec<&str> {
    let of = |status: &Status| matches!(status, Status::Biased { .. });
    report.dimensions.iter().filter(|f| of(&f.status)).map(|f| f.name.as_str()).collect()
}

const REPRESENTATIVE: Status = Status::Representative { negligible_shift: false };

fn shift(correctable: bool) -> Status {
    Status::Biased { by: vec![Bias::Shift], correctable }
}

/// The conclusion of a scenario, for each that is known here.
fn concludes(id: &str, data: &Value) -> bool {
    let assessed = |cohort: &Cohort| assess(cohort, &Design::default()).unwrap();
    match id {
        "correct_split_10k" => assessed(&arms_of(data)).status == REPRESENTATIVE,
        "correct_split_1k" => biased(&assessed(&arms_of(data))).is_empty(),
        "region_missing_6k" => {
            let report = assessed(&arms_of(data));
            let missing = Status::Biased { by: vec![Bias::Coverage], correctable: false };
            report.status == missing
                && biased(&report) == ["geo"]
                && report.dimensions.iter().any(|f| f.report.levels[0].label == "geo 2")
        }
        "mild_geo_shift_20k" => {
            let report = assessed(&arms_of(data));
            report.status == shift(true) && biased(&report) == ["geo"]
        }
        "heavy_tenant" => {
            let report = assessed(&arms_of(data));
            biased(&report) == ["tenant"]
                && report.dimensions[0].report.levels[0].label == "tenant 0"
                && report.dimensions[0].report.levels[0].residual > 40.0
        }
        "long_tail_tenants_null" => biased(&assessed(&arms_of(data))).is_empty(),
        "srm_5pct_ok" => {
            let mut cohort = Cohort::new(Unit::Users);
            let planned = data["planned"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            cohort.split = Some(SplitPlan { observed: counts(&data["observed"]), planned });
            assessed(&cohort).status == REPRESENTATIVE
        }
        "sticky_requests_overcount" => {
            let of = |field: &str| {
                let [canary, baseline] = ["canary", "baseline"].map(|arm| counts(&data[arm][field]));
                cohort_of(vec![dimension("geo", canary, Reference::Sample(baseline))])
            };
            let squares = |arm: &str| data["sum_sq_requests"][arm].as_f64().unwrap();
            let squares = Arms { baseline: squares("baseline"), canary: squares("canary") };
            let mut requests = of("geo_requests");
            requests.unit = Unit::Requests { squares };
            let naive = assessed(&of("geo_requests"));
            let deflated = assessed(&requests);
            // 2,700 effective users are known; requests are worth some 670 of them, too few to say.
            assessed(&of("geo_users")).status == REPRESENTATIVE
                && naive.dimensions[0].report.p.value() < 1e-20
                && deflated.dimensions[0].report.p.value() > 0.9
                && biased(&deflated).is_empty()
        }
        "sticky_session_skew" => {
            let report = assessed(&arms_of(data));
            let mut names = biased(&report);
            names.sort_unstable();
            names == ["session_age", "tenure"] && report.status == shift(true)
        }
        "flaky_segmentation_unknown" => {
            let mut cohort = arms_of(data);
            let last = cohort.dimensions[0].labels.last().unwrap().clone();
            cohort.dimensions[0].unknown = Some(last);
            let report = assessed(&cohort);
            let known = &report.dimensions[0];
            report.status == Status::Biased { by: vec![Bias::Unknown], correctable: false }
                && known.asked == Asked::Mix
                && known.status == REPRESENTATIVE
                && (known.report.statistic - 1.267_814_843_224).abs() < 1e-9
                && (report.dimensions[1].report.statistic - 6_223.410_956_381).abs() < 1e-6
        }
        "ramp_simpson" => {
            let of = |arm: &str| {
                let days = data["strata"].as_object().unwrap();
                days.values().map(|day| day[arm][1].as_u64().unwrap()).collect::<Vec<u64>>()
            };
            let days = dimension("day", of("canary"), Reference::Sample(of("baseline")));
            biased(&assessed(&cohort_of(vec![days]))) == ["day"]
        }
        _ => false,
    }
}

#[test]
fn every_scenario_has_its_conclusion() {
    let file = include_str!("data/cohort_scenarios.json");
    let scenarios: Vec<Value> = serde_json::from_str(file).unwrap();
    let wrong: Vec<&str> = scenarios
        .iter()
        .map(|scenario| (scenario["id"].as_str().unwrap(), &scenario["data"]))
        .filter(|(id, data)| !concludes(id, data))
        .map(|(id, _)| id)
        .collect();
    assert!(scenarios.len() >= 11 && wrong.is_empty(), "{wrong:?}");
}

/// Multinomial counts.
fn draw(random: &mut Random, users: u64, shares: &[f64]) -> Vec<u64> {
    let (mut left, mut rest) = (users, 1.0);
    let mut counts = Vec::with_capacity(shares.len());
    for share in shares {
        let count = random.binomial(left, (share / rest).clamp(0.0, 1.0));
        counts.push(count);
        left -= count;
        rest -= share;
    }
    if let Some(last) = counts.last_mut() {
        *last += left;
    }
    counts
}

#[test]
fn a_population_that_holds_the_canary_is_a_census() {
    // X^2 against the rest is that of known shares over 1 - n/N.
    let canary = vec![450, 240, 160, 150];
    let population = vec![2_000, 1_250, 750, 1_000];
    let shares: Vec<f64> = population.iter().map(|count| *count as f64 / 5_000.0).collect();
    let report = |reference: Reference| {
        let cohort = cohort_of(vec![dimension("geo", canary.clone(), reference)]);
        assess(&cohort, &Design::default()).unwrap().dimensions[0].report.clone()
    };
    let census = report(Reference::PopulationIncludingCanary(population.clone()));
    let known = report(Reference::Shares(shares));
    assert!((census.statistic - known.statistic / 0.8).abs() < 1e-10);
    assert_eq!(census.reference, Some(4_000));
    let mut fewer = population;
    fewer[2] = 159;
    let cohort =
        cohort_of(vec![dimension("geo", canary.clone(), Reference::PopulationIncludingCanary(fewer))]);
    let error = assess(&cohort, &Design::default()).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Value, Some("geo: reference[2]")));
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let shares = |shares: &[f64]| Reference::Shares(shares.to_vec());
    let plain = |reference| dimension("geo", vec![3, 4], reference);
    let cases: Vec<(Dimension, &str)> = vec![
        (dimension("geo", vec![], Reference::Sample(vec![])), "geo"),
        (plain(shares(&[0.5, 0.6])), "geo: shares"),
        (plain(shares(&[-0.1, 1.1])), "geo: shares[0]"),
        (plain(shares(&[f64::NAN, 0.5])), "geo: shares[0]"),
        (plain(shares(&[1.0])), "geo: reference"),
        (plain(Reference::Sample(vec![1, 2, 3])), "geo: reference"),
        (plain(Reference::Sample(vec![u64::MAX, 2])), "geo"),
        (Dimension::new("geo", ["a", "a"], vec![1, 2], Reference::Sample(vec![1, 2])), "geo"),
        (plain(Reference::Sample(vec![1, 2])).with_unknown("none"), "geo: unknown"),
        (plain(Reference::Sample(vec![1, 2])).with_means(vec![1.0]), "geo: means"),
        (plain(Reference::Sample(vec![1, 2])).with_means(vec![1.0, f64::INFINITY]), "geo: means[1]"),
    ];
    for (dimension, place) in cases {
        let error = assess(&cohort_of(vec![dimension.clone()]), &Design::default()).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Value, Some(place)), "{dimension:?}");
    }
    assert!(assess(&Cohort::new(Unit::Users), &Design::default()).is_err());
    for squares in [f64::NAN, -1.0, 0.5, 1e9] {
        let squares = Arms { baseline: 20.0, canary: squares };
        let mut cohort = cohort_of(vec![plain(Reference::Sample(vec![4, 6]))]);
        cohort.unit = Unit::Requests { squares };
        assert!(assess(&cohort, &Design::default()).is_err(), "{squares:?}");
    }
    // Within 1e-6 shares are scaled.
    let near = cohort_of(vec![plain(shares(&[0.5, 0.500_000_9]))]);
    assert!(assess(&near, &Design::default()).is_ok());
    let designs = [
        r#"{"alpha": 0}"#,
        r#"{"minW": 0.2}"#,
        r#"{"confidence": 0.3}"#,
        r#"{"minCoverage": 1.5}"#,
        r#"{"maxCrossover": 1}"#,
        r#"{"draws": 0}"#,
        r#"{"rare": {"pool": {"below": 0}}}"#,
    ];
    for text in designs {
        let design: Design = serde_json::from_str(text).unwrap();
        assert!(design.check().is_err(), "{text}");
    }
    assert!(serde_json::from_str::<Design>(r#"{"alfa": 0.1}"#).is_err());
    let design: Design = serde_json::from_str(r#"{"tolerance": 0.1, "rare": "keep"}"#).unwrap();
    assert_eq!((design.tolerance, design.rare), (Tolerance::new(0.1).unwrap(), Rare::Keep));
}

#[test]
fn nothing_is_not_a_number() {
    // Nobody, one user, constant dimensions, disjoint supports, levels that nobody has, all unknown.
    let tables: [(Vec<u64>, Vec<u64>); 9] = [
        (vec![0, 0], vec![0, 0]),
        (vec![0, 0], vec![5, 9]),
        (vec![5, 9], vec![0, 0]),
        (vec![1, 0], vec![0, 1]),
        (vec![7], vec![12]),
        (vec![0, 7, 0], vec![0, 900, 0]),
        (vec![500, 0], vec![0, 900]),
        (vec![1 << 52, 1], vec![1 << 50, 3]),
        (vec![1, 2, 3, 4], vec![40, 30, 20, 10]),
    ];
    for (canary, reference) in tables {
        let sum = reference.iter().sum::<u64>().max(1) as f64;
        let mut shares: Vec<f64> = reference.iter().map(|r| *r as f64 / sum).collect();
        if reference.iter().all(|r| *r == 0) {
            shares[0] = 1.0;
        }
        for reference in [Reference::Sample(reference.clone()), Reference::Shares(shares)] {
            for unknown in [None, Some("geo 0".to_string())] {
                for rare in [Rare::Keep, Rare::Pool { below: 5.0 }] {
                    let mut geo = dimension("geo", canary.clone(), reference.clone());
                    geo.means = Some((0..canary.len()).map(|i| i as f64).collect());
                    geo.unknown.clone_from(&unknown);
                    let mut design = Design::default();
                    (design.rare, design.draws) = (rare, 99);
                    let report = assess(&cohort_of(vec![geo]), &design).unwrap();
                    let text = format!("{report:?}");
                    assert!(!text.contains("NaN"), "{canary:?} {reference:?}: {text}");
                    let json = serde_json::to_string(&report).unwrap();
                    let back: CohortReport = serde_json::from_str(&json).unwrap();
                    assert_eq!(serde_json::to_string(&back).unwrap(), json);
                }
            }
        }
        assert!(level_difference(&canary, &reference).is_ok());
        assert!(!stability_index(&canary, &reference, Zeros::HalfAUser).unwrap().is_nan());
    }
}

/// Counts of every size, with sums of squares that may be or not.
#[test]
fn no_counts_make_a_panic() {
    let random = &mut Random::new(99);
    let mut answered = 0;
    for _ in 0..4_000 {
        let levels = 1 + random.below(6);
        let mut any = || -> Vec<u64> {
            let bits = random.below(52) as u32;
            (0..levels).map(|_| if random.chance(0.3) { 0 } else { random.below(1 << bits) as u64 }).collect()
        };
        let (canary, others) = (any(), any());
        let all: Vec<u64> = canary.iter().zip(&others).map(|(c, r)| c + r).collect();
        let sum = others.iter().sum::<u64>() as f64;
        let reference = match random.below(3) {
            0 => Reference::Sample(others.clone()),
            1 => Reference::PopulationIncludingCanary(all),
            _ => Reference::Shares(others.iter().map(|r| *r as f64 / sum).collect()),
        };
        let mut geo = dimension("geo", canary.clone(), reference);
        geo.unknown = random.chance(0.3).then(|| geo.labels[0].clone());
        geo.means = random.chance(0.5).then(|| (0..levels).map(|_| 1e300 * random.normal()).collect());
        let mut cohort = cohort_of(vec![geo.clone()]);
        cohort.joint.push(geo);
        if random.chance(0.3) {
            let of = |counts: &[u64], by: f64| counts.iter().sum::<u64>() as f64 * by;
            let by = random.uniform() * 50.0;
            cohort.unit =
                Unit::Requests { squares: Arms { baseline: of(&others, by), canary: of(&canary, by) } };
        }
        let mut design = Design::default();
        design.draws = 19;
        design.rare = if random.chance(0.5) { Rare::Keep } else { Rare::default() };
        if let Ok(report) = assess(&cohort, &design) {
            answered += 1;
            let text = format!("{report:?}{:?}", report.sentences());
            assert!(!text.contains("NaN"), "{cohort:?}: {text}");
        }
    }
    assert!(answered > 2_500, "{answered}");
}

#[test]
fn few_users_are_never_enough() {
    // A cohort that fits to the last user, too small to show anything.
    for users in [2_u64, 20, 200] {
        let shares = Reference::Shares(vec![0.5, 0.5]);
        let cohort = cohort_of(vec![dimension("geo", vec![users / 2, users / 2], shares)]);
        let report = assess(&cohort, &Design::default()).unwrap();
        // Alike to 10 % of w: with 80 % chance from 857 on.
        assert!(
            matches!(report.status, Status::Underpowered { have, need: 857 } if have == users),
            "{report:?}"
        );
    }
    let shares = Reference::Shares(vec![0.5, 0.5]);
    let cohort = cohort_of(vec![dimension("geo", vec![430, 430], shares)]);
    assert_eq!(assess(&cohort, &Design::default()).unwrap().status, REPRESENTATIVE);
}

#[test]
fn a_harmless_difference_of_many_is_no_bias() {
    // 10 million users, w = .005.
    let report = |canary: Vec<u64>| {
        let shares = Reference::Shares(vec![0.4, 0.35, 0.25]);
        assess(&cohort_of(vec![dimension("geo", canary, shares)]), &Design::default()).unwrap()
    };
    let near = report(vec![4_015_000, 3_490_000, 2_495_000]);
    assert!(near.dimensions[0].report.p.value() < 1e-15);
    assert_eq!(near.status, Status::Representative { negligible_shift: true });
    // And one user where nobody should be is reported, and no bias.
    let shares = Reference::Shares(vec![0.4, 0.6, 0.0]);
    let stray = cohort_of(vec![dimension("geo", vec![4_000_000, 6_000_000, 1], shares)]);
    let stray = assess(&stray, &Design::default()).unwrap();
    assert_eq!((stray.dimensions[0].report.unexpected, &stray.status), (1, &REPRESENTATIVE));
    let shares = Reference::Shares(vec![0.4, 0.6, 0.0]);
    let many = cohort_of(vec![dimension("geo", vec![400, 600, 11], shares)]);
    assert_eq!(assess(&many, &Design::default()).unwrap().status, shift(false));
}

#[test]
fn few_unknown_labels_are_judged_by_their_share() {
    let labels = ["eu", "us", "unknown"];
    let report = |canary: [u64; 3], reference: [u64; 3]| {
        let geo = Dimension::new("geo", labels, canary.to_vec(), Reference::Sample(reference.to_vec()));
        assess(&cohort_of(vec![geo.with_unknown("unknown")]), &Design::default()).unwrap()
    };
    // .4 % of the canary instead of .1 %: shown, w = .095, and no more than .3 % of the users.
    let few = report([50_000, 49_600, 400], [500_000, 499_000, 1_000]);
    assert!(few.dimensions[1].report.w.unwrap().debiased > 0.05);
    assert_eq!(few.status, Status::Representative { negligible_shift: true });
    // One stray user among many is exact, whatever the size of the reference.
    let stray = report([1_000, 1_000, 1], [500_000, 500_000, 3]);
    assert_eq!((stray.dimensions[1].report.method, &stray.status), (Method::Exact, &REPRESENTATIVE));
    let many = report([1_000, 1_000, 60], [500_000, 500_000, 1_000]);
    assert_eq!(many.status, Status::Biased { by: vec![Bias::Unknown], correctable: false });
    assert_eq!(many.sentences(), ["geo: 2.9 % of the canary are unknown, and 0.1 % of the reference"]);
}

#[test]
fn rare_levels_are_pooled_kept_or_counted() {
    let random = &mut Random::new(8);
    let weights: Vec<f64> = (1..=400).map(|i| 1.0 / f64::from(i)).collect();
    let sum: f64 = weights.iter().sum();
    let shares: Vec<f64> = weights.iter().map(|w| w / sum).collect();
    let (canary, reference) = (draw(random, 300, &shares), draw(random, 6_000, &shares));
    let report = |rare: Rare, canary: &[u64]| {
        let mut design = Design::default();
        design.rare = rare;
        let tenants = dimension("tenant", canary.to_vec(), Reference::Sample(reference.clone()));
        assess(&cohort_of(vec![tenants]), &design).unwrap()
    };
    let pooled = report(Rare::default(), &canary);
    assert_eq!(pooled.dimensions[0].report.method, Method::ChiSquare);
    assert!(pooled.dimensions[0].report.pooled > 350);
    assert_eq!(pooled.dimensions[0].report.levels.len(), 400);
    let drawn = report(Rare::Keep, &canary);
    assert!(matches!(drawn.dimensions[0].report.method, Method::Drawn(_)));
    assert_eq!(report(Rare::Keep, &canary), drawn, "drawn with a seed");
    assert!(biased(&pooled).is_empty() && biased(&drawn).is_empty());
    // A tenant of three among the reference's 6,000 that sends a quarter of the canary is rare in the reference alone.
    let mut heavy = canary.clone();
    heavy[398] += 100;
    for rare in [Rare::Keep, Rare::default()] {
        let found = report(rare, &heavy);
        assert_eq!(biased(&found), ["tenant"]);
        assert_eq!(found.dimensions[0].report.levels[0].label, "tenant 398");
    }
    // Few users and few levels: all tables.
    let few = cohort_of(vec![dimension("geo", vec![8, 2, 1], Reference::Sample(vec![5, 6, 4]))]);
    let few = assess(&few, &Design::default()).unwrap();
    assert_eq!(few.dimensions[0].report.method, Method::Exact);
    assert!((few.dimensions[0].report.p.value() - 0.212_276_214_833_757).abs() < 1e-12);
}

/// Every table of small margins, by the plainest loops there are.
#[test]
fn exact_probabilities_are_those_of_all_tables() {
    let factorial = |n: u64| (1..=n).map(|k| k as f64).product::<f64>();
    for (a, b) in
        [([3, 0, 2], [4, 5, 1]), ([0, 0, 6], [1, 2, 3]), ([2, 2, 2], [2, 2, 2]), ([1, 0, 0], [9, 9, 9])]
    {
        let (n, m) = (a.iter().sum::<u64>(), b.iter().sum::<u64>());
        let columns: Vec<u64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        let probability = |row: &[u64; 3]| {
            let ways = |i: usize| factorial(columns[i]) / factorial(row[i]) / factorial(columns[i] - row[i]);
            ways(0) * ways(1) * ways(2) * factorial(n) * factorial(m) / factorial(n + m)
        };
        let seen = probability(&a);
        let (mut p, mut all) = (0.0, 0.0);
        for x in 0..=columns[0].min(n) {
            for y in 0..=columns[1].min(n - x) {
                let row = [x, y, n - x - y];
                if row[2] <= columns[2] {
                    all += probability(&row);
                    p += if probability(&row) <= seen * (1.0 + 1e-9) { probability(&row) } else { 0.0 };
                }
            }
        }
        assert!((all - 1.0).abs() < 1e-12);
        for groups in [[a.to_vec(), b.to_vec()], [b.to_vec(), a.to_vec()]] {
            let found = exact_homogeneity(&groups).unwrap().unwrap().value();
            assert!((found - p).abs() < 1e-12, "{groups:?}: {found} instead of {p}");
        }
    }
    for (k, n, share) in
        [(0, 9, 0.2), (5, 9, 0.2), (9, 9, 0.2), (3, 12, 0.25), (500, 1_000, 0.5), (4, 100_000, 1e-4)]
    {
        let mut pmf = vec![0.0; n + 1];
        pmf[0] = f64::powi(1.0 - share, n as i32);
        for i in 1..=n {
            pmf[i] = pmf[i - 1] * (n + 1 - i) as f64 / i as f64 * share / (1.0 - share);
        }
        let p: f64 = pmf.iter().filter(|p| **p <= pmf[k] * (1.0 + 1e-9)).sum();
        let found = exact_fit(&[k as u64, (n - k) as u64], &[share, 1.0 - share]).unwrap().unwrap();
        assert!((found.value() - p).abs() < 1e-10, "{k} of {n}: {} instead of {p}", found.value());
    }
    assert_eq!(exact_fit(&[1; 300], &[1.0 / 300.0; 300]).unwrap(), None);
    assert_eq!(exact_homogeneity(&[vec![1; 500], vec![1; 500]]).unwrap(), None);
}

/// Drawn p values against counted ones.
#[test]
fn drawn_tables_are_those_that_are_counted() {
    let mut design = Design::default();
    (design.rare, design.draws) = (Rare::Keep, 40_000);
    let (canary, reference): (Vec<u64>, Vec<u64>) = (vec![3, 0, 1, 0, 2], vec![10, 9, 4, 5, 3]);
    let columns: Vec<u64> = canary.iter().zip(&reference).map(|(c, r)| c + r).collect();
    let choose = |n: u64, k: u64| (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product::<f64>();
    let statistic = |row: &[u64]| {
        let rest = columns.iter().zip(row).map(|(c, x)| c - x).collect();
        homogeneity(&[row.to_vec(), rest]).unwrap().statistic
    };
    let seen = statistic(&canary);
    let (mut p, mut all) = (0.0, 0.0);
    let mut row = vec![0; 5];
    fn tables(at: usize, left: u64, columns: &[u64], row: &mut Vec<u64>, visit: &mut dyn FnMut(&[u64])) {
        if at == columns.len() {
            if left == 0 {
                visit(row);
            }
            return;
        }
        for count in 0..=left.min(columns[at]) {
            row[at] = count;
            tables(at + 1, left - count, columns, row, visit);
        }
        row[at] = 0;
    }
    tables(0, 6, &columns, &mut row, &mut |row| {
        let weight: f64 = columns.iter().zip(row).map(|(c, x)| choose(*c, *x)).product();
        all += weight;
        p += if statistic(row) >= seen * (1.0 - 1e-9) { weight } else { 0.0 };
    });
    let truth = p / all;
    // With levels that nobody has there are too many cells to count, and the tables are the same.
    let cohort = |extra: usize| {
        let (mut c, mut r) = (canary.clone(), reference.clone());
        c.extend(vec![0; extra]);
        r.extend(vec![0; extra]);
        cohort_of(vec![dimension("geo", c, Reference::Sample(r))])
    };
    let report = assess(&cohort(200), &design).unwrap();
    let found = &report.dimensions[0].report;
    let Method::Drawn(drawn) = found.method else { panic!("{:?}", found.method) };
    // Drawing ends with twenty as large: a relative error of 1/sqrt(20).
    assert!((found.p.value() / truth - 1.0).abs() < 0.8, "{} of {drawn} instead of {truth}", found.p.value());
}

#[test]
fn a_joint_difference_is_found_where_the_margins_are_alike() {
    let cells = ["eu, ios", "eu, android", "us, ios", "us, android"];
    let mut cohort = cohort_of(vec![
        dimension("geo", vec![1_000, 1_000], Reference::Sample(vec![10_000, 10_000])),
        dimension("device", vec![1_000, 1_000], Reference::Sample(vec![10_000, 10_000])),
    ]);
    let reference = Reference::Sample(vec![5_000; 4]);
    cohort.joint.push(Dimension::new("geo, device", cells, vec![700, 300, 300, 700], reference));
    let report = assess(&cohort, &Design::default()).unwrap();
    assert_eq!(report.status, Status::Biased { by: vec![Bias::Joint], correctable: true });
}

#[test]
fn splits_crossover_and_covariates_count_too() {
    let mut cohort = Cohort::new(Unit::Users);
    cohort.split = Some(SplitPlan { observed: vec![1_000, 0], planned: vec![0.5, 0.5] });
    cohort.crossover = Some(Crossover { both: 480, users: Arms { baseline: 190_000, canary: 10_000 } });
    let value = |random: &mut Random, from: f64| {
        Samples::new((0..3_000).map(|_| from + random.normal()).collect()).unwrap()
    };
    let random = &mut Random::new(5);
    let age = Arms { baseline: value(random, 0.0), canary: value(random, 0.25) };
    cohort.covariates.push(NamedCovariate { name: "age".to_string(), covariate: Covariate::Values(age) });
    let report = assess(&cohort, &Design::default()).unwrap();
    let by = vec![Bias::Split, Bias::Crossover, Bias::Shift];
    assert_eq!(report.status, Status::Biased { by, correctable: false });
    assert_eq!(
        report.sentences()[..2],
        [
            "split: arm 0 has 100.0 % more users than planned (p 1e-301); who is lost is not lost by lot",
            "crossover: 4.8 % of the smaller arm's users are in both; of a difference 95 % is left",
        ]
    );
    assert_eq!(report.split.unwrap().empty, [1]);
    // The same values in other forms.
    let same = |random: &mut Random| (0..20_000).map(|_| random.normal()).collect::<Vec<f64>>();
    let values = Arms { baseline: same(random), canary: same(random) };
    let edges: Vec<f64> = (-4..=4).map(|i| f64::from(i) / 2.0).collect();
    let bins = values.as_ref().map(|values| {
        let mut counts = vec![0; edges.len() + 1];
        values.iter().for_each(|v| counts[edges.partition_point(|edge| edge < v)] += 1);
        Histogram::new(edges.clone(), counts).unwrap()
    });
    let forms = [
        Covariate::Moments(values.as_ref().map(|v| Moments::of(v).unwrap())),
        Covariate::Bins(bins),
        Covariate::Values(values.map(|v| Samples::new(v).unwrap())),
    ];
    for covariate in forms {
        let mut cohort = Cohort::new(Unit::Users);
        cohort.covariates.push(NamedCovariate { name: "age".to_string(), covariate });
        assert_eq!(assess(&cohort, &Design::default()).unwrap().status, REPRESENTATIVE);
    }
    // Two values that never vary.
    let flat = |value: f64| Moments::of(&[value; 50]).unwrap();
    for (canary, biased) in [(3.0, false), (4.0, true)] {
        let covariate = Covariate::Moments(Arms { baseline: flat(3.0), canary: flat(canary) });
        let mut cohort = Cohort::new(Unit::Users);
        cohort.covariates.push(NamedCovariate { name: "plan".to_string(), covariate });
        let status = assess(&cohort, &Design::default()).unwrap().status;
        assert_eq!(matches!(status, Status::Biased { .. }), biased, "{status:?}");
    }
}

#[test]
fn a_mix_moves_a_metric_by_no_more_than_its_bound() {
    let random = &mut Random::new(77);
    for users in [500_u64, 5_000, 80_000] {
        for shares in [[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.9, 0.05, 0.03, 0.02]] {
            let canary = draw(random, users, &shares);
            let reference = draw(random, 20_000, &[0.4, 0.3, 0.2, 0.1]);
            let means: Vec<f64> = (0..4).map(|_| 100.0 + 10.0 * random.normal()).collect();
            let mean = |counts: &[u64]| {
                let sum: f64 = counts.iter().zip(&means).map(|(c, mean)| *c as f64 * mean).sum();
                sum / counts.iter().sum::<u64>() as f64
            };
            let moved = mean(&canary) - mean(&reference);
            let geo = dimension("geo", canary, Reference::Sample(reference)).with_means(means);
            let report = assess(&cohort_of(vec![geo]), &Design::default()).unwrap();
            let bias = report.dimensions[0].report.metric_bias.unwrap();
            assert!((bias.estimate - moved).abs() < 1e-11);
            assert!(bias.estimate.abs() <= bias.bound.unwrap() * (1.0 + 1e-12));
        }
    }
}

#[test]
fn arms_and_levels_may_change_places() {
    let (canary, reference) = (vec![430, 0, 140, 100, 65], vec![4_000, 2_500, 1_500, 1_000, 0]);
    let report = |canary: &[u64], reference: &[u64]| {
        let geo = dimension("geo", canary.to_vec(), Reference::Sample(reference.to_vec()));
        assess(&cohort_of(vec![geo]), &Design::default()).unwrap().dimensions[0].report.clone()
    };
    let (one, other) = (report(&canary, &reference), report(&reference, &canary));
    let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12 * a.abs().max(1e-3), "{a} {b}");
    close(one.statistic, other.statistic);
    close(one.p.ln(), other.p.ln());
    close(one.total_variation, other.total_variation);
    close(one.stability_index, other.stability_index);
    close(one.levels[0].residual, -other.levels[0].residual);
    let reversed = |values: &[u64]| values.iter().rev().copied().collect::<Vec<u64>>();
    close(one.statistic, report(&reversed(&canary), &reversed(&reference)).statistic);
}

#[test]
fn covariates_together() {
    use ndarray::{Array2, array};
    let random = &mut Random::new(3);
    let mut rows = |n: usize, shift: f64| {
        Array2::from_shape_fn((n, 3), |(_, k)| if k == 1 { shift } else { 0.0 } + random.normal())
    };
    let arms = Arms { baseline: rows(400, 0.0), canary: rows(300, 0.5) };
    let apart = mahalanobis(arms.as_ref().map(|rows| rows.view())).unwrap();
    assert!(apart.p.value() < 1e-6 && apart.freedom == (3, 696));
    // A column that is a sum of others changes nothing, nor does scale.
    let more = arms.as_ref().map(|rows| {
        let mut wider = Array2::zeros((rows.nrows(), 5));
        for (i, row) in rows.rows().into_iter().enumerate() {
            let values = [1e-8 * row[0], 1e9 * row[1], row[2], row[0] + 2.0 * row[2], 7.0];
            values.iter().enumerate().for_each(|(k, v)| wider[[i, k]] = *v);
        }
        wider
    });
    let same = mahalanobis(more.as_ref().map(|rows| rows.view())).unwrap();
    assert_eq!(same.freedom, apart.freedom);
    assert!((same.p.ln() / apart.p.ln() - 1.0).abs() < 1e-9);
    // One covariate: Student's test.
    let one = Arms { baseline: array![[1.0], [2.0], [4.0]], canary: array![[3.0], [6.0], [5.0]] };
    let one = mahalanobis(one.as_ref().map(|rows| rows.view())).unwrap();
    // scipy 1.17.1, ttest_ind: t = 1.870828693, p = .134701935.
    assert!((one.t_squared.unwrap() - 1.870_828_693_386_970_9_f64.powi(2)).abs() < 1e-12);
    assert!((one.p.value() - 0.134_701_935_319).abs() < 1e-9);
    let flat = Arms { baseline: array![[1.0, 2.0], [1.0, 4.0]], canary: array![[2.0, 3.0], [2.0, 3.5]] };
    assert_eq!(
        mahalanobis(flat.as_ref().map(|rows| rows.view())).unwrap().distance,
        serinus::cohort::Standardised::Infinite
    );
    let nan = Arms { baseline: array![[1.0], [f64::NAN]], canary: array![[2.0], [2.5]] };
    assert!(mahalanobis(nan.as_ref().map(|rows| rows.view())).is_err());
}

#[test]
fn codes_are_tallied_in_any_number_of_levels() {
    let random = &mut Random::new(4);
    for levels in [0_usize, 1, 6, 5_000] {
        let codes: Vec<u32> =
            (0..10_007).map(|_| (random.uniform() * (levels as f64 + 1.5)) as u32).collect();
        let found = tally(&codes, levels).unwrap();
        let mut expected = vec![0; levels];
        let mut unknown = 0;
        for code in &codes {
            match expected.get_mut(*code as usize) {
                Some(count) => *count += 1,
                None => unknown += 1,
            }
        }
        assert_eq!((found.counts, found.unknown), (expected, unknown));
    }
    assert!(tally(&[], 1 << 25).is_err());
}
