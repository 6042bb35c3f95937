//! `http`: TLS and authentication of the admin listener.

use alloy_syntax::{Arguments, Secret};

use crate::tls::TlsArguments;

/// What may stand in the block.
#[derive(Debug, Clone, Default, PartialEq, Arguments)]
pub struct HttpBlock {
    /// Who may ask.
    #[alloy(block, optional)]
    pub auth: Option<AuthArguments>,
    /// TLS; without it the listener speaks in plain text.
    #[alloy(block, optional)]
    pub tls: Option<TlsArguments>,
}

/// Who may ask. Without `basic` everyone may.
#[derive(Debug, Clone, PartialEq, Arguments)]
pub struct AuthArguments {
    /// The one user.
    #[alloy(block, optional)]
    pub basic: Option<BasicArguments>,
    /// Where a user is asked for; everywhere if the block is not there.
    #[alloy(block, optional)]
    pub filter: Option<FilterArguments>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Arguments)]
pub struct BasicArguments {
    /// The user's name.
    #[alloy(attr)]
    pub username: String,
    /// The user's password.
    #[alloy(attr)]
    pub password: Secret,
}

/// Which paths ask for a user.
#[derive(Debug, Clone, PartialEq, Arguments)]
pub struct FilterArguments {
    /// How the paths begin.
    #[alloy(attr, optional)]
    pub paths: Vec<String>,
    /// Whether these paths ask for a user, or all others do.
    #[alloy(attr, default = true)]
    pub authenticate_matching_paths: bool,
}
