//! Levels of the tests of counts over shares from rare to even and splits from even to 99/1, coverage of their intervals, and users
//! whose requests resemble each other.

use serinus::compare::counts::{
    Tail, clustered, conditional_with, difference, fisher, miettinen_nurminen, miettinen_nurminen_ratio,
    odds_ratio, risk_difference, risk_ratio,
};
use serinus::compare::events::rate_ratio_with;
use serinus::synth::Random;
use serinus::telemetry::{Counts, Events};
use serinus::{Arms, Effect};

use crate::calibrate::{Claim, calibrate_all};

/// Totals of about 20,000 expected bad ones at most, with at least `bad` expected in all.
fn sizes(share: f64, bad: f64, canary: f64) -> Arms<u64> {
    let all = bad / share;
    Arms { baseline: (all * (1.0 - canary)) as u64, canary: (all * canary) as u64 }
}

fn drawn(size: Arms<u64>, share: f64, random: &mut Random) -> Arms<Counts> {
    size.map(|n| Counts::new(random.binomial(n, share), n).unwrap())
}

/// Each test against equality, one-sided at .05 on both sides. `over`: what the mid-p and the score tests take at most, as their
/// documentation says; exact ones take the level.
fn levels(share: f64, bad: f64, canary: f64, over: [f64; 3]) {
    let size = sizes(share, bad, canary);
    let at = format!("share {share}, {} v {}", size.baseline, size.canary);
    let [mid_p, score, guarded] = over;
    let tests = [
        ("conditional, mid-p", mid_p),
        ("conditional, exact", 0.05),
        ("Fisher, mid-p", mid_p),
        ("Fisher, exact", 0.05),
        ("score of the difference", score),
        ("score of the ratio", score),
        ("difference", guarded),
    ];
    let texts: Vec<String> = tests
        .iter()
        .flat_map(|(test, _)| ["greater", "less"].map(|side| format!("{test}, {at}, {side} at .05")))
        .collect();
    let claims: [Claim; 14] = core::array::from_fn(|i| Claim::level(&texts[i], tests[i / 2].1));
    calibrate_all(claims, |random| {
        let arms = drawn(size, share, random);
        let sides = [
            conditional_with(arms, 1.0, Tail::MidP).unwrap(),
            conditional_with(arms, 1.0, Tail::Exact).unwrap(),
            fisher(arms, 1.0, Tail::MidP).unwrap().sides,
            fisher(arms, 1.0, Tail::Exact).unwrap().sides,
            miettinen_nurminen(arms, 0.0).unwrap(),
            miettinen_nurminen_ratio(arms, 1.0).unwrap(),
            difference(arms, 0.0).unwrap(),
        ];
        core::array::from_fn(|i| {
            let sides = sides[i / 2];
            (if i % 2 == 0 { sides.greater } else { sides.less }).rejects(0.05)
        })
    });
}

macro_rules! cells {
    ($($cell:ident: $share:literal, $bad:literal, $canary:literal, $over:expr;)*) => { $(
        #[test]
        fn $cell() {
            levels($share, $bad, $canary, $over);
        }
    )* };
}

cells! {
    rare_even: 1e-4, 60.0, 0.5, [0.058, 0.058, 0.051];
    rare_95_5: 1e-4, 60.0, 0.05, [0.058, 0.075, 0.051];
    rare_99_1: 1e-4, 300.0, 0.01, [0.058, 0.075, 0.051];
    one_percent_even: 0.01, 60.0, 0.5, [0.058, 0.058, 0.051];
    one_percent_95_5: 0.01, 60.0, 0.05, [0.058, 0.075, 0.051];
    one_percent_99_1: 0.01, 300.0, 0.01, [0.058, 0.075, 0.051];
    ten_percent_even: 0.1, 60.0, 0.5, [0.058, 0.058, 0.051];
    ten_percent_95_5: 0.1, 60.0, 0.05, [0.058, 0.075, 0.051];
    half_even: 0.5, 60.0, 0.5, [0.058, 0.058, 0.055];
    half_99_1: 0.5, 600.0, 0.01, [0.058, 0.075, 0.055];
}

