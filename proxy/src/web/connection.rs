//! One connection: TLS where it is wanted, then HTTP/1.1 or HTTP/2, each step under its deadline.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::idle::{Activity, Counted};
use super::ui::Arrival;
use crate::ingest::is_http2;
use crate::tls::ServerTls;

/// From accepting to the end of the handshake; without TLS, to the first bytes.
const OPENING: Duration = Duration::from_secs(10);
/// For a request's head, from the end of the one before: silence between two requests ends with it too. Above the
/// interval at which scrapers come, so that they keep their connections.
const HEAD: Duration = Duration::from_secs(90);
/// Peers of HTTP/2 that do not answer a ping are gone.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// After so long without taking what it is sent, a peer is gone.
const TAKES_NOTHING: Duration = Duration::from_secs(60);
/// Requests at once on one connection.
const STREAMS: u32 = 64;

/// What ALPN offers.
pub(super) const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// What every connection needs.
pub(super) struct Connection {
    pub app: Router,
    /// Where it came to, for whoever answers.
    pub arrival: Option<Arrival>,
    pub stop: watch::Receiver<bool>,
}

impl Connection {
    pub(super) async fn serve(mut self, stream: TcpStream, tls: Option<Arc<ServerTls>>) {
        // Without it an answer may wait 40 ms for an acknowledgement; a connection that refuses is served all the same.
        let _unset = stream.set_nodelay(true);
        // A page that is kept up to date may be gone without a word; a system that cannot tell serves it all the same.
        let _unset = SockRef::from(&stream).set_tcp_user_timeout(Some(TAKES_NOTHING));
        let deadline = Instant::now() + OPENING;
        match tls {
            None => {
                let http2 = tokio::select! {
                    http2 = is_http2(&stream, deadline) => http2,
                    () = stopped(&mut self.stop) => return,
                };
                let Ok(http2) = http2 else { return };
                self.speak(stream, http2).await;
            }
            Some(tls) => {
                let opened = tokio::select! {
                    opened = tls.handshake(stream, deadline) => opened,
                    () = stopped(&mut self.stop) => return,
                };
                let Some(stream) = opened else { return };
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.speak(stream, http2).await;
            }
        }
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, http2: bool) {
        let (stream, activity) = (TokioIo::new(stream), Activity::default());
        let service = TowerToHyperService::new(Counted::new(self.app, &activity, self.arrival));
        if http2 {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(PING_EVERY)
                .keep_alive_timeout(PONG_WITHIN)
                .max_concurrent_streams(STREAMS)
                .serve_connection(stream, service);
            // Hyper's deadline for heads is HTTP/1.1's alone.
            drive(connection, self.stop, activity.idle_for(HEAD)).await;
        } else {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(stream, service);
            drive(connection, self.stop, std::future::pending()).await;
        }
    }
}

/// To the connection's end, which comes after the requests in flight once it is `idle` or the process ends.
async fn drive(connection: impl GracefulConnection, mut stop: watch::Receiver<bool>, idle: impl Future<Output = ()>) {
    let mut connection = pin!(connection);
    tokio::select! {
        // An error is the client's going away, or what it was told.
        _ended = connection.as_mut() => return,
        () = stopped(&mut stop) => {}
        () = idle => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ended = connection.await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the accept loop is gone, which is as good.
    let _stopped = stop.wait_for(|stop| *stop).await.is_ok();
}
