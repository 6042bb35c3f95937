//! What Flamegate says of itself: metrics, logs and traces.

mod log_limit;
pub mod logs;
pub mod metrics;
pub mod recent_logs;
pub mod traces;

pub use log_limit::{Admitted, LogLimit};
