//! A web server that answers what it is told to, and keeps what it was asked.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Most bytes of a request that are read.
const REQUEST: usize = 4096;

/// The server; gone when it is dropped.
#[derive(Debug)]
pub struct ToldServer {
    address: SocketAddr,
    told: Arc<Told>,
    _serving: JoinSet<()>,
}

/// What whoever asks is answered, whatever the path is.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status and a text, of no content type.
    Reply(u16, String),
    /// As JSON, with status 200.
    Json(String),
    /// Bytes, with status 200.
    Bytes(Bytes),
    /// Nothing, on a connection that stays open.
    Silence,
}

#[derive(Debug)]
struct Told {
    answer: Mutex<Answer>,
    asked: Mutex<Vec<String>>,
}

impl ToldServer {
    /// Listens on loopback.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(answer: Answer) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let told = Arc::new(Told { answer: Mutex::new(answer), asked: Mutex::default() });
        let (mut serving, telling) = (JoinSet::new(), told.clone());
        serving.spawn(async move {
            // Those that are answered nothing stay open.
            let mut silent = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                silent.extend(telling.answer(stream).await);
            }
        });
        Ok(Self { address, told, _serving: serving })
    }

    /// A URL with this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What is answered from now on.
    pub fn answers(&self, answer: Answer) {
        *locked(&self.told.answer) = answer;
    }

    /// The requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        locked(&self.told.asked).clone()
    }
}

impl Told {
    /// Hands the connection back where it is to stay open.
    async fn answer(&self, mut stream: TcpStream) -> Option<TcpStream> {
        let mut request = vec![0; REQUEST];
        let length = stream.read(&mut request).await.ok()?;
        request.truncate(length);
        locked(&self.asked).push(String::from_utf8_lossy(&request).into_owned());
        let answer = locked(&self.answer).clone();
        let (status, kind, body) = match answer {
            Answer::Silence => return Some(stream),
            Answer::Reply(status, text) => (status, "", text.into()),
            Answer::Json(text) => (200, "content-type: application/json\r\n", text.into()),
            Answer::Bytes(bytes) => (200, "content-type: application/octet-stream\r\n", bytes),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\n{kind}content-length: {length}\r\nconnection: close\r\n\r\n");
        // Who asked may be gone.
        let _written = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        None
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
