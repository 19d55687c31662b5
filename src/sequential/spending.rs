//! A few planned looks at a normal statistic: how much of alpha each may spend (Lan and DeMets 1983).
//!
//! For a canary that is judged at a handful of instants, such as after 10, 20, 40 and 60 minutes. The statistic is a z value
//! whose increments are independent: with B(t) = z sqrt(t), B moves from look to look by a normal amount of variance equal
//! to the information gained. The information t is the share of what the last look will have: requests so far over requests
//! planned, or one over the variance of the estimate. A spending function says how much of alpha may be used up by t; each bound is
//! the one at which the probability of crossing it, and none before, is what is newly allowed. Neither the number of looks
//! nor their times need be known beforehand, as long as they do not depend on what was seen.
//!
//! The probabilities are integrated look by look (Armitage, McPherson and Rowe 1969) by Gauss and Legendre's rule on panels of two
//! standard deviations; bounds are right to 1e-10.
//!
//! **It is asymptotic**: z must be nearly normal at every look, the first and smallest one included. With few events it is not, and
//! bounds far out are missed or met much more often than stated. It is also no e-process: asking between the planned looks,
//! or after the last, is not covered. For looks at any time take one of the processes of [`sequential`](super).

use serde::{Deserialize, Serialize};

use super::process::{Schema, text};
use crate::error::{Error, ErrorKind};
use crate::evidence::Guarantee;
use crate::special::normal::{ln_normal_sf, normal_quantile};
use crate::special::quadrature::{nodes, panels};
use crate::special::root::find_zero;

/// Looks at most; and the least gain of information of each, as a share of what there is then.
const MOST_LOOKS: usize = 50;
const LEAST_GAIN: f64 = 1e-3;
/// The smallest alpha of a constant.
const LEAST_ALPHA: f64 = 1e-20;
/// What is less is not spent: the bound is infinite.
const NOTHING: f64 = 1e-30;
/// Beyond this z nothing happens that matters.
const FAR: f64 = 13.0;
/// How far an increment is followed, in standard deviations.
const REACH: f64 = 9.0;

/// How alpha is spent as information grows from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spending {
    /// `2 - 2 Phi(z(1 - alpha/2)/sqrt(t))`: next to nothing early, so that the last bound is near that of a single look
    /// (Lan and DeMets 1983, alpha1*).
    OBrienFleming,
    /// `alpha ln(1 + (e - 1) t)`: bounds that stay about the same (alpha2*).
    Pocock,
    /// `alpha t^exponent` (Kim and DeMets 1987): 1 is much like Pocock, 3 much like O'Brien and Fleming.
    Power {
        /// The exponent, above 0.
        #[serde(with = "text")]
        exponent: f64,
    },
}

impl Spending {
    /// How much of `alpha` may be spent by the information `t`; a `t` outside \[0, 1\] counts as the nearer end.
    ///
    /// ```
    /// use serinus::sequential::spending::Spending;
    /// assert!((Spending::Pocock.spent(0.05, 0.5) - 0.031_006).abs() < 1e-6);
    /// assert!((Spending::OBrienFleming.spent(0.05, 0.5) - 0.005_575).abs() < 1e-6);
    /// assert_eq!(Spending::Power { exponent: 2.0 }.spent(0.05, 0.5), 0.0125);
    /// ```
    #[must_use]
    pub fn spent(self, alpha: f64, t: f64) -> f64 {
        if t.is_nan() || t <= 0.0 {
            return 0.0;
        }
        if t >= 1.0 {
            return alpha;
        }
        match self {
            Spending::OBrienFleming => {
                let z = -normal_quantile(0.5 * alpha);
                2.0 * libm::exp(ln_normal_sf(z / libm::sqrt(t)))
            }
            Spending::Pocock => alpha * libm::log1p((core::f64::consts::E - 1.0) * t),
            Spending::Power { exponent } => alpha * libm::pow(t, exponent),
        }
    }
}

/// Which z values are rejected, and how alpha is shared between the sides.
///
/// The two conventions for two sides differ only for [`Spending::OBrienFleming`], which is not proportional to alpha: at five looks and
/// alpha .05 the first bound is 4.38 with `TwoSided` and 4.88 with `EachSide`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alternative {
    /// z at or above the bound.
    Greater,
    /// z at or beyond the bound on either side; the spending function of alpha is that of both together.
    TwoSided,
    /// The same, but each side spends by the function of alpha/2, as R's gsDesign and ldbounds do.
    EachSide,
}

/// What is fixed before the first look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpendingDesign {
    /// The spending function.
    pub spending: Spending,
    /// The sides.
    pub alternative: Alternative,
    /// The probability of rejecting a true null hypothesis at any of the looks.
    #[serde(with = "text")]
    pub alpha: f64,
}

