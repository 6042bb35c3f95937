//! What the Authorization header is made of.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_syntax::{Invalid, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use super::oauth2::Tokens;
use super::{AuthorizationArguments, BasicAuthArguments, OAuth2Arguments, TokenError, secret_file};

/// Credentials, given or in a file, which is read again for each request.
#[derive(Debug, Clone)]
pub struct Credentials(Kind);

/// The options that credentials are made of.
#[derive(Debug, Clone, Copy)]
pub struct AuthArguments<'a> {
    /// A user and a password.
    pub basic_auth: Option<&'a BasicAuthArguments>,
    /// The header as such.
    pub authorization: Option<&'a AuthorizationArguments>,
    /// Tokens of a server.
    pub oauth2: Option<&'a OAuth2Arguments>,
    /// A token.
    pub bearer_token: &'a Secret,
    /// A file with a token.
    pub bearer_token_file: &'a str,
}

#[derive(Debug, Clone)]
enum Kind {
    OAuth2(Arc<Tokens>),
    Given(HeaderValue),
    Basic { username: String, password_file: PathBuf },
    Scheme { scheme: String, file: PathBuf },
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read the credentials in {}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no token.
    #[error("no OAuth 2 token: {0}")]
    Token(#[from] Box<TokenError>),
    /// The file holds something else.
    #[error("{} holds a character that no HTTP header has", .0.display())]
    NoHeader(PathBuf),
}

impl Credentials {
    /// The credentials of these options; none where none is given.
    ///
    /// # Errors
    /// When there is more than one, or it cannot stand in a header.
    pub fn of(arguments: AuthArguments<'_>) -> Result<Option<Self>, Invalid> {
        let AuthArguments { basic_auth, authorization, oauth2, bearer_token, bearer_token_file } = arguments;
        let given = [
            basic_auth.is_some(),
            authorization.is_some(),
            oauth2.is_some(),
            !bearer_token.is_empty(),
            !bearer_token_file.is_empty(),
        ];
        if given.into_iter().filter(|given| *given).count() > 1 {
            return Err(Invalid::block(
                "at most one of basic_auth, authorization, oauth2, bearer_token & bearer_token_file must be configured",
            ));
        }
        let kind = if let Some(BasicAuthArguments { username, password, password_file }) = basic_auth {
            if password_file.is_empty() {
                fixed("basic_auth", &basic(username, password.expose()))?
            } else {
                Kind::Basic { username: username.clone(), password_file: password_file.into() }
            }
        } else if let Some(AuthorizationArguments { scheme, credentials, credentials_file }) = authorization {
            let scheme = match scheme.trim() {
                "" => "Bearer",
                scheme => scheme,
            };
            // What stands in the file is looked at later; the scheme now.
            let header = fixed("authorization", &format!("{scheme} {}", credentials.expose()))?;
            if credentials_file.is_empty() {
                header
            } else {
                Kind::Scheme { scheme: scheme.to_owned(), file: credentials_file.into() }
            }
        } else if let Some(oauth2) = oauth2 {
            Kind::OAuth2(Arc::new(Tokens::new(oauth2)?))
        } else if !bearer_token.is_empty() {
            fixed("bearer_token", &format!("Bearer {}", bearer_token.expose()))?
        } else if !bearer_token_file.is_empty() {
            Kind::Scheme { scheme: "Bearer".to_owned(), file: bearer_token_file.into() }
        } else {
            return Ok(None);
        };
        Ok(Some(Self(kind)))
    }

    /// The value of the Authorization header.
    ///
    /// # Errors
    /// When a file cannot be read, or cannot stand in a header.
    pub async fn header(&self) -> Result<HeaderValue, CredentialsError> {
        let (file, text) = match &self.0 {
            Kind::Given(value) => return Ok(value.clone()),
            Kind::OAuth2(tokens) => return tokens.header().await,
            Kind::Basic { username, password_file } => (password_file, basic(username, &read(password_file).await?)),
            Kind::Scheme { scheme, file } => (file, format!("{scheme} {}", read(file).await?)),
        };
        sensitive(&text).map_err(|_| CredentialsError::NoHeader(file.clone()))
    }
}

fn fixed(attribute: &'static str, text: &str) -> Result<Kind, Invalid> {
    let bad = |_| Invalid::attribute(attribute, "holds a character that no HTTP header has");
    sensitive(text).map(Kind::Given).map_err(bad)
}

pub(super) fn sensitive(text: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// The text of a file without the space around it: editors end files with a line break.
pub(super) async fn read(path: &Path) -> Result<String, CredentialsError> {
    let failed = |error| CredentialsError::Io { path: path.to_owned(), error };
    let file = path.to_owned();
    let bytes = tokio::task::spawn_blocking(move || secret_file::read(&file)).await;
    let bytes = bytes.map_err(io::Error::other).and_then(|read| read).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| CredentialsError::NoHeader(path.to_owned()))?;
    Ok(text.trim().to_owned())
}
