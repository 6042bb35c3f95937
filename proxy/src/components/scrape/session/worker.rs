//! What a session does: keeps a loop for each target and kind, and begins each scrape when its time comes.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use profiler_core::labels::Labels;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::Session;
use crate::component::Health;
use crate::components::scrape::identity::offset;
use crate::components::scrape::plan::Plan;
use crate::components::scrape::scrape_loop::ScrapeLoop;
use crate::components::scrape::target::{Settings, Target, distinct};
use crate::telemetry::metrics::ScrapeResult;

/// Between two lists of targets: discovery may find others again and again.
const TARGETS_EVERY: Duration = Duration::from_secs(5);
/// Bytes of a target that are shown.
const EXAMPLE: usize = 1_000;
/// Targets between two chances for other tasks to run.
const STEP: usize = 256;

pub(super) struct Worker {
    session: Arc<Session>,
    /// The plan whose targets are scraped, and since when.
    applied: Option<(Arc<Plan>, Instant)>,
    /// Whether targets belong to other nodes of the cluster than they did then.
    divided_anew: bool,
    /// By identity.
    loops: HashMap<u64, Arc<ScrapeLoop>>,
    /// The loops of each target, by their identities.
    of_targets: HashMap<Labels, Box<[u64]>>,
    /// Targets that cannot be scraped, and why.
    refused: HashMap<Labels, String>,
    /// When each loop has its turn.
    ticks: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Worker {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self {
            session,
            applied: None,
            divided_anew: false,
            loops: HashMap::new(),
            of_targets: HashMap::new(),
            refused: HashMap::new(),
            ticks: BinaryHeap::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut plans = self.session.plans.subscribe();
        let mut divisions = self.session.cluster.changes();
        loop {
            let Some(plan) = plans.borrow_and_update().clone() else { break };
            tokio::select! {
                biased;
                // It lives as long as the session.
                _ = plans.changed() => {}
                _ = divisions.changed() => self.divided_anew = plan.clustered,
                () = sleep_until(self.apply_at(&plan)), if !self.has_applied(&plan) => self.apply(&plan).await,
                () = sleep_until(self.next_tick()), if !self.ticks.is_empty() => self.begin(),
            }
        }
        self.session.standing().is_running = false;
    }

    fn has_applied(&self, plan: &Arc<Plan>) -> bool {
        !self.divided_anew && self.applied.as_ref().is_some_and(|(applied, _)| Arc::ptr_eq(applied, plan))
    }

    fn apply_at(&self, plan: &Plan) -> Instant {
        match &self.applied {
            Some((applied, since)) if applied.settings == plan.settings && !self.divided_anew => *since + TARGETS_EVERY,
            _ => Instant::now(),
        }
    }

    fn next_tick(&self) -> Instant {
        self.ticks.peek().map_or_else(Instant::now, |Reverse((at, _))| *at)
    }

    /// Begins the scrapes whose time has come. One that is still under way is not begun again, and none is made up for:
    /// after a standstill all of them would be begun at once.
    fn begin(&mut self) {
        let Some(plan) = self.session.current() else { return };
        let Some(interval) = self.applied.as_ref().map(|(applied, _)| applied.settings.interval) else { return };
        let now = Instant::now();
        while let Some(mut due) = self.ticks.peek_mut().filter(|due| due.0.0 <= now) {
            let Reverse((at, identity)) = *due;
            *due = Reverse((after(at, interval, now), identity));
            drop(due);
            let Some(of) = self.loops.get(&identity) else { continue };
            if now.duration_since(at) >= interval {
                self.session.metrics.count(ScrapeResult::Missed);
                continue;
            }
            match of.turn() {
                Ok(turn) => {
                    self.session.scrapes.spawn(turn.scrape(self.session.clone(), plan.clone()));
                }
                Err(result) => self.session.metrics.count(result),
            }
        }
    }

    /// Scrapes the plan's targets from now on. Loops that are wanted on go on as they are; others end with the scrape
    /// that is under way.
    async fn apply(&mut self, plan: &Arc<Plan>) {
        let before = self.applied.as_ref().map(|(applied, _)| applied.settings.clone());
        let settings = match before {
            Some(before) if *before == *plan.settings => before,
            before => {
                self.of_targets.clear();
                self.loops.values().for_each(|of| of.forgive());
                if before.is_some_and(|before| before.interval != plan.settings.interval) {
                    self.ticks.clear();
                    let identities: Vec<u64> = self.loops.keys().copied().collect();
                    identities.into_iter().for_each(|identity| self.arm(identity, plan.settings.interval));
                }
                plan.settings.clone()
            }
        };
        self.divided_anew = false;
        let mut next = Next::default();
        for (number, source) in self.ours(plan).into_iter().enumerate() {
            self.take(source, &settings, &mut next);
            if number % STEP == STEP - 1 {
                yield_now().await;
            }
        }
        let Next { loops, of_targets, refused } = next;
        (self.loops, self.of_targets) = (loops, of_targets);
        self.ticks.retain(|Reverse((_, identity))| self.loops.contains_key(identity));
        self.note(refused);
        self.applied = Some((plan.clone(), Instant::now()));
    }

    /// The plan's targets that are this process' to scrape, each once.
    fn ours<'p>(&self, plan: &'p Plan) -> Vec<&'p Labels> {
        let owned = |hash| !plan.clustered || self.session.cluster.owns(hash);
        distinct(plan.targets.targets()).filter(|(hash, _)| owned(*hash)).map(|(_, target)| target).collect()
    }

    /// Adds the loops of a target: those that it has, and new ones. Of several of one identity the first counts.
    fn take(&mut self, source: &Labels, settings: &Arc<Settings>, next: &mut Next) {
        if let Some(identities) = self.of_targets.remove(source) {
            for identity in &identities {
                if let Some(of) = self.loops.get(identity)
                    && let Entry::Vacant(vacant) = next.loops.entry(*identity)
                {
                    // The same labels, in the memory of those who found them last.
                    of.aim(of.target().of_source(source));
                    vacant.insert(of.clone());
                }
            }
            next.of_targets.insert(source.clone(), identities);
            return;
        }
        let targets = match Target::all_of(source, settings) {
            Ok(targets) => targets,
            Err(error) => {
                next.refused.insert(source.clone(), error.to_string());
                return;
            }
        };
        next.of_targets.insert(source.clone(), targets.iter().map(|target| target.identity).collect());
        for target in targets {
            let identity = target.identity;
            let Entry::Vacant(vacant) = next.loops.entry(identity) else { continue };
            if let Some(of) = self.loops.get(&identity) {
                of.aim(target);
                vacant.insert(of.clone());
            } else {
                vacant.insert(ScrapeLoop::new(target));
                self.arm(identity, settings.interval);
            }
        }
    }

    fn arm(&mut self, identity: u64, interval: Duration) {
        let at = Instant::now() + offset(identity, interval, SystemTime::now()) + interval;
        self.ticks.push(Reverse((at, identity)));
    }

    /// Tells what there is to be known of the targets by now.
    fn note(&mut self, refused: HashMap<Labels, String>) {
        let session = &self.session;
        let component_id = &session.component;
        for (target, error) in refused.iter().filter(|(target, _)| !self.refused.contains_key(*target)) {
            let Some(line) = session.failures.admit() else { break };
            tracing::error!(%component_id, %target, err = %error, left_out = line.left_out, "the target cannot be scraped");
        }
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        session.metrics.loops.set(count(self.loops.len()));
        session.metrics.refused.set(count(refused.len()));
        tracing::debug!(%component_id, loops = self.loops.len(), refused = refused.len(), "targets");
        let example = refused.iter().map(|(target, error)| format!("{target}: {error}")).min();
        let health = match example {
            None => Health::healthy("targets are scraped"),
            Some(mut example) => {
                example.truncate(example.floor_char_boundary(EXAMPLE));
                let number = refused.len();
                Health::unhealthy(format!("targets that cannot be scraped: {number}; for example {example}"))
            }
        };
        let mut standing = session.standing();
        if standing.health.message != health.message {
            standing.health = health;
        }
        standing.loops = self.loops.values().cloned().collect();
        drop(standing);
        self.refused = refused;
    }
}

/// What is to be scraped next.
#[derive(Default)]
struct Next {
    loops: HashMap<u64, Arc<ScrapeLoop>>,
    of_targets: HashMap<Labels, Box<[u64]>>,
    refused: HashMap<Labels, String>,
}

/// The first tick after now, in the rhythm of before.
fn after(at: Instant, interval: Duration, now: Instant) -> Instant {
    let missed = now.duration_since(at).as_nanos() / interval.as_nanos().max(1);
    at + interval.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_changes_no_rhythm() {
        let at = Instant::now();
        let next = |millis| after(at, Duration::from_millis(100), at + Duration::from_millis(millis)) - at;
        for (late, then) in [(0, 100), (99, 100), (100, 200), (12_345, 12_400)] {
            assert_eq!(next(late), Duration::from_millis(then), "{late}");
        }
    }
}