impl SpendingDesign {
    fn check(&self) -> Result<(), Error> {
        check_alpha(self.alpha)?;
        match self.spending {
            Spending::Power { exponent } if !(exponent > 0.0 && exponent.is_finite()) => {
                Err(Error::value(format!("exponent {exponent} of the spending is not above 0")))
            }
            _ => Ok(()),
        }
    }

    fn spent(&self, t: f64) -> f64 {
        match self.alternative {
            Alternative::Greater | Alternative::TwoSided => self.spending.spent(self.alpha, t),
            Alternative::EachSide => 2.0 * self.spending.spent(0.5 * self.alpha, t),
        }
    }
}

/// One look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Look {
    /// The information, in (0, 1\].
    #[serde(with = "text")]
    pub information: f64,
    /// How much of alpha is spent by now.
    #[serde(with = "text")]
    pub spent: f64,
    /// The z from which on the null hypothesis is rejected (of either sign, where the design has two sides); infinite where less
    /// than 1e-30 may be spent.
    #[serde(with = "text")]
    pub bound: f64,
}

/// How often the bounds are crossed where the effect is not that of the null hypothesis.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Crossing {
    /// The probability that the first bound crossed is an upper one.
    pub greater: f64,
    /// That it is a lower one; 0 with one side.
    pub less: f64,
    /// The expected information at the end: at the first crossing, or at the last of the looks.
    pub information: f64,
}

/// The looks so far, and the bound of the next one.
///
/// Compare z with [`Look::bound`]; once it is crossed the test is over. Nothing of the data enters here, and the design need not
/// say when the looks will be.
///
/// ```
/// use serinus::sequential::spending::{Alternative, GroupSequential, Spending, SpendingDesign};
/// let design =
///     SpendingDesign { spending: Spending::OBrienFleming, alternative: Alternative::EachSide, alpha: 0.05 };
/// let mut looks = GroupSequential::new(design)?;
/// let bounds: Vec<f64> = [0.2, 0.4, 0.6, 0.8, 1.0]
///     .map(|t| looks.look(t).map(|look| look.bound))
///     .into_iter()
///     .collect::<Result<_, _>>()?;
/// for (bound, published) in bounds.iter().zip([4.877, 3.357, 2.680, 2.290, 2.031]) {
///     assert!((bound - published).abs() < 5e-4); // Jennison and Turnbull 2000, gsDesign
/// }
/// assert!(looks.look(0.9).is_err()); // information does not shrink
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Saved")]
pub struct GroupSequential {
    schema: Schema,
    design: SpendingDesign,
    looks: Vec<Look>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    design: SpendingDesign,
    looks: Vec<Look>,
}

impl TryFrom<Saved> for GroupSequential {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<GroupSequential, Error> {
        let mut read = GroupSequential::new(saved.design)?;
        read.schema = saved.schema;
        for look in saved.looks {
            read.check(look.information)?;
            let least = if read.sides() == Sides::Both { 0.0 } else { -FAR };
            if look.spent != read.design.spent(look.information) || look.bound < least {
                let message = format!("no run leaves {look:?}");
                return Err(Error::new(ErrorKind::State, message));
            }
            read.looks.push(look);
        }
        Ok(read)
    }
}

impl GroupSequential {
    /// Before the first look.
    ///
    /// # Errors
    /// An alpha that is not between 0 and 1, or an exponent that is not positive and finite.
    pub fn new(design: SpendingDesign) -> Result<GroupSequential, Error> {
        design.check()?;
        Ok(GroupSequential { schema: Schema, design, looks: Vec::new() })
    }

    /// What was fixed before the first look.
    #[must_use]
    pub fn design(&self) -> &SpendingDesign {
        &self.design
    }

    /// The looks so far.
    #[must_use]
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// What the error rate rests on.
    #[must_use]
    pub fn guarantee(&self) -> Guarantee {
        Guarantee::Asymptotic
    }

