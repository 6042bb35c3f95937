//! Reading an answer of HTTP/1.1 (RFC 9112) under limits.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::intake::IntakeError;
use super::super::{Answer, MAX_ANSWER};

pub(super) use self::whole::read_into;

mod whole;

/// Most bytes of a head.
const MAX_HEAD: usize = 64 * 1024;
/// Most fields of a head; as hyper.
const MAX_FIELDS: usize = 100;
/// Interim answers (100, 103) before the one that counts.
const MAX_INTERIM: usize = 16;
/// Longest line before a chunk: its size, and extensions that nobody uses.
const MAX_CHUNK_LINE: usize = 256;
/// What is asked of the socket at once; a usual answer is less.
const READ: usize = 2048;

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The connection broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server closed the connection without a byte of an answer.
    #[error("connection closed before an answer")]
    Silence,
    /// The connection ended in the middle.
    #[error("connection closed before the answer's end")]
    Cut,
    /// It is no HTTP.
    #[error("no HTTP: {0}")]
    Head(#[from] httparse::Error),
    /// It is HTTP, and cannot be what is expected.
    #[error("no HTTP: {0}")]
    Malformed(&'static str),
    /// It is not kept.
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

impl AnswerError {
    /// Whether the server has not answered with a single byte.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Silence)
    }
}

/// How an answer's body ends.
enum Length {
    Bytes(u64),
    Chunks,
    /// With the connection.
    Close,
}

struct Head {
    status: StatusCode,
    headers: HeaderMap,
    /// Whether the server waits for another request.
    stays: bool,
}

/// What came and is not read yet.
struct Incoming<'s, S> {
    stream: &'s mut S,
    buffer: BytesMut,
    silent: bool,
}

/// An answer, its body up to [`MAX_ANSWER`]; and whether the connection can be used again.
pub(super) async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Result<(Answer, bool), AnswerError> {
    let mut incoming = Incoming { stream, buffer: BytesMut::with_capacity(READ), silent: true };
    let Head { status, headers, stays } = incoming.final_head().await?;
    let (body, whole) = match length(status, &headers)? {
        Length::Bytes(length) => incoming.bytes(length).await?,
        Length::Chunks => incoming.chunks().await?,
        Length::Close => (incoming.rest().await?, false),
    };
    // What follows unasked is not the next answer.
    let reusable = stays && whole && incoming.buffer.is_empty();
    Ok((Answer { status, headers, body, trailers: HeaderMap::new() }, reusable))
}

