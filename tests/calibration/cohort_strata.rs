//! Strata at the mix of a population: how often a canary that is no worse with like users is called harmed, and one at the margin safe.

use serinus::Arms;
use serinus::cohort::agreement;
use serinus::compare::{
    counts::{StandardStratum, standardised},
    question::Boundary,
};
use serinus::synth::Random;
use serinus::telemetry::Counts;

use crate::calibrate::{Claim, calibrate, calibrate_all};

/// Shares of the population, of each arm's users, and what fails in each stratum of the baseline.
struct World {
    what: &'static str,
    population: [f64; 3],
    mix: Arms<[f64; 3]>,
    users: Arms<u64>,
    fails: [f64; 3],
}

const EVEN: [f64; 3] = [0.5, 0.3, 0.2];

fn worlds() -> [World; 3] {
    [
        World {
            what: "2,000 users an arm, another mix in the canary",
            population: EVEN,
            mix: Arms { baseline: EVEN, canary: [0.2, 0.3, 0.5] },
            users: Arms { baseline: 2_000, canary: 2_000 },
            fails: [0.02, 0.05, 0.15],
        },
        World {
            what: "500 of the canary against 5,000, another mix in both",
            population: EVEN,
            mix: Arms { baseline: [0.6, 0.3, 0.1], canary: [0.2, 0.3, 0.5] },
            users: Arms { baseline: 5_000, canary: 500 },
            fails: [0.05, 0.05, 0.2],
        },
        World {
            what: "300 users an arm, most fail in one stratum",
            population: EVEN,
            mix: Arms { baseline: EVEN, canary: [0.3, 0.4, 0.3] },
            users: Arms { baseline: 300, canary: 300 },
            fails: [0.1, 0.3, 0.7],
        },
    ]
}

impl World {
    /// What both arms see, if the canary's users fail so much more often in each stratum.
    fn draw(&self, worse: f64, random: &mut Random) -> Vec<StandardStratum> {
        let stratum = |h: usize| {
            let mut arm = |mix: &[f64; 3], users: u64, fails: f64| {
                let total = (mix[h] * users as f64) as u64;
                Counts::new(random.binomial(total, fails), total).unwrap()
            };
            let baseline = arm(&self.mix.baseline, self.users.baseline, self.fails[h]);
            let canary = arm(&self.mix.canary, self.users.canary, self.fails[h] + worse);
            StandardStratum { share: self.population[h], arms: Arms { baseline, canary } }
        };
        (0..3).map(stratum).collect()
    }
}

#[test]
fn like_users_are_compared_at_the_level() {
    for world in worlds() {
        let margin = 0.03;
        let texts = [
            format!("at the mix of the population no difference is called harm: {}", world.what),
            format!("at the mix of the population the margin is called safe: {}", world.what),
        ];
        calibrate_all([Claim::level(&texts[0], 0.05), Claim::level(&texts[1], 0.05)], |random| {
            let sides = |worse: f64, boundary: f64, random: &mut Random| {
                let found = standardised(&world.draw(worse, random)).unwrap();
                found.sides(Boundary::Difference(boundary)).unwrap()
            };
            let harm = sides(0.0, 0.0, random).greater.rejects(0.05);
            [harm, sides(margin, margin, random).less.rejects(0.05)]
        });
    }
}

#[test]
fn strata_that_agree_are_called_so() {
    for world in worlds().into_iter().take(1) {
        let text = format!("Gail and Simon call strata without a difference crossed: {}", world.what);
        calibrate(&text, 0.05, |random| {
            let arms: Vec<Arms<Counts>> =
                world.draw(0.0, random).iter().map(|stratum| stratum.arms).collect();
            agreement(&arms, 0.05).unwrap().p_qualitative.rejects(0.05)
        });
    }
}
