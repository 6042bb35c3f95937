//! HTTP/1.1 by the byte, for what no client does: halves, drips, nonsense.

use std::io;
use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::polling::DEADLINE;

/// A connection; every operation on it has a deadline of its own.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawReply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there, or accepts in time.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = within(TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Writes.
    ///
    /// # Errors
    /// When the other side is gone, or does not read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within(self.stream.write_all(bytes.as_ref())).await
    }

    /// The next answer, also an interim one; `None` where the connection was closed without a byte of it.
    ///
    /// # Errors
    /// When nothing comes in time, or something that is no answer.
    pub async fn reply(&mut self) -> io::Result<Option<RawReply>> {
        const END: &[u8] = b"\r\n\r\n";
        let head = loop {
            if let Some(at) = self.unread.windows(END.len()).position(|window| window == END) {
                break self.unread.drain(..at + END.len()).collect::<Vec<u8>>();
            }
            if self.read_more().await? == 0 {
                return if self.unread.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        };
        let (status, headers) = parse_head(&String::from_utf8_lossy(&head)).ok_or(io::ErrorKind::InvalidData)?;
        let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
        while self.unread.len() < length {
            if self.read_more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let body: Vec<u8> = self.unread.drain(..length).collect();
        Ok(Some(RawReply { status, headers, body: String::from_utf8_lossy(&body).into_owned() }))
    }

    /// Reads until this has come.
    ///
    /// # Errors
    /// When nothing comes in time, or the connection ends before.
    pub async fn wait_for(&mut self, part: &str) -> io::Result<()> {
        while !String::from_utf8_lossy(&self.unread).contains(part) {
            if self.read_more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// The next line that begins so, without its end; others are passed over.
    ///
    /// # Errors
    /// When none comes in time, or the connection ends before.
    pub async fn wait_for_line(&mut self, begin: &str) -> io::Result<String> {
        let mut searched = 0;
        loop {
            let end = self.unread.iter().skip(searched).position(|byte| *byte == b'\n');
            let Some(end) = end.map(|end| searched + end) else {
                searched = self.unread.len();
                if self.read_more().await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            };
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            searched = 0;
            if line.starts_with(begin.as_bytes()) {
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        }
    }

    /// Whether anything came that was not asked for by [`reply`](Self::reply); does not wait.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn has_news(&mut self) -> io::Result<bool> {
        let mut byte = [0; 1];
        match self.stream.try_read(&mut byte) {
            Ok(read) => {
                self.unread.extend(byte.get(..read).unwrap_or_default());
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(!self.unread.is_empty()),
            Err(error) => Err(error),
        }
    }

    /// 0 at the end, which a reset is as well: the other side has closed over what it did not read.
    async fn read_more(&mut self) -> io::Result<usize> {
        let read = within(self.stream.read_buf(&mut self.unread)).await;
        match read {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(0),
            other => other,
        }
    }
}

async fn within<T>(operation: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(DEADLINE, operation).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

fn parse_head(head: &str) -> Option<(u16, HeaderMap)> {
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let (name, value) = (HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.trim()).ok()?);
        headers.append(name, value);
    }
    Some((status, headers))
}
