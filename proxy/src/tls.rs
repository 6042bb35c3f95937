//! TLS of the listeners: what may stand in a `tls` block, and the settings of rustls that follow from it.
//!
//! [`TlsArguments`] is what was written, [`ServerTls`] what a listener asks at each handshake: it reads certificates
//! again when their files change.

mod arguments;
mod client_certificates;
mod handshake;
mod mutual;
mod names;
mod pem;
mod server;
#[cfg(test)]
pub(crate) mod tests;

pub use arguments::TlsArguments;
pub use handshake::FirstByte;
pub use mutual::{MutualTls, MutualTlsFiles, Sides};
pub use names::{CipherSuites, ClientAuth, Curve, Version};
pub use server::{ServerTls, TlsError};
