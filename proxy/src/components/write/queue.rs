//! The durable queue before an endpoint: a sender is answered when its profiles are on disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy_syntax::{Invalid, Value};
use durable_queue::{AppendError, Limits, Queue, Recovered};
use futures_util::future::{join, join_all};
use http::StatusCode;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::record::QueuedCall;
use super::stage::{Target, WriteStage, join as join_outcomes};
use crate::component::{Context, WriteQueues};
use crate::pipeline::{Batch, Code, Fault, Outcome, Profile, ProfileOutcome, PushError, Retry};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, WriteQueueMetrics};
use crate::telemetry::traces::{SpanKind, Tracer};
use crate::upstream::Call;
use crate::workers::Workers;

mod arguments;
mod batch;
mod loan;
mod record;
mod resend;
mod sender;
#[cfg(test)]
mod tests;

pub(super) use arguments::{QueueArguments, folder_name};
pub(crate) use resend::Resending;

/// In which senders that are told to stop must have their answers. An attempt may take longer; what it sends then comes
/// again.
const GRACE: Duration = Duration::from_secs(30);
/// When to come again where there is no room.
const COME_AGAIN: Duration = Duration::from_secs(5);

/// An endpoint with a queue before it.
pub(super) struct QueuedTarget {
    pub(super) target: Target,
    pub(super) queue: Queue,
    /// The folder's name.
    pub(super) name: Arc<str>,
    limits: Limits,
    recovered: Recovered,
    component: ComponentLabels,
    queues: Arc<WriteQueues>,
    tracer: Arc<Tracer>,
    metrics: WriteQueueMetrics,
    /// Told of each success.
    taken: Notify,
    stop: CancellationToken,
    senders: Mutex<JoinSet<()>>,
    workers: Workers,
    /// Of lines about requests that the queue did not take, and about what the endpoint refused.
    refusals: LogLimit,
    rejections: LogLimit,
}

/// What a request to the endpoint holds of a profile.
#[derive(Debug, Clone, Copy)]
enum Made {
    /// Nothing can be made of it.
    Nothing,
    /// Nothing: the queue took it when its sender sent it before.
    Before,
    /// The profile.
    Now,
}

impl QueuedTarget {
    /// Opens the queue; nothing is sent yet.
    pub(super) fn open(
        arguments: &QueueArguments,
        name: Arc<str>,
        target: Target,
        context: &Context<'_>,
    ) -> Result<Self, Invalid> {
        let Context { component, services } = context;
        let limits = arguments.limits();
        let (queue, recovered) = (services.queues.open(&name, limits))
            .map_err(|error| Invalid::attribute("queue", format!("{error} (--storage.path says where)")))?;
        let workers = (services.listeners.workers())
            .map_err(|error| Invalid::attribute("queue", format!("no threads to send from: {error}")))?;
        let metrics = services.metrics.write_queue(component, target.endpoint.name(), &name);
        Ok(Self {
            target,
            queue,
            name,
            limits,
            recovered,
            component: component.clone(),
            queues: services.queues.clone(),
            tracer: services.tracer.clone(),
            metrics,
            taken: Notify::new(),
            stop: CancellationToken::new(),
            senders: Mutex::default(),
            workers,
            refusals: LogLimit::default(),
            rejections: LogLimit::default(),
        })
    }

    /// Begins to send. Whoever had the queue before sends nothing more that it has not begun.
    pub(super) fn begin(self: &Arc<Self>) {
        let Recovered { records, lost, skipped_bytes, ignored_files } = self.recovered;
        if self.recovered != Recovered::default() {
            let (component_id, queue) = (&self.component.component_id, &self.name);
            tracing::info!(%component_id, %queue, records, lost, skipped_bytes, ignored_files, "queue recovered");
        }
        self.queue.set_limits(self.limits);
        let writes = self.metrics.writes.clone();
        self.queue.observe_writes(move |took| writes.observe(took.as_secs_f64()));
        self.queues.begin(&self.name, self.queue.clone(), self.metrics.clone(), self.stop.clone());
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        // Beside the connections that fill the queue: each wake-up between threads costs as much as a request.
        for runtime in self.workers.runtimes().cycle().take(sender::SENDERS) {
            senders.spawn_on(sender::run(self.clone(), self.stop.clone()), runtime);
        }
    }

    /// Ends the senders; what has arrived is then known to the disk.
    pub(super) async fn end(&self) {
        self.stop.cancel();
        let mut senders = std::mem::take(&mut *self.senders.lock().unwrap_or_else(PoisonError::into_inner));
        let ending = async { while senders.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ending).await.is_err() {
            let (component_id, queue) = (&self.component.component_id, &self.name);
            tracing::warn!(%component_id, %queue, "the endpoint did not answer within {GRACE:?}: what it was sent comes again");
            senders.shutdown().await;
        }
        if !self.queue.saved().await {
            let (component_id, queue) = (&self.component.component_id, &self.name);
            tracing::warn!(%component_id, %queue, "what the endpoint took last cannot be noted on disk, and comes again");
        }
        self.queues.end(&self.name);
    }

