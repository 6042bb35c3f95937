use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;
use crate::backend::{Answer, Backend, Script};
use crate::http_client::post;
use crate::polling::{DEADLINE, eventually};

const REQUEST: &[u8] = b"POST /ingest?name=shop HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\nmain 1\n";
const SAYS: &str = "0123456789";
/// So long nothing comes where nothing is to come.
const SILENCE: Duration = Duration::from_millis(300);

/// A backend that answers [`SAYS`].
async fn proxied() -> (Backend, FaultProxy) {
    let backend = Backend::start_with(Script::always(Answer::text(StatusCode::OK, SAYS))).await.unwrap();
    let proxy = FaultProxy::before(backend.address()).await.unwrap();
    (backend, proxy)
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Answer,
    PartOfIt,
    Closed,
    Reset,
    Silence,
}

/// What comes; where nothing is expected, nothing for a while is silence.
async fn heard(stream: &mut TcpStream, expected: &Heard) -> Heard {
    let patience = if *expected == Heard::Silence { SILENCE } else { DEADLINE };
    let mut text = Vec::new();
    loop {
        match timeout(patience, stream.read_buf(&mut text)).await {
            Err(_) => return Heard::Silence,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => return Heard::Reset,
            Ok(Err(error)) => panic!("{error}"),
            Ok(Ok(0)) if text.is_empty() => return Heard::Closed,
            Ok(Ok(0)) => return Heard::PartOfIt,
            Ok(Ok(_)) if text.ends_with(SAYS.as_bytes()) => return Heard::Answer,
            Ok(Ok(_)) => {}
        }
    }
}

#[tokio::test]
async fn without_a_fault_everything_passes() {
    let (backend, proxy) = proxied().await;
    backend.follow(Script::judging());
    let body = "main 1\n".repeat(100_000);
    let reply = post(&format!("{}/ingest?name=shop", proxy.url()), &[], body.clone()).await.unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(backend.received()[0].body, body);
    eventually("the sender's connection is closed", async || (proxy.open() == 0).then_some(())).await.unwrap();
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn each_fault_is_what_it_says() {
    // With what the sender hears, and the requests that the backend reads to their end.
    let cases = [
        (Fault::ResetAtOnce, Heard::Reset, 0),
        (Fault::ResetRequest(REQUEST.len() - 1), Heard::Reset, 0),
        (Fault::ResetAnswer(20), Heard::Reset, 1),
        (Fault::CloseAnswer(20), Heard::PartOfIt, 1),
        (Fault::CloseAnswer(0), Heard::Closed, 0),
        (Fault::Dribble(Duration::from_millis(1)), Heard::Answer, 1),
        (Fault::Blackhole, Heard::Silence, 0),
        (Fault::Deaf, Heard::Silence, 0),
        (Fault::None, Heard::Answer, 1),
    ];
    for (fault, expected, read) in cases {
        let (backend, proxy) = proxied().await;
        proxy.first([fault]);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        // One that is reset at once cannot be written to.
        let _ = stream.write_all(REQUEST).await;
        assert_eq!(heard(&mut stream, &expected).await, expected, "{fault:?}");
        let attempts = backend.attempts();
        let whole = attempts.iter().filter(|attempt| !attempt.request.body.is_empty());
        assert_eq!(whole.count(), read, "{fault:?}: {}", backend.summary());
    }
}

#[tokio::test]
async fn open_connections_are_cut() {
    // With what the sender hears then, and when it has sent again.
    let cases = [
        (Cut::Close, Heard::Closed, Heard::Closed),
        (Cut::Reset, Heard::Reset, Heard::Closed),
        (Cut::HalfOpen, Heard::Silence, Heard::Silence),
        (Cut::Forget, Heard::Silence, Heard::Reset),
    ];
    for (cut, expected, again) in cases {
        let (backend, proxy) = proxied().await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        assert_eq!(heard(&mut stream, &Heard::Answer).await, Heard::Answer);
        proxy.cut(cut);
        assert_eq!(heard(&mut stream, &expected).await, expected, "{cut:?}");
        if expected == Heard::Silence {
            stream.write_all(REQUEST).await.unwrap();
        }
        assert_eq!(heard(&mut stream, &again).await, again, "{cut:?}, then");
        assert_eq!(backend.attempts().len(), 1, "{cut:?}");
        drop(stream);
        eventually("the connection is gone", async || (proxy.open() == 0).then_some(())).await.unwrap();
    }
}

#[tokio::test]
async fn a_port_that_refuses_and_listens_again() {
    let (_backend, mut proxy) = proxied().await;
    let mut open = TcpStream::connect(proxy.address()).await.unwrap();
    open.write_all(REQUEST).await.unwrap();
    assert_eq!(heard(&mut open, &Heard::Answer).await, Heard::Answer);
    proxy.refuse().await;
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    open.write_all(REQUEST).await.unwrap();
    assert_eq!(heard(&mut open, &Heard::Answer).await, Heard::Answer, "an open connection stays");
    proxy.listen().unwrap();
    let mut again = TcpStream::connect(proxy.address()).await.unwrap();
    again.write_all(REQUEST).await.unwrap();
    assert_eq!(heard(&mut again, &Heard::Answer).await, Heard::Answer);
}
