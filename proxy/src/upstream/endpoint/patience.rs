//! A call of what waits on disk: no sender waits for its end, so that it is tried for as long as the profiles are wanted.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::Notify;

use super::{Attempt, Call, Endpoint, Settled};
use crate::pipeline::Retry;
use crate::telemetry::traces::Trace;
use crate::upstream::Failure;

impl Endpoint {
    /// Makes the call until it succeeds or is refused, however often; `None` where `ended` was over before, which is
    /// looked at between attempts.
    ///
    /// `taken` is told of each success, and ends the pauses of the other calls that share it, unless the endpoint has
    /// asked for one. As with [`call`](Self::call) each retry is one of the budget.
    pub async fn call_until(
        &self,
        ended: impl Future<Output = ()>,
        call: Call,
        trace: &Trace,
        taken: &Notify,
        observe: impl Fn(Attempt),
    ) -> Option<Settled> {
        let mut ended = pin!(ended);
        let mut attempts: u32 = 0;
        loop {
            attempts = attempts.saturating_add(1);
            // From before the attempt on: a success of others meanwhile is not missed.
            let others = taken.notified();
            // Each attempt may find every backend: a call waits for as long as its profiles may.
            let Err(failure) = self.attempt(&call, attempts, &mut Vec::new(), trace, &observe).await else {
                taken.notify_waiters();
                return Some(Settled { attempts, result: Ok(()) });
            };
            if !failure.retryable {
                let words = format!("endpoint {}, attempt {attempts}", self.name);
                return Some(Settled { attempts, result: Err(failure.error.context(words)) });
            }
            self.tell_of_retry(attempts, &failure);
            tokio::select! {
                () = &mut ended => return None,
                () = self.pause(&failure, attempts, others) => {}
            }
        }
    }

    /// As long as there may be no other attempt.
    async fn pause(&self, failure: &Failure, failures: u32, others: impl Future<Output = ()>) {
        let backoff = &self.settings.backoff;
        match failure.error.retry {
            Retry::Later(Some(asked)) => {
                // Not all of those who were asked at once to wait come back at once.
                let asked = asked.saturating_add(backoff.min.mul_f64(fastrand::f64()));
                tokio::time::sleep(backoff.delay(failures).max(asked)).await;
            }
            Retry::Later(None) | Retry::Never => tokio::select! {
                () = tokio::time::sleep(backoff.delay(failures)) => {}
                () = others => {}
            },
        }
        while !self.retries.take() {
            tokio::time::sleep(backoff.delay(failures).max(FOR_A_RETRY)).await;
        }
    }
}

/// How long at least to wait for the budget; it earns one in this time.
const FOR_A_RETRY: Duration = Duration::from_secs(1);
