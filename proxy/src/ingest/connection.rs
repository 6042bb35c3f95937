//! A connection, from its first byte to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::apps::ServerApp;
use pingora_core::protocols::l4::stream::Stream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::address::Accepted;
use super::listener::Listener;
use super::session::Session;
use super::transport::{Opened, Transport};
use super::{Protocols, preface};

/// Serves what comes over it. It holds on to no app: one that was replaced ends with its last request.
pub(super) async fn serve(listener: &Arc<Listener>, accepted: Accepted) {
    let Some(tenure) = listener.tenure.load_full() else { return };
    let _open = tenure.app.connected();
    let leave = tenure.leave();
    let limits = &tenure.limits;
    let idle_timeout = limits.idle_timeout;
    // What the last request of a connection that is to go may take.
    let last = idle_timeout + limits.read_timeout + 2 * limits.write_timeout;
    // A connection on which nothing was said yet is as idle as one between two requests; but for a handshake both sides
    // are awake.
    let patience =
        if tenure.protocols.tls.is_some() { limits.read_timeout.min(limits.write_timeout) } else { idle_timeout };
    let deadline = Instant::now() + patience;
    let protocols = tenure.protocols.clone();
    drop(tenure);

    let mut stop = listener.stop();
    let begun = tokio::select! {
        biased;
        begun = begin(accepted, &protocols, deadline) => begun,
        () = told(&mut stop) => return,
    };
    let Some((opened, http2)) = begun else { return };
    let session = Arc::new(Session::new(listener.clone(), idle_timeout, http2.then_some(protocols.http2.clone())));
    if !http2 {
        let stream: pingora_core::protocols::Stream = match opened {
            Opened::Plain(stream) => stream,
            opened => Box::new(Transport::new(opened)),
        };
        return session.serve_http1(stream, &leave).await;
    }
    let transport = Transport::new(opened).lingering().with_write_timeout(protocols.http2.write_timeout);
    // Pingora has no deadline for a sender that was told to go and stays.
    tokio::select! {
        _ = session.process_new(Box::new(transport), &leave) => {}
        () = overdue(leave.clone(), last) => {}
    }
}

/// What is spoken on the connection, and whether that is HTTP/2.
async fn begin(accepted: Accepted, protocols: &Protocols, deadline: Instant) -> Option<(Opened, bool)> {
    let Some(tls) = &protocols.tls else {
        let (stream, http2) = look(accepted, deadline).await.ok()?;
        return Some((Opened::Plain(Box::new(stream)), http2 && protocols.http2.without_tls));
    };
    let mut stream = match accepted {
        Accepted::Tcp(stream) => Stream::from(stream),
        Accepted::Unix(stream) => Stream::from(stream),
    };
    let _unset = stream.set_nodelay();
    let stream = tls.handshake(stream, deadline).await?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Some((Opened::Tls(Box::new(stream)), http2))
}

/// The connection as Pingora has it, and whether it begins with HTTP/2's preface.
async fn look(accepted: Accepted, deadline: Instant) -> io::Result<(Stream, bool)> {
    let (mut stream, http2) = match accepted {
        Accepted::Tcp(stream) => {
            let http2 = preface::is_http2(&stream, deadline).await?;
            (Stream::from(stream), http2)
        }
        Accepted::Unix(stream) => {
            let mut stream = Stream::from(stream);
            let http2 = preface::begins_http2(&mut stream, deadline).await?;
            (stream, http2)
        }
    };
    // Without it an answer may wait 40 ms for an acknowledgement; a connection that refuses is served all the same.
    let _unset = stream.set_nodelay();
    Ok((stream, http2))
}

async fn overdue(mut leave: watch::Receiver<bool>, last: Duration) {
    told(&mut leave).await;
    tokio::time::sleep(last).await;
}

async fn told(signal: &mut watch::Receiver<bool>) {
    // An error says that nobody is left to tell, which is as good.
    let _told = signal.wait_for(|told| *told).await.is_ok();
}
