//! Listeners that a reload changes, moves, swaps, removes and brings back.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use flamegate_tests::backend::{Answer, Backend, Script};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::raw_http::{RawConnection, RawReply};
use flamegate_tests::reserved_port::ReservedPort;
use flamegate_tests::spine::{RECEIVE, Settings, Spine};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const REQUEST: &str = "POST /ingest?name=shop HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\nmain 1\n";

/// Answered when the others have been looked at.
fn later() -> Answer {
    Answer::status(StatusCode::OK).after(Duration::from_secs(1))
}

async fn ask(connection: &mut RawConnection) -> RawReply {
    connection.send(REQUEST).await.unwrap();
    connection.reply().await.unwrap().unwrap()
}

/// Whether it stays open after this answer.
fn stays(reply: &RawReply) -> bool {
    assert_eq!(reply.status, 200, "{reply:?}");
    match reply.headers["connection"].to_str().unwrap() {
        "keep-alive" => true,
        "close" => false,
        other => panic!("connection: {other}"),
    }
}

/// An HTTP/2 connection; the task ends with it.
struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    url: String,
    connection: JoinHandle<hyper::Result<()>>,
}

impl Http2 {
    async fn open(address: SocketAddr) -> Self {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (sender, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
        let url = format!("http://{address}/ingest?name=shop");
        Self { sender, url, connection: tokio::spawn(connection) }
    }

    fn ask(&self) -> impl Future<Output = hyper::Result<StatusCode>> + Send + use<> {
        let (mut sender, request) = (self.sender.clone(), Request::post(&self.url));
        let request = request.body(Full::new(Bytes::from_static(b"main 1\n"))).unwrap();
        async move {
            sender.ready().await?;
            Ok(sender.send_request(request).await?.status())
        }
    }
}

#[tokio::test]
async fn connections_go_where_their_timeouts_change() {
    let http = "server_idle_timeout = \"1m\"";
    let script = Script::first([Answer::Judge, Answer::Judge, later(), later()]);
    let spine = Spine::start(Settings { http, script, ..Settings::default() }).await.unwrap();
    let open = async || RawConnection::open(spine.address).await.unwrap();
    let (mut silent, mut used, mut busy) = (open().await, open().await, open().await);
    assert!(stays(&ask(&mut used).await));
    let (idle2, busy2) = (Http2::open(spine.address).await, Http2::open(spine.address).await);
    assert_eq!(idle2.ask().await.unwrap(), 200);
    busy.send(REQUEST).await.unwrap();
    let in_flight = tokio::spawn(busy2.ask());
    spine.backend.wait_for_attempts(4, DEADLINE).await.unwrap();

    let changed = spine.configuration.replace(http, "server_idle_timeout = \"2m\"");
    spine.flamegate.reload(&changed).await.unwrap();
    // HTTP/2 says so at once, and ends when it has answered.
    timeout(DEADLINE, idle2.connection).await.unwrap().unwrap().unwrap();
    assert_eq!(in_flight.await.unwrap().unwrap(), 200);
    timeout(DEADLINE, busy2.connection).await.unwrap().unwrap().unwrap();
    // HTTP/1.1 has no word for it but an answer.
    assert!(!stays(&busy.reply().await.unwrap().unwrap()));
    for connection in [&mut silent, &mut used] {
        assert!(!connection.has_news().unwrap(), "closed under its sender's hands");
        assert!(!stays(&ask(connection).await));
    }
    for connection in [&mut busy, &mut silent, &mut used] {
        assert_eq!(connection.reply().await.unwrap(), None);
    }
    let mut new = open().await;
    for _ in 0..3 {
        assert!(stays(&ask(&mut new).await));
    }
    let new2 = Http2::open(spine.address).await;
    for _ in 0..3 {
        assert_eq!(new2.ask().await.unwrap(), 200);
    }
}

#[tokio::test]
async fn connections_stay_where_nothing_of_theirs_changes() {
    let spine = Spine::start(Settings { http: "conn_limit = 100", ..Settings::default() }).await.unwrap();
    let mut connection = RawConnection::open(spine.address).await.unwrap();
    let http2 = Http2::open(spine.address).await;
    assert!(stays(&ask(&mut connection).await));
    assert_eq!(http2.ask().await.unwrap(), 200);
    let other = Backend::start().await.unwrap();
    for (from, to) in [
        ("forward_to", "max_body_size = \"1MiB\"\nforward_to"),
        ("forward_to", "max_inflight_bytes = \"1MiB\"\nforward_to"),
        ("forward_to", "graceful_shutdown_timeout = \"1s\"\nforward_to"),
        ("conn_limit = 100", "conn_limit = 50"),
        (&spine.backend.url(), &other.url()),
    ] {
        let changed = spine.configuration.replace(from, to);
        assert_ne!(changed, spine.configuration);
        spine.flamegate.reload(&changed).await.unwrap();
        assert!(stays(&ask(&mut connection).await), "{to}");
        assert_eq!(http2.ask().await.unwrap(), 200, "{to}");
    }
    assert!(!http2.connection.is_finished());
    assert_eq!(other.received().len(), 2);
}

/// A frame's type, and what is in it.
async fn frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    timeout(DEADLINE, stream.read_exact(&mut head)).await.unwrap().ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).await.unwrap();
    Some((head[3], payload))
}

