use http::{HeaderValue, Method, StatusCode};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::upstream::client::MAX_ANSWER;
use crate::upstream::http_client::Dialing;
use crate::workers::Workers;

mod tls;

/// Bytes of an answer, its status and body, and whether another request may follow.
#[tokio::test]
async fn answers_are_read_as_they_are_delimited() {
    let whole: &[(&str, u16, &str, bool)] = &[
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, "", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true),
        ("HTTP/1.1 200 \r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello", 200, "hello", true),
        ("HTTP/1.1 503 No\r\ncontent-length: 2\r\nConnection: foo, Close\r\n\r\nno", 503, "no", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, "ok", false),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nuntil the end", 200, "until the end", false),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, "", true),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n02;x=y\r\nde\r\n0\r\nx: y\r\n\r\n",
            200,
            "abcde",
            true,
        ),
    ];
    for (bytes, status, body, reusable) in whole {
        for step in [1, 7, bytes.len()] {
            let (answer, again) = read_answer(&mut Steps::of(bytes.as_bytes(), step)).await.unwrap();
            let read = (answer.status.as_u16(), std::str::from_utf8(&answer.body).unwrap());
            assert_eq!((read, again), ((*status, *body), *reusable), "{bytes:?}, {step}");
        }
    }
}

#[tokio::test]
async fn what_follows_unasked_is_not_the_next_answer() {
    let mut bytes = &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1"[..];
    let (answer, again) = read_answer(&mut bytes).await.unwrap();
    assert_eq!((&answer.body[..], again), (&b"ok"[..], false));
}

#[tokio::test]
async fn what_is_no_answer_is_an_error() {
    let head = "HTTP/1.1 200 OK\r\n";
    let cases = [
        (String::new(), "before an answer"),
        ("HTTP/1.1 200".to_owned(), "before the answer's end"),
        (format!("{head}content-length: 5\r\n\r\nhell"), "before the answer's end"),
        (format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"), "before the answer's end"),
        ("\0\u{1}nonsense\r\n\r\n".to_owned(), "no HTTP"),
        ("HTTP/1.1 099 Early\r\n\r\n".to_owned(), "no HTTP"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(), "switched"),
        (format!("{head}content-length: 5\r\ncontent-length: 6\r\n\r\n"), "two lengths"),
        (format!("{head}content-length: +5\r\n\r\nhello"), "no number"),
        (format!("{head}content-length: 99999999999999999999\r\n\r\n"), "no number"),
        (format!("{head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"), "both"),
        (format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n"), "without a size"),
        (format!("{head}transfer-encoding: chunked\r\n\r\n-1\r\n"), "without a size"),
        (format!("{head}transfer-encoding: chunked\r\n\r\n3\r\nabcdef\r\n"), "longer than its size"),
        (format!("{head}transfer-encoding: chunked\r\n\r\n{}", "0".repeat(MAX_ANSWER)), "without end"),
        (format!("{head}{}", "x: y\r\n".repeat(200)), "no HTTP"),
        (format!("{head}x: {}", "y".repeat(1 << 20)), "without end"),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(99), "without end"),
    ];
    for (bytes, says) in cases {
        let error = read_answer(&mut bytes.as_bytes()).await.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(says), "{:?}: {error}", bytes.get(..40).unwrap_or(&bytes));
    }
}

#[tokio::test]
async fn no_more_is_kept_of_an_answer_than_is_looked_at() {
    let (much, more) = ("y".repeat(MAX_ANSWER), "y".repeat(1000));
    let chunks = format!("8000\r\n{}\r\n", "y".repeat(0x8000)).repeat(9);
    for (bytes, reusable) in [
        (format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{much}", much.len()), true),
        (format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{much}{more}", much.len() + more.len()), false),
        (format!("HTTP/1.1 200 OK\r\n\r\n{much}{more}"), false),
        (format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"), false),
    ] {
        let (answer, again) = read_answer(&mut bytes.as_bytes()).await.unwrap();
        assert_eq!((answer.body.len(), again), (MAX_ANSWER, reusable), "{}", &bytes[..60]);
    }
}

fn request(address: std::net::SocketAddr, body: Vec<Bytes>) -> Request<Segments> {
    let mut request = Request::new(Segments::from(body));
    *request.uri_mut() = format!("http://{address}/ingest?name=a%20b").parse().unwrap();
    request.headers_mut().insert("x-tenant", HeaderValue::from_static("one"));
    *request.method_mut() = Method::POST;
    request
}

fn client() -> Http1 {
    Http1::new(Route::new(None, Dialing::default()), None)
}

/// Reads a request with a body of that length.
async fn receive(stream: &mut (impl AsyncRead + Unpin), body: usize) -> String {
    let mut received = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if text.split_once("\r\n\r\n").is_some_and(|(_, rest)| rest.len() == body) {
            return text;
        }
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "{text}");
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_connection_is_used_again_and_many_pieces_arrive_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let pieces: Vec<Bytes> = (0..50).map(|index| Bytes::from(format!("<{index}>").repeat(3000))).collect();
    let body: Vec<u8> = pieces.concat();
    let length = body.len();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut requests = Vec::new();
        for _ in 0..2 {
            requests.push(receive(&mut stream, length).await);
            stream.write_all(OK).await.unwrap();
        }
        requests
    });
    let client = client();
    for _ in 0..2 {
        assert_eq!(
            client.send(Connection::Any, &request(address, pieces.clone())).await.unwrap().status,
            StatusCode::OK
        );
    }
    for request in server.await.unwrap() {
        let (head, sent) = request.split_once("\r\n\r\n").unwrap();
        let expected =
            format!("POST /ingest?name=a%20b HTTP/1.1\r\nhost: {address}\r\nx-tenant: one\r\ncontent-length: {length}");
        assert_eq!(head, expected);
        assert!(sent.as_bytes() == body, "the pieces are not what was sent");
    }
}

