//! Whether an error rate is what the documentation says, by simulation.
//!
//! A claim allows a share of faults: alpha for a test at level alpha, 1 - level for an interval, 1 - power for a power.
//! It is tested against the share that would refute it (1.2 times as many faults, or 5 % less power) by Wald's
//! sequential probability ratio test, which stops early when the answer is plain, and at a fixed number of runs
//! otherwise: the smallest at which an exact binomial bound fails a claim that holds exactly with probability 1e-4 at
//! most, and passes a refuted one with 0.05 at most (14,762 runs for alpha 0.05; 38,185 for 0.02; 77,250 for 0.01;
//! 779,577 for 0.001). Wald's limits are set for errors of a tenth and a fifth of those, so that both ways of stopping
//! together keep the first and make the second 0.055 (`harness.rs` computes both exactly).
//!
//! Why not a fixed 4,000 runs and "at most 0.065": that passes a test of true level 0.06 nine times in ten.
//!
//! The seed is the hash of the claim's text: nobody chooses a seed. Claims that allow less than 0.005 run a tenth as long,
//! and in full with `SERINUS_CALIBRATION=full`; their line says how much they may overlook. To see the lines:
//! `cargo test --test calibration -- --nocapture`.

use std::fmt;
use std::time::Instant;

use serinus::synth::Random;
use statrs::distribution::{Beta, ContinuousCDF};

/// The probability of failing a claim that holds exactly, and of passing one that is refuted.
const FALSE_ALARM: f64 = 1e-4;
const OVERLOOKED: f64 = 0.05;

/// What the documentation says about one outcome of a simulation.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    text: &'a str,
    /// The outcome that is a fault.
    fault: bool,
    /// The share of faults that the claim allows, and the one at which it must be refuted.
    allowed: f64,
    refuted: f64,
}

impl<'a> Claim<'a> {
    /// A true hypothesis is rejected with probability alpha at most; the outcome is "rejected".
    pub fn level(text: &'a str, alpha: f64) -> Claim<'a> {
        Claim { text, fault: true, allowed: alpha, refuted: 1.2 * alpha }
    }

    /// The interval contains the truth with probability `level` at least; the outcome is "contains it".
    pub fn coverage(text: &'a str, level: f64) -> Claim<'a> {
        Claim { text, fault: false, allowed: 1.0 - level, refuted: 1.2 * (1.0 - level) }
    }

    /// A false hypothesis is rejected with probability `at_least`; the outcome is "rejected".
    pub fn power(text: &'a str, at_least: f64) -> Claim<'a> {
        Claim { text, fault: false, allowed: 1.0 - at_least, refuted: 1.05 - at_least }
    }
}

/// Panics unless a true hypothesis is rejected with probability alpha at most.
pub fn calibrate(claim: &str, alpha: f64, mut rejected: impl FnMut(&mut Random) -> bool) {
    calibrate_all([Claim::level(claim, alpha)], |random| [rejected(random)]);
}

/// Panics unless an interval contains the truth with probability `level` at least.
pub fn covers(claim: &str, level: f64, mut contains: impl FnMut(&mut Random) -> bool) {
    calibrate_all([Claim::coverage(claim, level)], |random| [contains(random)]);
}

/// Panics unless a false hypothesis is rejected with probability `at_least`.
pub fn powerful(claim: &str, at_least: f64, mut rejected: impl FnMut(&mut Random) -> bool) {
    calibrate_all([Claim::power(claim, at_least)], |random| [rejected(random)]);
}

/// Several claims about the same simulated data, until each is decided; panics if one fails.
pub fn calibrate_all<const N: usize>(claims: [Claim; N], outcomes: impl FnMut(&mut Random) -> [bool; N]) {
    let full = std::env::var("SERINUS_CALIBRATION").is_ok_and(|value| value == "full");
    let seed = hash(&claims.map(|claim| claim.text).join("\n"));
    let findings = decide(claims, full, seed, outcomes);
    let lines = findings.each_ref().map(|finding| finding.to_string()).join("\n");
    println!("{lines}");
    assert!(findings.iter().all(|finding| finding.holds), "a claim fails:\n{lines}");
}

/// FNV-1a, 64 bits.
pub fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// How a claim fared.
#[derive(Debug)]
pub struct Finding<'a> {
    claim: Claim<'a>,
    plan: Plan,
    pub runs: u64,
    faults: u64,
    seconds: f64,
    pub holds: bool,
}

pub fn decide<const N: usize>(
    claims: [Claim; N],
    full: bool,
    seed: u64,
    mut outcomes: impl FnMut(&mut Random) -> [bool; N],
) -> [Finding; N] {
    let start = Instant::now();
    let plans = claims.map(|claim| Plan::of(claim.allowed, claim.refuted, full));
    let mut faults = [0; N];
    let mut findings = [const { None }; N];
    let mut random = Random::new(seed);
    for runs in 1.. {
        let outcomes = outcomes(&mut random);
        for (i, (claim, plan)) in claims.into_iter().zip(plans).enumerate() {
            if findings[i].is_none() {
                faults[i] += u64::from(outcomes[i] == claim.fault);
                findings[i] = plan.decide(runs, faults[i]).map(|holds| {
                    let seconds = start.elapsed().as_secs_f64();
                    Finding { claim, plan, runs, faults: faults[i], seconds, holds }
                });
            }
        }
        if findings.iter().all(Option::is_some) {
            break;
        }
    }
    findings.map(Option::unwrap)
}

impl fmt::Display for Finding<'_> {
    /// The interval is exact for a fixed number of runs. A test that stops once the answer is plain sees extreme counts more
    /// often, so read it as a scale, not as the evidence: that is the word in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { claim, runs, .. } = self;
        let (at, bar, seen) = if claim.fault {
            ("at most", claim.allowed, self.faults)
        } else {
            ("at least", 1.0 - claim.allowed, runs - self.faults)
        };
        let [low, high] = clopper_pearson(seen, *runs);
        write!(
            f,
            "{}: {}, {at} {bar:.4}: {seen} of {runs} = {:.5} [{low:.5}, {high:.5}], {:.2} s",
            if self.holds { "passed" } else { "FAILED" },
            claim.text,
            seen as f64 / *runs as f64,
            self.seconds
        )?;
        if self.plan.short {
            let overlooked = at_most(self.plan.bound, self.plan.runs, claim.refuted);
            write!(
                f,
                " (a tenth of the runs: 1.2 times the rate would pass with probability {overlooked:.2})"
            )?;
        }
        Ok(())
    }
}

