//! The `grpc` block.

use alloy_syntax::Arguments;

/// The reference listens on a port of its own for gRPC, and serves nothing there. Here it is served where the `http` block
/// listens: what may stand in the block is known, and has no effect.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(ignored(
    "listen_address",
    "listen_port",
    "conn_limit",
    "max_connection_age",
    "max_connection_age_grace",
    "max_connection_idle",
    "server_max_recv_msg_size",
    "server_max_send_msg_size",
    "server_max_concurrent_streams",
    "tls",
))]
pub(super) struct GrpcArguments {}
