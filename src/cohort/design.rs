//! What decides whether a cohort is like its population.

use serde::{Deserialize, Serialize};

use super::dimension::Rare;
use super::size::check_confidence;
use crate::error::Error;
use crate::evidence::Tolerance;

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Design {
    /// The chance of calling a like cohort biased, over all dimensions; and by its split. Default .001.
    pub alpha: f64,
    /// A shift of a debiased w below this is no bias. Default .05.
    pub min_w: f64,
    /// A w that is surely below this is representative. Default .10.
    pub max_w: f64,
    /// How surely. Default .95.
    pub confidence: f64,
    /// The share of the reference that must have canary users at all. Default .99.
    pub min_coverage: f64,
    /// The share of the smaller arm's users who may be in both. Default .01.
    pub max_crossover: f64,
    /// How far an arm may be from its planned share, relative to it. Default .025: a load balancer's 51/49 for 50/50 is within.
    pub tolerance: Tolerance,
    /// The least that weighted users may be worth for a shift to be correctable: the effective over the actual number. Default .5.
    pub min_weighted_worth: f64,
    /// What becomes of rare levels.
    pub rare: Rare,
    /// The most tables that are drawn. Default 9,999; p is no less than 1 over one more.
    pub draws: u64,
    /// For drawing.
    pub seed: u64,
}

impl Default for Design {
    fn default() -> Design {
        Design {
            alpha: 0.001,
            min_w: 0.05,
            max_w: 0.10,
            confidence: 0.95,
            min_coverage: 0.99,
            max_crossover: 0.01,
            tolerance: Tolerance::known(0.025),
            min_weighted_worth: 0.5,
            rare: Rare::default(),
            draws: 9_999,
            seed: 0,
        }
    }
}

impl Design {
    /// Whether every number is one that means something.
    ///
    /// # Errors
    /// The first that does not, with its name.
    pub fn check(&self) -> Result<(), Error> {
        let within = [
            ("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 1.0),
            ("minW", self.min_w, self.min_w >= 0.0 && self.min_w < self.max_w),
            ("maxW", self.max_w, self.max_w > 0.0 && self.max_w <= 1.0),
            ("minCoverage", self.min_coverage, (0.0..=1.0).contains(&self.min_coverage)),
            ("maxCrossover", self.max_crossover, (0.0..1.0).contains(&self.max_crossover)),
            ("minWeightedWorth", self.min_weighted_worth, (0.0..=1.0).contains(&self.min_weighted_worth)),
        ];
        if let Some((name, value, _)) = within.iter().find(|(_, _, holds)| !holds) {
            return Err(Error::value(format!("{value} is out of range")).at(*name));
        }
        check_confidence(self.confidence)?;
        if !(1..=1_000_000).contains(&self.draws) {
            return Err(Error::value(format!("{} is not from 1 to a million", self.draws)).at("draws"));
        }
        match self.rare {
            Rare::Pool { below } if !(1.0..=1e6).contains(&below) => {
                Err(Error::value(format!("{below} is not from 1 to a million")).at("rare.pool.below"))
            }
            _ => Ok(()),
        }
    }
}