/// A request may be under way when its sender reads that the connection takes no more. A reset would take that word away,
/// and the sender would not know that it may send the request again.
#[tokio::test]
async fn a_request_that_crosses_a_goaway_is_not_answered_with_a_reset() {
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    let http = "server_idle_timeout = \"1m\"";
    let spine = Spine::start(Settings { http, ..Settings::default() }).await.unwrap();
    let mut stream = TcpStream::connect(spine.address).await.unwrap();
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settings.as_slice()].concat()).await.unwrap();
    spine.serves().await.unwrap();
    spine.flamegate.reload(&spine.configuration.replace(http, "server_idle_timeout = \"2m\"")).await.unwrap();
    let mut last_streams = Vec::new();
    while let Some((kind, payload)) = frame(&mut stream).await {
        match kind {
            PING => {
                let ack = [b"\0\0\x08\x06\x01\0\0\0\0".as_slice(), &payload].concat();
                stream.write_all(&ack).await.unwrap();
            }
            GOAWAY => last_streams.push(u32::from_be_bytes(payload[..4].try_into().unwrap())),
            _ => {}
        }
    }
    assert_eq!(last_streams, [u32::MAX >> 1, 0], "any stream at first, and none that came");
    // The end of a head, in two bytes of HPACK: POST of /.
    let headers = b"\0\0\x02\x01\x05\0\0\0\x01\x83\x84";
    // Once it is closed the first is answered with a reset, and what comes after a reset fails.
    for _ in 0..3 {
        spine.serves().await.unwrap();
        stream.write_all(headers).await.unwrap();
    }
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    stream.shutdown().await.unwrap();
    eventually("its end is seen", async || {
        let open = [("component_id", RECEIVE)];
        let open = spine.metric("pyroscope_receive_http_tcp_connections", &open).await.unwrap();
        (open == 0.0).then_some(())
    })
    .await
    .unwrap();
}

/// One that says nothing after all is closed when its time is over, as it was when it was accepted.
#[tokio::test]
async fn a_connection_that_is_to_go_is_closed_in_the_end() {
    let http = "server_idle_timeout = \"2s\"";
    let spine = Spine::start(Settings { http, ..Settings::default() }).await.unwrap();
    let mut silent = RawConnection::open(spine.address).await.unwrap();
    let mut used = RawConnection::open(spine.address).await.unwrap();
    assert!(stays(&ask(&mut used).await));
    let changed = spine.configuration.replace(http, "server_idle_timeout = \"1h\"");
    spine.flamegate.reload(&changed).await.unwrap();
    for connection in [&mut silent, &mut used] {
        assert_eq!(connection.reply().await.unwrap(), None, "closed without a word");
    }
}

