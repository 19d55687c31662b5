//! What every kind of series does first with the points of an export: order, one an instant, the usual step.

use core::time::Duration;

use crate::telemetry::{Point, Quality};

/// Points in order, the first to arrive of each instant. The others are counted, as are those that `usable` turns away; it
/// counts them itself.
pub(super) fn in_order(
    points: &[Point],
    usable: impl Fn(f64, &mut Quality) -> bool,
) -> (Vec<Point>, Quality) {
    let mut quality = Quality { points: points.len() as u64, ..Quality::default() };
    quality.unordered = points.windows(2).filter(|pair| pair[1].at < pair[0].at).count() as u64;
    let mut ordered: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        if usable(point.value, &mut quality) {
            ordered.push(*point);
        }
    }
    // Stable: among equal instants the first to arrive counts.
    ordered.sort_by_key(|p| p.at);
    ordered.dedup_by(|later, first| {
        let same = later.at == first.at;
        if same && later.value == first.value {
            quality.duplicates += 1;
        } else if same {
            quality.conflicting += 1;
        }
        same
    });
    (ordered, quality)
}

/// The spans between neighbouring points.
pub(super) fn steps(points: &[Point]) -> impl Iterator<Item = Duration> {
    points.windows(2).filter_map(|pair| pair[1].at.since(pair[0].at))
}

/// The median of the spans; zero where there is none.
pub(super) fn median_step(points: &[Point]) -> Duration {
    let mut steps: Vec<Duration> = steps(points).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().unwrap_or_default()
}

/// Whether a span leaves out a point or more, judged by the usual one.
pub(super) fn is_gap(span: Duration, usual: Duration) -> bool {
    span.as_micros() * 2 > usual.as_micros() * 3
}