    /// What must be true of the data, in words.
    #[must_use]
    pub fn assumptions(&self) -> &'static [&'static str] {
        &[
            "z is normal at every look, with independent increments",
            "when to look does not depend on what was seen",
        ]
    }

    /// The next look, at this share of the whole information.
    ///
    /// # Errors
    /// Information outside (0, 1\], or not above that of the last look by at least 1e-3 of itself; more than 50 looks. The
    /// state stays as it was.
    pub fn look(&mut self, information: f64) -> Result<Look, Error> {
        self.check(information)?;
        let spent = self.design.spent(information);
        let (before, density) = match self.looks.last() {
            None => (0.0, Density::START),
            Some(last) => (last.spent, self.density(0.0, information, |_, _| ())),
        };
        let bound = density.bound(information, spent - before, self.sides())?;
        let look = Look { information, spent, bound };
        self.looks.push(look);
        Ok(look)
    }

    /// How often these looks cross a bound, where z is expected to be `drift` at information 1 (and `drift sqrt(t)` at t); the
    /// power for that effect, and alpha for a drift of 0.
    ///
    /// # Errors
    /// A drift beyond 1000 in size.
    ///
    /// ```
    /// use serinus::sequential::spending::{Alternative, GroupSequential, Spending, SpendingDesign};
    /// let design = SpendingDesign { spending: Spending::Pocock, alternative: Alternative::Greater, alpha: 0.05 };
    /// let mut looks = GroupSequential::new(design)?;
    /// for t in [0.25, 0.5, 0.75, 1.0] {
    ///     looks.look(t)?;
    /// }
    /// assert!((looks.crossing(0.0)?.greater - 0.05).abs() < 1e-12);
    /// let power = looks.crossing(3.0)?;
    /// assert!(power.greater > 0.8 && power.information < 0.7); // a single look has .91
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn crossing(&self, drift: f64) -> Result<Crossing, Error> {
        if drift.is_nan() || drift.abs() > 1000.0 {
            return Err(Error::value(format!("drift {drift} is not within 1000")));
        }
        let mut crossing = Crossing { greater: 0.0, less: 0.0, information: 0.0 };
        let (mut before, mut going_on) = (0.0, 1.0);
        let last = self.looks.last().map_or(0.0, |look| look.information);
        self.density(drift, last, |look, [greater, less]| {
            crossing.information += going_on * (look.information - before);
            crossing.greater += greater;
            crossing.less += less;
            (before, going_on) = (look.information, (going_on - greater - less).max(0.0));
        });
        Ok(crossing)
    }

    fn check(&self, information: f64) -> Result<(), Error> {
        let last = self.looks.last().map_or(0.0, |look| look.information);
        if !(information > 0.0 && information <= 1.0) || information - last < LEAST_GAIN * information {
            return Err(Error::value(format!(
                "information {information} after {last}: not more, or not in (0, 1]"
            )));
        }
        if self.looks.len() >= MOST_LOOKS {
            return Err(Error::value(format!("more than {MOST_LOOKS} looks")));
        }
        Ok(())
    }

    fn sides(&self) -> Sides {
        match self.design.alternative {
            Alternative::Greater => Sides::Upper,
            Alternative::TwoSided | Alternative::EachSide => Sides::Both,
        }
    }

    /// What is left after all looks for a later one at `next`, if that is later; tells what crosses at each.
    fn density(&self, drift: f64, next: f64, mut tell: impl FnMut(&Look, [f64; 2])) -> Density {
        let sides = self.sides();
        let mut density = Density { drift, ..Density::START };
        for (i, look) in self.looks.iter().enumerate() {
            tell(look, density.crossing(look.information, look.bound, sides));
            let then = self.looks.get(i + 1).map_or(next, |look| look.information);
            if then <= look.information {
                break;
            }
            density = density.after(look.information, look.bound, sides, then);
        }
        density
    }
}

/// The constant bound for looks at equal distances: z at or beyond it at any of them has probability alpha (Pocock 1977, table 1).
///
/// # Errors
/// No look or more than 50; an alpha below 1e-20 or not below 1.
///
/// ```
/// use serinus::sequential::spending::{Alternative, pocock};
/// assert!((pocock(5, 0.05, Alternative::TwoSided)? - 2.413).abs() < 5e-4);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn pocock(looks: u32, alpha: f64, alternative: Alternative) -> Result<f64, Error> {
    constant(looks, alpha, alternative, |_| 1.0)
}

/// The bound at the last of so many looks at equal distances, if that at look k is larger by `sqrt(looks/k)` (O'Brien and
/// Fleming 1979, table 1, whose constant is its square).
///
/// # Errors
/// No look or more than 50; an alpha below 1e-20 or not below 1.
///
/// ```
/// use serinus::sequential::spending::{Alternative, obrien_fleming};
/// assert!((obrien_fleming(5, 0.05, Alternative::TwoSided)? - 2.040).abs() < 5e-4);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn obrien_fleming(looks: u32, alpha: f64, alternative: Alternative) -> Result<f64, Error> {
    constant(looks, alpha, alternative, |t| 1.0 / libm::sqrt(t))
}

