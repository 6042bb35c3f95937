//! What changes of the arguments leave as it is.

use super::server::{PROFILE, Reply, Server, profile};
use super::*;
use crate::components::scrape::scrape_loop::ScrapeLoop;

/// Never in the time of a test.
const SELDOM: &str = "scrape_interval = \"1h\"\n";

fn targets(addresses: &[&str]) -> String {
    let target = |address: &&str| format!("{{\"__address__\" = \"{address}\"}},\n");
    format!("targets = [\n{}]\n{SELDOM}{GOROUTINES_ALONE}", addresses.iter().map(target).collect::<String>())
}

fn loops(scrape: &Scrape) -> Vec<(String, *const ScrapeLoop)> {
    let mut all = scrape.session.loops();
    all.sort_by_key(|of| of.target().url.to_string());
    all.iter().map(|of| (of.target().url.authority().unwrap().to_string(), Arc::as_ptr(of))).collect()
}

#[tokio::test(start_paused = true)]
async fn loops_of_the_same_targets_go_on() {
    let takers = Takers::new(ALL);
    let (first, services) = start(&targets(&["a:1", "b:1"]), &takers.taker);
    until("two loops", || loops(&first).len() == 2).await;
    let before = loops(&first);

    // Other targets are scraped a while later, so that discovery may be as restless as it likes.
    let began = tokio::time::Instant::now();
    let second = build(&targets(&["b:1", "c:1"]), &takers.taker, &services, Some(&first));
    second.activate();
    first.stop().await;
    until("another target", || loops(&second).last().is_some_and(|(address, _)| address == "c:1")).await;
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    let after = loops(&second);
    assert_eq!(after.len(), 2);
    assert_eq!(after[0], before[1], "the same loop");

    // Another interval is another rhythm of the same loops, at once.
    let began = tokio::time::Instant::now();
    let body = targets(&["b:1", "c:1"]).replace("1h", "2h");
    let third = build(&body, &takers.taker, &services, Some(&second));
    third.activate();
    second.stop().await;
    until("other settings", || {
        third.session.loops().iter().all(|of| of.target().settings().interval == Duration::from_secs(7200))
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(loops(&third), after);
    assert_eq!(metric(&services, "pyroscope_scrape_loops"), 2);

    third.stop().await;
}

#[tokio::test(start_paused = true)]
async fn labels_of_discovery_change_no_loop() {
    let takers = Takers::new(ALL);
    let with = |meta: &str| targets(&["a:1"]).replacen('}', &format!(", \"__meta_x\" = \"{meta}\"}}"), 1);
    let (first, services) = start(&with("1"), &takers.taker);
    until("a loop", || loops(&first).len() == 1).await;
    let before = loops(&first);
    let second = build(&with("2"), &takers.taker, &services, Some(&first));
    second.activate();
    let meta =
        |scrape: &Scrape| scrape.session.loops()[0].target().labels().unwrap().value("__meta_x").map(str::to_owned);
    until("the other label", || meta(&second).as_deref() == Some("2")).await;
    assert_eq!(loops(&second), before);
}

#[tokio::test]
async fn what_is_received_later_goes_to_the_new_receivers() {
    let server = Server::start([("/debug/pprof/goroutine", Reply::Bytes(profile(PROFILE)))]).await;
    let body = format!("targets = [{{\"__address__\" = \"{}\"}}]\n{OFTEN}{GOROUTINES_ALONE}", server.address);
    let (mut old, mut new) = (Takers::new(1), Takers::new(ALL));
    let (first, services) = start(&body, &old.taker);
    old.next().await;
    until("a profile waits", || count(&services, "still_busy") > 0).await;
    let second = build(&body, &new.taker, &services, Some(&first));
    second.activate();
    // What is on its way to the old receiver arrives there before the old component ends.
    let mut stopping = first.stop();
    assert!(futures_util::poll!(&mut stopping).is_pending());
    old.let_through(1);
    stopping.await;
    old.next().await;
    new.next().await;
    new.next().await;
    assert!(old.taken.try_recv().is_err());
    second.stop().await;
}

#[tokio::test]
async fn a_kind_that_was_not_there_is_asked_for_again_under_other_arguments() {
    let server = Server::start([]).await;
    let body = format!("targets = [{{\"__address__\" = \"{}\"}}]\n{OFTEN}{GOROUTINES_ALONE}", server.address);
    let takers = Takers::new(ALL);
    let (first, services) = start(&body, &takers.taker);
    let asked = || server.asked("/debug/pprof/goroutine").len();
    until("ticks are let pass", || count(&services, "still_absent") > 1).await;
    assert_eq!(asked(), 1);
    let second = build(&format!("{body}scrape_timeout = \"9s\""), &takers.taker, &services, Some(&first));
    second.activate();
    until("it is asked again", || asked() == 2).await;
}
