//! Senders on the same host, through a file.

use std::path::Path;
use std::time::Duration;

use flamegate_tests::flamegate::Signal;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;

use super::*;

fn configuration(socket: &Path, backend: &Backend) -> String {
    let listen = format!("http {{\n listen_address = \"unix://{}\"\n }}", socket.display());
    let receive = format!(
        "pyroscope.receive_http \"default\" {{\n {listen}\n forward_to = [pyroscope.write.default.receiver]\n}}\n"
    );
    receive + &blocks::write("default", &[backend.url()], "")
}

/// Sends a profile and returns the status.
async fn ingest(socket: &Path, over_http2: bool) -> u16 {
    let stream = TokioIo::new(UnixStream::connect(socket).await.unwrap());
    let request = http::Request::post("http://localhost/ingest?name=shop").header("host", "localhost");
    let request = request.body(Full::new(Bytes::from_static(b"main 1\n"))).unwrap();
    let sent = if over_http2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    sent.unwrap().status().as_u16()
}

#[tokio::test]
async fn both_versions_of_http_come_through_a_file() {
    let backend = Backend::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("receive.sock");
    let mut flamegate = Flamegate::start(&configuration(&socket, &backend), &[]).await.unwrap();
    for over_http2 in [false, true] {
        assert_eq!(ingest(&socket, over_http2).await, 200, "HTTP/2: {over_http2}");
    }
    assert_eq!(backend.received().len(), 2);
    // A reload goes on with the same file; the end removes it.
    flamegate.reload(&(configuration(&socket, &backend) + "logging {\n level = \"debug\"\n}\n")).await.unwrap();
    assert_eq!(ingest(&socket, false).await, 200);
    flamegate.signal(Signal::SIGTERM).unwrap();
    flamegate.wait_exit(Duration::from_secs(30)).await.unwrap();
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_file_that_was_left_behind_is_taken_and_no_other() {
    let backend = Backend::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("receive.sock");
    let killed = Flamegate::start(&configuration(&socket, &backend), &[]).await.unwrap();
    killed.kill_into_folder().await.unwrap();
    assert!(socket.exists());
    let _second = Flamegate::start(&configuration(&socket, &backend), &[]).await.unwrap();
    assert_eq!(ingest(&socket, false).await, 200);

    // Another process answers there: it stays as it is.
    let third = Flamegate::start(&configuration(&socket, &backend), &[]).await.unwrap_err().to_string();
    assert!(third.contains("cannot listen on unix://"), "{third}");
    assert_eq!(ingest(&socket, false).await, 200);
    let file = folder.path().join("file");
    std::fs::write(&file, "not a socket").unwrap();
    let fourth = Flamegate::start(&configuration(&file, &backend), &[]).await.unwrap_err().to_string();
    assert!(fourth.contains("cannot listen on unix://"), "{fourth}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a socket");
}

#[tokio::test]
async fn two_receivers_cannot_have_one_file() {
    let backend = Backend::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let one = configuration(&folder.path().join("receive.sock"), &backend);
    let other = one.split_once("\npyroscope.write").unwrap().0.replacen("default", "other", 1);
    let error = Flamegate::start(&(one + &other), &[]).await.unwrap_err().to_string();
    assert!(error.contains("listens on the same address as"), "{error}");
}
