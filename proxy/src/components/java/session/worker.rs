//! What a loop does: attaches to its JVM, records, hands each recording over, and tries again what failed.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use profiler_core::java::Recording;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};

use super::Session;
use crate::components::java::failure::Failure;
use crate::components::java::plan::Order;
use crate::components::java::recorder::Recorder;
use crate::components::java::send::send;
use crate::components::java::target_loop::{State, TargetLoop};

/// Before what failed is tried again; each further time twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

pub(super) struct Worker {
    session: Arc<Session>,
    of: Arc<TargetLoop>,
    orders: watch::Receiver<Option<Arc<Order>>>,
    /// Attempts that failed, since one succeeded or something else was to be done.
    failed: u32,
    /// Why, as the log was told last.
    told: Option<&'static str>,
}

impl Worker {
    pub(super) fn new(session: Arc<Session>, of: Arc<TargetLoop>) -> Self {
        let orders = of.orders();
        Self { session, of, orders, failed: 0, told: None }
    }

    /// Returns when nothing is to be recorded any more, or the process has ended.
    pub(super) async fn run(mut self) {
        loop {
            let order = self.orders.borrow_and_update().clone();
            let ended = match order {
                Some(order) => self.record(order).await,
                None => Ok(()),
            };
            let is_over = ended.as_ref().err().is_none_or(Failure::is_gone);
            if let Err(failure) = ended {
                self.note(&failure);
            }
            if is_over && self.session.retire(&self.of, &self.orders) {
                return;
            }
            if !is_over {
                self.rest().await;
            }
        }
    }

    /// Records as the order says, and as those say that come after it, until none does or the process ends.
    async fn record(&mut self, mut order: Arc<Order>) -> Result<(), Failure> {
        let (pid, settings) = (self.of.pid, order.settings.clone());
        let (mut recorder, process) = self.blocking(move || Recorder::begin(pid, settings)?.watched()).await??;
        #[allow(deprecated, reason = "the file is owned: nothing closes it while it is watched")]
        let process = AsyncFd::with_interest(process, Interest::READABLE).map_err(Failure::Watch)?;
        loop {
            self.of.shown().state = State::Recording;
            let until = Instant::now() + order.settings.interval;
            let has_ended = self.wait(until, &process).await;
            let next = self.orders.borrow_and_update().clone().filter(|_| !has_ended);
            let settings = next.as_ref().map(|next| next.settings.clone());
            let turn = self.blocking(move || recorder.turn(settings)).await?;
            match turn.recording {
                Ok(Some(recording)) => {
                    (self.failed, self.told) = (0, None);
                    self.hand_over(recording, order);
                }
                // Who was killed has written nothing.
                Err(failure) if !turn.has_ended => self.session.note(&self.of, &order, &failure),
                Ok(None) | Err(_) => {}
            }
            (order, recorder) = match (next, turn.next) {
                (Some(next), Some(begun)) => (next, begun?),
                _ => return Ok(()),
            };
        }
    }

    /// Waits until the recording is to end, and says whether the process has.
    async fn wait(&mut self, until: Instant, process: &AsyncFd<OwnedFd>) -> bool {
        tokio::select! {
            () = sleep_until(until) => false,
            // It lives as long as the loop.
            _ = self.orders.changed() => false,
            // Where it cannot be watched it is taken for ended: who attaches again finds out.
            _ = process.readable() => true,
        }
    }

    /// What the recording holds is sent while the next one is made.
    fn hand_over(&self, recording: Recording, order: Arc<Order>) {
        let Ok(permit) = self.of.sends.clone().try_acquire_owned() else {
            self.session.note(&self.of, &order, &Failure::StillSending);
            return;
        };
        let (session, of) = (self.session.clone(), self.of.clone());
        self.session.tasks.spawn(async move {
            send(&session, &of, &order, recording).await;
            drop(permit);
        });
    }

    /// Tells why the JVM is not recorded.
    fn note(&mut self, failure: &Failure) {
        self.failed += 1;
        let session = &self.session;
        session.metrics.failed(failure.reason());
        let mut shown = self.of.shown();
        shown.fail(failure);
        shown.state = State::Failed;
        drop(shown);
        let reason = Some(failure.reason());
        // A JVM that has just begun cannot be attached to yet, and says so in one way or another.
        let is_new = self.failed > 1 && !failure.is_gone() && self.told != reason;
        let (component_id, pid) = (&session.component, self.of.pid);
        if let Some(line) = is_new.then(|| session.failures.admit()).flatten() {
            self.told = reason;
            tracing::error!(%component_id, pid, err = %failure, left_out = line.left_out, "the JVM is not recorded");
        } else {
            tracing::debug!(%component_id, pid, err = %failure, "the JVM is not recorded");
        }
    }

    /// Waits before the next attempt, or until something else is to be done.
    async fn rest(&mut self) {
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failed.saturating_sub(1).min(16));
        tokio::select! {
            () = sleep(pause.min(LONGEST_PAUSE)) => {}
            // It lives as long as the loop.
            _ = self.orders.changed() => self.failed = 0,
        }
    }

    /// Speaks to the JVM on a thread that may block.
    async fn blocking<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        // It is never closed.
        let _permit = self.session.attaching.acquire().await;
        Ok(spawn_blocking(call).await?)
    }
}
