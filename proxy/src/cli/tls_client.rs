//! Commands that ask other programs, on one thread.

use tokio::runtime::Builder;

/// Runs until it is done, with TLS for all that it opens.
///
/// # Errors
/// The runtime cannot start: a line for the user.
pub(super) fn block_on<T>(asking: impl Future<Output = T>) -> Result<T, String> {
    provide_tls();
    let runtime = Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|error| format!("the runtime cannot start: {error}"))?.block_on(asking))
}

/// The first provider of a process stays; nothing else installs one.
pub(super) fn provide_tls() {
    let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
}
