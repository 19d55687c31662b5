//! Error budgets and burn rates: how fast a service spends the errors that its objective allows, and who spends them.
//!
//! An [`Objective`] gives a budget. [`Windows`] hold what was seen over many windows at once, [`Rule`]s say when a burn rate is too
//! high in two of them, and [`Alerts`] watch these. [`Canary`] watches both arms: whether the canary burns several times as fast
//! as the baseline, what it costs, and what would come of promoting it.
//!
//! Thresholds are compared as exact fractions: a rule fires above its factor, never at it, and never by a rounding.

mod alert;
mod burn;
mod canary;
mod counter;
mod fraction;
mod indicator;
mod objective;
mod relative;
mod rule;
mod saved;
mod window;

pub use alert::{Alert, Alerts, Caution, State};
pub use burn::{BurnInterval, above, e_value, interval};
pub use canary::{Burning, Canary, CanaryDesign};
pub use counter::{Bucketed, CounterPair, from_counters};
pub use fraction::Fraction;
pub use indicator::{Slower, slice, slower_than};
pub use objective::Objective;
pub use relative::{Burn, Excess, Impact, Relative, RelativeRule, impact};
pub use rule::{Generated, Response, Rule, Severity};
pub use saved::CanaryState;
pub use window::{Accepted, Tally, WindowDesign, WindowSum, Windows};
