//! Where a repository is.

/// An address that may be handed to git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Web,
    Ssh { user: Option<String> },
    Other,
}

impl Address {
    /// Reads an address. Never shows one that may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.starts_with('-') || text.contains(char::is_control) {
            return Err("is no repository: write its URL, user@host:path or a path of this host".to_owned());
        }
        let kind = match text.split_once("://") {
            Some((scheme, rest)) => {
                let authority = rest.split('/').next().unwrap_or_default();
                let user = authority.rsplit_once('@').map(|(user, _)| user);
                if user.is_some_and(|user| user.contains(':')) {
                    return Err("holds a password: write it into basic_auth instead".to_owned());
                }
                match scheme {
                    "http" | "https" if user.is_some() => {
                        return Err("holds a user: write it into basic_auth instead".to_owned());
                    }
                    "http" | "https" => Kind::Web,
                    "ssh" => Kind::Ssh { user: user.map(str::to_owned) },
                    "file" | "git" => Kind::Other,
                    other => {
                        return Err(format!("{other}:// is no way to a repository: use http, https, ssh, git or file"));
                    }
                }
            }
            // `transport::address` would run a program of that name.
            None if text.contains("::") => {
                return Err("names a helper program: use http, https, ssh, git or file".to_owned());
            }
            // As git: a colon before the first slash makes it an address of SSH.
            None => match text.split('/').next().and_then(|start| start.split_once(':')) {
                Some((host, _)) if host.starts_with('-') || host.contains("@-") => {
                    return Err("names a host that begins with -".to_owned());
                }
                Some((host, _)) => Kind::Ssh { user: host.rsplit_once('@').map(|(user, _)| user.to_owned()) },
                None => Kind::Other,
            },
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is spoken to over HTTP.
    pub(super) fn is_web(&self) -> bool {
        self.kind == Kind::Web
    }

    /// The user in an address of SSH; `None` where it is none.
    pub(super) fn ssh_user(&self) -> Option<Option<&str>> {
        match &self.kind {
            Kind::Ssh { user } => Some(user.as_deref()),
            Kind::Web | Kind::Other => None,
        }
    }
}