/// 90 % intervals of each measure; those of the exact tests cover at least that.
#[test]
fn intervals_cover() {
    for (share, bad, canary) in [(0.01, 200.0, 0.5), (0.1, 100.0, 0.2), (0.3, 200.0, 0.05)] {
        let size = sizes(share, bad, canary);
        let at = format!("share {share}, {} v {}, 90 %", size.baseline, size.canary);
        let texts = [
            "risk difference",
            "risk ratio",
            "odds ratio, mid-p",
            "odds ratio, exact",
            "rate ratio, mid-p",
            "rate ratio, exact",
        ]
        .map(|what| format!("{what}, {at}"));
        let covered = [0.89, 0.89, 0.89, 0.9, 0.89, 0.9];
        let claims: [Claim; 6] = core::array::from_fn(|i| Claim::coverage(&texts[i], covered[i]));
        calibrate_all(claims, |random| {
            let arms = drawn(size, share, random);
            let events = size.map(|n| {
                let exposure = n as f64;
                Events::new(random.poisson(share * exposure), exposure).unwrap()
            });
            let covers = |effect: Effect, truth: f64| effect.interval.contains(truth);
            [
                covers(risk_difference(arms, 0.9).unwrap(), 0.0),
                covers(risk_ratio(arms, 0.9).unwrap(), 1.0),
                covers(odds_ratio(arms, 0.9, Tail::MidP).unwrap(), 1.0),
                covers(odds_ratio(arms, 0.9, Tail::Exact).unwrap(), 1.0),
                covers(rate_ratio_with(events, 0.9, Tail::MidP).unwrap(), 1.0),
                covers(rate_ratio_with(events, 0.9, Tail::Exact).unwrap(), 1.0),
            ]
        });
    }
}

/// Users whose requests correlate by .2 (a beta distribution of chances), with 1 to some dozens of requests each.
fn sticky(users: usize, share: f64, random: &mut Random) -> Vec<Counts> {
    let total = 1.0 / 0.2 - 1.0;
    (0..users)
        .map(|_| {
            let mean = 7.0 * random.exponential();
            let requests = 1 + random.poisson(mean);
            let a = random.gamma(share * total, 1.0);
            let b = random.gamma((1.0 - share) * total, 1.0);
            Counts::new(random.binomial(requests, a / (a + b)), requests).unwrap()
        })
        .collect()
}

#[test]
fn sticky_users() {
    for (share, baseline, canary) in [(0.1, 200, 200), (0.1, 900, 100), (0.02, 800, 800), (0.02, 1800, 200)] {
        let at = format!("users correlating by .2, share {share}, {baseline} v {canary} users");
        let texts = ["ratio, greater", "ratio, less", "difference, greater", "difference, less"]
            .map(|what| format!("{what} at .05, {at}"));
        let naive = format!("as if requests were independent, {at}");
        let mut claims: Vec<Claim> = texts.iter().map(|text| Claim::level(text, 0.07)).collect();
        // What not knowing users costs.
        claims.push(Claim::power(&naive, 0.1));
        let claims: [Claim; 5] = claims.try_into().ok().unwrap();
        calibrate_all(claims, |random| {
            let arms =
                Arms { baseline: sticky(baseline, share, random), canary: sticky(canary, share, random) };
            let users = clustered(arms.as_ref().map(Vec::as_slice)).unwrap();
            let ratio = conditional_with(users.effective, 1.0, Tail::MidP).unwrap();
            let apart = difference(users.effective, 0.0).unwrap();
            let naive = conditional_with(users.totals, 1.0, Tail::MidP).unwrap();
            [ratio.greater, ratio.less, apart.greater, apart.less, naive.greater].map(|p| p.rejects(0.05))
        });
    }
}