/// When to stop, and what to say then.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// At the latest after so many runs; the claim holds if there are at most `bound` faults by then, and has failed as
    /// soon as there are more.
    pub runs: u64,
    pub bound: u64,
    /// Whether it runs a tenth of what the two errors need.
    short: bool,
    /// What a fault and any other outcome add to the logarithm of the likelihood ratio.
    fault: f64,
    other: f64,
}

impl Plan {
    pub fn of(allowed: f64, refuted: f64, full: bool) -> Plan {
        assert!(0.0 < allowed && allowed < refuted && refuted < 1.0, "no claim: {allowed} against {refuted}");
        // For each bound, the fewest runs that overlook a refuted claim seldom enough; of these the first that gives
        // few enough false alarms.
        let runs_for = |bound: u64| {
            let most = ((bound as f64 + 10.0 * (bound as f64).sqrt() + 10.0) / refuted) as u64;
            first(bound + 1, most, |runs| at_most(bound, runs, refuted) <= OVERLOOKED)
        };
        let mut bound = first(0, 100_000, |bound| more_than(bound, runs_for(bound), allowed) <= FALSE_ALARM);
        let mut runs = runs_for(bound);
        let short = !full && allowed < 0.005;
        if short {
            runs /= 10;
            bound = first(0, bound, |bound| more_than(bound, runs, allowed) <= FALSE_ALARM);
        }
        let (fault, other) = ((refuted / allowed).ln(), ((1.0 - refuted) / (1.0 - allowed)).ln());
        Plan { runs, bound, short, fault, other }
    }

    /// Whether the claim holds; `None` if more runs are needed.
    pub fn decide(&self, runs: u64, faults: u64) -> Option<bool> {
        let (alarm, overlooked) = (FALSE_ALARM / 10.0, OVERLOOKED / 5.0);
        let ratio = faults as f64 * self.fault + (runs - faults) as f64 * self.other;
        if faults > self.bound || ratio >= ((1.0 - overlooked) / alarm).ln() {
            Some(false)
        } else if runs >= self.runs || ratio <= (overlooked / (1.0 - alarm)).ln() {
            Some(true)
        } else {
            None
        }
    }
}

/// The first number from `low` to `high` of which something is true that stays true from there on.
fn first(mut low: u64, mut high: u64, is: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low.midpoint(high);
        if is(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The probability of at most `bound` faults in more than so many runs.
fn at_most(bound: u64, runs: u64, rate: f64) -> f64 {
    Beta::new(bound as f64 + 1.0, (runs - bound) as f64).unwrap().sf(rate)
}

/// The probability of more than `bound` faults.
fn more_than(bound: u64, runs: u64, rate: f64) -> f64 {
    Beta::new(bound as f64 + 1.0, (runs - bound) as f64).unwrap().cdf(rate)
}

/// The exact 95 % interval of a share (Clopper and Pearson 1934).
pub fn clopper_pearson(seen: u64, runs: u64) -> [f64; 2] {
    let quantile = |a: u64, b: u64, p: f64| Beta::new(a as f64, b as f64).unwrap().inverse_cdf(p);
    [
        if seen == 0 { 0.0 } else { quantile(seen, runs - seen + 1, 0.025) },
        if seen == runs { 1.0 } else { quantile(seen + 1, runs - seen, 0.975) },
    ]
}
