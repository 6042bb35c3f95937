//! One connection through the proxy: bytes pass as its fault lets them, and it ends as the fault or a cut says.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Cut, Fault};

const CHUNK: usize = 16 << 10;

/// Serves the connection of a sender until that has closed it, or it is reset.
pub(super) async fn serve(mut sender: TcpStream, fault: Fault, backend: SocketAddr, mut cuts: watch::Receiver<Cut>) {
    let end = tokio::select! {
        end = pass(&mut sender, fault, backend) => end,
        // Where the proxy is gone, so is the connection.
        cut = cuts.changed() => cut.map_or(Cut::Reset, |()| *cuts.borrow_and_update()),
    };
    // A sender that is gone already cannot be told any more.
    let _ = conclude(sender, end).await;
}

async fn conclude(mut sender: TcpStream, end: Cut) -> io::Result<()> {
    match end {
        Cut::Close => {
            sender.shutdown().await?;
            swallow(&mut sender).await
        }
        Cut::Reset => sender.set_zero_linger(),
        Cut::HalfOpen => swallow(&mut sender).await,
        Cut::Forget => {
            sender.peek(&mut [0]).await?;
            sender.set_zero_linger()
        }
    }
}

/// Passes bytes both ways, and says how the sender's connection is to end.
async fn pass(sender: &mut TcpStream, fault: Fault, backend: SocketAddr) -> Cut {
    match fault {
        Fault::ResetAtOnce => return Cut::Reset,
        Fault::Blackhole => return Cut::HalfOpen,
        Fault::Deaf => std::future::pending::<()>().await,
        _ => {}
    }
    let Ok(mut backend) = TcpStream::connect(backend).await else { return Cut::Reset };
    if sender.set_nodelay(true).and_then(|()| backend.set_nodelay(true)).is_err() {
        return Cut::Reset;
    }
    let (from_sender, to_sender) = sender.split();
    let (from_backend, to_backend) = backend.split();
    let (mut there, mut back) = (Direction::default(), Direction::default());
    match fault {
        Fault::ResetRequest(bytes) => there.limit = bytes,
        Fault::ResetAnswer(bytes) => back.limit = bytes,
        Fault::CloseAnswer(bytes) => (back.limit, back.at_limit) = (bytes, Cut::Close),
        Fault::Dribble(pause) => back.pause = Some(pause),
        Fault::None | Fault::ResetAtOnce | Fault::Blackhole | Fault::Deaf => {}
    }
    tokio::select! {
        end = there.pass(from_sender, to_backend) => end,
        end = back.pass(from_backend, to_sender) => end,
    }
}

/// One direction of a connection.
struct Direction {
    /// Bytes that pass.
    limit: usize,
    /// What happens then.
    at_limit: Cut,
    /// Between two bytes.
    pause: Option<Duration>,
}

impl Default for Direction {
    fn default() -> Self {
        Self { limit: usize::MAX, at_limit: Cut::Reset, pause: None }
    }
}

impl Direction {
    async fn pass(self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Cut {
        let mut buffer = vec![0; CHUNK];
        let mut left = self.limit;
        while left > 0 {
            let read = match from.read(&mut buffer).await {
                Ok(0) => return Cut::Close,
                Ok(read) => read.min(left),
                Err(_) => return Cut::Reset,
            };
            let pieces = self.pause.map_or(read, |_| 1);
            for piece in buffer.get(..read).unwrap_or_default().chunks(pieces) {
                if to.write_all(piece).await.is_err() {
                    return Cut::Reset;
                }
                if let Some(pause) = self.pause {
                    sleep(pause).await;
                }
            }
            left -= read;
        }
        self.at_limit
    }
}

/// Reads until the sender closes.
async fn swallow(sender: &mut TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    while sender.read(&mut buffer).await? > 0 {}
    Ok(())
}