/// Health checks ask.
#[tokio::test]
async fn the_method_is_the_request_s() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let received = receive(&mut stream, 0).await;
        stream.write_all(OK).await.unwrap();
        received
    });
    let mut request = request(address, Vec::new());
    *request.method_mut() = Method::GET;
    client().send(Connection::Any, &request).await.unwrap();
    let received = server.await.unwrap();
    assert!(received.starts_with("GET /ingest?name=a%20b HTTP/1.1\r\n"), "{received}");
}

/// It closes between two requests, with or without the client having seen it.
#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_nothing() {
    for reads_first in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            receive(&mut stream, 3).await;
            stream.write_all(OK).await.unwrap();
            if reads_first {
                receive(&mut stream, 3).await;
            }
            drop(stream);
            let (mut stream, _) = listener.accept().await.unwrap();
            receive(&mut stream, 3).await;
            stream.write_all(OK).await.unwrap();
        });
        let client = client();
        for _ in 0..2 {
            let answer = client.send(Connection::Any, &request(address, vec![Bytes::from("abc")])).await.unwrap();
            assert_eq!(answer.status, StatusCode::OK);
        }
        server.await.unwrap();
    }
}

/// A server that answers and reads no further is heard, whatever is left to be sent.
#[tokio::test]
async fn an_early_answer_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut begin = [0; 100];
        stream.read_exact(&mut begin).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Large\r\ncontent-length: 3\r\n\r\nno!").await.unwrap();
        stream
    });
    let client = client();
    let answer = client.send(Connection::Any, &request(address, vec![Bytes::from(vec![0; 64 << 20])])).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (413, &b"no!"[..]));
    assert!(client.take(&address.to_string().parse().unwrap()).is_none(), "half a request is on it");
    drop(server.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn connections_that_nobody_uses_are_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let authority: Authority = address.to_string().parse().unwrap();
    let client = client();
    let stream = Stream::Plain(TcpStream::connect(address).await.unwrap());
    let (mut server, _) = listener.accept().await.unwrap();
    client.keep(&authority, Socket { stream, _open: None }, true);
    tokio::time::sleep(IDLE - SWEEP).await;
    assert_eq!(lock(client.idle(workers::here())).connections.len(), 1);
    tokio::time::sleep(2 * SWEEP).await;
    assert!(lock(client.idle(workers::here())).connections.is_empty() && !lock(client.idle(workers::here())).swept);
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
}

/// A worker's runtime may end before another's: what is registered there is nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn connections_stay_with_the_thread_that_opened_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                for _ in 0..2 {
                    receive(&mut stream, 4).await;
                    stream.write_all(OK).await.unwrap();
                }
            });
        }
    });
    let (client, workers) = (client(), Workers::start().unwrap());
    let ask = async |place: workers::Place| {
        let (asking, (told, hears)) = (client.clone(), tokio::sync::oneshot::channel());
        place.spawn(async move {
            let asked = asking.send(Connection::Any, &request(address, vec![Bytes::from_static(b"body")])).await;
            let kept = lock(asking.idle(workers::here())).connections.values().flatten().count();
            told.send((workers::here(), asked.unwrap().status, kept)).unwrap();
        });
        hears.await.unwrap()
    };
    let held = workers.place();
    let (one, status, kept) = ask(workers.place()).await;
    assert_eq!((status, kept), (StatusCode::OK, 1));
    drop(workers);
    drop(held);
    let others = Workers::start().unwrap();
    let (other, status, _) = ask(others.place()).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(one, other);
    assert_eq!(lock(client.idle(one)).connections.values().flatten().filter(|kept| kept.thread == one).count(), 1);
}

/// Bytes that come a few at a time.
struct Steps<'b> {
    left: &'b [u8],
    step: usize,
}

impl<'b> Steps<'b> {
    fn of(left: &'b [u8], step: usize) -> Self {
        Self { left, step }
    }
}

impl AsyncRead for Steps<'_> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let (now, later) = self.left.split_at(self.step.min(self.left.len()).min(buffer.remaining()));
        buffer.put_slice(now);
        self.left = later;
        std::task::Poll::Ready(Ok(()))
    }
}
