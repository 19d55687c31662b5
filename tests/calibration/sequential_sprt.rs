//! Sequential probability ratio tests looked at after every observation, and bounds for five looks: how often they err, and that it
//! is as often as the exact characteristic says.

use serinus::Arms;
use serinus::sequential::spending::{Alternative, GroupSequential, Spending, SpendingDesign};
use serinus::sequential::sprt::{
    Bernoulli, Characteristic, Decision, Design, ErrorRates, Hypotheses, Normal, RateRatio, Sprt, Stopping,
    TwoSided, TwoSidedDesign,
};
use serinus::sequential::{Split, Stage};
use serinus::synth::Random;

use crate::calibrate::{Claim, calibrate, calibrate_all};

const ERRORS: f64 = 0.05;

/// What the test says of observations that are drawn until it says something.
fn decided<H: Hypotheses>(
    design: Design<H>,
    random: &mut Random,
    mut draw: impl FnMut(&mut Random) -> H::Observation,
) -> Decision {
    let mut test = Sprt::new(design);
    while test.decision() == Decision::Undecided {
        test.update(draw(random)).unwrap();
    }
    test.decision()
}

/// Both errors are those of the characteristic.
fn both_errors<H: Hypotheses>(
    what: &str,
    design: Design<H>,
    exact: [Characteristic; 2],
    mut draw: impl FnMut(&mut Random, bool) -> H::Observation,
) {
    let [healthy, harmed] = exact;
    let texts = [format!("SPRT, {what}: healthy is rejected"), format!("SPRT, {what}: harmed is accepted")];
    let claims = [Claim::level(&texts[0], healthy.reject), Claim::level(&texts[1], harmed.accept)];
    calibrate_all(claims, |random| {
        let healthy = decided(design, random, |random| draw(random, false));
        let harmed = decided(design, random, |random| draw(random, true));
        [healthy == Decision::RejectNull, harmed == Decision::AcceptNull]
    });
}

fn errors() -> ErrorRates {
    ErrorRates::new(ERRORS, ERRORS).unwrap()
}

#[test]
fn bernoulli_errors_are_exact() {
    let hypotheses = Bernoulli::new(0.2, 0.3).unwrap();
    let calibrated = hypotheses.calibrated(errors(), None).unwrap();
    let truncated = hypotheses.calibrated(errors(), Some(150)).unwrap();
    for (limits, stopping) in [
        ("Wald's limits", Stopping::wald(errors())),
        ("calibrated", calibrated),
        ("calibrated and truncated at 150", truncated),
    ] {
        let exact = [0.2, 0.3].map(|share| hypotheses.characteristic(stopping, share).unwrap());
        assert!(exact[0].reject <= ERRORS && exact[1].accept <= ERRORS);
        let design = Design { hypotheses, stopping };
        both_errors(&format!("share .2 against .3, {limits}"), design, exact, |random, harmed| {
            random.chance(if harmed { 0.3 } else { 0.2 })
        });
    }
}

#[test]
fn normal_errors_are_exact() {
    let hypotheses = Normal::new(0.0, 0.5, 1.0).unwrap();
    let calibrated = hypotheses.calibrated(errors(), None).unwrap();
    for (limits, stopping) in [("Wald's limits", Stopping::wald(errors())), ("calibrated", calibrated)] {
        let exact = [0.0, 0.5].map(|mean| hypotheses.characteristic(stopping, mean).unwrap());
        let design = Design { hypotheses, stopping };
        both_errors(&format!("mean 0 against .5, {limits}"), design, exact, |random, harmed| {
            random.normal() + if harmed { 0.5 } else { 0.0 }
        });
    }
}

#[test]
fn errors_of_two_arms_are_exact_at_one_split() {
    let hypotheses = RateRatio::new(1.0, 2.0).unwrap();
    let split = Split::new(0.1).unwrap();
    let calibrated = hypotheses.calibrated(errors(), split, None).unwrap();
    for (limits, stopping) in [("Wald's limits", Stopping::wald(errors())), ("calibrated", calibrated)] {
        let exact = [1.0, 2.0].map(|ratio| hypotheses.characteristic(stopping, split, ratio).unwrap());
        let design = Design { hypotheses, stopping };
        both_errors(&format!("rate ratio 1 against 2 at 10 %, {limits}"), design, exact, |random, harmed| {
            let ratio = if harmed { 2.0 } else { 1.0 };
            let canary = u64::from(random.chance(0.1 * ratio / (0.9 + 0.1 * ratio)));
            Stage::new(split, Arms { baseline: 1 - canary, canary })
        });
    }
}

