//! A connection, from its first byte to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::apps::ServerApp;
use pingora_core::protocols::l4::stream::Stream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::address::Accepted;
use super::lingering::Lingering;
use super::listener::Listener;
use super::preface;
use super::session::Session;

/// Serves what comes over it. It holds on to no app: one that was replaced ends with its last request.
pub(super) async fn serve(listener: &Arc<Listener>, accepted: Accepted) {
    let Some(tenure) = listener.tenure.load_full() else { return };
    let _open = tenure.app.connected();
    let leave = tenure.leave();
    let idle_timeout = tenure.limits.idle_timeout;
    // What the last request of a connection that is to go may take.
    let last = idle_timeout + tenure.limits.read_timeout + 2 * tenure.limits.write_timeout;
    drop(tenure);

    let mut stop = listener.stop();
    // A connection on which nothing was said yet is as idle as one between two requests.
    let deadline = Instant::now() + idle_timeout;
    let begun = tokio::select! {
        biased;
        begun = begin(accepted, deadline) => begun,
        () = told(&mut stop) => return,
    };
    let Ok((mut stream, http2)) = begun else { return };
    let session = Arc::new(Session::new(listener.clone(), idle_timeout, http2));
    // Without it an answer may wait 40 ms for an acknowledgement; a connection that refuses is served all the same.
    let _unset = stream.set_nodelay();
    // Pingora serves every request of the connection in this one call.
    if !http2 {
        let _reusable = session.process_new(Box::new(stream), &leave).await;
        return;
    }
    let served = session.process_new(Box::new(Lingering::new(stream)), &leave);
    // Pingora has no deadline for a sender that was told to go and stays.
    tokio::select! {
        _ = served => {}
        () = overdue(leave.clone(), last) => {}
    }
}

/// The connection as Pingora has it, and whether it begins with HTTP/2's preface.
async fn begin(accepted: Accepted, deadline: Instant) -> io::Result<(Stream, bool)> {
    match accepted {
        Accepted::Tcp(stream) => {
            let http2 = preface::is_http2(&stream, deadline).await?;
            Ok((Stream::from(stream), http2))
        }
        Accepted::Unix(stream) => {
            let mut stream = Stream::from(stream);
            let http2 = preface::begins_http2(&mut stream, deadline).await?;
            Ok((stream, http2))
        }
    }
}

async fn overdue(mut leave: watch::Receiver<bool>, last: Duration) {
    told(&mut leave).await;
    tokio::time::sleep(last).await;
}

async fn told(signal: &mut watch::Receiver<bool>) {
    // An error says that nobody is left to tell, which is as good.
    let _told = signal.wait_for(|told| *told).await.is_ok();
}
