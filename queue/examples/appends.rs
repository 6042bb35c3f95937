//! How fast records are made durable, beside what the disk itself does in the same run.
//!
//!     cargo run -p durable-queue --example appends [folder]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use durable_queue::{Limits, Queues, Record, WhenFull};

const RECORD: usize = 20_000;
const RUN: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parent = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(parent)?;
    let record: Bytes = (0..RECORD).map(|_| fastrand::u8(..)).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    plain(folder.path(), &record)?;
    for borrowers in [0, 4] {
        for writers in [1, 8, 64] {
            let disk = synced(folder.path(), &record)?;
            let mut queue = runtime.block_on(appended(folder.path(), &record, writers, borrowers))?;
            let (rate, p50, p99) = (per_second(&queue), percentile(&mut queue, 50), percentile(&mut queue, 99));
            println!(
                "{writers:2} writers, {borrowers} borrowers: {rate:6.0} records/s ({:4.0} MB/s), p50 {p50:6.2} ms, p99 {p99:6.2} ms, {:4.1} times the disk's",
                rate * RECORD as f64 / 1e6,
                p99 / disk,
            );
        }
    }
    let began = Instant::now();
    let (queue, recovered) = Queues::new(folder.path()).open("64-0", Limits::default())?;
    let (took, bytes) = (began.elapsed().as_secs_f64(), queue.stats().bytes as f64 / 1e6);
    println!("opened again: {} records, {bytes:.0} MB in {:.0} ms", recovered.records, took * 1e3);
    Ok(())
}

/// Many records and one sync.
fn plain(folder: &Path, record: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(folder.join("plain"))?;
    let (began, count) = (Instant::now(), 128 << 20);
    for _ in 0..count / RECORD {
        file.write_all(record)?;
    }
    file.sync_data()?;
    println!("disk: {:.0} MB/s, written at once and synced", count as f64 / 1e6 / began.elapsed().as_secs_f64());
    std::fs::remove_file(folder.join("plain"))
}

/// The 99th percentile of a write of one record and its sync, in milliseconds.
fn synced(folder: &Path, record: &[u8]) -> std::io::Result<f64> {
    let mut file = File::create(folder.join("synced"))?;
    let (mut took, end) = (Vec::new(), Instant::now() + RUN);
    while Instant::now() < end {
        file.write_all(record)?;
        let began = Instant::now();
        file.sync_data()?;
        took.push(began.elapsed());
    }
    let (p50, p99) = (percentile(&mut took, 50), percentile(&mut took, 99));
    println!("disk: fdatasync of one record: p50 {p50:.2} ms, p99 {p99:.2} ms, {:.0}/s", per_second(&took));
    std::fs::remove_file(folder.join("synced"))?;
    Ok(p99)
}

async fn appended(
    folder: &Path,
    record: &Bytes,
    writers: usize,
    borrowers: usize,
) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let queues = Queues::new(folder);
    let limits = Limits { when_full: WhenFull::DropOldest, ..Limits::default() };
    let (queue, _) = queues.open(&format!("{writers}-{borrowers}"), limits)?;
    let has_ended = std::sync::Arc::new(AtomicBool::new(false));
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..borrowers {
        let queue = queue.clone();
        sending.spawn(async move {
            while let Some(records) = queue.borrow(16, 1 << 20).await {
                records.into_iter().for_each(Record::acknowledge);
            }
        });
    }
    let mut writing = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let (queue, record, has_ended) = (queue.clone(), record.clone(), std::sync::Arc::clone(&has_ended));
        writing.spawn(async move {
            let mut took = Vec::new();
            while !has_ended.load(Ordering::Relaxed) {
                let began = Instant::now();
                if queue.append(std::slice::from_ref(&record)).await.is_ok() {
                    took.push(began.elapsed());
                }
            }
            took
        });
    }
    tokio::time::sleep(RUN).await;
    has_ended.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    while let Some(took) = writing.join_next().await {
        all.extend(took?);
    }
    sending.shutdown().await;
    Ok(all)
}

fn per_second(took: &[Duration]) -> f64 {
    took.len() as f64 / RUN.as_secs_f64()
}

fn percentile(took: &mut [Duration], percent: usize) -> f64 {
    took.sort_unstable();
    took.get(took.len() * percent / 100).map_or(0.0, |took| took.as_secs_f64() * 1e3)
}
