//! One target's kind of profile, scraped again and again. Between two scrapes it is some hundred bytes, and no task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use profiler_core::pprof::delta::{Cause, Counters, Delta};
use tokio::time::Instant;

use super::delta::Series;
use super::fetch::{Fetched, Question, ScrapeError, fetch};
use super::plan::Plan;
use super::session::Session;
use super::target::Target;
use crate::components::own_profile::OwnProfile;
use crate::telemetry::metrics::ScrapeResult;

/// A kind of profile that a target does not have may come with its next version.
const ASK_AGAIN: Duration = Duration::from_secs(600);
/// Bytes of an error that are kept.
const ERROR: usize = 1_000;

/// What is scraped again and again.
pub(super) struct ScrapeLoop {
    state: Mutex<State>,
    /// For the difference to the next profile, where the target does not make it.
    series: Mutex<Option<Arc<Series>>>,
    /// Whether a scrape is under way.
    busy: AtomicBool,
}

/// How it is, for whoever asks.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) target: Arc<Target>,
    pub(super) health: TargetHealth,
    pub(super) last_error: Option<Box<str>>,
    pub(super) last_scrape: Option<SystemTime>,
    pub(super) last_duration: Duration,
    /// Bytes of the last profile.
    size: usize,
    /// It has no such profile, and is not asked until then.
    absent_until: Option<Instant>,
}

/// Whether the last scrape succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TargetHealth {
    Down,
    Unknown,
    Up,
}

/// A scrape that is under way; the loop is free again when it is dropped.
pub(super) struct Turn(Arc<ScrapeLoop>);

impl ScrapeLoop {
    pub(super) fn new(target: Target) -> Arc<Self> {
        let state = State {
            target: Arc::new(target),
            health: TargetHealth::Unknown,
            last_error: None,
            last_scrape: None,
            last_duration: Duration::ZERO,
            size: 0,
            absent_until: None,
        };
        Arc::new(Self { state: Mutex::new(state), series: Mutex::default(), busy: AtomicBool::new(false) })
    }

    pub(super) fn target(&self) -> Arc<Target> {
        self.state().target.clone()
    }

    /// The same target, of which something is said that does not tell it from others.
    pub(super) fn aim(&self, target: Target) {
        self.state().target = Arc::new(target);
    }

    /// Asks again for what it did not have.
    pub(super) fn forgive(&self) {
        self.state().absent_until = None;
    }

    pub(super) fn shown(&self) -> State {
        self.state().clone()
    }

    /// The right to scrape, unless a scrape is under way.
    pub(super) fn turn(self: &Arc<Self>) -> Result<Turn, ScrapeResult> {
        if self.state().absent_until.is_some_and(|until| Instant::now() < until) {
            return Err(ScrapeResult::StillAbsent);
        }
        if self.busy.swap(true, Ordering::Acquire) {
            return Err(ScrapeResult::StillBusy);
        }
        Ok(Turn(self.clone()))
    }

    fn series(&self, counters: &'static Counters, session: &Session) -> Arc<Series> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        // The target may be of another kind by now.
        match series.as_ref().filter(|series| series.counts(counters)) {
            Some(series) => series.clone(),
            None => series.insert(session.deltas.series(counters)).clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

impl Turn {
    /// Scrapes, sends on what came, and notes how it went.
    pub(super) async fn scrape(self, session: Arc<Session>, plan: Arc<Plan>) {
        let (began, at) = (Instant::now(), SystemTime::now());
        let target = self.0.target();
        let scraped = match self.fetch(&target, &session, &plan).await {
            Ok(fetched) => {
                self.0.state().size = fetched.bytes.len();
                session.metrics.bytes.add(fetched.bytes.len() as u64);
                self.pass(&target, fetched, &session, at).await
            }
            Err(error) => Err(error),
        };
        session.metrics.count(scraped.as_ref().err().map_or(ScrapeResult::Success, ScrapeError::result));
        let mut state = self.0.state();
        state.last_scrape = Some(at);
        state.last_duration = began.elapsed();
        let Err(error) = scraped else {
            state.health = TargetHealth::Up;
            state.last_error = None;
            return;
        };
        state.health = TargetHealth::Down;
        let is_absent = error.result() == ScrapeResult::Absent;
        state.absent_until = is_absent.then(|| Instant::now() + ASK_AGAIN);
        let text = bounded(error.to_string());
        let was_told = is_absent && state.last_error.as_deref() == Some(&*text);
        state.last_error = Some(text);
        drop(state);
        if !was_told {
            session.tell(&target, &error);
        }
    }

    async fn fetch(&self, target: &Target, session: &Session, plan: &Plan) -> Result<Fetched, ScrapeError> {
        let size = self.0.state().size;
        let question = Question {
            uri: &target.url,
            type_name: target.type_name(),
            timeout: target.timeout(),
            max_body_size: target.settings().max_body_size,
            // Profiles grow a little.
            expected: size + size / 8,
            budget: &session.budget,
        };
        fetch(&plan.fetcher, &question).await
    }

    /// Sends on the profile, or its difference to the one before where it counts from the start of the process.
    async fn pass(
        &self,
        target: &Target,
        mut fetched: Fetched,
        session: &Session,
        at: SystemTime,
    ) -> Result<(), ScrapeError> {
        if let Some(counters) = target.counters {
            let profile = std::mem::take(&mut fetched.bytes);
            fetched.bytes = match self.0.series(counters, session).delta(profile, at).await? {
                Delta::Profile(delta) => delta,
                Delta::Empty => return Ok(()),
                Delta::Begins(cause) => {
                    tracing::debug!(url = %target.url, %cause, "there is nothing to compare a profile with");
                    if cause == Cause::LetGo {
                        session.tell_let_go(target);
                    }
                    return Ok(());
                }
            };
        }
        push(target, fetched, session).await
    }
}

/// Sends a profile to the receivers that are current by now.
async fn push(target: &Target, fetched: Fetched, session: &Session) -> Result<(), ScrapeError> {
    let Some(plan) = session.current() else { return Ok(()) };
    let _on_its_way = plan.pushes.token();
    let profile = OwnProfile { labels: target.profile_labels()?, pprof: fetched.bytes, memory: fetched.memory };
    profile.push(&plan.forward_to, &session.fanout).await.map_err(ScrapeError::Push)
}

fn bounded(mut text: String) -> Box<str> {
    text.truncate(text.floor_char_boundary(ERROR));
    text.into()
}
