//! What Flamegate says of itself: metrics and logs.

mod log_limit;
pub mod logs;
pub mod metrics;
pub mod recent_logs;

pub use log_limit::{Admitted, LogLimit};
