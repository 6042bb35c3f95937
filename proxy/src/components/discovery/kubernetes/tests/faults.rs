//! What goes wrong at the server and on the way to it, on a simulated clock.

use tokio::time::Instant;

use super::api_server::{ApiServer, Fault};
use super::following::{finds, search, searching};
use super::*;

fn counted(server: &ApiServer, is_watch: bool) -> usize {
    server.asked().iter().filter(|asked| asked.contains("watch=true") == is_watch).count()
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_listed_again() {
    for is_status in [false, true] {
        let server = ApiServer::start(None).await;
        server.put("pods", pod("a", "10.0.0.1"));
        server.put("pods", pod("b", "10.0.0.2"));
        // The first watch ends; until the second one the server has forgotten where it was.
        server.fail_watch(Fault::EndsAtOnce);
        if is_status {
            server.fail_watch(Fault::Status(
                410,
                None,
                "{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":410,\"message\":\"gone\"}",
            ));
        }
        let mut search = search(&server, "role = \"pod\"");
        finds(&mut search, &["10.0.0.1:80", "10.0.0.2:80"]).await;
        server.delete("pods", "shop", "a");
        if !is_status {
            server.compact();
        }
        assert_eq!(finds(&mut search, &["10.0.0.2:80"]).await.problems, Vec::<String>::new());
        assert_eq!(counted(&server, false), 2, "{:?}", server.asked());
        server.put("pods", pod("c", "10.0.0.3"));
        finds(&mut search, &["10.0.0.2:80", "10.0.0.3:80"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_from_a_bookmark() {
    let server = ApiServer::start(None).await;
    server.put("pods", pod("a", "10.0.0.1"));
    let mut search = search(&server, "role = \"pod\"");
    finds(&mut search, &["10.0.0.1:80"]).await;
    for _ in 0..3 {
        server.bookmark("pods");
    }
    // Until the server ends the watch.
    let waiting = async {
        while counted(&server, true) < 2 {
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = soon(waiting) => {}
        found = search.next() => panic!("nothing has changed: {found:?}"),
    }
    let asked = server.asked();
    assert!(asked.last().unwrap().contains("resourceVersion=4"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_to_be_left_alone_is() {
    let server = ApiServer::start(None).await;
    server.put("pods", pod("a", "10.0.0.1"));
    server.fail_list(Fault::Status(429, Some(("retry-after", "120")), "too many requests"));
    let mut search = search(&server, "role = \"pod\"");
    let began = Instant::now();
    let found = soon(search.next()).await;
    assert_eq!(found.problems, ["pods: they cannot be listed: too many requests (429)"]);
    assert!(began.elapsed() < Duration::from_secs(60), "told at once");
    assert_eq!(finds(&mut search, &["10.0.0.1:80"]).await.problems, Vec::<String>::new());
    assert!(began.elapsed() >= Duration::from_secs(120), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_listed_again() {
    let server = ApiServer::start(None).await;
    server.put("pods", pod("a", "10.0.0.1"));
    let mut large = pod("large", "10.0.0.2");
    large["metadata"]["resourceVersion"] = "2".into();
    large["spec"]["hostname"] = "x".repeat(5 << 20).into();
    server.fail_watch(Fault::Breaks("{\"type\":\"ADDED\",\"object\":{\"metadata\":7}}\n".to_owned()));
    server.fail_watch(Fault::Breaks(format!("{}\n", json!({"type": "ADDED", "object": large}))));
    let mut search = search(&server, "role = \"pod\"");
    finds(&mut search, &["10.0.0.1:80"]).await;
    soon(async {
        while counted(&server, false) < 3 {
            tokio::select! {
                _ = search.next() => {}
                () = sleep(Duration::from_secs(1)) => {}
            }
        }
    })
    .await;
    server.put("pods", pod("b", "10.0.0.3"));
    finds(&mut search, &["10.0.0.1:80", "10.0.0.3:80"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_silence_is_survived() {
    let server = ApiServer::start(None).await;
    server.put("pods", pod("a", "10.0.0.1"));
    for _ in 0..12 {
        server.fail_watch(Fault::Silence);
    }
    let began = Instant::now();
    let mut search = search(&server, "role = \"pod\"");
    finds(&mut search, &["10.0.0.1:80"]).await;
    server.put("pods", pod("b", "10.0.0.2"));
    let found = tokio::time::timeout(Duration::from_secs(7200), async {
        loop {
            let found = search.next().await;
            if found.targets.len() == 2 {
                return found;
            }
        }
    });
    assert_eq!(found.await.unwrap().problems, Vec::<String>::new());
    assert!(began.elapsed() > Duration::from_secs(3500), "{:?}", began.elapsed());
    assert_eq!((counted(&server, false), counted(&server, true)), (1, 13));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_every_watch_is_not_stormed() {
    let server = ApiServer::start(None).await;
    for _ in 0..1000 {
        server.fail_watch(Fault::EndsAtOnce);
    }
    let mut search = search(&server, "role = \"pod\"");
    soon(search.next()).await;
    let looking = tokio::time::timeout(Duration::from_secs(60), search.next());
    looking.await.unwrap_err();
    let watches = counted(&server, true);
    assert!((55..=62).contains(&watches), "{watches} in a minute");
}

#[tokio::test(start_paused = true)]
async fn what_fails_at_first_is_tried_for_ever() {
    let server = ApiServer::start(None).await;
    server.put("pods", pod("a", "10.0.0.1"));
    let forbidden = "{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":403,\"message\":\"pods is forbidden\"}";
    for _ in 0..20 {
        server.fail_list(Fault::Status(403, None, forbidden));
    }
    let before = Labels::from_pairs([("__address__", "before")]).unwrap();
    let mut search = searching(&server, "role = \"pod\"", vec![before]);
    let found = soon(search.next()).await;
    assert_eq!(found.problems, ["pods: they cannot be listed: pods is forbidden (403)"]);
    assert_eq!(addresses(&found.targets), ["before"]);
    assert_eq!(finds(&mut search, &["10.0.0.1:80"]).await.problems, Vec::<String>::new());
    assert_eq!(counted(&server, false), 21);
}
