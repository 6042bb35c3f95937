//! Names, passwords and tokens that senders prove themselves with.

use base64::Engine as _;
use http::{HeaderMap, header};
use ring::hmac;

/// A text that only who knows it can show, as a code of a fixed length: how long a comparison takes says nothing of it.
pub(crate) struct Hidden {
    key: hmac::Key,
    code: hmac::Tag,
}

impl Hidden {
    /// Hides a text.
    pub(crate) fn new(text: &str) -> Self {
        // Any key does: the codes never leave the process.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"flamegate");
        let code = hmac::sign(&key, text.as_bytes());
        Self { key, code }
    }

    /// Whether this is the text.
    pub(crate) fn is(&self, text: &[u8]) -> bool {
        hmac::verify(&self.key, text, self.code.as_ref()).is_ok()
    }
}

/// A user's name and password.
pub(crate) struct Login {
    user: Hidden,
    password: Hidden,
}

impl Login {
    /// Of this user.
    pub(crate) fn new(user: &str, password: &str) -> Self {
        Self { user: Hidden::new(user), password: Hidden::new(password) }
    }

    /// Whether these are both.
    pub(crate) fn is(&self, user: &[u8], password: &[u8]) -> bool {
        self.user.is(user) & self.password.is(password)
    }
}

/// The user's name and password that a request brings.
pub(crate) fn basic_credentials(headers: &HeaderMap) -> Option<(Vec<u8>, Vec<u8>)> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(credentials(headers, "Basic")?).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = decoded.split_at_checked(colon)?;
    Some((user.to_vec(), password.get(1..)?.to_vec()))
}

/// The token that a request brings.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    credentials(headers, "Bearer").map(<[u8]>::trim_ascii)
}

fn credentials<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h [u8]> {
    let (named, rest) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(scheme.len())?;
    named.eq_ignore_ascii_case(scheme.as_bytes()).then(|| rest.strip_prefix(b" ")).flatten()
}
