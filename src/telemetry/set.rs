//! Series as a monitoring system exports them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::{telemetry::Selector, time::Timestamp};

/// A series' labels, its name among them as `__name__`.
pub type Labels = BTreeMap<String, String>;

/// A value at an instant. The value may be NaN, which Prometheus writes for a series that went stale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// How much.
    pub value: f64,
}

/// Labelled series with their points in the order of arrival; nothing is decided yet.
///
/// Series with equal labels are one series: an export may come in several files, or pages. What duplicates and
/// disorder mean is for [`counter`](crate::telemetry::counter) to say.
///
/// ```
/// use serinus::Timestamp;
/// use serinus::telemetry::{Labels, Point, SeriesSet};
/// let labels = Labels::from([("__name__".into(), "up".into()), ("arm".into(), "canary".into())]);
/// let mut set = SeriesSet::default();
/// set.extend(labels, [Point { at: Timestamp::from_micros(0), value: 1.0 }]);
/// assert_eq!(set.select(&"up{arm=~\"can.*\"}".parse()?).count(), 1);
/// assert_eq!(set.select(&"up{arm=\"can\"}".parse()?).count(), 0);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SeriesSet {
    series: BTreeMap<Labels, Vec<Point>>,
}

impl SeriesSet {
    /// Adds points to the series with these labels.
    pub fn extend(&mut self, labels: Labels, points: impl IntoIterator<Item = Point>) {
        match self.series.entry(labels) {
            Entry::Occupied(mut known) => known.get_mut().extend(points),
            Entry::Vacant(new) => {
                new.insert(points.into_iter().collect());
            }
        }
    }

    /// Adds all that another set holds.
    pub fn merge(&mut self, other: SeriesSet) {
        for (labels, points) in other.series {
            self.extend(labels, points);
        }
    }

    /// The series that a selector matches, ordered by their labels.
    pub fn select<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = (&'a Labels, &'a [Point])> {
        self.iter().filter(|(labels, _)| selector.matches(labels))
    }

    /// All series, ordered by their labels.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &[Point])> {
        self.series.iter().map(|(labels, points)| (labels, points.as_slice()))
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}
