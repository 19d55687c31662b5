//! Bounds for a few looks: against closed forms, and against integrals by a plain rule on a fine grid.

use serinus::ErrorKind;
use serinus::sequential::spending::{
    Alternative, GroupSequential, Look, Spending, SpendingDesign, obrien_fleming, pocock,
};
use statrs::distribution::{ContinuousCDF, Normal};

const ALTERNATIVES: [Alternative; 3] = [Alternative::Greater, Alternative::TwoSided, Alternative::EachSide];
const SPENDING: [Spending; 4] = [
    Spending::OBrienFleming,
    Spending::Pocock,
    Spending::Power { exponent: 1.0 },
    Spending::Power { exponent: 3.5 },
];

fn near(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, not {expected}");
}

fn sf(z: f64) -> f64 {
    Normal::standard().sf(z)
}

fn design(spending: Spending, alternative: Alternative, alpha: f64) -> SpendingDesign {
    SpendingDesign { spending, alternative, alpha }
}

fn looks(design: SpendingDesign, times: &[f64]) -> GroupSequential {
    let mut looks = GroupSequential::new(design).unwrap();
    for t in times {
        looks.look(*t).unwrap();
    }
    looks
}

/// The probability of crossing a bound above, and below, at any of the looks: the density of B on a grid of equal cells between
/// the bounds, by the trapezium rule.
fn by_grid(looks: &[Look], sides: bool, drift: f64) -> [f64; 2] {
    const CELLS: usize = 1_500;
    let mut before = vec![(0.0, 1.0)];
    let mut time = 0.0;
    let [mut above, mut below] = [0.0; 2];
    for look in looks {
        let (gain, root) = (look.information - time, look.information.sqrt());
        let (deviation, mean) = (gain.sqrt(), drift * look.information);
        let high = (look.bound * root).min(mean + 9.0 * root);
        let low = if sides { (-look.bound * root).max(mean - 9.0 * root) } else { mean - 9.0 * root };
        for (at, mass) in &before {
            let from = at + drift * gain;
            above += mass * sf((look.bound * root - from) / deviation);
            below += if sides { mass * sf((look.bound * root + from) / deviation) } else { 0.0 };
        }
        let width = (high - low) / CELLS as f64;
        before = (0..=CELLS)
            .map(|i| {
                let to = low + i as f64 * width;
                let sum: f64 = before
                    .iter()
                    .map(|(at, mass)| mass * (-0.5 * ((to - at - drift * gain) / deviation).powi(2)).exp())
                    .sum();
                let end = if i == 0 || i == CELLS { 0.5 } else { 1.0 };
                (to, end * width * sum / (2.0 * std::f64::consts::PI * gain).sqrt())
            })
            .collect();
        time = look.information;
    }
    [above, below]
}

#[test]
fn bounds_spend_what_they_may() {
    for times in [&[0.3, 0.45, 1.0][..], &[0.2, 0.9, 0.95]] {
        for alternative in ALTERNATIVES {
            for spending in SPENDING {
                let looks = looks(design(spending, alternative, 0.1), times);
                let sides = alternative != Alternative::Greater;
                for n in 1..=looks.looks().len() {
                    let [above, below] = by_grid(&looks.looks()[..n], sides, 0.0);
                    let spent = looks.looks()[n - 1].spent;
                    // The trapezium rule of 1,500 cells is right to about 1e-6 of the edges' density.
                    near(&format!("{alternative:?} {spending:?}"), above + below, spent, 2e-6);
                    if sides {
                        near("either side", above, below, 1e-12);
                    }
                }
            }
        }
    }
}

#[test]
fn power_is_what_the_grid_gives() {
    for (alternative, drift) in [(Alternative::Greater, 2.5), (Alternative::TwoSided, -1.5)] {
        let looks = looks(design(Spending::Pocock, alternative, 0.05), &[0.25, 0.5, 0.7, 1.0]);
        let [above, below] = by_grid(looks.looks(), alternative != Alternative::Greater, drift);
        let found = looks.crossing(drift).unwrap();
        near("greater", found.greater, above, 2e-6);
        near("less", found.less, below, 2e-6);
    }
}

