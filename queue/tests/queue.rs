//! A queue on a real disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use durable_queue::{Limits, OpenError, Queues, WhenFull};

fn bytes(text: &str) -> [Bytes; 1] {
    [Bytes::copy_from_slice(text.as_bytes())]
}

#[tokio::test]
async fn what_is_appended_is_lent_in_order_until_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    {
        let queues = Queues::new(folder.path());
        let (queue, recovered) = queues.open("one", Limits::default()).unwrap();
        assert_eq!(recovered.records, 0);
        for text in ["a", "b", "c", "d"] {
            queue.append(&bytes(text)).await.unwrap();
        }
        let mut lent = queue.borrow(3, 1000).await.unwrap().into_iter();
        let (a, b, c) = (lent.next().unwrap(), lent.next().unwrap(), lent.next().unwrap());
        assert_eq!((&a.payload()[..], &b.payload()[..], &c.payload()[..]), (&b"a"[..], &b"b"[..], &b"c"[..]));
        b.acknowledge();
        c.reject("too old");
        drop(a);
        let again = queue.borrow(1, 1000).await.unwrap();
        assert_eq!(&again[0].payload()[..], b"a");
        assert!(queue.saved().await);
        let stats = queue.stats();
        assert_eq!((stats.records, stats.acknowledged, stats.rejected), (2, 1, 1));
    }
    let queues = Queues::new(folder.path());
    let (queue, recovered) = queues.open("one", Limits::default()).unwrap();
    assert_eq!((recovered.records, recovered.lost, recovered.skipped_bytes), (2, 0, 0));
    let lent = queue.borrow(10, 1000).await.unwrap();
    let payloads: Vec<_> = lent.iter().map(|record| &record.payload()[..]).collect();
    assert_eq!(payloads, [b"a", b"d"]);
}

#[tokio::test]
async fn a_queue_that_is_open_is_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let queues = Queues::new(folder.path());
    let (before, _) = queues.open("one", Limits::default()).unwrap();
    before.append(&bytes("a")).await.unwrap();
    let (after, _) = queues.open("one", Limits::default()).unwrap();
    drop(before);
    let lent = after.borrow(1, 1).await.unwrap();
    drop(after);
    let others = Queues::new(folder.path());
    assert!(matches!(others.open("one", Limits::default()), Err(OpenError::Locked(_))));
    assert_eq!(others.orphans().unwrap(), []);
    lent.into_iter().for_each(durable_queue::Record::acknowledge);
    let (again, recovered) = queues.open("one", Limits::default()).unwrap();
    assert!(again.saved().await);
    assert_eq!((recovered.records, again.stats().records), (0, 0));
}

#[tokio::test]
async fn orphans_are_listed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let queues = Queues::new(folder.path().join("not-there-yet"));
    assert_eq!(queues.orphans().unwrap(), []);
    let (queue, _) = queues.open("old", Limits::default()).unwrap();
    queue.append(&bytes("a")).await.unwrap();
    assert_eq!(queues.orphans().unwrap(), []);
    assert!(queues.remove_orphan("old").is_err());
    drop((queue, queues));
    let queues = Queues::new(folder.path().join("not-there-yet"));
    let orphans = queues.orphans().unwrap();
    assert_eq!(orphans[0].max_age, Limits::default().max_age);
    assert_eq!(orphans.iter().map(|orphan| orphan.name.as_str()).collect::<Vec<_>>(), ["old"]);
    assert!(orphans[0].bytes > 0);
    let longer = Limits { max_age: Duration::from_secs(7 * 24 * 60 * 60), ..Limits::default() };
    drop(queues.open("old", longer).unwrap());
    assert_eq!(queues.orphans().unwrap()[0].max_age, longer.max_age);
    queues.remove_orphan("old").unwrap();
    assert_eq!(queues.orphans().unwrap(), []);
}

#[tokio::test]
async fn a_full_queue_refuses_or_drops_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let queues = Queues::new(folder.path());
    let limits = Limits { max_size: 1 << 20, ..Limits::default() };
    let (queue, _) = queues.open("one", limits).unwrap();
    let record = [Bytes::from(vec![7; 20_000])];
    let mut taken = 0;
    while queue.append(&record).await.is_ok() {
        taken += 1;
    }
    assert!(taken > 40, "{taken}");
    let first = queue.borrow(1, 1).await.unwrap();
    assert_eq!(first[0].sequence(), 1);
    drop(first);
    queue.set_limits(Limits { when_full: WhenFull::DropOldest, ..limits });
    let next = queue.append(&record).await.unwrap();
    assert_eq!(next, taken + 1);
    assert!(queue.saved().await);
    let stats = queue.stats();
    assert!(stats.dropped > 0 && stats.records == taken + 1 - stats.dropped, "{stats:?}");
    assert_eq!(queue.borrow(1, 1).await.unwrap()[0].sequence(), stats.dropped + 1);
    let error = queue.append(&[Bytes::from(vec![0; 600_000])]).await.unwrap_err().to_string();
    assert!(error.contains("too long"), "{error}");
}

#[tokio::test]
async fn the_age_of_the_oldest_record() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing stays in memory: times are those of the files.
    let limits = Limits { memory: 0, ..Limits::default() };
    let before = SystemTime::now() - Duration::from_millis(1);
    {
        let queues = Queues::new(folder.path());
        let (queue, _) = queues.open("one", limits).unwrap();
        assert_eq!(queue.stats().oldest, None);
        for text in ["a", "b", "c"] {
            queue.append(&bytes(text)).await.unwrap();
        }
        assert!(queue.stats().oldest.unwrap() >= before);
    }
    let (queue, _) = Queues::new(folder.path()).open("one", limits).unwrap();
    let written = queue.stats().oldest.unwrap();
    let lent = queue.borrow(2, usize::MAX).await.unwrap();
    assert!(written >= before && written <= lent[0].time());
    let second = lent[1].time();
    lent.into_iter().for_each(durable_queue::Record::acknowledge);
    assert!(queue.saved().await);
    assert!(queue.stats().oldest.unwrap() >= second);
    queue.borrow(1, 1).await.unwrap().into_iter().for_each(durable_queue::Record::acknowledge);
    assert!(queue.saved().await);
    assert_eq!(queue.stats().oldest, None);
}

#[tokio::test]
async fn each_group_that_is_written_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, _) = Queues::new(folder.path()).open("one", Limits::default()).unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&told);
    queue.observe_writes(move |_| {
        counting.fetch_add(1, Ordering::SeqCst);
    });
    queue.append(&bytes("a")).await.unwrap();
    queue.append(&bytes("b")).await.unwrap();
    assert!(queue.saved().await);
    assert_eq!(told.load(Ordering::SeqCst), 2);
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    let queues = Queues::new("/dev/null");
    for name in ["", ".", "..", "a/b", "/a", "a/"] {
        assert!(matches!(queues.open(name, Limits::default()), Err(OpenError::Name(_))), "{name:?}");
    }
    let error = queues.open("a", Limits::default()).unwrap_err().to_string();
    assert!(error.contains("/dev/null/a cannot be opened"), "{error}");
}
