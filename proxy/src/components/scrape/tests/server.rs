//! Targets: a server that answers by the path and keeps what it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(super) const PROFILE: &[u8] = b"\x0a\x04\x08\x01\x10\x02";

/// How a path is answered.
#[derive(Clone)]
pub(super) enum Reply {
    /// With these bytes.
    Bytes(Vec<u8>),
    /// With these bytes, once the gate is open.
    Behind(watch::Receiver<bool>, Vec<u8>),
    /// With what there is by then.
    Current(watch::Receiver<Vec<u8>>),
    /// Never.
    Silence,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

/// An answer with a length.
pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A profile.
pub(super) fn profile(body: &[u8]) -> Vec<u8> {
    answer("200 OK", "content-type: application/octet-stream\r\n", body)
}

impl Server {
    pub(super) async fn start<const N: usize>(replies: [(&str, Reply); N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let replies: HashMap<String, Reply> = replies.map(|(path, reply)| (path.to_owned(), reply)).into();
        let replies = Arc::new(replies);
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut serving = JoinSet::new();
        let kept = asked.clone();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, replies.clone(), kept.clone()));
            }
        });
        Self { address, asked, _serving: serving }
    }

    /// The heads of the requests for a path.
    pub(super) fn asked(&self, path: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|head| path_of(head) == path).cloned().collect()
    }
}

fn path_of(head: &str) -> &str {
    head.split([' ', '?']).nth(1).unwrap()
}

async fn serve(mut stream: TcpStream, replies: Arc<HashMap<String, Reply>>, asked: Arc<Mutex<Vec<String>>>) {
    let mut read = Vec::new();
    loop {
        while !read.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut read).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let head = String::from_utf8(std::mem::take(&mut read)).unwrap();
        let path = path_of(&head).to_owned();
        asked.lock().unwrap().push(head);
        let bytes = match replies.get(&path).cloned() {
            Some(Reply::Bytes(bytes)) => bytes,
            Some(Reply::Behind(mut gate, bytes)) => {
                gate.wait_for(|open| *open).await.unwrap();
                bytes
            }
            Some(Reply::Current(bytes)) => bytes.borrow().clone(),
            Some(Reply::Silence) => std::future::pending().await,
            None => answer("404 Not Found", "", b"404 page not found\n"),
        };
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