    /// The endpoint behind the queue.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// What it shows of itself.
    pub(super) fn debug_info(&self) -> Value {
        let stats = self.queue.stats();
        let oldest = stats
            .oldest
            .map_or(Value::Null, |oldest| Value::string(humantime::format_rfc3339_millis(oldest).to_string()));
        Value::object([
            ("endpoint", Value::string(self.target.endpoint.name())),
            ("name", Value::string(&self.name)),
            ("records", Value::from(stats.records)),
            ("bytes", Value::from(stats.bytes)),
            ("oldest", oldest),
            ("appended", Value::from(stats.appended)),
            ("acknowledged", Value::from(stats.acknowledged)),
            ("dropped", Value::from(stats.dropped)),
            ("expired", Value::from(stats.expired)),
            ("rejected", Value::from(stats.rejected + stats.rejected_lost)),
            ("damaged", Value::from(stats.damaged)),
            ("io_errors", Value::from(stats.io_errors)),
        ])
    }

    /// Appends the profiles of one request as one record: all of those whose calls could be made.
    async fn take(
        &self,
        profiles: &[Profile],
        calls: &[Result<Call, PushError>],
        stage: &WriteStage,
    ) -> Vec<ProfileOutcome> {
        let mut queued = Vec::with_capacity(calls.len());
        let made = profiles.iter().zip(calls).map(|(profile, call)| {
            // What is wrong with the labels is told once for all endpoints.
            let Ok(call) = call else { return Ok(Made::Nothing) };
            if self.target.has(profile) {
                return Ok(Made::Before);
            }
            let mut call = call.clone();
            self.target.address(&mut call, profile, &stage.sent)?;
            let profile_bytes = profile.body.byte_len() as u64;
            let profiles = u32::try_from(profile.body.profile_count()).unwrap_or(u32::MAX);
            queued.push(QueuedCall { call, profiles, profile_bytes });
            Ok(Made::Now)
        });
        let made: Vec<Result<Made, PushError>> = made.collect();
        let appended = match profiles.first() {
            Some(first) if !queued.is_empty() => self.append(first, &queued).await,
            Some(_) | None => Ok(()),
        };
        let outcome = |(profile, made)| match made {
            Ok(Made::Nothing) => ProfileOutcome::default(),
            Ok(Made::Before) => self.target.outcome(profile, Ok(())),
            Ok(Made::Now) => self.target.outcome(profile, appended.clone()),
            Err(error) => self.target.outcome(profile, Err(error)),
        };
        profiles.iter().zip(made).map(outcome).collect()
    }

    async fn append(&self, first: &Profile, calls: &[QueuedCall]) -> Result<(), PushError> {
        let mut span = first.origin.trace.child("Enqueue", SpanKind::Internal);
        let record = record::encode(calls, span.trace().traceparent().as_ref());
        let appended = self.queue.append(&record).await;
        let refused = match appended {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let (reason, error) = refusal(&refused);
        self.metrics.refused(reason).inc();
        let error = error.context(format_args!("the queue of endpoint {}", self.target.endpoint.name()));
        if let Some(line) = self.refusals.admit() {
            let (component_id, queue) = (&self.component.component_id, &self.name);
            tracing::warn!(%component_id, %queue, err = %error, left_out = line.left_out, "profiles not queued");
        }
        span.record(|span| span.fail(&error.cause));
        Err(error)
    }

    /// Counts what will never arrive.
    fn rejected(&self, reason: &'static str, cause: &str) {
        self.metrics.rejected(reason).inc();
        if let Some(line) = self.rejections.admit() {
            let (component_id, queue, endpoint) =
                (&self.component.component_id, &self.name, self.target.endpoint.name());
            tracing::warn!(%component_id, %queue, %endpoint, err = cause, left_out = line.left_out, "queued profile rejected, and kept in the folder rejected/ of the queue");
        }
    }
}

impl WriteStage {
    /// Appends the batch to every queue while it goes to those endpoints that have none.
    pub(super) async fn send_and_queue(&self, batch: Batch) -> Outcome {
        let began = Instant::now();
        let calls = join_all(batch.profiles.iter().map(|profile| self.call(profile))).await;
        let queuing = join_all(self.queued.iter().map(|queued| queued.take(&batch.profiles, &calls, self)));
        let (mut outcomes, queued) = if self.targets.is_empty() {
            let queued = queuing.await;
            for call in calls.iter().flatten() {
                self.metrics.total.of(call.api).observe(began.elapsed().as_secs_f64());
            }
            let refused = batch.profiles.iter().zip(&calls).map(|(profile, call)| match call {
                Ok(_) => ProfileOutcome::default(),
                Err(error) => self.refuse(profile, error.clone()),
            });
            (refused.collect(), queued)
        } else {
            let (sent, queued) = join(self.send_all(batch.clone()), queuing).await;
            (sent.profiles, queued)
        };
        for of_queue in queued {
            outcomes = outcomes.into_iter().zip(of_queue).map(|(a, b)| join_outcomes(vec![a, b])).collect();
        }
        Outcome { profiles: outcomes }
    }
}

/// What the sender hears, and the reason as it is counted.
fn refusal(error: &AppendError) -> (&'static str, PushError) {
    let later = |error: &AppendError| {
        let busy = PushError::busy(error.to_string());
        PushError { retry: Retry::Later(Some(COME_AGAIN)), ..busy }
    };
    match error {
        AppendError::Full { .. } => ("full", later(error)),
        AppendError::Io(_) => ("io", later(error)),
        AppendError::Closed => ("closed", later(error)),
        AppendError::TooLong { .. } => {
            let (status, code) = (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted);
            let cause = format!("{error}; its max_size decides");
            ("too_long", PushError { fault: Fault::Sender, retry: Retry::Never, status, code, cause: cause.into() })
        }
    }
}
