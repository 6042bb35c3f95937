//! Who may send.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alloy_syntax::{Arguments, Invalid, Secret};
use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue};

use crate::login::{Hidden, Login, basic_credentials, bearer_token};
use crate::upstream::http_client::{BasicAuthArguments, read_secret_file};

/// Between two looks at a file.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The `auth` block: whoever is one of those in it may send.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = AuthArguments::validate)]
pub(super) struct AuthArguments {
    /// A user and a password.
    #[alloy(block, optional)]
    basic: Option<BasicAuthArguments>,
    /// Tokens, each of which is enough.
    #[alloy(attr, optional)]
    bearer_tokens: Vec<Secret>,
    /// A file with such tokens, one a line; read again when it changes.
    #[alloy(attr, optional)]
    bearer_token_file: String,
}

impl AuthArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.basic.is_none() && self.bearer_tokens.is_empty() && self.bearer_token_file.is_empty() {
            return Err(Invalid::block(
                "names nobody who may send: give a block basic, bearer_tokens or bearer_token_file",
            ));
        }
        if self.bearer_tokens.iter().any(|token| token.expose().trim().is_empty()) {
            return Err(Invalid::attribute("bearer_tokens", "holds an empty token, which anyone could send"));
        }
        match &self.basic {
            Some(basic) if basic.password.is_empty() && basic.password_file.is_empty() => {
                Err(Invalid::attribute("basic", "has no password: give password or password_file"))
            }
            _ => Ok(()),
        }
    }
}

/// The block, ready to be asked.
pub(super) struct Auth {
    login: Option<Login>,
    login_file: Option<SecretFile<Login>>,
    tokens: Vec<Hidden>,
    token_file: Option<SecretFile<Vec<Hidden>>>,
    challenge: HeaderValue,
}

impl Auth {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that cannot be read, or in which nothing is.
    pub(super) fn new(arguments: &AuthArguments, component: &Arc<str>) -> Result<Self, Invalid> {
        let AuthArguments { basic, bearer_tokens, bearer_token_file } = arguments;
        let given = basic.as_ref().filter(|basic| basic.password_file.is_empty());
        let in_file = basic.as_ref().filter(|basic| !basic.password_file.is_empty());
        let login_file = in_file.map(|basic| {
            let user = basic.username.clone();
            SecretFile::read(&basic.password_file, component, move |text| Login::new(&user, text))
                .map_err(|message| Invalid::attribute("basic", format!("password_file: {message}")))
        });
        let token_file = Some(bearer_token_file).filter(|path| !path.is_empty()).map(|path| {
            SecretFile::read(path, component, |text| {
                text.lines().map(str::trim).filter(is_text).map(Hidden::new).collect()
            })
            .map_err(|message| Invalid::attribute("bearer_token_file", message))
        });
        let with_tokens = !bearer_tokens.is_empty() || token_file.is_some();
        Ok(Self {
            login: given.map(|basic| Login::new(&basic.username, basic.password.expose())),
            login_file: login_file.transpose()?,
            tokens: bearer_tokens.iter().map(|token| Hidden::new(token.expose().trim())).collect(),
            token_file: token_file.transpose()?,
            challenge: HeaderValue::from_static(match (basic.is_some(), with_tokens) {
                (true, true) => "Basic realm=\"flamegate\", Bearer",
                (true, false) => "Basic realm=\"flamegate\"",
                _ => "Bearer",
            }),
        })
    }

    /// Whether who sends these headers may send.
    pub(super) fn lets_in(&self, headers: &HeaderMap) -> bool {
        if let Some((user, password)) = basic_credentials(headers) {
            let is = |login: &Login| login.is(&user, &password);
            return self.login.as_ref().is_some_and(is)
                | self.login_file.as_ref().is_some_and(|file| is(&file.content()));
        }
        let Some(token) = bearer_token(headers) else { return false };
        // Each is compared: which one it is takes no shorter to find.
        let among = |tokens: &[Hidden]| tokens.iter().fold(false, |found, known| found | known.is(token));
        among(&self.tokens) | self.token_file.as_ref().is_some_and(|file| among(&file.content()))
    }

    /// What `WWW-Authenticate` says to the others.
    pub(super) fn challenge(&self) -> HeaderValue {
        self.challenge.clone()
    }
}

fn is_text(line: &&str) -> bool {
    !line.is_empty()
}

/// What is in a file by now. The last content that could be used stays.
struct SecretFile<T> {
    path: PathBuf,
    component: Arc<str>,
    hide: Box<dyn Fn(&str) -> T + Send + Sync>,
    content: ArcSwap<T>,
    looked: Mutex<Looked>,
}

struct Looked {
    at: Instant,
    /// What was there: the text, or why there was none.
    found: Result<Hidden, String>,
}

impl<T> SecretFile<T> {
    fn read(
        path: &str,
        component: &Arc<str>,
        hide: impl Fn(&str) -> T + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let path = PathBuf::from(path);
        let text = text_in(&path)?;
        let looked = Mutex::new(Looked { at: Instant::now(), found: Ok(Hidden::new(&text)) });
        let content = ArcSwap::from_pointee(hide(&text));
        Ok(Self { path, component: component.clone(), hide: Box::new(hide), content, looked })
    }

    /// Looks at the file at most once a second; where another request is looking, this one goes by what there is.
    fn content(&self) -> Arc<T> {
        if let Ok(mut looked) = self.looked.try_lock()
            && looked.at.elapsed() >= LOOK_AGAIN
        {
            looked.at = Instant::now();
            match (text_in(&self.path), &looked.found) {
                (Ok(text), Ok(known)) if known.is(text.as_bytes()) => {}
                (Ok(text), _) => {
                    self.content.store(Arc::new((self.hide)(&text)));
                    looked.found = Ok(Hidden::new(&text));
                    tracing::info!(component_id = %self.component, file = %self.path.display(), "who may send changed");
                }
                (Err(error), Err(known)) if error == *known => {}
                (Err(error), _) => {
                    let says = "who may send cannot be read again; those of before stay";
                    tracing::error!(component_id = %self.component, err = %error, "{says}");
                    looked.found = Err(error);
                }
            }
        }
        self.content.load_full()
    }
}

/// The text of a file without the space around it.
fn text_in(path: &std::path::Path) -> Result<String, String> {
    let place = path.display();
    let bytes = read_secret_file(path).map_err(|error| format!("cannot read {place}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{place} is no text in UTF-8"))?;
    match text.trim() {
        "" => Err(format!("{place} is empty: anyone could send")),
        text => Ok(text.to_owned()),
    }
}
