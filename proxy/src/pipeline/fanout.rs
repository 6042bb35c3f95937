//! `forward_to`: one batch to every receiver.

use std::fmt;
use std::sync::Arc;

use futures_util::future::join_all;

use super::{Batch, Outcome, Stage};

/// What a component exports as `receiver`: the stage behind it, and whose it is.
#[derive(Clone)]
pub struct Receiver {
    component: Arc<str>,
    stage: Arc<dyn Stage>,
}

impl Receiver {
    /// The receiver of the component with this id.
    pub fn new(component: Arc<str>, stage: Arc<dyn Stage>) -> Self {
        Self { component, stage }
    }

    /// Id of the component that takes what is sent here.
    pub fn component(&self) -> &str {
        &self.component
    }
}

/// Two receivers are equal when the same stage is behind them.
impl PartialEq for Receiver {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stage, &other.stage)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.receiver", self.component)
    }
}

/// The receivers of one component, called side by side: a slow one delays the answer and none of the others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fanout {
    receivers: Vec<Receiver>,
}

impl Fanout {
    /// In the order of `forward_to`. None at all is allowed: what is sent is then discarded.
    pub fn new(receivers: Vec<Receiver>) -> Self {
        Self { receivers }
    }

    /// Sends the batch to every receiver and joins what they answer.
    pub async fn push(&self, batch: Batch) -> Outcome {
        match self.receivers.as_slice() {
            [] => Outcome::accepted(batch.profiles.len()),
            [only] => only.stage.push(batch).await,
            _ => {
                let mut outcomes = self.push_each(batch).await.into_iter();
                let mut joined = outcomes.next().unwrap_or_default();
                outcomes.for_each(|outcome| joined.join(outcome));
                joined
            }
        }
    }

    /// Sends the batch to every receiver; one outcome for each, in their order.
    pub async fn push_each(&self, batch: Batch) -> Vec<Outcome> {
        match self.receivers.as_slice() {
            [only] => vec![only.stage.push(batch).await],
            several => join_all(several.iter().map(|receiver| receiver.stage.push(batch.clone()))).await,
        }
    }
}
