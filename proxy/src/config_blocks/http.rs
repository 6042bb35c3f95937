//! `http`: TLS and authentication of the admin listener.

use std::sync::Arc;

use alloy_syntax::{Arguments, Invalid, Secret};

use crate::component::{Component, Context};
use crate::tls::TlsArguments;
use crate::web::{AdminSettings, CurrentSettings};

/// What may stand in the block.
#[derive(Debug, Clone, Default, PartialEq, Arguments)]
pub struct HttpArguments {
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

/// The block.
pub struct HttpBlock {
    settings: AdminSettings,
    current: Arc<CurrentSettings>,
}

impl Component for HttpBlock {
    const NAME: &'static str = "http";
    const SUMMARY: &'static str = "TLS and authentication of the admin listener.";
    type Arguments = HttpArguments;

    fn build(arguments: &HttpArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        let settings = AdminSettings::build(arguments, &context.services.metrics)?;
        Ok(Self { settings, current: context.services.admin.clone() })
    }

    fn activate(&self) {
        self.current.apply(self.settings.clone());
    }

    fn withdraw(&self) {
        self.current.apply(AdminSettings::default());
    }
}
