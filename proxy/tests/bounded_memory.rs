//! A backend that takes requests and answers nothing, and 64 senders that do not give up: for five minutes of a
//! simulated clock the process holds no more than it may.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flamegate::component::Services;
use flamegate::filters::FilterHost;
use flamegate::graph::Controller;
use flamegate::ingest::LocalAddress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SENDERS: usize = 64;
const BODY: usize = 1 << 20;
const LIMIT: usize = 16 << 20;
const ABOVE_LIMIT: usize = 50_000_000;
const MINUTES: Duration = Duration::from_secs(300);

/// One thread: what is written to a loopback socket is there to be read before the clock can move on.
#[tokio::test(start_paused = true)]
async fn a_silent_backend_costs_no_more_than_the_limit() {
    let backend = silent_backend().await;
    let address = flamegate(backend).await;
    let body: Arc<[u8]> = vec![7; BODY].into();
    let answers = Arc::new(Answers::default());
    let until = Instant::now() + MINUTES;
    let before = resident();

    let senders: Vec<_> =
        (0..SENDERS).map(|_| tokio::spawn(send_until(until, address, body.clone(), answers.clone()))).collect();
    let mut most = before;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_secs(1)).await;
        most = most.max(resident());
    }
    for sender in senders {
        sender.await.unwrap();
    }

    assert!(most < before + LIMIT + ABOVE_LIMIT, "{} MB above the start", (most - before) / 1_000_000);
    // Both sides of the limit were seen: requests that were taken and waited, and requests for which nothing was left.
    assert!(answers.waited.load(Ordering::Relaxed) >= LIMIT / BODY / 2, "{answers:?}");
    assert!(answers.busy.load(Ordering::Relaxed) >= SENDERS, "{answers:?}");
    assert_eq!(answers.other.load(Ordering::Relaxed), 0, "{answers:?}");
}

#[derive(Debug, Default)]
struct Answers {
    /// 504 or what the backend's silence became.
    waited: AtomicUsize,
    /// 503 at once.
    busy: AtomicUsize,
    other: AtomicUsize,
}

async fn send_until(until: Instant, address: SocketAddr, body: Arc<[u8]>, answers: Arc<Answers>) {
    while Instant::now() < until {
        let status = send(address, &body).await;
        let count = match status {
            Some(503) => &answers.busy,
            Some(504) => &answers.waited,
            _ => &answers.other,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if status == Some(503) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The status of the answer.
async fn send(address: SocketAddr, body: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let head = format!("POST /ingest?name=x HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.ok()?;
    // A refusal may come before the body is through; what is left unsent does not matter then.
    let (mut reading, mut writing) = stream.split();
    let mut answer = [0; 64];
    let (_, read) = tokio::join!(writing.write_all(body), reading.read(&mut answer));
    let line = str::from_utf8(answer.get(..read.ok()?)?).ok()?;
    line.split(' ').nth(1)?.parse().ok()
}

/// Takes connections and whatever comes on them, and says nothing.
async fn silent_backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = vec![0; 1 << 16];
                while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    address
}

async fn flamegate(backend: SocketAddr) -> SocketAddr {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.alloy");
    let config = format!(
        r#"
        pyroscope.receive_http "in" {{
            http {{
                listen_address = "127.0.0.1"
                listen_port    = 0
            }}
            max_inflight_bytes = {LIMIT}
            forward_to         = [pyroscope.write.out.receiver]
        }}
        pyroscope.write "out" {{
            endpoint {{
                url = "http://{backend}"
            }}
        }}
        "#
    );
    std::fs::write(&path, config).unwrap();
    let services = Services::new(folder.path().to_owned(), FilterHost::default());
    let controller = Box::leak(Box::new(Controller::new(path, Arc::new(services))));
    controller.load().await.unwrap();
    match controller.listening().first() {
        Some((_, LocalAddress::Tcp(address))) => *address,
        other => panic!("it listens on {other:?}"),
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let pages = procfs::process::Process::myself().unwrap().statm().unwrap().resident;
    usize::try_from(pages * procfs::page_size()).unwrap()
}
