//! Is the canary's cohort like the population that it stands for?
//!
//! A comparison is of two versions only if its arms have like users. This room asks whether they have: is the split the planned one, is any
//! kind of user missing, is the mix of regions, devices or plans another, and by how much could that move a metric?
//!
//! | question | function |
//! |---|---|
//! | all of it, with one answer | [`assess`] |
//! | are there as many users in each arm as planned? | [`split`] |
//! | are users in both arms? | [`crossover`] |
//! | is the mix of levels another, at all? | [`goodness_of_fit`], [`homogeneity`], [`exact_fit`], [`exact_homogeneity`] |
//! | by how much? | [`cohen_w`], [`total_variation`], [`stability_index`], [`level_difference`] |
//! | are continuous covariates alike? | [`covariate`], [`mahalanobis`] |
//! | which weights make up for it, and what do they cost? | [`poststratify`], [`rake`], [`worth`] |
//! | what of a difference is the mix? do strata agree with the whole? | [`kitagawa`], [`agreement`] |
//! | how many users would it take to know? | [`users_needed`], [`detectable_w`], [`users_to_see`] |
//!
//! A p value alone decides nothing here: with enough users every cohort differs from its population, and with few every difference is
//! chance. So each answer rests on a p value and on a bound of the size ([the rule](self#the-rule)), and what is not known to be
//! alike is [`Underpowered`](Status::Underpowered), never representative.
//!
//! **Units.** All tests count what was assigned to an arm independently of all else, most often users. Requests of a user are not
//! that: [`Unit::Requests`] asks for their sums of squares, and pays for them.
//!
//! # The rule
//!
//! For each dimension, in this order, with p adjusted by Holm over all that is asked:
//!
//! 1. p is at most alpha, and levels without any canary user hold 1 % of the reference more than chance leaves out:
//!    **biased by coverage**. No weight brings back who is not there.
//! 2. p is at most alpha, and the debiased w is at least .05: **biased by a shift**.
//! 3. the upper bound of w is below .10: **representative**. p may be at most alpha here: with millions of users a difference that does no
//!    harm is shown. Of so few users that not every other like cohort would get there, a low bound is luck and does not count.
//! 4. else **underpowered**: so many users are needed. "Not significant" alone is never representative.
//!
//! Of unknown labels, the difference must also be 1 % of the users to be a bias, and is near below that.
//!
//! Any bias is the cohort's; then any lack of users; else it is representative. A w of .10 moves no metric by more than a tenth of its
//! standard deviation between the levels.
//!
//! **Error rates.** A cohort that is drawn like its population is called biased with probability alpha at most, over all dimensions, in large
//! samples; with the default of .001 it is at most .002 from 200 users on, also of requests, with their sums of squares. A dimension that differs by w = .10 or more is called
//! representative with probability 1 - confidence at most. Each holds for **one** look.

mod assess;
mod chi_square;
mod composition;
mod covariate;
mod crossover;
mod design;
mod dimension;
mod exact;
mod examine;
mod findings;
mod multivariate;
mod plan;
mod size;
mod split;
mod table;
mod tally;
mod weights;

pub use assess::{Cohort, NamedCovariate, SplitPlan, assess};
pub use chi_square::{ChiSquare, goodness_of_fit, homogeneity, likelihood_ratio, likelihood_ratio_fit};
pub use composition::{Agreement, Decomposition, StratumMean, agreement, kitagawa};
pub use covariate::{
    Covariate, CovariateReport, Standardised, StandardisedBy, covariate, level_difference, standardised,
};
pub use crossover::{Crossover, CrossoverReport, crossover};
pub use design::Design;
pub use dimension::{Dimension, DimensionReport, LevelReport, Method, MetricBias, Rare, Reference, Unit};
pub use exact::{exact_fit, exact_homogeneity};
pub use findings::{Asked, Bias, CohortReport, CovariateFinding, DimensionFinding, Status};
pub use multivariate::{Mahalanobis, mahalanobis};
pub use plan::{canary_users, chance_beyond, detectable_w, users_needed, users_to_certify, users_to_see};
pub use size::{CohenW, Zeros, cohen_w, stability_index, total_variation};
pub use split::{SplitReport, split};
pub use tally::{Tally, tally};
pub use weights::{RakeDesign, Raked, Weights, poststratify, rake, worth};
