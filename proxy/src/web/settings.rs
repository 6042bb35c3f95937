//! How the admin listener speaks and to whom it answers.

use std::sync::Arc;

use alloy_syntax::Invalid;
use arc_swap::ArcSwap;

use super::auth::Auth;
use super::connection::PROTOCOLS;
use crate::config_blocks::HttpArguments;
use crate::telemetry::metrics::Metrics;
use crate::tls::ServerTls;

/// What one configuration says. Without one: in plain text, to everyone.
#[derive(Clone, Default)]
pub struct AdminSettings {
    tls: Option<Arc<ServerTls>>,
    auth: Option<Arc<Auth>>,
}

impl AdminSettings {
    /// Reads the certificates that an `http` block names. Nothing is served by them yet.
    ///
    /// # Errors
    /// Certificates or keys that cannot be used, at the block `tls`.
    pub fn build(http: &HttpArguments, metrics: &Metrics) -> Result<Self, Invalid> {
        let tls = http.tls.as_ref().map(|tls| {
            let owner: Arc<str> = "admin".into();
            ServerTls::new(tls, &PROTOCOLS, owner.clone(), metrics.tls(&owner))
                .map(Arc::new)
                .map_err(|error| Invalid::attribute("tls", error.to_string()))
        });
        let auth = http.auth.as_ref().map(|auth| Arc::new(Auth::new(auth)));
        Ok(Self { tls: tls.transpose()?, auth })
    }
}

/// The settings that hold now.
#[derive(Default)]
pub struct CurrentSettings(ArcSwap<AdminSettings>);

impl CurrentSettings {
    /// Puts these in place: TLS for connections to come, authentication for requests to come.
    pub fn apply(&self, settings: AdminSettings) {
        if settings.auth.as_ref().is_some_and(|auth| auth.asks_nowhere()) {
            tracing::warn!(
                "the http block's auth asks no one for a password: it has no basic block, or a filter without paths \
                 where authenticate_matching_paths is true"
            );
        }
        self.0.store(Arc::new(settings));
    }

    pub(super) fn tls(&self) -> Option<Arc<ServerTls>> {
        self.0.load().tls.clone()
    }

    pub(super) fn auth(&self) -> Option<Arc<Auth>> {
        self.0.load().auth.clone()
    }
}
