//! Where batches of spans go.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::FinishedSpan;

/// Spans that are handed on together; a clone shares them.
pub type SpanBatch = Arc<[FinishedSpan]>;

/// Something that takes spans: an exporter.
pub trait ConsumeSpans: Send + Sync {
    /// Takes a batch. What cannot be kept is dropped and counted; the next batch waits until this one is taken.
    fn consume(&self, batch: SpanBatch) -> BoxFuture<'_, ()>;
}

/// What a component exports as `input`.
#[derive(Clone)]
pub struct Consumer {
    component: Arc<str>,
    behind: Arc<dyn ConsumeSpans>,
}

impl Consumer {
    /// That of the component with this path.
    pub fn new(component: Arc<str>, behind: Arc<dyn ConsumeSpans>) -> Self {
        Self { component, behind }
    }

    /// Hands it a batch.
    pub async fn consume(&self, batch: SpanBatch) {
        self.behind.consume(batch).await;
    }
}

/// Two consumers are equal when the same component is behind them.
impl PartialEq for Consumer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.behind, &other.behind)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.input", self.component)
    }
}
