//! `docs/queue-format.md` is enough to read a queue: this reader is written from that page alone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use bytes::Bytes;
use durable_queue::{Limits, Queues, Record};

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// What waits in a folder.
fn read(folder: &Path) -> BTreeMap<u64, Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "segment"));
    files.sort();
    let (mut payloads, mut position) = (BTreeMap::new(), Vec::new());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        assert_eq!(&bytes[..12], b"DURQUEUE\x01\0\0\0");
        assert_eq!(crc32fast::hash(&bytes[..36]), u32_at(&bytes, 36));
        let (number, first, marker) = (u64_at(&bytes, 12), u64_at(&bytes, 20), &bytes[28..36]);
        let words =
            format!("{number:016x}-{first:016x}-{:016x}.segment", u64::from_be_bytes(marker.try_into().unwrap()));
        assert_eq!(file.file_name().unwrap().to_str(), Some(words.as_str()));
        payloads.retain(|sequence, _| *sequence < first);
        let mut at = 40;
        while at < bytes.len() {
            assert_eq!(&bytes[at..at + 8], marker);
            assert_eq!(crc32fast::hash(&bytes[at..at + 32]), u32_at(&bytes, at + 32));
            let (length, sequence) = (u32_at(&bytes, at + 8), u64_at(&bytes, at + 12));
            let end = at + 36 + (length & 0x7fff_ffff) as usize;
            let content = &bytes[at + 36..end];
            assert_eq!(crc32fast::hash(content), u32_at(&bytes, at + 28));
            if length >> 31 == 0 {
                payloads.insert(sequence, content.to_vec());
            } else {
                position = content.chunks(8).map(|chunk| u64_at(chunk, 0)).collect();
            }
            at = end;
        }
    }
    let outstanding: BTreeSet<u64> = position[1..].iter().copied().collect();
    payloads.retain(|sequence, _| *sequence >= position[0] || outstanding.contains(sequence));
    payloads
}

#[tokio::test]
async fn another_program_reads_what_waits_and_what_was_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let queues = Queues::new(folder.path());
    let (queue, _) = queues.open("one", Limits { max_size: 1 << 20, ..Limits::default() }).unwrap();
    let payload = |number: u64| Bytes::from(number.to_le_bytes().repeat(2000));
    for number in 1..=20 {
        assert_eq!(queue.append(&[payload(number)]).await.unwrap(), number);
    }
    let mut lent = queue.borrow(10, usize::MAX).await.unwrap();
    lent.pop().unwrap().reject("it is too old");
    let kept = lent.split_off(8);
    lent.into_iter().for_each(Record::acknowledge);
    assert!(queue.saved().await);
    drop((kept, queue, queues));
    let expected = [9].into_iter().chain(11..=20).map(|number| (number, payload(number).to_vec())).collect();
    assert_eq!(read(&folder.path().join("one")), expected);
    let rejected = read(&folder.path().join("one/rejected"));
    let content = [&13u32.to_le_bytes(), b"it is too old".as_slice(), &payload(10)].concat();
    assert_eq!(rejected, [(1, content)].into());
}
