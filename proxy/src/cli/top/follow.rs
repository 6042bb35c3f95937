//! The overview, asked for again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::cli::server::{AskError, Server};
use crate::overview::Overview;

const PATH: &str = "/api/v0/web/overview";
/// The server takes its figures as often.
const INTERVAL: Duration = Duration::from_secs(2);
/// Figures are there after one interval, and rates after two looks.
const LOOKS_FOR_RATES: usize = 3;

/// What is known of the server.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    Overview(Box<Overview>),
    /// Why there is nothing new.
    Trouble(String),
}

/// The overview as it is.
pub(super) async fn ask(server: &Server) -> Result<Overview, AskError> {
    let answer = server.ask(PATH).await?;
    serde_json::from_slice(&answer).map_err(|error| AskError::Answer(server.name(), error.to_string()))
}

/// An overview with its rates. The server begins to take figures when it is asked first: then this waits for its second
/// look.
pub(super) async fn with_rates(server: &Server) -> Result<Overview, AskError> {
    let mut overview = ask(server).await?;
    for _ in 1..LOOKS_FOR_RATES {
        if overview.flow.came.per_second.is_some() {
            break;
        }
        sleep(INTERVAL).await;
        overview = ask(server).await?;
    }
    Ok(overview)
}

/// Asks until nobody wants to know any more. Only what was seen last is kept.
pub(super) fn follow(server: Arc<Server>) -> watch::Receiver<Option<Seen>> {
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        while !sender.is_closed() {
            sleep(INTERVAL).await;
            let seen = match ask(&server).await {
                Ok(overview) => Seen::Overview(Box::new(overview)),
                Err(error) => Seen::Trouble(error.to_string()),
            };
            sender.send_replace(Some(seen));
        }
    });
    receiver
}
