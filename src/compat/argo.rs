//! What Argo Rollouts says of given measurements.
