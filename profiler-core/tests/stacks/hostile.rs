//! Tables, stacks and registers that nobody would make: the kernel's code ends its walks, and the sanitizers are silent.

use std::collections::{BTreeMap, BTreeSet};

use profiler_core::kernel::Stop;
use profiler_core::native::unwind::Registers;

use super::replay::{ORIGINS, Replay};

const WORLDS: u64 = 200;
const WALKS: u64 = 10;
const CODE: std::ops::Range<u64> = 0x10_0000..0x11_0000;
const STACK: std::ops::Range<u64> = 0x20_0000..0x20_4000;
/// Mappings of a world, and tables: the last mappings name none that is there.
const MAPPINGS: u64 = 8;
const TABLES: u64 = 5;
const RULES: u64 = 40;
const ROWS: u64 = 100;

/// Numbers that look like chance, the same each time (xorshift).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        for (left, shift) in [(true, 13), (false, 7), (true, 17)] {
            self.0 ^= if left { self.0 << shift } else { self.0 >> shift };
        }
        (self.0 >> 11) % limit
    }

    fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }
}

#[test]
fn no_table_and_no_stack_breaks_the_walk() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let replay = Replay::new(&[]);
    replay.tell_thread_pointer(STACK.start);
    let mut stops = BTreeSet::new();
    for _ in 0..WORLDS {
        let order = chance.below(4);
        tell_tables(&replay, &mut chance, order);
        let memory = stack(&mut chance, order);
        for _ in 0..WALKS {
            let registers = Registers {
                ip: chance.within(CODE),
                sp: chance.within(STACK) & !7,
                fp: if chance.below(4) == 0 { chance.below(u64::MAX) } else { chance.within(STACK) & !7 },
                lr: Some(chance.within(CODE)),
                thread_pointer: None,
            };
            for origin in ORIGINS {
                let walked = replay.walk(origin, registers, &memory);
                assert!(walked.frames.len() <= 512, "{walked:x?}");
                stops.insert(walked.stop);
            }
        }
    }
    // Those that no table, stack or register leads to.
    let others = [Stop::KernelThread, Stop::NoProcess, Stop::Compat, Stop::NoUnwinder];
    let missing: Vec<&Stop> = (0..)
        .zip(Stop::ALL)
        .filter(|(number, stop)| !stops.contains(number) && !others.contains(stop))
        .map(|(_, stop)| stop)
        .collect();
    assert!(missing.is_empty(), "no walk ended with {missing:?}");
}

/// The higher the order, the more of it makes sense.
fn tell_tables(replay: &Replay, chance: &mut Chance, order: u64) {
    for slot in 1..=TABLES {
        // Some have fewer than mappings say.
        let count = if order > 0 { ROWS } else { chance.below(ROWS) + 1 };
        let mut rows: Vec<u64> = (0..count).map(|_| row(chance, order)).collect();
        if order > 0 {
            rows[0] &= !u64::from(u32::MAX);
            rows.sort_unstable_by_key(|row| *row as u32);
        }
        replay.tell_table(slot, &rows);
    }
    let rules: Vec<u64> = (0..RULES)
        .flat_map(|_| {
            let (kind, fp, ra) = (chance.below(13), chance.below(4), chance.below(3));
            let mut offset = || if order > 0 { chance.below(64) * 8 } else { chance.below(1 << 32) };
            [kind | fp << 8 | ra << 16 | offset() << 32, offset() | offset() << 32]
        })
        .collect();
    replay.tell_rules(&rules);
    let length = (CODE.end - CODE.start) / MAPPINGS;
    let mappings: Vec<u64> = (0..MAPPINGS)
        .flat_map(|number| {
            let start = CODE.start + number * length;
            // One begins late, and one is code that was written.
            let (from, flags) = (start + if number == 1 { length / 2 } else { 0 }, u64::from(number == 2) << 48);
            let unwinder = if number == 3 { 9 << 32 } else { 0 };
            let table = number + 1;
            let rows = if order > 0 { ROWS } else { chance.below(1 << 32) };
            [
                from,
                start + length,
                CODE.start,
                0,
                (number + 1) | (if number == 4 { 0 } else { table } << 32),
                rows | unwinder | flags,
            ]
        })
        .collect();
    replay.tell_mappings(&mappings);
}

fn row(chance: &mut Chance, order: u64) -> u64 {
    let pc = chance.below(CODE.end - CODE.start);
    let rule = match order {
        // The stack moves by a word a frame: as deep as it can be.
        3 => 1 | 1 << 4,
        0 => chance.below(1 << 32),
        _ if chance.below(2) == 0 => 6 | chance.below(RULES + 1) << 4,
        _ => chance.below(9) | chance.below(32) << 4 | chance.below(2) << 16 | chance.below(4096) << 20,
    };
    pc | rule << 32
}

fn stack(chance: &mut Chance, order: u64) -> BTreeMap<u64, u64> {
    let mut word = || match chance.below(if order == 3 { 2000 } else { 16 }) {
        0 => 0,
        1 => chance.below(u64::MAX),
        2 | 3 => chance.within(STACK) & !7,
        // The first mapping has a table.
        _ if order == 3 => chance.within(CODE.start + 8..CODE.start + 64),
        _ => chance.within(CODE),
    };
    STACK.step_by(8).map(|address| (address, word())).collect()
}
