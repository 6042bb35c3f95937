//! Who may ask: one user, on some paths.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use super::settings::CurrentSettings;
use crate::config_blocks::{AuthArguments, FilterArguments};
use crate::login::{Login, basic_credentials};
use crate::telemetry::LogLimit;

/// Lets requests through to the app that the settings at their time let through.
pub(super) fn guard(app: Router, settings: Arc<CurrentSettings>) -> Router {
    app.layer(from_fn_with_state(settings, authenticate))
}

async fn authenticate(State(settings): State<Arc<CurrentSettings>>, request: Request, next: Next) -> Response {
    match settings.auth() {
        Some(auth) if !auth.lets_through(request.uri().path(), request.headers()) => {
            if let Some(line) = auth.failures.admit() {
                let (path, left_out) = (request.uri().path(), line.left_out);
                tracing::info!(path, left_out, "failed to authenticate request");
            }
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Restricted\"")];
            (StatusCode::UNAUTHORIZED, challenge, "a user name and a password are needed\n").into_response()
        }
        _ => next.run(request).await,
    }
}

/// The `auth` block, ready to be asked.
pub(super) struct Auth {
    login: Option<Login>,
    /// Beginnings of paths.
    prefixes: Vec<String>,
    /// Whether a user is asked for on these paths, or on all others.
    on_matching: bool,
    failures: LogLimit,
}

impl Auth {
    pub(super) fn new(arguments: &AuthArguments) -> Self {
        let login = arguments.basic.as_ref().map(|basic| Login::new(&basic.username, basic.password.expose()));
        // Without the block on all paths, with an empty one on none: as the reference has it.
        let everywhere = FilterArguments { paths: Vec::new(), authenticate_matching_paths: false };
        let filter = arguments.filter.clone().unwrap_or(everywhere);
        Self {
            login,
            prefixes: filter.paths,
            on_matching: filter.authenticate_matching_paths,
            failures: LogLimit::default(),
        }
    }

    /// Whether there is no path on which a user is asked for.
    pub(super) fn asks_nowhere(&self) -> bool {
        self.login.is_none() || self.prefixes.is_empty() && self.on_matching
    }

    fn lets_through(&self, path: &str, headers: &HeaderMap) -> bool {
        let Some(login) = &self.login else { return true };
        !self.asks_on(path) || basic_credentials(headers).is_some_and(|(user, password)| login.is(&user, &password))
    }

    /// Whether a user is asked for on a path.
    pub(super) fn asks_on(&self, path: &str) -> bool {
        let path: Vec<u8> = percent_decode_str(path).collect();
        let matches = self.prefixes.iter().any(|prefix| path.starts_with(prefix.as_bytes()));
        self.login.is_some() && matches == self.on_matching
    }
}
