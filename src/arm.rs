//! The two arms of a canary release.

use core::fmt;

use serde::{Deserialize, Serialize};

/// One side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// What serves users today.
    Baseline,
    /// The change under test.
    Canary,
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Arm::Baseline => "baseline",
            Arm::Canary => "canary",
        })
    }
}

/// The same thing, seen in both arms.
///
/// ```
/// use serinus::{Arm, Arms};
/// let requests = Arms { baseline: 990, canary: 10 };
/// assert_eq!(requests.map(|n| n * 2).canary, 20);
/// assert_eq!(requests[Arm::Baseline], 990);
/// assert_eq!(requests.swapped().canary, 990);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Arms<T> {
    /// The baseline's.
    pub baseline: T,
    /// The canary's.
    pub canary: T,
}

impl<T> Arms<T> {
    /// Applies `f` to each arm.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Arms<U> {
        Arms { baseline: f(self.baseline), canary: f(self.canary) }
    }

    /// Applies a fallible `f` to each arm, the baseline first.
    ///
    /// # Errors
    /// The first error that `f` returns.
    pub fn try_map<U, E>(self, mut f: impl FnMut(T) -> Result<U, E>) -> Result<Arms<U>, E> {
        Ok(Arms { baseline: f(self.baseline)?, canary: f(self.canary)? })
    }

    /// Makes one value an arm.
    pub fn from_fn(mut f: impl FnMut(Arm) -> T) -> Arms<T> {
        Arms { baseline: f(Arm::Baseline), canary: f(Arm::Canary) }
    }

    /// Borrows both.
    pub fn as_ref(&self) -> Arms<&T> {
        Arms { baseline: &self.baseline, canary: &self.canary }
    }

    /// The arms with their roles exchanged.
    #[must_use]
    pub fn swapped(self) -> Arms<T> {
        Arms { baseline: self.canary, canary: self.baseline }
    }
}

impl<T> core::ops::Index<Arm> for Arms<T> {
    type Output = T;
    fn index(&self, arm: Arm) -> &T {
        match arm {
            Arm::Baseline => &self.baseline,
            Arm::Canary => &self.canary,
        }
    }
}

impl<T> core::ops::IndexMut<Arm> for Arms<T> {
    fn index_mut(&mut self, arm: Arm) -> &mut T {
        match arm {
            Arm::Baseline => &mut self.baseline,
            Arm::Canary => &mut self.canary,
        }
    }
}
