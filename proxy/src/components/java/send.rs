//! Sends what a recording holds, its profiles side by side.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join_all;
use profiler_core::java::Recording;
use tokio::task::spawn_blocking;

use super::failure::Failure;
use super::harvest::{Built, Harvest};
use super::plan::Order;
use super::session::Session;
use super::target_loop::TargetLoop;
use crate::components::own_profile::OwnProfile;

/// Makes profiles of a recording, sends them to the receivers that are current by then, and notes how that went.
pub(super) async fn send(session: &Arc<Session>, of: &TargetLoop, order: &Arc<Order>, recording: Recording) {
    let harvest = match harvest(session, order, recording).await {
        Ok(harvest) => harvest,
        Err(failure) => return session.note(of, order, &failure),
    };
    let Harvest { profiles, converted, took, failures } = harvest;
    failures.iter().for_each(|failure| session.note(of, order, failure));
    let metrics = &session.metrics;
    metrics.recordings.inc();
    metrics.recording_bytes.add(converted.counts.bytes);
    metrics.parse_seconds.observe(took.as_secs_f64());
    converted.counts.events.iter().for_each(|(event, count)| metrics.events(event.class(), *count));
    {
        let mut shown = of.shown();
        shown.last_bytes.clear();
        shown.total_samples += converted.counts.events.values().sum::<u64>();
        for profile in &profiles {
            let bytes = profile.bytes.len() as u64;
            metrics.profile_bytes.add(bytes);
            shown.total_bytes += bytes;
            *shown.last_bytes.entry(profile.name).or_default() += bytes;
        }
    }
    // Stacks and names take more memory than the profiles.
    drop(converted);
    for sent in join_all(profiles.into_iter().map(|profile| push(session, profile))).await {
        match sent {
            Ok(()) => of.shown().last_profiled = Some(SystemTime::now()),
            Err(failure) => session.note(of, order, &failure),
        }
    }
}

async fn harvest(session: &Arc<Session>, order: &Arc<Order>, recording: Recording) -> Result<Harvest, Failure> {
    // It is never closed.
    let _permit = session.converting.acquire().await;
    let (session, order) = (session.clone(), order.clone());
    spawn_blocking(move || Harvest::of(recording, &order, &session.budget)).await?
}

async fn push(session: &Session, built: Built) -> Result<(), Failure> {
    let Some(plan) = session.current() else { return Ok(()) };
    let _on_its_way = plan.pushes.token();
    let Built { labels, bytes, memory, .. } = built;
    let profile = OwnProfile { labels, pprof: bytes, memory };
    profile.push(&plan.forward_to, &session.fanout).await.map_err(Failure::NotTaken)
}
