//! What Flamegate says of itself: metrics and logs.

pub mod logs;
pub mod metrics;
