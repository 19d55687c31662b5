//! What Keptn says of given measurements.
