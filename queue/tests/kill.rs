//! Kill -9 at random instants: what a process was told to be durable is there when the next one looks.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use durable_queue::{Limits, Queue, Queues, Record};

const ROUNDS: u64 = 10;
const WRITERS: u64 = 8;
const BORROWERS: usize = 2;
const BATCH: usize = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1..) {
        Some([word, folder, first]) if word == "child" => child(Path::new(folder), first.parse().unwrap()),
        _ => parent(),
    }
}

/// What must be true after all rounds so far.
#[derive(Default)]
struct Known {
    appended: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
    /// Its acknowledgement may have been on its way.
    maybe_acknowledged: BTreeSet<u64>,
    /// Its append may have been on its way.
    begun: BTreeSet<u64>,
}

fn parent() {
    let folder = tempfile::tempdir().unwrap();
    let mut known = Known::default();
    for round in 0..ROUNDS {
        run_and_kill(folder.path(), round, &mut known);
        let left = left(folder.path());
        let lost: Vec<_> =
            known.appended.difference(&known.acknowledged).filter(|number| !left.contains(number)).collect();
        let lost: Vec<_> = lost.into_iter().filter(|number| !known.maybe_acknowledged.contains(number)).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} are lost");
        let strange: Vec<_> = left.iter().filter(|number| !known.begun.contains(number)).collect();
        assert!(strange.is_empty(), "round {round}: {strange:?} were never appended");
        let twice: Vec<_> = left.intersection(&known.acknowledged).collect();
        assert!(twice.is_empty(), "round {round}: {twice:?} come again");
        // What is left is what the next process has to find.
        println!(
            "round {round}: {} appended, {} acknowledged, {} left",
            known.appended.len(),
            known.acknowledged.len(),
            left.len()
        );
        known.appended.extend(&left);
        let gone = |number: &u64| !left.contains(number);
        let settled: BTreeSet<u64> = known.maybe_acknowledged.iter().copied().filter(gone).collect();
        known.acknowledged.extend(settled);
        known.maybe_acknowledged.clear();
    }
    assert!(known.acknowledged.len() > 100, "only {}", known.acknowledged.len());
}

fn run_and_kill(folder: &Path, round: u64, known: &mut Known) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child".as_ref(), folder.as_os_str(), (round * 1_000_000).to_string().as_ref()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let instant = Duration::from_millis(fastrand::u64(50..400));
    let mut killer = None;
    for line in lines {
        let line = line.unwrap();
        if killer.is_none() {
            // From the first sign of life on; the pipe is read to its end, for what was said before.
            let id = rustix::process::Pid::from_child(&child);
            killer = Some(std::thread::spawn(move || {
                std::thread::sleep(instant);
                rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
            }));
        }
        // A line may be cut by the kill.
        let Some((word, number)) = line.split_once(' ').and_then(|(word, rest)| Some((word, rest.strip_suffix('.')?)))
        else {
            continue;
        };
        let number = number.parse().unwrap();
        match word {
            "begin" => known.begun.insert(number),
            "durable" => known.appended.insert(number),
            "sent" => known.maybe_acknowledged.insert(number),
            "saved" => known.maybe_acknowledged.remove(&number) && known.acknowledged.insert(number),
            word => panic!("{word}"),
        };
    }
    killer.unwrap().join().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// Numbers of what waits, each of which is there once.
fn left(folder: &Path) -> BTreeSet<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let queues = Queues::new(folder);
        let (queue, recovered) = queues.open("one", Limits { max_lent: usize::MAX, ..Limits::default() }).unwrap();
        assert_eq!(recovered.lost, 0);
        let mut left = BTreeSet::new();
        if recovered.records > 0 {
            let records = queue.borrow(usize::MAX, usize::MAX).await.unwrap();
            assert_eq!(records.len() as u64, recovered.records);
            for record in records {
                assert!(left.insert(number(&record)), "twice in the queue");
            }
        }
        left
    })
}

fn payload(number: u64) -> [Bytes; 2] {
    let length = usize::try_from(number % 50_000).unwrap();
    [Bytes::copy_from_slice(&number.to_le_bytes()), Bytes::from(number.to_le_bytes().repeat(length / 8))]
}

fn number(record: &Record) -> u64 {
    let number = u64::from_le_bytes(*record.payload().first_chunk().unwrap());
    assert!(record.payload()[..] == payload(number).concat(), "{number} has changed");
    number
}

fn say(word: &str, number: u64) {
    let mut line = Vec::new();
    writeln!(line, "{word} {number}.").unwrap();
    std::io::stdout().lock().write_all(&line).unwrap();
}

fn child(folder: &Path, first: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let (queue, _) = Queues::new(folder).open("one", Limits::default()).unwrap();
        let next = Arc::new(AtomicU64::new(first));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..WRITERS {
            tasks.spawn(write(queue.clone(), Arc::clone(&next)));
        }
        for _ in 0..BORROWERS {
            tasks.spawn(send(queue.clone()));
        }
        while tasks.join_next().await.is_some() {}
    });
}

async fn write(queue: Queue, next: Arc<AtomicU64>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        say("begin", number);
        queue.append(&payload(number)).await.unwrap();
        say("durable", number);
    }
}

async fn send(queue: Queue) {
    loop {
        let records = queue.borrow(BATCH, usize::MAX).await.unwrap();
        let mut acknowledged = Vec::new();
        for record in records {
            let number = number(&record);
            // Some are given back instead, and may be on their way by another one soon.
            if !number.is_multiple_of(7) || fastrand::bool() {
                say("sent", number);
                record.acknowledge();
                acknowledged.push(number);
            }
        }
        assert!(queue.saved().await);
        acknowledged.into_iter().for_each(|number| say("saved", number));
    }
}
