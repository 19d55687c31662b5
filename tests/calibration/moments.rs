//! Welch's test of means.

use serinus::Arms;
use serinus::compare::{moments, question::Boundary};
use serinus::synth::{Noise, Random};
use serinus::telemetry::Moments;

use crate::calibrate::{Claim, calibrate_all};

#[test]
fn welch() {
    for n in [
        Arms { baseline: 10, canary: 10 },
        Arms { baseline: 100, canary: 8 },
        Arms { baseline: 300, canary: 300 },
    ] {
        let text = format!("Welch, normal, {} v {}", n.baseline, n.canary);
        let texts = ["greater at .05", "greater at .01", "ratio of means at .05"]
            .map(|what| format!("{text}: {what}"));
        let claims =
            [Claim::level(&texts[0], 0.052), Claim::level(&texts[1], 0.0105), Claim::level(&texts[2], 0.052)];
        calibrate_all(claims, |random: &mut Random| {
            // The canary varies more.
            let arms = n.map(|n| Noise::Normal.sequence(n, random));
            let canary: Vec<f64> = arms.canary.iter().map(|v| 20.0 + 2.0 * v).collect();
            let baseline: Vec<f64> = arms.baseline.iter().map(|v| 20.0 + v).collect();
            let arms = Arms { baseline, canary }.map(|values| Moments::of(&values).unwrap());
            let p = moments::sides(arms, Boundary::Difference(0.0)).unwrap().greater;
            let ratio = moments::sides(arms, Boundary::Ratio(1.0)).unwrap().less;
            [p.rejects(0.05), p.rejects(0.01), ratio.rejects(0.05)]
        });
    }
}
