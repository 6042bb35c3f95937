//! Files that are not as they were written.

use super::{NOW, numbered, payload};
use crate::files::memory::MemoryFolder;
use crate::limits::{Limits, Recovered};
use crate::log::Log;

/// Twenty records in one segment, of which the first two were acknowledged.
fn written() -> MemoryFolder {
    let folder = MemoryFolder::default();
    let (mut log, _) = Log::open(folder.clone(), Limits::default()).unwrap();
    for number in 0..20 {
        log.append([payload(number, 100)], NOW, |_, result| assert!(result.is_ok()));
    }
    log.lend(2, 9999, NOW).iter().for_each(|record| log.acknowledge(record.sequence));
    assert!(log.save_position(NOW));
    folder
}

fn read(folder: MemoryFolder) -> (Recovered, Vec<u64>, u64) {
    let (mut log, recovered) = Log::open(folder, Limits::default()).unwrap();
    let numbers: Vec<_> = log.lend(100, usize::MAX, NOW).iter().map(numbered).collect();
    assert_eq!(recovered.records, numbers.len() as u64);
    (recovered, numbers, log.stats().damaged)
}

#[test]
fn a_flipped_bit_anywhere_costs_one_record_at_most() {
    let mut length = 0;
    written().damage(|_, content| length = content.len());
    let whole: Vec<u64> = (2..20).collect();
    for byte in 0..length {
        let folder = written();
        folder.damage(|_, content| content[byte] ^= 1 << (byte % 8));
        let (recovered, numbers, damaged) = read(folder);
        // Where the last position is damaged, what it says is acknowledged comes back.
        let expected = whole.iter().chain(&[0, 1]).filter(|number| numbers.contains(number)).count();
        assert_eq!(expected, numbers.len());
        let missing = whole.iter().filter(|number| !numbers.contains(number)).count() as u64;
        assert!(missing <= 1 && recovered.lost == missing, "byte {byte}: {recovered:?}");
        assert!(numbers.is_sorted() && damaged == 0, "byte {byte}: {numbers:?}, {damaged}");
    }
}

#[test]
fn a_torn_tail_is_passed_over() {
    let mut length = 0;
    written().damage(|_, content| length = content.len());
    for len in 0..length {
        for zeros in [0, 300] {
            let folder = written();
            folder.damage(|_, content| {
                content.truncate(len);
                content.resize(len + zeros, 0);
            });
            let (_, numbers, damaged) = read(folder);
            let first = numbers.first().copied().unwrap_or(0);
            assert!(numbers.iter().copied().eq(first..first + numbers.len() as u64) && damaged == 0);
        }
    }
}

#[test]
fn damage_that_comes_later_is_counted_when_it_is_met() {
    let folder = written();
    let (mut log, recovered) = Log::open(folder.clone(), Limits::default()).unwrap();
    assert_eq!(recovered, Recovered { records: 18, ..Recovered::default() });
    folder.damage(|_, content| content[1000] ^= 1);
    assert_eq!(log.lend(100, usize::MAX, NOW).len(), 17);
    assert_eq!((log.stats().damaged, log.stats().records), (1, 17));
}

#[test]
fn a_payload_that_looks_like_records_is_none() {
    let source = written();
    let mut records = Vec::new();
    source.damage(|_, content| records.clone_from(content));
    let folder = MemoryFolder::default();
    let (mut log, _) = Log::open(folder.clone(), Limits::default()).unwrap();
    log.append([crate::log::Payload::new(records.into())], NOW, |_, result| assert!(result.is_ok()));
    log.append([payload(7, 100)], NOW, |_, result| assert!(result.is_ok()));
    // The header before it: what is behind it is searched for records.
    folder.damage(|_, content| content[90] ^= 1);
    let (recovered, numbers, _) = read(folder);
    assert_eq!((recovered.lost, numbers), (1, vec![7]));
}

#[test]
fn a_file_of_a_later_version_stays() {
    let folder = written();
    folder.damage(|_, content| {
        content[8] = 2;
        let checksum = crc32fast::hash(&content[..36]).to_le_bytes();
        content[36..40].copy_from_slice(&checksum);
    });
    let (recovered, numbers, _) = read(folder.clone());
    assert_eq!((recovered.ignored_files, numbers.len()), (1, 0));
    let mut files = 0;
    folder.damage(|_, _| files += 1);
    assert_eq!(files, 1);
}