/// Each side at half of alpha: rejected at most as often as both together.
#[test]
fn two_sides_share_alpha() {
    let [greater, less] = [0.3, 0.12].map(|share| Bernoulli::new(0.2, share).unwrap());
    let design = TwoSidedDesign::wald(greater, less, errors());
    let text = "SPRT, share .2 against .3 and .12, Wald's limits: healthy is rejected";
    calibrate(text, ERRORS / (1.0 - ERRORS), |random| {
        let mut test = TwoSided::new(design).unwrap();
        while test.decision() == Decision::Undecided {
            test.update(random.chance(0.2)).unwrap();
        }
        test.decision() == Decision::RejectNull
    });
}

/// Wald's limits while the split grows: no characteristic, but both errors stay below the nominal ones over the other's rest.
#[test]
fn errors_of_two_arms_hold_in_a_ramp() {
    let hypotheses = RateRatio::new(1.0, 2.0).unwrap();
    let design = Design { hypotheses, stopping: Stopping::wald(errors()) };
    let most = ERRORS / (1.0 - ERRORS);
    let run = |ratio: f64, random: &mut Random| {
        let mut test = Sprt::new(design);
        for event in 0.. {
            // 1, 5, 25 and 50 %, a hundred events each but the last.
            let pi = [0.01, 0.05, 0.25, 0.5][(event / 100).min(3)];
            let canary = u64::from(random.chance(pi * ratio / (1.0 - pi + pi * ratio)));
            let events = Arms { baseline: 1 - canary, canary };
            test.update(Stage::new(Split::new(pi).unwrap(), events)).unwrap();
            if test.decision() != Decision::Undecided {
                break;
            }
        }
        test.decision()
    };
    let claims = [
        Claim::level("SPRT, rate ratio 1 against 2, split 1 to 50 %: healthy is rejected", most),
        Claim::level("SPRT, rate ratio 1 against 2, split 1 to 50 %: harmed is accepted", most),
    ];
    calibrate_all(claims, |random| {
        [run(1.0, random) == Decision::RejectNull, run(2.0, random) == Decision::AcceptNull]
    });
}

/// Five looks at a sum of normal values, at times that only their run knows.
#[test]
fn five_looks_at_normal_data_keep_alpha() {
    let times = [0.15, 0.4, 0.5, 0.85, 1.0];
    let kinds = [
        ("O'Brien-Fleming, two sides", Spending::OBrienFleming, Alternative::TwoSided),
        ("O'Brien-Fleming, each side", Spending::OBrienFleming, Alternative::EachSide),
        ("Pocock, two sides", Spending::Pocock, Alternative::TwoSided),
        ("power 2, one side", Spending::Power { exponent: 2.0 }, Alternative::Greater),
    ];
    let bounds = kinds.map(|(_, spending, alternative)| {
        let mut looks =
            GroupSequential::new(SpendingDesign { spending, alternative, alpha: ERRORS }).unwrap();
        times.map(|t| looks.look(t).unwrap().bound)
    });
    let texts = kinds.map(|(name, _, _)| format!("five looks, {name}, 200 normal values"));
    let claims = texts.each_ref().map(|text| Claim::level(text, ERRORS));
    calibrate_all(claims, |random| {
        let mut sum = 0.0;
        let mut values = 0;
        let z = times.map(|t| {
            let until = (200.0 * t) as u32;
            for _ in values..until {
                sum += random.normal();
            }
            values = until;
            sum / f64::from(until).sqrt()
        });
        std::array::from_fn(|kind| {
            let two_sided = kinds[kind].2 != Alternative::Greater;
            let size = |z: f64| if two_sided { z.abs() } else { z };
            z.iter().zip(bounds[kind]).any(|(z, bound)| size(*z) >= bound)
        })
    });
}
