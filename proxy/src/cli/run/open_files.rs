//! How many files and connections the process may have.

use rustix::process::{Resource, getrlimit, setrlimit};

/// As Go's programs do: as many as the hard limit allows. The usual soft limit of 1,024 is for programs that use `select`,
/// and a thousand targets take more.
pub(super) fn allow_most() {
    let mut limit = getrlimit(Resource::Nofile);
    let before = std::mem::replace(&mut limit.current, limit.maximum);
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(soft_limit = before, err = %error, "the limit of open files stays");
    }
}
