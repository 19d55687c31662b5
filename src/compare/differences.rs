//! Difference in differences: how much more the canary's mean changed than the baseline's.
//!
//! For arms that were unlike before the change (regions, machines or customers that were not drawn by lot), and for a
//! baseline that was not observed at the same time as the canary but has a past of its own. What is expected of the canary is
//! what it was, moved as the baseline moved:
//!
//! `expected = before.canary + (after.baseline - before.baseline)`,
//!
//! and `after.canary - expected` is the effect. The four cells are means of independent units, so `t` is that of Welch with
//! four variances and Satterthwaite's degrees of freedom over all four.
//!
//! **Parallel trends**: without the change, both arms would have moved alike. Two periods cannot show that; look at periods before
//! them. Alike means by the same amount: arms at unlike levels that grow by the same percentage do not. The guarantee is therefore
//! a model's, whatever the number of units.
//!
//! A ratio here is the canary's mean over the one expected of it, so that a relative margin is a share of what the canary would
//! have been: `after.canary - r expected` is a sum of independent means like the other, and Fieller's interval holds. It needs
//! what is expected to be above 0.
//!
//! **Where the same units are seen before and after**, the cells are not independent, and this test is too weak: take each
//! unit's own difference, after minus before, and compare those by [`moments`](super::moments); or, better, what is seen
//! after as outcomes with what was seen before as a covariate ([`cuped`](super::cuped)), if the arms were drawn by lot.
//!
//! Sources: Ashenfelter and Card 1985; Angrist and Pischke, *Mostly Harmless Econometrics*, 2009, section 5.2; Satterthwaite 1946
//! for the degrees of freedom.

use crate::arm::Arms;
use crate::compare::moments::Against;
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Measure};
use crate::telemetry::Moments;

/// The units of both arms before the change and after it: four groups of units, of which none is in two.
///
/// ```
/// use serinus::{Arms, compare::{differences::Cells, question::Boundary}, telemetry::Moments};
/// let before = Arms { baseline: Moments::of(&[9.0, 10.0, 11.0])?, canary: Moments::of(&[19.0, 20.0, 21.0])? };
/// let after = Arms { baseline: Moments::of(&[11.0, 12.0, 13.0])?, canary: Moments::of(&[24.0, 25.0, 26.0])? };
/// let cells = Cells::new(before, after)?;
/// assert_eq!(cells.expected(), 22.0); // 20, and 2 more as in the baseline
/// let effect = cells.difference(0.95)?;
/// assert_eq!(effect.estimate, Some(3.0));
/// // 3 -+ 2.306 * sqrt(4/3), with 8 degrees of freedom
/// assert!((effect.interval.low.unwrap() - 0.337_256).abs() < 1e-6);
/// let p = cells.sides(Boundary::Difference(0.0))?.greater.value();
/// assert!((p - 0.015_856).abs() < 1e-6); // t = 2.598
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cells {
    before: Arms<Moments>,
    after: Arms<Moments>,
}

impl Cells {
    /// From the arms' units before and after the change.
    ///
    /// # Errors
    /// Means so large that what is expected of the canary is beyond a float.
    pub fn new(before: Arms<Moments>, after: Arms<Moments>) -> Result<Cells, Error> {
        let cells = Cells { before, after };
        if cells.expected().is_finite() {
            Ok(cells)
        } else {
            Err(Error::value("the mean expected of the canary is beyond a float").at("differences"))
        }
    }

    /// Before the change.
    #[must_use]
    pub fn before(&self) -> Arms<Moments> {
        self.before
    }

    /// After it.
    #[must_use]
    pub fn after(&self) -> Arms<Moments> {
        self.after
    }

    /// The canary's mean after the change, had it moved as the baseline's did.
    #[must_use]
    pub fn expected(&self) -> f64 {
        self.with(|against| against.expected())
    }

    /// Whether the canary's mean after the change is above or below a boundary, a ratio or a difference to
    /// [what is expected of it](Cells::expected). Nothing is shown with fewer than two units in a cell.
    ///
    /// # Errors
    /// Those of [`moments::sides`](super::moments::sides), of the mean that is expected.
    pub fn sides(&self, boundary: Boundary) -> Result<Sides, Error> {
        self.with(|against| against.sides(boundary))
    }

    /// The canary's change less the baseline's, with its interval.
    ///
    /// # Errors
    /// A level that is not between 0 and 1.
    pub fn difference(&self, level: f64) -> Result<Effect, Error> {
        self.with(|against| against.difference(Measure::DifferenceInDifferences, level))
    }

    /// The canary's mean after the change over [the one expected](Cells::expected), with Fieller's interval, which is unbounded
    /// where that is not shown to be positive.
    ///
    /// # Errors
    /// A level that is not between 0 and 1.
    pub fn ratio(&self, level: f64) -> Result<Effect, Error> {
        self.with(|against| against.ratio(Measure::RatioToExpected, level))
    }

    fn with<T>(&self, ask: impl FnOnce(&Against) -> T) -> T {
        let Cells { before, after } = self;
        let expected = [(1.0, before.canary), (1.0, after.baseline), (-1.0, before.baseline)];
        ask(&Against { canary: after.canary, expected: &expected })
    }

    /// The same with `factor` times as many units after the change; the past does not grow.
    pub(crate) fn repeated(&self, factor: u64) -> Option<Cells> {
        let Arms { baseline, canary } = self.after.map(|moments| moments.repeated(factor));
        Cells::new(self.before, Arms { baseline: baseline?, canary: canary? }).ok()
    }
}
