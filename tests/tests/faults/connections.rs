//! Many connections, and more than are allowed.

use flamegate_tests::polling::eventually;
use flamegate_tests::raw_http::RawConnection;
use flamegate_tests::spine::{RECEIVE, Settings, Spine};
use futures_util::{StreamExt, stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

const WANTED: u64 = 10_000;
const AT_LEAST: u64 = 1_000;
/// Files that the two processes have open besides.
const BESIDES: u64 = 1_000;
const REQUEST: &str = "POST /ingest?name=shop HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\nmain 1\n";

async fn open_connections(spine: &Spine) -> f64 {
    spine.metric("pyroscope_receive_http_tcp_connections", &[("component_id", RECEIVE)]).await.unwrap()
}

/// Raises the limit of open files for this process and those that it starts; how many connections fit below it.
fn connections_allowed() -> u64 {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let allowed = hard.saturating_sub(BESIDES).min(WANTED);
    assert!(allowed >= AT_LEAST, "the hard limit of open files is {hard}: too few for this test");
    allowed
}

#[tokio::test]
async fn thousands_of_idle_connections_are_in_nobodys_way() {
    let count = connections_allowed();
    println!("{count} idle connections");
    let http = "conn_limit = 20000\nserver_idle_timeout = \"10m\"\nserver_read_timeout = \"10m\"";
    let spine = Spine::start(Settings { http, ..Settings::default() }).await.unwrap();
    let before = spine.flamegate.rss_bytes().unwrap();
    let opening = stream::iter(0..count).map(|_| RawConnection::open(spine.address));
    let mut idle: Vec<RawConnection> = opening.buffer_unordered(100).map(Result::unwrap).collect().await;
    eventually("every connection is accepted", async || (open_connections(&spine).await >= count as f64).then_some(()))
        .await
        .unwrap();
    spine.serves().await.unwrap();
    let each = (spine.flamegate.rss_bytes().unwrap() - before) / count;
    println!("{each} bytes of memory each");
    assert!(each < 32 * 1024, "{each} bytes of memory for a connection that says nothing");

    // The first and the last of them are served as well, when they speak at last.
    for connection in [0, idle.len() - 1] {
        idle[connection].send(REQUEST).await.unwrap();
        assert_eq!(idle[connection].reply().await.unwrap().unwrap().status, 200);
    }
    drop(idle);
    eventually("every connection is closed", async || (open_connections(&spine).await == 0.0).then_some(()))
        .await
        .unwrap();
    spine.serves().await.unwrap();
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_its_turn() {
    let spine = Spine::start(Settings { http: "conn_limit = 2", ..Settings::default() }).await.unwrap();
    let limit = spine.metric("pyroscope_receive_http_tcp_connections_limit", &[]).await.unwrap();
    assert_eq!(limit, 2.0);
    let mut first = RawConnection::open(spine.address).await.unwrap();
    let _second = RawConnection::open(spine.address).await.unwrap();
    eventually("two connections", async || (open_connections(&spine).await == 2.0).then_some(())).await.unwrap();

    let mut third = RawConnection::open(spine.address).await.unwrap();
    third.send(REQUEST).await.unwrap();
    // Those that are in are served, again and again, before the one that waits.
    for _ in 0..20 {
        first.send(REQUEST).await.unwrap();
        assert_eq!(first.reply().await.unwrap().unwrap().status, 200);
        assert_eq!(open_connections(&spine).await, 2.0);
        assert!(!third.has_news().unwrap(), "the third was answered while two were open");
    }
    drop(first);
    assert_eq!(third.reply().await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let http = "server_idle_timeout = \"1s\"\nserver_read_timeout = \"1s\"";
    let spine = Spine::start(Settings { http, ..Settings::default() }).await.unwrap();
    let mut silent = RawConnection::open(spine.address).await.unwrap();
    let mut used = RawConnection::open(spine.address).await.unwrap();
    used.send(REQUEST).await.unwrap();
    assert_eq!(used.reply().await.unwrap().unwrap().status, 200);
    for connection in [&mut silent, &mut used] {
        assert_eq!(connection.reply().await.unwrap(), None, "closed without a word");
    }
    eventually("none is open", async || (open_connections(&spine).await == 0.0).then_some(())).await.unwrap();
}
