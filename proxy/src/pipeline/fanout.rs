//! `forward_to`: one batch to every receiver.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use super::{Batch, DebugInfo, Outcome, PushError, Stage};
use crate::tap::Point;

/// What a component exports as `receiver`: the stage behind it, and the path of the component whose it is.
#[derive(Clone)]
pub struct Receiver {
    component: Arc<str>,
    stage: Arc<dyn Stage>,
}

impl Receiver {
    /// The receiver of the component with this path.
    pub fn new(component: Arc<str>, stage: Arc<dyn Stage>) -> Self {
        Self { component, stage }
    }

    /// In the place of one whose component is not built, where a configuration is only looked at.
    pub(crate) fn unbuilt() -> Self {
        Self { component: "".into(), stage: Arc::new(Unbuilt) }
    }

    /// Path of the component that takes what is sent here.
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
/// A clone counts with it.
#[derive(Debug, Clone, Default)]
pub struct Fanout {
    receivers: Vec<Receiver>,
    sent: Arc<Sent>,
    point: Point,
}

/// What has gone one way.
#[derive(Debug, Default)]
struct Sent {
    profiles: AtomicU64,
    bytes: AtomicU64,
}

/// What goes from one component to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Paths of the components that take it, each all of it.
    pub to: Vec<Arc<str>>,
    /// Profiles sent so far.
    pub profiles: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Fanout {
    /// In the order of `forward_to`. None at all is allowed: what is sent is then discarded.
    pub fn new(receivers: Vec<Receiver>) -> Self {
        Self { receivers, sent: Arc::default(), point: Point::default() }
    }

    /// The same, and counts on where the one of before has ended.
    pub fn following(before: Option<&Self>, receivers: Vec<Receiver>) -> Self {
        let sent = before.map(|before| before.sent.clone()).unwrap_or_default();
        Self { receivers, sent, point: Point::default() }
    }

    /// The same, of the component with this point.
    #[must_use]
    pub fn seen_at(self, point: Point) -> Self {
        Self { point, ..self }
    }

    /// Where the profiles of its component are looked at: in what they are on their way to, or come from.
    pub fn point(&self) -> &Point {
        &self.point
    }

    /// What has gone this way by now.
    pub fn flow(&self) -> Flow {
        let to = self.receivers.iter().map(|receiver| receiver.component.clone()).collect();
        let (profiles, bytes) = (self.sent.profiles.load(Ordering::Relaxed), self.sent.bytes.load(Ordering::Relaxed));
        Flow { to, profiles, bytes }
    }

    /// The first endpoint that is reached this way, which debug information goes to.
    pub fn debug_info(&self) -> Option<&dyn DebugInfo> {
        self.receivers.iter().find_map(|receiver| receiver.stage.debug_info())
    }

    fn count(&self, batch: &Batch) {
        let bytes: usize = batch.profiles.iter().map(|profile| profile.body.byte_len()).sum();
        self.sent.profiles.fetch_add(batch.profiles.len() as u64, Ordering::Relaxed);
        self.sent.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Sends the batch to every receiver and joins what they answer.
    pub async fn push(&self, batch: Batch) -> Outcome {
        match self.receivers.as_slice() {
            [] => Outcome::accepted(batch.profiles.len()),
            [only] => {
                self.count(&batch);
                only.stage.push(batch).await
            }
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
        self.count(&batch);
        match self.receivers.as_slice() {
            [only] => vec![only.stage.push(batch).await],
            several => join_all(several.iter().map(|receiver| receiver.stage.push(batch.clone()))).await,
        }
    }
}

/// Takes nothing: nothing is sent where nothing runs.
struct Unbuilt;

impl Stage for Unbuilt {
    fn push(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        let profiles = batch.profiles.len();
        async move { Outcome::failed(profiles, &PushError::internal("the component is not built".to_owned())) }.boxed()
    }
}
