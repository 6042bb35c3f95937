//! A keep-alive HTTP/1.1 connection that writes requests as they are and reads their answers.
//!
//! Written for the load alone: a general client would cost as much as the programs it is to measure.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

const MAX_HEADERS: usize = 64;
/// An answer is some bytes; one that grows beyond this is none that the load understands.
const MAX_ANSWER: usize = 1 << 20;

/// Status and body of a response.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Where a program takes requests, and how.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    /// Opens TLS on what is connected, where it is spoken.
    pub(crate) tls: Option<TlsConnector>,
}

impl From<SocketAddr> for Door {
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }
}

/// One connection, opened again when the other side announces that it closes it.
pub(crate) struct Connection {
    door: Door,
    stream: Stream,
    received: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    pub(crate) async fn open(door: impl Into<Door>) -> anyhow::Result<Self> {
        let door = door.into();
        let address = door.address;
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let stream = match &door.tls {
            None => Stream::Plain(stream),
            Some(connector) => {
                let name = ServerName::from(address.ip());
                let opened = connector.connect(name, stream).await;
                Stream::Tls(Box::new(opened.with_context(|| format!("cannot open TLS with {address}"))?))
            }
        };
        Ok(Self { door, stream, received: Vec::new() })
    }

    /// Writes `request`, which must be one whole request, and reads its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let Received { answer, closes } = match &mut self.stream {
            Stream::Plain(stream) => exchange(stream, request, &mut self.received).await?,
            Stream::Tls(stream) => exchange(stream, request, &mut self.received).await?,
        };
        if closes {
            *self = Self::open(self.door.clone()).await?;
        }
        Ok(answer)
    }

    /// GETs `path`.
    pub(crate) async fn fetch(&mut self, path: &str) -> anyhow::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.door.address);
        self.exchange(request.as_bytes()).await
    }
}

struct Received {
    answer: Answer,
    closes: bool,
}

async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
    received: &mut Vec<u8>,
) -> anyhow::Result<Received> {
    stream.write_all(request).await.context("cannot write a request")?;
    stream.flush().await.context("cannot write a request")?;
    received.clear();
    loop {
        let read = stream.read_buf(received).await.context("cannot read an answer")?;
        ensure!(read > 0, "the connection was closed before its answer was complete");
        ensure!(received.len() <= MAX_ANSWER, "an answer is longer than {MAX_ANSWER} bytes");
        if let Some(received) = parse(received)? {
            return Ok(received);
        }
    }
}

/// The answer in `bytes`, or nothing when more bytes must come.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<Received>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).context("an answer is not HTTP/1.1")? else {
        return Ok(None);
    };
    let status = response.code.context("an answer has no status")?;
    let rest = bytes.get(head..).unwrap_or_default();

    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value))
    };
    let closes = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let body = if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        unchunk(rest)?
    } else if let Some(length) = header("content-length") {
        let length = length.parse().with_context(|| format!("Content-Length `{length}` is not a number"))?;
        rest.split_at_checked(length).map(|(body, more)| (body.to_vec(), more))
    } else if status == 204 {
        Some((Vec::new(), rest))
    } else {
        bail!("an answer with status {status} has neither Content-Length nor chunks");
    };
    let Some((body, more)) = body else {
        return Ok(None);
    };
    ensure!(more.is_empty(), "{} bytes follow an answer that is complete", more.len());
    Ok(Some(Received { answer: Answer { status, body }, closes }))
}

/// The body in `chunks` and what follows it, or nothing when more bytes must come.
fn unchunk(mut chunks: &[u8]) -> anyhow::Result<Option<(Vec<u8>, &[u8])>> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(chunks);
        let Ok(size) = size else { bail!("an answer has a chunk without a size") };
        let httparse::Status::Complete((head, size)) = size else {
            return Ok(None);
        };
        let chunk = chunks.get(head..).unwrap_or_default();
        let Some((data, after)) = chunk.split_at_checked(usize::try_from(size)?) else {
            return Ok(None);
        };
        body.extend_from_slice(data);
        let Some((end, after)) = after.split_at_checked(2) else {
            return Ok(None);
        };
        ensure!(end == b"\r\n", "an answer has a chunk without an end, or trailers");
        if size == 0 {
            return Ok(Some((body, after)));
        }
        chunks = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\n\r\n";
    const COUNTED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nConnection: close\r\n\r\nbusy";

    #[test]
    fn answers_are_complete_at_their_last_byte_and_not_before() {
        for (bytes, status, body, closes) in [(CHUNKED, 200, "abc0123456789", false), (COUNTED, 503, "busy", true)] {
            for cut in 0..bytes.len() {
                assert!(parse(&bytes[..cut]).unwrap().is_none(), "complete after {cut} bytes of {}", bytes.len());
            }
            let received = parse(bytes).unwrap().unwrap();
            assert_eq!(received.answer, Answer { status, body: body.into() });
            assert_eq!(received.closes, closes);
        }
    }

    #[test]
    fn what_is_no_single_answer_is_refused() {
        let cases: [&[u8]; 5] = [
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        ];
        for bytes in cases {
            assert!(parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