impl<S: AsyncRead + Unpin> Incoming<'_, S> {
    async fn final_head(&mut self) -> Result<Head, AnswerError> {
        for _ in 0..MAX_INTERIM {
            let head = self.head().await?;
            match head.status {
                StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(AnswerError::Malformed("the protocol is switched, which nobody asked for"));
                }
                status if status.is_informational() => {}
                _ => return Ok(head),
            }
        }
        Err(AnswerError::Malformed("interim answers without end"))
    }

    async fn head(&mut self) -> Result<Head, AnswerError> {
        loop {
            if !self.buffer.is_empty()
                && let Some((head, length)) = parse_head(&self.buffer)?
            {
                self.buffer.advance(length);
                return Ok(head);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(AnswerError::Malformed("a head without end"));
            }
            self.more().await?;
        }
    }

    async fn bytes(&mut self, length: u64) -> Result<(Bytes, bool), AnswerError> {
        let kept = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_ANSWER);
        while self.buffer.len() < kept {
            self.more().await?;
        }
        Ok((self.buffer.split_to(kept).freeze(), kept as u64 == length))
    }

    async fn chunks(&mut self) -> Result<(Bytes, bool), AnswerError> {
        let mut body = BytesMut::new();
        loop {
            let mut left = self.chunk_size().await?;
            if left == 0 {
                return self.trailers().await.map(|()| (body.freeze(), true));
            }
            while left > 0 {
                if self.buffer.is_empty() {
                    self.more().await?;
                }
                let here = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let part = self.buffer.split_to(here);
                left -= here as u64;
                let room = MAX_ANSWER - body.len();
                body.extend_from_slice(part.get(..room).unwrap_or(&part));
                if here > room {
                    return Ok((body.freeze(), false));
                }
            }
            if !self.line(2).await?.is_empty() {
                return Err(AnswerError::Malformed("a chunk longer than its size"));
            }
        }
    }

    async fn chunk_size(&mut self) -> Result<u64, AnswerError> {
        let line = self.line(MAX_CHUNK_LINE).await?;
        let digits = line.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next().unwrap_or_default();
        let size =
            std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let size = size.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        size.ok_or(AnswerError::Malformed("a chunk without a size"))
    }

    /// Fields behind the chunks, of which none is looked at.
    async fn trailers(&mut self) -> Result<(), AnswerError> {
        for _ in 0..MAX_FIELDS {
            if self.line(MAX_HEAD).await?.is_empty() {
                return Ok(());
            }
        }
        Err(AnswerError::Malformed("trailers without end"))
    }

    /// A line of at most so many bytes, without its end.
    async fn line(&mut self, limit: usize) -> Result<Bytes, AnswerError> {
        let mut searched = 0;
        loop {
            let end = self.buffer.iter().skip(searched).position(|byte| *byte == b'\n').map(|end| end + searched);
            if let Some(end) = end {
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.truncate(end - 1);
                }
                return Ok(line.freeze());
            }
            searched = self.buffer.len();
            if searched > limit {
                return Err(AnswerError::Malformed("a line without end"));
            }
            self.more().await?;
        }
    }

    /// All that comes until the server closes.
    async fn rest(&mut self) -> Result<Bytes, AnswerError> {
        while self.buffer.len() < MAX_ANSWER {
            match self.more().await {
                Ok(()) => {}
                Err(AnswerError::Cut) => break,
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(MAX_ANSWER);
        Ok(self.buffer.split().freeze())
    }

    async fn more(&mut self) -> Result<(), AnswerError> {
        self.buffer.reserve(READ);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) if self.silent => Err(AnswerError::Silence),
            Ok(0) => Err(AnswerError::Cut),
            Ok(_) => {
                self.silent = false;
                Ok(())
            }
            Err(error) if self.silent && is_end(&error) => Err(AnswerError::Silence),
            Err(error) => Err(error.into()),
        }
    }
}

/// The server is gone: TLS tells an end that was not announced from one that was.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof)
}

/// A head that is complete, and its length.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, AnswerError> {
    let mut fields = [const { std::mem::MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut fields)? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(AnswerError::Malformed("no status"))?;
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| httparse::Error::HeaderName)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| httparse::Error::HeaderValue)?;
        headers.append(name, value);
    }
    let closes = headers.get_all(header::CONNECTION).iter().any(|value| has_token(value, "close"));
    // Of HTTP/1.0 none stays.
    Ok(Some((Head { status, headers, stays: parsed.version == Some(1) && !closes }, length)))
}

/// RFC 9112, section 6.3.
fn length(status: StatusCode, headers: &HeaderMap) -> Result<Length, AnswerError> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Length::Bytes(0));
    }
    if let Some(last) = headers.get_all(header::TRANSFER_ENCODING).iter().next_back() {
        if headers.contains_key(header::CONTENT_LENGTH) {
            return Err(AnswerError::Malformed("both a length and chunks"));
        }
        let chunked = last.as_bytes().rsplit(|byte| *byte == b',').next().unwrap_or_default();
        let chunked = chunked.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if chunked { Length::Chunks } else { Length::Close });
    }
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let said: Option<u64> = digits.and_then(|text| text.parse().ok());
        let said = said.ok_or(AnswerError::Malformed("a length that is no number"))?;
        if length.is_some_and(|length| length != said) {
            return Err(AnswerError::Malformed("two lengths"));
        }
        length = Some(said);
    }
    Ok(length.map_or(Length::Close, Length::Bytes))
}

fn has_token(value: &HeaderValue, token: &str) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}
