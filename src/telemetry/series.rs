//! A gauge over time.

use core::time::Duration;

use crate::{
    error::Error,
    telemetry::{
        Point, Quality,
        points::{in_order, is_gap, median_step, steps},
    },
    time::Timestamp,
};

/// The values of a gauge at instants: in order, one an instant, not empty, free of NaN; infinities rank as extremes, and
/// -0.0 is 0.0.
///
/// `window` is the span before its instant that a value summarises: 5 s for
/// `rate(x[5s])`, zero for a gauge read at an instant. Where it is longer than the step, neighbours share data, and a
/// comparison must leave some out.
///
/// For values of one series, or of an aggregate over an arm. Amounts (requests, errors) belong into
/// [`counter`](crate::telemetry::counter), where nothing is lost to sampling.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Timestamp, telemetry::{Point, Series}};
/// let point = |s: i64, value| Point { at: Timestamp::from_micros(s * 1_000_000), value };
/// let memory = Series::new(vec![point(0, 3.0), point(15, 4.0), point(30, 3.5)], Duration::ZERO)?;
/// assert_eq!(memory.step(), Duration::from_secs(15));
/// let error = Series::new(vec![point(0, 3.0), point(0, 4.0)], Duration::ZERO).unwrap_err();
/// assert_eq!(error.to_string(), "series[1]: a second value at 0.000000s");
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    points: Vec<Point>,
    window: Duration,
}

impl Series {
    /// From points that are already as they should be.
    ///
    /// # Errors
    /// No point; NaN; a point before or at the instant of the one before it. Each is said with its position.
    pub fn new(mut points: Vec<Point>, window: Duration) -> Result<Series, Error> {
        if points.is_empty() {
            return Err(Error::value("no point").at("series"));
        }
        let at = |i: usize, error: Error| Err(error.at(format!("series[{i}]")));
        if let Some(i) = points.iter().position(|p| p.value.is_nan()) {
            return at(i, Error::value("NaN is not a value"));
        }
        if let Some(i) = points.windows(2).position(|pair| pair[1].at <= pair[0].at) {
            let (before, this) = (points[i].at, points[i + 1].at);
            return at(
                i + 1,
                Error::telemetry(if this == before {
                    format!("a second value at {this}")
                } else {
                    format!("{this} comes after {before}")
                }),
            );
        }
        for point in &mut points {
            point.value += 0.0;
        }
        Ok(Series { points, window })
    }

    /// From the points of an export, in whatever order. NaN, which Prometheus writes for a series that went stale, is
    /// dropped, and of each instant all but the first to arrive; every point is used or counted. `None` where none is left.
    ///
    /// ```
    /// use core::time::Duration;
    /// use serinus::{Timestamp, telemetry::{Point, Series}};
    /// let point = |s: i64, value| Point { at: Timestamp::from_micros(s * 1_000_000), value };
    /// let export = [point(15, 4.0), point(0, 3.0), point(15, 4.5), point(30, f64::NAN)];
    /// let (series, quality) = Series::reading(&export, Duration::ZERO);
    /// assert_eq!(series.unwrap().points(), [point(0, 3.0), point(15, 4.0)]);
    /// assert_eq!((quality.used, quality.unordered, quality.conflicting, quality.not_finite), (2, 1, 1, 1));
    /// ```
    #[must_use]
    pub fn reading(points: &[Point], window: Duration) -> (Option<Series>, Quality) {
        let (points, mut quality) = in_order(points, |value, quality| {
            quality.not_finite += u64::from(value.is_nan());
            !value.is_nan()
        });
        quality.used = points.len() as u64;
        let usual = median_step(&points);
        quality.gaps = steps(&points).filter(|span| is_gap(*span, usual)).count() as u64;
        // What is in order, one an instant and free of NaN can only be wrong by being empty.
        (Series::new(points, window).ok(), quality)
    }

    /// The points, the earliest first.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The span before its instant that each value summarises; zero for one read at an instant.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }

    /// The median step between neighbouring points; zero for a single one.
    #[must_use]
    pub fn step(&self) -> Duration {
        median_step(&self.points)
    }

    /// The first instant.
    #[must_use]
    pub fn first(&self) -> Timestamp {
        self.points[0].at
    }

    /// The last instant.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        self.points[self.points.len() - 1].at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[(i64, f64)]) -> Vec<Point> {
        values.iter().map(|&(s, value)| Point { at: Timestamp::from_micros(s * 1_000_000), value }).collect()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (values, expected) in [
            (vec![], "series: no point"),
            (vec![(0, 1.0), (1, f64::NAN)], "series[1]: NaN is not a value"),
            (vec![(0, 1.0), (2, 1.0), (1, 1.0)], "series[2]: 1.000000s comes after 2.000000s"),
            (vec![(0, 1.0), (2, 1.0), (2, 1.0)], "series[2]: a second value at 2.000000s"),
        ] {
            let error = Series::new(points(&values), Duration::ZERO).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn every_point_of_an_export_is_used_or_counted() {
        let inf = f64::INFINITY;
        let export =
            points(&[(3, inf), (1, -2.0), (1, -2.0), (1, 7.0), (2, f64::NAN), (4, -0.0), (5, 1.0), (9, 1.0)]);
        let (series, q) = Series::reading(&export, Duration::from_secs(5));
        let series = series.unwrap();
        assert_eq!(series.points(), points(&[(1, -2.0), (3, inf), (4, 0.0), (5, 1.0), (9, 1.0)]));
        assert_eq!((series.window(), series.step()), (Duration::from_secs(5), Duration::from_secs(2)));
        assert_eq!(q.dropped(), q.duplicates + q.conflicting + q.not_finite);
        assert_eq!((q.points, q.used, q.duplicates, q.conflicting, q.not_finite), (8, 5, 1, 1, 1));
        assert_eq!((q.negative, q.unordered, q.gaps), (0, 1, 1));
        assert_eq!(Series::reading(&points(&[(0, f64::NAN)]), Duration::ZERO).0, None);
    }
}
