//! Where the tests of components that forward look at what was forwarded.

use std::sync::{Mutex, MutexGuard};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::pipeline::{Batch, Outcome, Profile, Stage};

/// Accepts and keeps all profiles.
#[derive(Default)]
pub(super) struct Sink(Mutex<Vec<Profile>>);

impl Stage for Sink {
    fn push(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        let outcome = Outcome::accepted(batch.profiles.len());
        self.profiles().extend(batch.profiles);
        ready(outcome).boxed()
    }
}

impl Sink {
    /// What came.
    pub(super) fn profiles(&self) -> MutexGuard<'_, Vec<Profile>> {
        self.0.lock().unwrap()
    }

    /// The labels, as text, of what came since they were last taken.
    pub(super) fn take_labels(&self) -> Vec<String> {
        self.profiles().drain(..).map(|profile| profile.labels.to_string()).collect()
    }
}
