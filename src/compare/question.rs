//! The two questions asked of every metric, for every method alike.
//!
//! A margin turns into a [`Boundary`]: the canary that is just as much worse than the baseline as is still
//! acceptable. A method answers, for a boundary, whether the canary is shown to lie above it or below it
//! ([`Sides`]). [`ask`] puts these together:
//!
//! - *harm*: H0 "not worse than the margin"; a small p shows harm.
//! - *safety*: H0 "worse than the margin, or equal to it"; a small p shows safety.
//!
//! With a relative and an absolute margin the larger counts: the canary is harmful only if it is beyond both
//! (intersection-union: the larger p, no correction), and safe if it is within one of them (the smaller p, doubled).
//! [`Direction::Either`] asks the harm question on both sides at half the level each, and the safety question on
//! both sides (two one-sided tests; Schuirmann 1987).

use crate::evidence::{Direction, Margin, PValue};

/// Where the canary would be, were it exactly at the margin.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Boundary {
    /// At this factor times the baseline.
    Ratio(f64),
    /// At the baseline plus this.
    Difference(f64),
    /// At this probability of superiority.
    Superiority(f64),
}

/// A method's answers at one boundary. The two need not add to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Sides {
    /// p value against "the canary is not above the boundary".
    pub greater: PValue,
    /// p value against "the canary is not below the boundary".
    pub less: PValue,
}

impl Sides {
    /// No information either way.
    pub const NOTHING: Sides = Sides { greater: PValue::ONE, less: PValue::ONE };

    /// Valid if either of two methods is: the larger p on each side.
    pub fn max(self, other: Sides) -> Sides {
        Sides { greater: self.greater.max(other.greater), less: self.less.max(other.less) }
    }
}

/// The answers to the two questions.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Answer {
    /// p value of "worse than the margin".
    pub harm: PValue,
    /// p value of "better than the margin".
    pub safety: PValue,
    /// Whether the harm that was asked for last points upwards: for [`Direction::Either`], the side with the
    /// smaller p.
    pub harm_is_high: bool,
}

/// Asks both questions of a method, which answers [`Sides`] for any [`Boundary`].
///
/// A margin without any part is a margin of 0.
///
/// ```
/// use serinus::compare::question::{ask, Boundary, Sides};
/// use serinus::{Direction, Margin, PValue};
///
/// let p = |v| PValue::new(v).unwrap();
/// let margin = Margin { relative: Some(0.25), absolute: Some(0.001), superiority: None };
/// let answer = ask(Direction::HigherIsWorse, &margin, |boundary| match boundary {
///     Boundary::Ratio(_) => Sides { greater: p(0.001), less: p(0.9) },
///     _ => Sides { greater: p(0.6), less: p(0.01) },
/// });
/// assert!((answer.harm.value() - 0.6).abs() < 1e-12); // beyond one margin only
/// assert!((answer.safety.value() - 0.02).abs() < 1e-12); // within the other, doubled
/// ```
pub fn ask(direction: Direction, margin: &Margin, test: impl Fn(Boundary) -> Sides) -> Answer {
    // One direction: the boundaries on that side, each with (harm, safety).
    let one_way = |up: bool| -> (PValue, PValue) {
        let sign = if up { 1.0 } else { -1.0 };
        let parts = [
            margin.relative.map(|m| Boundary::Ratio(1.0 + sign * m)),
            margin.absolute.map(|m| Boundary::Difference(sign * m)),
            margin.superiority.map(|m| Boundary::Superiority(0.5 + sign * m)),
        ];
        let mut boundaries: Vec<Boundary> = parts.into_iter().flatten().collect();
        if boundaries.is_empty() {
            boundaries.push(Boundary::Difference(0.0));
        }
        let answers = boundaries.iter().map(|&boundary| {
            let sides = test(boundary);
            if up { (sides.greater, sides.less) } else { (sides.less, sides.greater) }
        });
        let together = answers.reduce(|a, b| (a.0.max(b.0), a.1.min(b.1)));
        let (harm, safety) = together.unwrap_or((PValue::ONE, PValue::ONE));
        (harm, safety.times(boundaries.len() as u64))
    };
    match direction {
        Direction::HigherIsWorse | Direction::LowerIsWorse => {
            let up = direction == Direction::HigherIsWorse;
            let (harm, safety) = one_way(up);
            Answer { harm, safety, harm_is_high: up }
        }
        Direction::Either => {
            let (high, low) = (one_way(true), one_way(false));
            Answer {
                harm: high.0.min(low.0).times(2),
                safety: high.1.max(low.1),
                harm_is_high: high.0 <= low.0,
            }
        }
    }
}
