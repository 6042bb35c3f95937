//! Filters that take long.

use futures_util::poll;
use tokio::time::sleep;

use super::*;

/// Steps that take many times a millisecond, whatever the machine.
const MANY_STEPS: &str = "spin=50000000";

fn slow(timeout: Duration, cpu_share: f64) -> Bench {
    Bench::with(FilterSettings { timeout, cpu_share, ..settings(MANY_STEPS) }, Remember::default())
}

#[tokio::test]
async fn what_is_slow_and_within_its_limits_is_answered() {
    let bench = slow(DEADLINE, 1.0);
    assert_eq!(bench.judge(&labels(&[("a", "b")])).await, Ok(Verdict::Unchanged));
    assert!(bench.filter.seen().slowest_call > Duration::from_millis(1));
    assert_eq!(bench.filter.breaker(), BreakerState::Closed);
}

#[tokio::test]
async fn a_slow_filter_leaves_the_threads_that_serve() {
    let (slow, quick) = (slow(DEADLINE, 1.0), Bench::new("unchanged"));
    let series = labels(&[("a", "b")]);
    slow.judge(&series).await.unwrap();
    for _ in 0..3 {
        let mut waiting = Box::pin(slow.judge(&series));
        assert!(poll!(&mut waiting).is_pending(), "not called on this thread");
        // This thread alone serves, and is free for others.
        assert_eq!(quick.judge(&series).await, Ok(Verdict::Unchanged));
        assert_eq!(waiting.await, Ok(Verdict::Unchanged));
    }
    let mut quickly = Box::pin(quick.judge(&series));
    assert!(poll!(&mut quickly).is_ready(), "a quick one is called on this thread");
}

#[tokio::test]
async fn five_timeouts_in_a_row_give_it_a_rest_and_then_it_is_tried_again() {
    let bench =
        Bench::with(FilterSettings { timeout: Duration::from_millis(10), ..settings("loop") }, Remember::default());
    let series = labels(&[("a", "b")]);
    for _ in 0..5 {
        assert_eq!(bench.judge(&series).await.unwrap_err().0, "timeout");
    }
    let (kind, said) = bench.judge(&series).await.unwrap_err();
    assert_eq!(kind, "resting");
    assert!(said.contains("5 times in a row") && said.contains("rests for 1s"), "{said}");
    assert_eq!(bench.metric("flamegate_filter_breaker_state", ""), Some("2".to_owned()));
    assert_eq!(bench.metric("flamegate_filter_calls_total", ""), Some("5".to_owned()));

    let began = Instant::now();
    let trial = loop {
        let (kind, _) = bench.judge(&series).await.unwrap_err();
        if kind != "resting" {
            break kind;
        }
        assert!(began.elapsed() < DEADLINE);
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(trial, "timeout");
    assert!(bench.judge(&series).await.unwrap_err().1.contains("rests for 2s"));
    assert_eq!(bench.metric("flamegate_filter_breaker_openings_total", ""), Some("2".to_owned()));
}

#[tokio::test]
async fn more_than_its_share_of_the_processors_gives_it_a_rest() {
    let bench = slow(DEADLINE, 0.0001);
    let series = labels(&[("a", "b")]);
    assert_eq!(bench.judge(&series).await, Ok(Verdict::Unchanged));
    let (kind, said) = bench.judge(&series).await.unwrap_err();
    assert_eq!(kind, "resting");
    assert!(said.contains("cpu_share"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_of_a_slow_filter_at_once_all_end() {
    let bench = Arc::new(slow(Duration::from_millis(10), 0.5));
    let calls = (0..100).map(|call| {
        let bench = bench.clone();
        tokio::spawn(async move { bench.judge(&labels(&[("call", &call.to_string())])).await })
    });
    let ended = futures_util::future::join_all(calls);
    let ended = tokio::time::timeout(DEADLINE, ended).await.expect("all end");
    for call in ended {
        let kind = call.unwrap().err().map_or("verdict", |(kind, _)| kind);
        assert!(["verdict", "timeout", "resting", "busy"].contains(&kind), "{kind}");
    }
    assert!(bench.filter.metrics().instances.get() <= 16);
}

#[tokio::test]
async fn a_module_that_takes_over_is_asked_though_the_one_of_before_rests() {
    let bench = slow(DEADLINE, 0.0001);
    let series = labels(&[("a", "b")]);
    bench.judge(&series).await.unwrap();
    assert_eq!(bench.judge(&series).await.unwrap_err().0, "resting");
    let mended = Generation::new(&MODULE, settings("unchanged"), Remember::default()).unwrap();
    bench.filter.swap(Arc::new(mended));
    assert_eq!(bench.judge(&series).await, Ok(Verdict::Unchanged));
}