#[tokio::test]
async fn a_changed_limit_is_for_new_connections() {
    let spine = Spine::start(Settings { http: "conn_limit = 3", ..Settings::default() }).await.unwrap();
    let with_limit = |limit: &str| spine.configuration.replace("conn_limit = 3", limit);
    let open = async || RawConnection::open(spine.address).await.unwrap();
    let mut inside = [open().await, open().await, open().await];
    for connection in &mut inside {
        assert!(stays(&ask(connection).await));
    }
    spine.flamegate.reload(&with_limit("conn_limit = 1")).await.unwrap();
    for connection in &mut inside {
        assert!(stays(&ask(connection).await));
    }
    let (mut waits, mut waits_too) = (open().await, open().await);
    waits.send(REQUEST).await.unwrap();
    waits_too.send(REQUEST).await.unwrap();
    let mut last = inside.into_iter().next().unwrap();
    let connections = async || {
        let of = [("component_id", RECEIVE)];
        spine.metric("pyroscope_receive_http_tcp_connections", &of).await.unwrap()
    };
    eventually("two are closed", async || (connections().await == 1.0).then_some(())).await.unwrap();
    assert!(!waits.has_news().unwrap(), "one is open, and one is allowed");
    // Nothing is closed now: it is the reload that makes room.
    spine.flamegate.reload(&with_limit("conn_limit = 3")).await.unwrap();
    for connection in [&mut waits, &mut waits_too] {
        assert!(stays(&connection.reply().await.unwrap().unwrap()));
    }
    assert!(stays(&ask(&mut last).await));
}

/// A receiver on a port, and what it forwards to.
fn pipeline(label: &str, port: &ReservedPort, backend: &Backend) -> String {
    let receive = ReceiveHttp { label, writes: &[label], ..ReceiveHttp::default() }.block();
    let receive = receive.replace("listen_port = 0", &format!("listen_port = {}", port.address().port()));
    receive + &blocks::write(label, &[backend.url()], "min_backoff_period = \"1ms\"")
}

#[tokio::test]
async fn two_receivers_swap_their_ports() {
    let [left, right] = [(); 2].map(|()| ReservedPort::new().unwrap());
    let [one, other] = [Backend::start().await.unwrap(), Backend::start().await.unwrap()];
    let configurations = [[&left, &right], [&right, &left]]
        .map(|[of_one, of_other]| pipeline("one", of_one, &one) + &pipeline("other", of_other, &other));
    let flamegate = Flamegate::start(&configurations[0], &[]).await.unwrap();
    let mut connection = RawConnection::open(left.address()).await.unwrap();
    let http2 = Http2::open(left.address()).await;
    for (configuration, backend) in configurations.iter().chain(&configurations).zip([&one, &other, &one, &other]) {
        flamegate.reload(configuration).await.unwrap();
        // What is in flight at the next swap goes where it was going.
        let before = backend.attempts().len();
        assert!(stays(&ask(&mut connection).await));
        assert_eq!(http2.ask().await.unwrap(), 200);
        assert_eq!(backend.attempts().len(), before + 2);
        backend.follow(Script::first([later(), later()]));
        let in_flight = tokio::spawn(http2.ask());
        connection.send(REQUEST).await.unwrap();
        backend.wait_for_attempts(before + 4, DEADLINE).await.unwrap();
        let at = configurations.iter().position(|other| other == configuration).unwrap();
        flamegate.reload(&configurations[1 - at]).await.unwrap();
        assert!(stays(&connection.reply().await.unwrap().unwrap()));
        assert_eq!(in_flight.await.unwrap().unwrap(), 200);
    }
    assert!(!http2.connection.is_finished());
}

#[tokio::test]
async fn a_receiver_comes_back_while_it_drains() {
    let [stays_there, goes] = [(); 2].map(|()| ReservedPort::new().unwrap());
    let backend = Backend::start_with(Script::first([later()])).await.unwrap();
    let without = pipeline("stays", &stays_there, &backend);
    let with = without.clone() + &pipeline("goes", &goes, &backend);
    let flamegate = Flamegate::start(&with, &[]).await.unwrap();
    let mut in_flight = RawConnection::open(goes.address()).await.unwrap();
    in_flight.send(REQUEST).await.unwrap();
    backend.wait_for_attempts(1, DEADLINE).await.unwrap();
    flamegate.reload(&without).await.unwrap();
    eventually("nobody listens there", async || RawConnection::open(goes.address()).await.err()).await.unwrap();
    assert!(!in_flight.has_news().unwrap(), "it drains");
    flamegate.reload(&with).await.unwrap();
    let mut new = RawConnection::open(goes.address()).await.unwrap();
    assert!(stays(&ask(&mut new).await));
    assert!(!stays(&in_flight.reply().await.unwrap().unwrap()));
    // At once, too, whatever the end of the old one has come to.
    for _ in 0..20 {
        flamegate.reload(&without).await.unwrap();
        flamegate.reload(&with).await.unwrap();
        let mut new = RawConnection::open(goes.address()).await.unwrap();
        assert!(stays(&ask(&mut new).await));
    }
}