fn constant(looks: u32, alpha: f64, alternative: Alternative, shape: fn(f64) -> f64) -> Result<f64, Error> {
    check_alpha(alpha)?;
    if alpha < LEAST_ALPHA {
        return Err(Error::value(format!("alpha {alpha} is below {LEAST_ALPHA}")));
    }
    if !(1..=MOST_LOOKS as u32).contains(&looks) {
        return Err(Error::value(format!("{looks} looks are not 1 to {MOST_LOOKS}")));
    }
    let design = SpendingDesign { spending: Spending::Pocock, alternative, alpha };
    let mut all = GroupSequential::new(design)?;
    let crosses = |constant: f64| {
        all.looks.clear();
        all.looks.extend((1..=looks).map(|k| {
            let information = f64::from(k) / f64::from(looks);
            Look { information, spent: 0.0, bound: constant * shape(information) }
        }));
        let Crossing { greater, less, .. } = all.crossing(0.0)?;
        Ok(libm::log((greater + less) / alpha).max(-800.0))
    };
    // Of one look, and of so many that each has its share.
    let sides = if alternative == Alternative::Greater { 1.0 } else { 2.0 };
    let [one, many] = [alpha / sides, alpha / (sides * f64::from(looks))].map(|p| -normal_quantile(p));
    if looks == 1 { Ok(one) } else { find_zero(one.min(0.0), many + 1.0, 1e-13, crosses) }
}

fn check_alpha(alpha: f64) -> Result<(), Error> {
    if alpha > 0.0 && alpha < 1.0 {
        Ok(())
    } else {
        Err(Error::value(format!("alpha {alpha} is not between 0 and 1")))
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sides {
    Upper,
    Both,
}

/// Where B is at the time of a look, if it crossed no bound: probabilities at increasing places.
#[derive(Debug, Clone)]
struct Density {
    time: f64,
    drift: f64,
    places: Vec<f64>,
    masses: Vec<f64>,
    /// Before the first look B is 0, for certain.
    started: bool,
}

impl Density {
    const START: Density =
        Density { time: 0.0, drift: 0.0, places: Vec::new(), masses: Vec::new(), started: false };

    fn masses(&self) -> impl Iterator<Item = (f64, f64)> {
        let start = (!self.started).then_some((0.0, 1.0));
        start.into_iter().chain(self.places.iter().copied().zip(self.masses.iter().copied()))
    }

    /// The probabilities that z at time t lies at or beyond the bound: above, and below.
    fn crossing(&self, t: f64, bound: f64, sides: Sides) -> [f64; 2] {
        let gain = t - self.time;
        let (deviation, edge) = (libm::sqrt(gain), bound * libm::sqrt(t));
        let beyond = |distance: f64| libm::exp(ln_normal_sf(distance / deviation));
        let shift = self.drift * gain;
        let above = self.masses().map(|(at, mass)| mass * beyond(edge - at - shift)).sum();
        let below = match sides {
            Sides::Upper => 0.0,
            Sides::Both => self.masses().map(|(at, mass)| mass * beyond(edge + at + shift)).sum(),
        };
        [above, below]
    }

    /// The bound at time t that is crossed with this probability.
    fn bound(&self, t: f64, probability: f64, sides: Sides) -> Result<f64, Error> {
        if probability <= NOTHING {
            return Ok(f64::INFINITY);
        }
        let least = if sides == Sides::Both { 0.0 } else { -FAR };
        find_zero(least, FAR, 1e-13, |bound| {
            let [above, below] = self.crossing(t, bound, sides);
            // A float of the probability may underflow far out.
            Ok(libm::log((above + below) / probability).max(-800.0))
        })
    }

    /// What lies inside the bound at time t, for a next look at `next`.
    fn after(&self, t: f64, bound: f64, sides: Sides, next: f64) -> Density {
        let (gain, scale, mean) = (t - self.time, libm::sqrt(t), self.drift * t);
        let deviation = libm::sqrt(gain);
        let high = (bound * scale).min(mean + FAR * scale);
        let low = match sides {
            Sides::Upper => mean - FAR * scale,
            Sides::Both => (-bound * scale).max(mean - FAR * scale),
        };
        let mut after = Density { time: t, started: true, ..Density { drift: self.drift, ..Density::START } };
        if low >= high {
            return after;
        }
        let finest = libm::sqrt(gain.min(next - t));
        let count = panels(low, high, 2.0 * finest) as usize;
        let masses: Vec<(f64, f64)> = self.masses().collect();
        for node in nodes(low, high, count) {
            let from = node.at - self.drift * gain;
            let first = masses.partition_point(|(at, _)| *at < from - REACH * deviation);
            let near = masses.iter().skip(first).take_while(|(at, _)| *at <= from + REACH * deviation);
            let sum: f64 = near
                .map(|(at, mass)| {
                    let z = (from - at) / deviation;
                    mass * libm::exp(-0.5 * z * z)
                })
                .sum();
            after.places.push(node.at);
            after.masses.push(node.weight * sum * FRAC_1_SQRT_2PI / deviation);
        }
        after
    }
}

/// `1 / sqrt(2 pi)`.
const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
