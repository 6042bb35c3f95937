//! The `http2` and the `grpc` block.

use std::net::SocketAddr;

use flamegate_tests::polling::DEADLINE;
use http_body_util::Full;
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// What a listener says of itself: its settings by their numbers (RFC 9113, section 6.5.2), and by how much the window of
/// the connection is wider than 65,535 bytes.
async fn greeting(address: SocketAddr) -> (BTreeMap<u16, u32>, u32) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[PREFACE, EMPTY_SETTINGS].concat()).await.unwrap();
    let (mut settings, mut wider) = (None, 0);
    let reading = async {
        while settings.is_none() || wider == 0 {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            stream.read_exact(&mut payload).await.unwrap();
            match (head[3], head[4]) {
                (4, 0) => {
                    let pairs = payload.chunks_exact(6).map(|pair| {
                        let value = u32::from_be_bytes(pair[2..].try_into().unwrap());
                        (u16::from_be_bytes([pair[0], pair[1]]), value)
                    });
                    settings = Some(pairs.collect());
                }
                (8, _) => wider = u32::from_be_bytes(payload.try_into().unwrap()),
                _ => {}
            }
        }
    };
    timeout(DEADLINE, reading).await.unwrap();
    (settings.unwrap(), wider)
}

#[tokio::test]
async fn what_is_written_is_what_senders_are_told() {
    const TABLE: u16 = 1;
    const STREAMS: u16 = 3;
    const WINDOW: u16 = 4;
    const FRAME: u16 = 5;
    let spine = Spine::start(Settings::default()).await.unwrap();
    let (settings, wider) = greeting(spine.address).await;
    assert_eq!((settings[&TABLE], settings[&STREAMS], settings[&WINDOW]), (4096, 100, 1 << 20));
    assert_eq!((settings.get(&FRAME), wider), (None, (4 << 20) - 65_535));

    let block = "http2 {\n enabled = true\n max_concurrent_streams = 7\n max_decoder_header_table_size = 100\n \
                 max_read_frame_size = 20000\n max_upload_buffer_per_connection = 100000\n \
                 max_upload_buffer_per_stream = 70000\n}";
    let changed = spine.configuration.replace("listen_port = 0", &format!("listen_port = 0\n{block}"));
    spine.flamegate.reload(&changed).await.unwrap();
    let (settings, wider) = greeting(spine.address).await;
    assert_eq!((settings[&TABLE], settings[&STREAMS], settings[&WINDOW]), (100, 7, 70_000));
    assert_eq!((settings[&FRAME], wider), (20_000, 100_000 - 65_535));
    let client = PushClient { protocol: Protocol::Grpc, http2: true, gzip: false };
    assert_eq!(client.push(&spine.url, &good_push()).await.unwrap().error, None);
}

#[tokio::test]
async fn without_tls_it_is_spoken_unless_it_is_not_enabled() {
    let spine = Spine::start(Settings { http: "http2 {\n enabled = false\n}", ..Settings::default() }).await.unwrap();
    spine.serves().await.unwrap();
    let mut connection = RawConnection::open(spine.address).await.unwrap();
    connection.send([PREFACE, EMPTY_SETTINGS].concat()).await.unwrap();
    let reply = connection.reply().await.unwrap();
    assert!(reply.as_ref().is_none_or(|reply| reply.status >= 400), "{reply:?}");
    let grpc = PushClient { protocol: Protocol::Grpc, http2: true, gzip: false };
    assert!(grpc.push(&spine.url, &good_push()).await.is_err());
    assert_eq!(spine.backend.received().len(), 1);
}

#[tokio::test]
async fn idle_connections_end() {
    let http = "server_idle_timeout = \"1h\"\nhttp2 {\n idle_timeout = \"1s\"\n}";
    let spine = Spine::start(Settings { http, ..Settings::default() }).await.unwrap();
    let stream = TokioIo::new(TcpStream::connect(spine.address).await.unwrap());
    let (mut sender, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::post(format!("{}/ingest?name=shop", spine.url));
    let request = request.body(Full::new(Bytes::from_static(b"main 1\n"))).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    let _ended = timeout(DEADLINE, connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_grpc_block_is_told_where_grpc_is_served() {
    let receive = "grpc {\n listen_port = 9095\n}";
    let spine = Spine::start(Settings { receive, ..Settings::default() }).await.unwrap();
    let line = spine.flamegate.wait_for_log("gRPC is served here", DEADLINE).await.unwrap();
    assert!(line.contains(&format!("addr={}", spine.address)), "{line}");
    let client = PushClient { protocol: Protocol::Grpc, http2: true, gzip: false };
    assert_eq!(client.push(&spine.url, &good_push()).await.unwrap().error, None);
    let unknown = spine.configuration.replace("listen_port = 9095", "listen_prt = 9095");
    let refused = spine.flamegate.reload(&unknown).await.unwrap_err().to_string();
    assert!(refused.contains("unrecognized attribute name"), "{refused}");
}
