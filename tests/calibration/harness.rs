//! The harness itself: it fails what it should.

use serinus::synth::Random;

use crate::calibrate::{
    Claim, Plan, calibrate, calibrate_all, clopper_pearson, covers, decide, hash, powerful,
};

const ALPHA: f64 = 0.05;

/// How many of 200 repetitions pass the claim that faults have probability 0.05, when they have this.
fn passes(rate: f64) -> usize {
    let pass = |repetition: &u32| {
        let seed = hash(&format!("Bernoulli {rate}, repetition {repetition}"));
        let [finding] = decide([Claim::level("", ALPHA)], false, seed, |random| [random.chance(rate)]);
        finding.holds
    };
    (0..200).filter(pass).count()
}

#[test]
fn a_claim_that_holds_exactly_passes() {
    assert_eq!(passes(ALPHA), 200);
}

#[test]
fn a_rate_inflated_by_a_fifth_fails() {
    let overlooked = passes(1.2 * ALPHA);
    assert!(overlooked <= 12, "{overlooked} of 200 pass");
}

/// The probability that the claim fails, exactly: the distribution of the number of faults, run by run, over what is not
/// yet decided.
fn fails(plan: &Plan, rate: f64) -> f64 {
    let mut undecided = vec![1.0];
    let mut failed = 0.0;
    for runs in 1..=plan.runs {
        let mut next = vec![0.0; undecided.len() + 1];
        for (faults, p) in undecided.iter().enumerate() {
            next[faults] += p * (1.0 - rate);
            next[faults + 1] += p * rate;
        }
        for (faults, p) in next.iter_mut().enumerate().filter(|(_, p)| **p > 0.0) {
            if let Some(holds) = plan.decide(runs, faults as u64) {
                failed += if holds { 0.0 } else { *p };
                *p = 0.0;
            }
        }
        while next.last() == Some(&0.0) {
            next.pop();
        }
        undecided = next;
    }
    failed
}

#[test]
fn both_errors_are_as_stated() {
    for (allowed, refuted) in [(ALPHA, 1.2 * ALPHA), (0.1, 0.15), (0.2, 0.25), (0.5, 0.55)] {
        let plan = Plan::of(allowed, refuted, false);
        let (alarm, found) = (fails(&plan, allowed), fails(&plan, refuted));
        println!("{allowed} against {refuted}: {plan:?}, false alarm {alarm:.2e}, found {found:.4}");
        assert!(alarm <= 1.0e-4, "{allowed}: {alarm}");
        assert!(found >= 0.945, "{refuted}: {found}");
    }
}

/// The sizes that an independent search found with scipy 1.17, and the bounds there.
#[test]
fn the_longest_run_is_the_shortest_that_can_decide() {
    for (alpha, runs, bound) in
        [(0.05, 14_762, 838), (0.02, 38_185, 867), (0.01, 77_250, 877), (0.001, 779_577, 885)]
    {
        let plan = Plan::of(alpha, 1.2 * alpha, true);
        assert_eq!((plan.runs, plan.bound), (runs, bound), "{alpha}");
    }
    let short = Plan::of(0.001, 0.0012, false);
    assert_eq!(short.runs, 77_957);
    assert!((100..120).contains(&short.bound), "{short:?}");
}

#[test]
fn intervals_and_seeds_are_the_published_ones() {
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-7, "{a}, not {b}");
    let [low, high] = clopper_pearson(5, 10);
    near(low, 0.187_086_02);
    near(high, 1.0 - 0.187_086_02);
    let [low, high] = clopper_pearson(0, 10);
    near(low, 0.0);
    near(high, 1.0 - 0.025_f64.powf(0.1));
    near(clopper_pearson(10, 10)[1], 1.0);
    // The test vectors of the FNV specification.
    assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
}

#[test]
fn claims_are_decided_each_by_its_own_count() {
    let claims = [Claim::level("never", 0.05), Claim::power("always", 0.8), Claim::level("half", 0.05)];
    let findings = decide(claims, false, 1, |random: &mut Random| [false, true, random.chance(0.5)]);
    assert_eq!(findings.each_ref().map(|finding| finding.holds), [true, true, false]);
    assert!(findings.iter().all(|finding| finding.runs < 1_000), "{findings:?}");
}

#[test]
fn what_is_right_passes() {
    calibrate("a fair level", 0.05, |random| random.chance(0.04));
    covers("a fair interval", 0.95, |random| random.chance(0.96));
    powerful("a fair power", 0.8, |random| random.chance(0.82));
}

#[test]
#[should_panic = "FAILED: too liberal, at most 0.0500"]
fn too_many_rejections_fail() {
    calibrate("too liberal", 0.05, |random| random.chance(0.08));
}

#[test]
#[should_panic = "FAILED: too narrow, at least 0.9500"]
fn too_little_coverage_fails() {
    covers("too narrow", 0.95, |random| random.chance(0.92));
}

#[test]
#[should_panic = "FAILED: too weak, at least 0.8000"]
fn too_little_power_fails() {
    powerful("too weak", 0.8, |random| random.chance(0.7));
}

#[test]
#[should_panic = "FAILED: the second"]
fn one_claim_of_two_fails_both() {
    let claims = [Claim::level("the first", 0.05), Claim::level("the second", 0.01)];
    calibrate_all(claims, |random| [random.chance(0.05), random.chance(0.05)]);
}
