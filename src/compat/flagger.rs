//! What Flagger says of given measurements.
