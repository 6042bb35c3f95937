//! What to do about a failed call: which limit was met, and where it is set.

use crate::filters::{ConfigureError, FilterError, GuestFunction, TrialError};

/// What its author can do; `None` where the error says so itself.
pub(super) fn advice(error: &TrialError) -> Option<String> {
    let (function, error) = match error {
        TrialError::Failed { function, error, .. } => (function, error),
        TrialError::Ungranted(ConfigureError::Ungranted(capability)) => {
            return Some(format!("here: --grant {capability}"));
        }
        TrialError::Ungranted(_) | TrialError::Refused(_) => return None,
    };
    Some(match error {
        FilterError::Timeout(_) if *function == GuestFunction::Apply => {
            "do less in a call (what stays the same belongs into configure), or allow more: `timeout` of wasm.filter, \
             --timeout here"
                .to_owned()
        }
        FilterError::Timeout(_) => {
            format!("{function} has this long, whatever `timeout` says: look for a loop that does not end")
        }
        FilterError::Memory { .. } => {
            "free what a call no longer needs, or allow more: `memory_limit` of wasm.filter, --memory-limit here; \
             256MiB at most"
                .to_owned()
        }
        FilterError::Trap(said) => trap(said)?.to_owned(),
        FilterError::Answer(_) => {
            "a verdict has each name once, no empty name, at most 4096 labels, and 1 MiB of names and values".to_owned()
        }
        FilterError::NeedsProfile => {
            "hand it one: --profile FILE.pb.gz; in cases, `profile` and `profile_after` of a series".to_owned()
        }
        FilterError::Unreadable(_) => "a profile is a pprof message, gzipped or not, of at most 32 MiB".to_owned(),
        FilterError::Instantiate(_)
        | FilterError::NoMemory
        | FilterError::Unwritten(_)
        | FilterError::Resting(_)
        | FilterError::Busy => return None,
    })
}

fn trap(said: &str) -> Option<&'static str> {
    let known = [
        (
            "unreachable",
            "the filter gave up: a panic, an exception that nothing caught, or an abort. Its message shows where the \
             filter logs it, as those of `flamegate filter new` do; what it prints goes nowhere",
        ),
        ("call stack exhausted", "it calls deeper than its stack of 512KiB: look for recursion without end"),
        ("out of bounds memory", "it reads or writes outside of its memory: look for a pointer gone astray"),
        (
            "borrow handles still remain",
            "the profile is lent for the call: let go of it before apply returns. Components of componentize-qjs never do",
        ),
        ("fuel", "it hands more than 2 MiB to the host in one call: answer with a patch, or log less"),
        ("utf-8", "all text that is handed over is UTF-8"),
    ];
    let said = said.to_lowercase();
    known.into_iter().find_map(|(part, advice)| said.contains(part).then_some(advice))
}