#[test]
fn spent_and_crossed_are_the_same() {
    let times: Vec<f64> = (1..=12).map(|k| f64::from(k) / 12.0).collect();
    for alternative in ALTERNATIVES {
        for spending in SPENDING {
            for alpha in [1e-6, 0.05, 0.6] {
                let looks = looks(design(spending, alternative, alpha), &times);
                let crossing = looks.crossing(0.0).unwrap();
                let what = format!("{spending:?} {alternative:?} {alpha}");
                near(&what, (crossing.greater + crossing.less) / alpha, 1.0, 1e-11);
                assert!(looks.looks().iter().all(|look| look.bound.is_finite() || look.spent < 1e-30));
                assert!(crossing.information <= 1.0 && crossing.information > 0.3, "{what}");
            }
        }
    }
}

#[test]
fn the_first_look_has_a_closed_form() {
    let quantile = |p: f64| Normal::standard().inverse_cdf(p);
    for alpha in [0.001, 0.05, 0.3] {
        for spending in SPENDING {
            for (alternative, z) in [
                (Alternative::Greater, quantile(1.0 - alpha)),
                (Alternative::TwoSided, quantile(1.0 - 0.5 * alpha)),
                (Alternative::EachSide, quantile(1.0 - 0.5 * alpha)),
            ] {
                // All at once is a fixed sample.
                let looks = looks(design(spending, alternative, alpha), &[1.0]);
                // statrs' quantile is right to 1e-10.
                near("one look", looks.looks()[0].bound, z, 1e-9);
                let power = looks.crossing(2.0).unwrap();
                near("power", power.greater, sf(looks.looks()[0].bound - 2.0), 1e-10);
                near("information", power.information, 1.0, 0.0);
            }
        }
        // O'Brien and Fleming's first bound is z/sqrt(t) for both sides together; each side alone spends twice a tail.
        let [joint, each] = [Alternative::TwoSided, Alternative::EachSide]
            .map(|alternative| looks(design(Spending::OBrienFleming, alternative, alpha), &[0.25]));
        near("joint", joint.looks()[0].bound, 2.0 * quantile(1.0 - 0.5 * alpha), 1e-8);
        let tails = sf(each.looks()[0].bound) / (2.0 * sf(2.0 * quantile(1.0 - 0.25 * alpha)));
        // statrs' tail of 1e-12 has seven digits.
        near("each", tails, 1.0, 1e-6);
    }
    // An increment of 1e-40 is none.
    let mut early =
        GroupSequential::new(design(Spending::OBrienFleming, Alternative::TwoSided, 0.05)).unwrap();
    assert_eq!(early.look(0.02).unwrap().bound, f64::INFINITY);
    let later = early.look(1.0).unwrap().bound;
    near("as one look", later, quantile(0.975), 1e-9);
}

/// Jennison and Turnbull (2000), tables 2.1 and 2.3, to their three digits: two sides, alpha .05.
#[test]
fn constants_are_the_published_ones() {
    let published =
        [(1, 1.960, 1.960), (2, 2.178, 1.977), (3, 2.289, 2.004), (5, 2.413, 2.040), (10, 2.555, 2.087)];
    for (looks, constant, last) in published {
        for alternative in [Alternative::TwoSided, Alternative::EachSide] {
            near("Pocock", pocock(looks, 0.05, alternative).unwrap(), constant, 5e-4);
            near("O'Brien and Fleming", obrien_fleming(looks, 0.05, alternative).unwrap(), last, 5e-4);
        }
    }
    // One side at half of it is nearly the same: hardly ever both are crossed.
    let one = pocock(5, 0.025, Alternative::Greater).unwrap();
    near("one side", one, 2.413, 1e-3);
    // The spending function of Pocock's type approximates his constant.
    let times: Vec<f64> = (1..=5).map(|k| f64::from(k) / 5.0).collect();
    let spent = looks(design(Spending::Pocock, Alternative::TwoSided, 0.05), &times);
    assert!(spent.looks().iter().all(|look| (look.bound - 2.413).abs() < 0.05));
    // It ends for any alpha.
    for alpha in [1e-20, 0.5, 0.999] {
        for alternative in ALTERNATIVES {
            let found =
                [pocock(8, alpha, alternative).unwrap(), obrien_fleming(8, alpha, alternative).unwrap()];
            assert!(
                if alpha < 0.9 { found[0] > found[1] } else { found.iter().all(|z| z.abs() < 3.0) },
                "{found:?}"
            );
        }
    }
}

