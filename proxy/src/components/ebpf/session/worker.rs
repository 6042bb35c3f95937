//! What a session does: begins, collects, changes over to another plan, ends.

use std::sync::Arc;
use std::time::Instant as Moment;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::{ATTEMPTS, Session};
use crate::component::Health;
use crate::components::ebpf::build::{Harvest, Press};
use crate::components::ebpf::counts::{count_harvest, count_statistics};
use crate::components::ebpf::plan::Plan;
use crate::components::ebpf::sampling::Sampling;

pub(super) struct Worker {
    session: Arc<Session>,
    plan: Arc<Plan>,
    sampling: Option<Sampling>,
    /// Attempts to begin what the plan wants.
    tries: u32,
    try_at: Instant,
    collect_at: Instant,
}

impl Worker {
    pub(super) fn new(session: Arc<Session>, plan: Arc<Plan>) -> Self {
        session.selector.choose_by(plan.selection.clone());
        if plan.waits() {
            tracing::info!(component_id = %session.component, "lazy_mode: waiting for targets");
        }
        let now = Instant::now();
        Self { session, plan, sampling: None, tries: 0, try_at: now, collect_at: now }
    }

    /// Whether a sampler is missing, or is not the one that the plan wants.
    pub(super) fn wants_to_begin(&self) -> bool {
        let wanted = match &self.sampling {
            Some(sampling) => sampling.settings != self.plan.sampling,
            None => !self.plan.waits(),
        };
        wanted && self.tries < ATTEMPTS
    }

    pub(super) fn try_at(&self) -> Instant {
        self.try_at
    }

    pub(super) fn is_sampling(&self) -> bool {
        self.sampling.is_some()
    }

    pub(super) fn collect_at(&self) -> Instant {
        self.collect_at
    }

    /// Starts the sampler that the plan wants, and ends the one before, which samples until then.
    pub(super) async fn begin(&mut self) {
        self.tries += 1;
        let session = &self.session;
        match Sampling::begin(self.plan.sampling.clone(), session.selector.clone(), self.sampling.as_ref()).await {
            Ok(begun) => {
                session.metrics.sessions.inc();
                tracing::info!(component_id = %session.component, sample_rate = begun.settings.sample_rate, "sampling");
                for shortfall in begun.sampler.shortfalls() {
                    tracing::warn!(component_id = %session.component, "{shortfall}");
                }
                session.standing().health = Health::healthy("sampling");
                let before = self.sampling.replace(begun);
                if let Some(before) = before {
                    self.collect_last(before).await;
                } else {
                    self.collect_at = Instant::now() + self.plan.collect_interval;
                }
            }
            Err(error) => {
                session.metrics.sessions_failing.inc();
                let still = if self.sampling.is_some() { "; the sampler of before runs on" } else { "" };
                let (attempt, of) = (self.tries, ATTEMPTS);
                tracing::error!(component_id = %session.component, attempt, of, err = %error, "sampling cannot begin");
                session.standing().health = Health::unhealthy(format!("sampling cannot begin: {error}{still}"));
                self.try_at = Instant::now() + self.plan.collect_interval;
            }
        }
    }

    /// Sends what was sampled since the last time.
    pub(super) async fn collect(&mut self) {
        if let Some(mut sampling) = self.sampling.take() {
            self.harvest(&mut sampling).await;
            self.sampling = Some(sampling);
        }
        // What a collection takes does not put off the next one.
        let (due, now) = (self.collect_at + self.plan.collect_interval, Instant::now());
        self.collect_at = if due > now { due } else { now + self.plan.collect_interval };
    }

    /// Another plan: what was sampled under the one of before still belongs to its targets.
    pub(super) async fn change(&mut self, next: Arc<Plan>) {
        if next.id == self.plan.id {
            return;
        }
        self.collect().await;
        self.session.selector.choose_by(next.selection.clone());
        if let Some(sampling) = &self.sampling {
            sampling.sampler.reconsider();
        }
        self.session.left.send_replace(next.id);
        (self.tries, self.try_at) = (0, Instant::now());
        self.collect_at = Instant::now() + next.collect_interval;
        self.plan = next;
    }

    /// Sends the last of it.
    pub(super) async fn end(mut self) {
        if let Some(sampling) = self.sampling.take() {
            self.collect_last(sampling).await;
        }
    }

    async fn collect_last(&self, mut sampling: Sampling) {
        let sampler = sampling.sampler.clone();
        // A panic there is on standard error already; what was sampled is still to be had.
        let _ = spawn_blocking(move || sampler.stop()).await;
        self.harvest(&mut sampling).await;
    }

    async fn harvest(&self, sampling: &mut Sampling) {
        let (session, plan) = (self.session.clone(), self.plan.clone());
        let (taken, of_plan) = (sampling.clone(), plan.clone());
        let now = Moment::now();
        let pressed = spawn_blocking(move || {
            let press = Press {
                plan: &of_plan,
                selector: &session.selector,
                names: &taken.names(),
                sample_rate: taken.settings.sample_rate,
                budget: &session.budget,
                duration: now.duration_since(taken.since),
            };
            press.harvest(taken.sampler.collect())
        });
        let session = &self.session;
        let harvest = match pressed.await {
            Ok(harvest) => harvest,
            Err(error) => {
                tracing::error!(component_id = %session.component, err = %error, "making profiles broke off");
                Harvest::default()
            }
        };
        for remark in sampling.sampler.remarks() {
            tracing::warn!(component_id = %session.component, "{remark}");
        }
        let counted = sampling.sampler.statistics();
        count_harvest(&session.metrics, &harvest);
        count_statistics(&session.metrics, &sampling.counted, &counted);
        self.tell(&harvest);
        session.standing().seen.note(&harvest, &counted);
        (sampling.since, sampling.counted) = (now, counted);
        session.sender.send(&plan, harvest.profiles);
    }

    fn tell(&self, harvest: &Harvest) {
        let component_id = &self.session.component;
        let profiles = harvest.profiles.len();
        let bytes: usize = harvest.profiles.iter().map(|profile| profile.bytes.len()).sum();
        let samples: u64 = harvest.profiles.iter().map(|profile| profile.samples).sum();
        let of_no_target = harvest.tally.of_no_target;
        if self.plan.verbose {
            tracing::info!(%component_id, profiles, samples, bytes, of_no_target, "collected");
        } else {
            tracing::debug!(%component_id, profiles, samples, bytes, of_no_target, "collected");
        }
        if harvest.unpaid > 0 {
            tracing::warn!(%component_id, count = harvest.unpaid, "profiles dropped: too many wait for their backends");
        }
    }
}
