//! What Flamegate says of itself: metrics and logs.

mod log_limit;
pub mod logs;
pub mod metrics;

pub use log_limit::{Admitted, LogLimit};
