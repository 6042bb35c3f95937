//! The state machine over a disk in memory, beside a model that knows what must be true.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Lent, Log, Payload};
use crate::files::memory::MemoryFolder;
use crate::limits::{AppendError, Limits, Recovered, WhenFull};

mod damage;

const NOW: u64 = 1_000_000;

#[derive(Debug, Clone)]
enum Operation {
    /// Lengths of the payloads.
    Append(Vec<usize>),
    Lend(usize, usize),
    /// Of those lent, the one at this place, and whether it arrived.
    Settle(prop::sample::Index, bool),
    Save,
    /// Of the next changes of the disk so many succeed, and then so many fail.
    Fail(u32, u32),
    /// The disk has room for so many bytes more.
    Fill(usize),
    Heal,
    Kill(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let length = prop_oneof![4 => 0..3000usize, 1 => 3000..90_000usize];
    prop_oneof![
        8 => prop::collection::vec(length, 1..12).prop_map(Operation::Append),
        4 => (1..6usize, 1..50_000usize).prop_map(|(records, bytes)| Operation::Lend(records, bytes)),
        8 => (any::<prop::sample::Index>(), prop::bool::weighted(0.8)).prop_map(|(index, arrived)| Operation::Settle(index, arrived)),
        2 => Just(Operation::Save),
        2 => (0..8u32, 1..4u32).prop_map(|(succeed, fail)| Operation::Fail(succeed, fail)),
        1 => (0..50_000usize).prop_map(Operation::Fill),
        2 => Just(Operation::Heal),
        2 => any::<u64>().prop_map(Operation::Kill),
    ]
}

/// What may be known of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has to be lent, now or later.
    Waits,
    Lent,
    /// It must not be lent, but may come back after a kill, until what is acknowledged is saved.
    MayComeBack,
    /// It was refused; it must not be lent, but may come back after a kill.
    Failed,
}

struct Model {
    folder: MemoryFolder,
    log: Log<MemoryFolder>,
    limits: Limits,
    /// By what its payload says: a number, which rises.
    records: BTreeMap<u64, State>,
    next: u64,
    lent: Vec<(u64, u64)>,
    dropped: u64,
}

