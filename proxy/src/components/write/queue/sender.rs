//! Sends what waits, oldest first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use durable_queue::Record;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::QueuedTarget;
use super::batch::{Batch, Item, MOST_BYTES};
use super::loan::Loan;
use super::record::{self, QueuedCall};
use crate::pipeline::PushError;

/// Senders of an endpoint, each with one request at a time; the order of records holds up to their number.
pub(super) const SENDERS: usize = 8;
/// Records that a sender has at a time, as many as can be one request.
const MOST_RECORDS: usize = 64;

/// Sends until it is told to stop; what it has begun it finishes.
pub(super) async fn run(target: Arc<QueuedTarget>, stop: CancellationToken) {
    let most_bytes = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
    loop {
        let lent = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            lent = target.queue.borrow(MOST_RECORDS, most_bytes) => lent,
        };
        // None where the queue's thread is gone.
        let Some(records) = lent else { return };
        Sending::of(&target, records).run(&stop).await;
    }
}

/// Records on their way.
struct Sending<'a> {
    target: &'a QueuedTarget,
    /// Taken out while something is done to it.
    loans: Vec<Option<Loan>>,
    batches: VecDeque<Batch>,
}

impl<'a> Sending<'a> {
    fn of(target: &'a QueuedTarget, records: Vec<Record>) -> Self {
        let (mut loans, mut items) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            match record::decode(record.payload()) {
                Ok(request) => {
                    let (loan, of_loan) = Loan::of(record, request, loans.len());
                    loans.push(Some(loan));
                    items.extend(of_loan);
                }
                Err(error) => {
                    target.rejected("unreadable", &error.to_string());
                    record.reject(&error.to_string());
                }
            }
        }
        Self { target, loans, batches: Batch::of(items).into() }
    }

    async fn run(mut self, stop: &CancellationToken) {
        while let Some(batch) = self.batches.pop_front() {
            match self.send(&batch, stop).await {
                None => {
                    self.batches.push_front(batch);
                    break;
                }
                Some(Ok(())) => {
                    for item in batch.items {
                        self.settle(item.loan, Loan::take);
                    }
                }
                Some(Err(refusal)) => match batch.halves(&refusal) {
                    Ok([first, second]) => {
                        self.batches.push_front(second);
                        self.batches.push_front(first);
                    }
                    Err(batch) => self.reject(batch, &refusal),
                },
            }
        }
        self.give_back().await;
    }

    /// None where it has to wait for another time.
    async fn send(&self, batch: &Batch, stop: &CancellationToken) -> Option<Result<(), PushError>> {
        let QueuedTarget { target, taken, .. } = self.target;
        let call = batch.call()?;
        let loans = || batch.items.iter().filter_map(|item| self.loans.get(item.loan)?.as_ref());
        let max_age = self.target.limits.max_age;
        let patience = loans().map(|loan| loan.patience(max_age)).min().unwrap_or(max_age);
        let ended = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(patience) => {}
            }
        };
        let (api, metrics, began) = (call.api, &target.metrics, Instant::now());
        let trace = loans().next().map(|loan| loan.trace.clone()).unwrap_or_default();
        let mut span = self.target.tracer.resume(&trace, api.span_name());
        let (profiles, _) = batch.size();
        let settled = target.endpoint.call_until(ended, call, span.trace(), taken, |attempt| {
            metrics.downstream.of(api).observe(attempt.took.as_secs_f64());
            if attempt.number > 1 {
                metrics.retries.inc();
            }
        });
        let settled = settled.await;
        span.record(|span| {
            span.set("flamegate.component_id", &*self.target.component.component_id);
            span.set("flamegate.endpoint", &**target.endpoint.name());
            span.set("flamegate.profiles", usize::try_from(profiles).unwrap_or(usize::MAX));
            if let Some(Err(error)) = settled.as_ref().map(|settled| &settled.result) {
                span.fail(&error.cause);
            }
        });
        drop(span);
        let settled = settled?;
        metrics.endpoint.of(api).observe(began.elapsed().as_secs_f64());
        if settled.result.is_ok() {
            let (profiles, bytes) = batch.size();
            metrics.sent_profiles.add(profiles);
            metrics.sent_bytes.add(bytes);
        }
        Some(settled.result)
    }

    fn reject(&mut self, batch: Batch, refusal: &PushError) {
        let (profiles, bytes) = batch.size();
        self.target.target.metrics.dropped_profiles.add(profiles);
        self.target.target.metrics.dropped_bytes.add(bytes);
        for Item { loan, queued } in batch.items {
            self.target.rejected(refusal.code.name(), &refusal.cause);
            self.settle(loan, |loan| loan.reject(queued, &refusal.cause));
        }
    }

    fn settle(&mut self, place: usize, change: impl FnOnce(Loan) -> Loan) {
        if let Some(loan) = self.loans.get_mut(place) {
            *loan = loan.take().map(change);
        }
    }

    async fn give_back(self) {
        let max_age: Duration = self.target.limits.max_age;
        let mut rests: Vec<Vec<QueuedCall>> = self.loans.iter().map(|_| Vec::new()).collect();
        for Item { loan, queued } in self.batches.into_iter().flat_map(|batch| batch.items) {
            if let Some(rest) = rests.get_mut(loan) {
                rest.push(queued);
            }
        }
        for (loan, rest) in self.loans.into_iter().zip(rests) {
            if let Some(loan) = loan {
                loan.give_back(rest, &self.target.queue, max_age).await;
            }
        }
    }
}
