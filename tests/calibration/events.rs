//! What the conditional test of events finds where a judge of series does not (Poisson of mean .1 an interval, one-sided at .001),
//! and what dependence that nobody declared away costs.

use serinus::compare::question::Boundary;
use serinus::compare::{events, interval};
use serinus::synth::Random;
use serinus::{Arms, telemetry::Events};

use crate::calibrate::{Claim, calibrate_all};

fn drawn(intervals: usize, mean: f64, ratio: f64, random: &mut Random) -> Vec<Arms<Events>> {
    let mut arm = |mean: f64| Events::new(random.poisson(mean), 1.0).unwrap();
    (0..intervals).map(|_| Arms { baseline: arm(mean), canary: arm(ratio * mean) }).collect()
}

fn total(intervals: &[Arms<Events>]) -> Arms<Events> {
    Arms::from_fn(|arm| {
        let count = intervals.iter().map(|arms| arms[arm].count()).sum();
        Events::new(count, intervals.len() as f64).unwrap()
    })
}

/// Kayenta's judge at mean .1 and T = 60: .164 for three times as many, .715 for five times, .422 for ten times. Without declared
/// independence the few cosines over intervals must reach a p of .001 too, which takes more.
#[test]
fn rare_events_that_multiply_are_found() {
    for (intervals, mean, ratio, conditional, by_interval) in [
        (60, 0.1, 5.0, 0.83, 0.19),
        (60, 0.1, 10.0, 0.99, 0.77),
        (300, 0.02, 5.0, 0.83, 0.43),
        (60, 0.5, 3.0, 0.98, 0.7),
    ] {
        let at =
            format!("Poisson {mean} an interval, {ratio} times as many, T = {intervals}, greater at .001");
        let texts = ["conditional", "with intervals"].map(|how| format!("power, {how}: {at}"));
        calibrate_all(
            [Claim::power(&texts[0], conditional), Claim::power(&texts[1], by_interval)],
            |random| {
                let drawn = drawn(intervals, mean, ratio, random);
                let sides = events::conditional(total(&drawn), 1.0).unwrap();
                let tested = interval::events(&drawn).sides(Boundary::Ratio(1.0)).unwrap();
                [sides.greater.rejects(0.001), tested.sides().greater.rejects(0.001)]
            },
        );
    }
}
