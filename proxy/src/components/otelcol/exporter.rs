//! A running exporter, whichever protocol it speaks.

use std::sync::Arc;

use alloy_syntax::{Invalid, Value};

use super::retry::RetryArguments;
use super::sending_queue::SendingQueueArguments;
use crate::component::Context;
use crate::telemetry::metrics::{ComponentLabels, Metrics};
use crate::telemetry::traces::Consumer;
use crate::upstream::Client;
use crate::upstream::otlp::{ExporterSettings, OtlpServer, SpanExporter};

pub(super) struct Exporter {
    exporter: Arc<SpanExporter>,
    component: ComponentLabels,
    metrics: Arc<Metrics>,
}

impl Exporter {
    pub(super) fn new(
        context: &Context<'_>,
        server: OtlpServer,
        client: Client,
        retry: &RetryArguments,
        queue: &SendingQueueArguments,
    ) -> Result<Self, Invalid> {
        let Context { component, services } = context;
        let settings = ExporterSettings {
            component_id: component.component_id.clone(),
            server,
            client,
            retry: retry.settings(),
            queue: queue.settings()?,
        };
        let metrics = services.metrics.clone();
        let exporter = Arc::new(SpanExporter::new(settings, metrics.exporter(component)));
        Ok(Self { exporter, component: component.clone(), metrics })
    }

    pub(super) fn exports(&self) -> Value {
        let input = Consumer::new(self.component.to_string().into(), self.exporter.clone());
        Value::object([("input", Value::capsule(input))])
    }

    pub(super) fn activate(&self) {
        self.exporter.start();
    }

    pub(super) async fn stop(&self) {
        self.exporter.stop().await;
    }

    pub(super) fn forget(&self) {
        self.metrics.forget(&self.component);
    }
}
