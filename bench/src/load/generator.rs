//! A closed loop of connections: each sends its next request when the answer to the last has come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::{Connection, Door};
use super::payload::Payload;

/// No program may take longer than this for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const LONGEST_MICROSECONDS: u64 = 60_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// What one drive has seen.
pub(crate) struct Driven {
    /// Answers, all of them with status 200.
    pub(crate) requests: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// Microseconds from the first byte of a request to the last of its answer.
    pub(crate) latency: Histogram<u64>,
}

/// Open connections to one program.
pub(crate) struct Fleet {
    connections: Vec<Connection>,
    payload: Arc<Payload>,
}

impl Fleet {
    pub(crate) async fn open(door: impl Into<Door>, connections: usize, payload: Payload) -> anyhow::Result<Self> {
        let door = door.into();
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(Connection::open(door.clone()).await?);
        }
        Ok(Self { connections: open, payload: Arc::new(payload) })
    }

    /// Sends on every connection for `duration`. Fails at the first answer that is not 200.
    pub(crate) async fn drive(&mut self, duration: Duration) -> anyhow::Result<Driven> {
        let start = Instant::now();
        let mut workers = JoinSet::new();
        for (index, connection) in self.connections.drain(..).enumerate() {
            workers.spawn(work(connection, self.payload.clone(), index, start + duration));
        }
        let mut latency = histogram()?;
        let joining = async {
            while let Some(worker) = workers.join_next().await {
                let (connection, seen) = worker??;
                latency.add(&seen)?;
                self.connections.push(connection);
            }
            anyhow::Ok(())
        };
        timeout(duration + ANSWER_LIMIT, joining)
            .await
            .with_context(|| format!("an answer did not come within {} s", ANSWER_LIMIT.as_secs()))??;
        Ok(Driven { requests: latency.len(), elapsed: start.elapsed(), latency })
    }
}

async fn work(
    mut connection: Connection,
    payload: Arc<Payload>,
    index: usize,
    end: Instant,
) -> anyhow::Result<(Connection, Histogram<u64>)> {
    let mut latency = histogram()?;
    let requests = payload.requests(index);
    // Each connection begins with another label set.
    for request in requests.iter().cycle().skip(index % requests.len().max(1)) {
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        let answer = connection.exchange(request).await?;
        ensure!(
            answer.status == 200,
            "an answer has status {}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body).trim_end()
        );
        let microseconds = u64::try_from(sent.elapsed().as_micros())?;
        latency.saturating_record(microseconds.max(1));
    }
    Ok((connection, latency))
}

/// Of microseconds.
pub(super) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LONGEST_MICROSECONDS, SIGNIFICANT_DIGITS)?)
}