impl Model {
    fn new(when_full: WhenFull) -> Self {
        let limits =
            Limits { max_size: 1 << 20, when_full, memory: 20_000, max_age: Duration::from_secs(1), max_lent: 20 };
        let folder = MemoryFolder::default();
        let (log, recovered) = Log::open(folder.clone(), limits).unwrap();
        assert_eq!(recovered, Recovered::default());
        Self { folder, log, limits, records: BTreeMap::new(), next: 0, lent: Vec::new(), dropped: 0 }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Append(lengths) => self.append(&lengths),
            Operation::Lend(records, bytes) => self.lend(records, bytes),
            Operation::Settle(index, arrived) if !self.lent.is_empty() => {
                self.settle(index.index(self.lent.len()), arrived)
            }
            Operation::Settle(..) => {}
            Operation::Save => self.save(),
            Operation::Fail(succeed, fail) => self.folder.fail_after(succeed, fail),
            Operation::Fill(bytes) => self.folder.leave_room(bytes),
            Operation::Heal => self.folder.heal(),
            Operation::Kill(seed) => self.kill(seed),
        }
        let stats = self.log.stats();
        assert!(stats.bytes <= self.limits.max_size, "{stats:?}");
        let expected = self.records.values().filter(|state| matches!(state, State::Waits | State::Lent)).count() as u64;
        assert_eq!((stats.records, stats.damaged, stats.expired), (expected, 0, 0));
    }

    fn append(&mut self, lengths: &[usize]) {
        let numbers = self.next..;
        self.next += lengths.len() as u64;
        let waiting =
            numbers.zip(lengths).map(|(number, length)| Numbered { number, payload: payload(number, *length) });
        let mut sequences = Vec::new();
        self.log.append(waiting, NOW, |Numbered { number, .. }, result| {
            let state = match result {
                Ok(sequence) => {
                    sequences.push(sequence);
                    State::Waits
                }
                Err(AppendError::Full { .. }) => {
                    assert_eq!(self.limits.when_full, WhenFull::Reject);
                    State::Failed
                }
                Err(AppendError::Io(_)) => State::Failed,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(self.records.insert(number, state), None);
        });
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{sequences:?}");
        assert_eq!(self.records.range(self.next - lengths.len() as u64..).count(), lengths.len());
        let dropped = usize::try_from(self.newly_dropped()).unwrap();
        self.records
            .values_mut()
            .filter(|state| **state == State::Waits)
            .take(dropped)
            .for_each(|state| *state = State::MayComeBack);
    }

    fn lend(&mut self, max_records: usize, max_bytes: usize) {
        let lent = self.log.lend(max_records, max_bytes, NOW);
        let waiting = self.records.iter_mut().filter(|(_, state)| **state == State::Waits);
        let mut bytes = 0;
        for (record, (number, state)) in lent.iter().zip(waiting) {
            assert_eq!(numbered(record), *number);
            *state = State::Lent;
            self.lent.push((record.sequence, *number));
            bytes += record.payload.len();
        }
        assert!(lent.len() <= max_records && (bytes <= max_bytes || lent.len() == 1));
        if lent.is_empty() && self.lent.len() < self.limits.max_lent {
            assert!(!self.records.values().any(|state| *state == State::Waits));
        }
        assert!(self.lent.len() <= self.limits.max_lent);
    }

    fn settle(&mut self, index: usize, arrived: bool) {
        let (sequence, number) = self.lent.swap_remove(index);
        if arrived {
            self.log.acknowledge(sequence);
        } else {
            self.log.give_back(sequence);
        }
        let goes_back = !arrived && self.newly_dropped() == 0;
        self.records.insert(number, if goes_back { State::Waits } else { State::MayComeBack });
    }

    fn save(&mut self) {
        if self.log.save_position(NOW) {
            self.records.retain(|_, state| *state != State::MayComeBack);
        }
    }

    fn kill(&mut self, seed: u64) {
        self.folder = self.folder.kill(seed);
        let (mut log, recovered) = Log::open(self.folder.clone(), self.limits).unwrap();
        log.limits.max_lent = usize::MAX;
        let found = log.lend(usize::MAX, usize::MAX, NOW);
        let numbers: Vec<u64> = found.iter().map(numbered).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        for (number, state) in &self.records {
            // A segment that made room may hold some that were lent.
            let may_be_missing = match state {
                State::Waits => false,
                State::Lent => self.limits.when_full == WhenFull::DropOldest,
                State::MayComeBack | State::Failed => true,
            };
            assert!(may_be_missing || numbers.contains(number), "{number} is lost: {state:?}");
        }
        assert!(numbers.iter().all(|number| self.records.contains_key(number)), "{numbers:?}");
        assert_eq!((recovered.records, recovered.lost, recovered.ignored_files), (numbers.len() as u64, 0, 0));
        // Opened once more: more has been lent from this one than ever may be.
        drop(log);
        (self.log, _) = Log::open(self.folder.clone(), self.limits).unwrap();
        self.records = numbers.into_iter().map(|number| (number, State::Waits)).collect();
        self.lent.clear();
        self.dropped = 0;
    }

    fn newly_dropped(&mut self) -> u64 {
        let dropped = self.log.stats().dropped;
        dropped - std::mem::replace(&mut self.dropped, dropped)
    }
}

struct Numbered {
    number: u64,
    payload: Payload,
}

impl AsRef<Payload> for Numbered {
    fn as_ref(&self) -> &Payload {
        &self.payload
    }
}

fn payload(number: u64, length: usize) -> Payload {
    Payload::new(content(number, length))
}

fn content(number: u64, length: usize) -> Bytes {
    let mut content = number.to_le_bytes().repeat(length / 8 + 2);
    content.truncate(8 + length);
    content.into()
}

