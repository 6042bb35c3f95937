//! Waiting for what nobody tells of.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// The longest that [`eventually`] waits.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// Between two looks.
const POLL: Duration = Duration::from_millis(20);

/// It did not happen in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("within {DEADLINE:?} it never came to this: {0}")]
pub struct NeverHappened(String);

/// Looks until there is something.
///
/// # Errors
/// When there is nothing at the deadline.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T, NeverHappened> {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(POLL).await;
        }
    };
    timeout(DEADLINE, looking).await.map_err(|_| NeverHappened(what.to_owned()))
}