#[test]
fn looks_are_saved_and_go_on() {
    let design = design(Spending::Power { exponent: 1.0 / 3.0 }, Alternative::EachSide, 0.07);
    let mut kept = GroupSequential::new(design).unwrap();
    for t in [0.1, 1.0 / 3.0, 0.5, 0.9, 1.0] {
        let json = serde_json::to_string(&kept).unwrap();
        let mut restored: GroupSequential = serde_json::from_str(&json).unwrap();
        assert_eq!(restored, kept);
        assert_eq!(restored.look(t).unwrap(), kept.look(t).unwrap());
    }
    let good = serde_json::to_value(&kept).unwrap();
    for (at, wrong) in [("bound", "-0.5"), ("bound", "NaN"), ("spent", "0.01"), ("information", "0.95")] {
        let mut state = good.clone();
        state["looks"][2][at] = wrong.into();
        assert!(serde_json::from_value::<GroupSequential>(state).is_err(), "{at} {wrong}");
    }
    let mut state = good.clone();
    state["design"]["alpha"] = "1.5".into();
    assert!(serde_json::from_value::<GroupSequential>(state).is_err());
}

#[test]
fn what_cannot_be_looked_at_is_refused() {
    let mut looks = GroupSequential::new(design(Spending::Pocock, Alternative::Greater, 0.05)).unwrap();
    looks.look(0.5).unwrap();
    let before = looks.clone();
    for t in [0.0, -1.0, 0.4, 0.5, 0.5 + 1e-9, 1.0 + 1e-9, f64::NAN, f64::INFINITY] {
        assert_eq!(looks.look(t).unwrap_err().kind(), ErrorKind::Value, "{t}");
        assert_eq!(looks, before);
    }
    // Near, but not too near.
    let near_look = looks.look(0.500_6).unwrap();
    assert!(near_look.bound > before.looks()[0].bound);
    near("crossed", looks.crossing(0.0).unwrap().greater, near_look.spent, 1e-12);
    for alpha in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(GroupSequential::new(design(Spending::Pocock, Alternative::Greater, alpha)).is_err());
        assert!(pocock(3, alpha, Alternative::Greater).is_err());
    }
    for exponent in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        let power = design(Spending::Power { exponent }, Alternative::Greater, 0.05);
        assert!(GroupSequential::new(power).is_err());
    }
    assert!(
        pocock(0, 0.05, Alternative::Greater).is_err()
            && obrien_fleming(51, 0.05, Alternative::Greater).is_err()
    );
    assert!(looks.crossing(f64::NAN).is_err() && looks.crossing(-1e9).is_err());
    let mut many = GroupSequential::new(design(Spending::Pocock, Alternative::Greater, 0.05)).unwrap();
    for k in 1..=50 {
        many.look(f64::from(k) / 64.0).unwrap();
    }
    assert!(many.look(1.0).is_err());
    assert_eq!(Spending::Pocock.spent(0.05, f64::NAN), 0.0);
    assert_eq!(Spending::OBrienFleming.spent(0.05, 7.0), 0.05);
}