/// The number of a record that is whole.
fn numbered(record: &Lent) -> u64 {
    let number = u64::from_le_bytes(*record.payload.first_chunk().unwrap());
    assert!(record.payload == content(number, record.payload.len() - 8));
    number
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_as_written_survives_every_kill(
        when_full in prop_oneof![Just(WhenFull::Reject), Just(WhenFull::DropOldest)],
        operations in prop::collection::vec(operation(), 1..60),
    ) {
        let mut model = Model::new(when_full);
        for operation in operations {
            model.apply(operation);
        }
        model.kill(0);
    }
}

#[test]
fn what_is_too_old_is_dropped_and_counted() {
    let folder = MemoryFolder::default();
    let limits = Limits { max_age: Duration::from_secs(1), memory: 0, ..Limits::default() };
    let (mut log, _) = Log::open(folder.clone(), limits).unwrap();
    let append = |log: &mut Log<MemoryFolder>, number, now| {
        log.append([payload(number, 10)], now, |_, result| assert!(result.is_ok()));
    };
    append(&mut log, 1, NOW);
    append(&mut log, 2, NOW + 1);
    // A clock that goes back does not make records older.
    append(&mut log, 3, NOW - 5000);
    let lent = log.lend(9, 999, NOW + 1001);
    assert_eq!(lent.iter().map(numbered).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(log.stats().expired, 1);
    lent.iter().for_each(|record| log.give_back(record.sequence));
    assert_eq!(log.lend(9, 999, NOW + 1002), []);
    assert_eq!((log.stats().expired, log.stats().records), (3, 0));
    append(&mut log, 4, NOW + 2000);
    log.expire(NOW + 3001);
    assert_eq!((log.stats().expired, log.stats().records, log.stats().bytes), (4, 0, 0));
    assert!(log.save_position(NOW + 3001));
    for seed in 0..16 {
        let (log, recovered) = Log::open(folder.kill(seed), limits).unwrap();
        assert_eq!((recovered, log.stats().records), (Recovered::default(), 0));
    }
}

#[test]
fn a_full_disk_refuses_until_there_is_room() {
    let folder = MemoryFolder::default();
    let (mut log, _) = Log::open(folder.clone(), Limits::default()).unwrap();
    let append = |log: &mut Log<MemoryFolder>, number| {
        let mut outcome = None;
        log.append([payload(number, 1000)], NOW, |_, result| outcome = Some(result));
        outcome.unwrap()
    };
    folder.leave_room(500);
    let error = append(&mut log, 1).unwrap_err().to_string();
    assert!(error.contains("No space left on device"), "{error}");
    folder.leave_room(5000);
    assert_eq!(append(&mut log, 2).unwrap(), 1);
    folder.leave_room(0);
    append(&mut log, 3).unwrap_err();
    folder.heal();
    assert_eq!(append(&mut log, 4).unwrap(), 2);
    let numbers: Vec<_> = log.lend(9, 9999, NOW).iter().map(numbered).collect();
    assert_eq!(numbers, [2, 4]);
}

/// The segment that was to hold the position is gone again, and the position with it.
#[test]
fn a_position_in_a_segment_that_could_not_be_made_durable_is_written_again() {
    let written = MemoryFolder::default();
    let (mut log, _) = Log::open(written.clone(), Limits::default()).unwrap();
    log.append([payload(1, 100)], NOW, |_, result| assert!(result.is_ok()));
    // After a start the position begins a new segment.
    let folder = written.kill(0);
    let (mut log, _) = Log::open(folder.clone(), Limits::default()).unwrap();
    log.lend(1, 999, NOW).iter().for_each(|record| log.acknowledge(record.sequence));
    // The file is made, written and synced; the folder is not synced.
    folder.fail_after(3, 1);
    assert!(!log.save_position(NOW));
    folder.heal();
    assert!(log.save_position(NOW));
    for seed in 0..16 {
        let (_, recovered) = Log::open(folder.kill(seed), Limits::default()).unwrap();
        assert_eq!(recovered.records, 0, "seed {seed}");
    }
}
