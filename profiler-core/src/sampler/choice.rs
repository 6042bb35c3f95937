//! Which processes are sampled, where that is for others to say.

use std::sync::Arc;

/// Says of a process, by its pid, whether it is sampled. Asked when the process is met for the first time, when it runs
/// another program, and at [`super::Sampler::reconsider`]; on the sampler's thread, which reads no samples meanwhile.
#[derive(Clone)]
pub struct Choice(Arc<dyn Fn(u32) -> bool + Send + Sync>);

impl Choice {
    /// The answer is what `choose` gives.
    pub fn new(choose: impl Fn(u32) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(choose))
    }

    pub(super) fn takes(&self, pid: u32) -> bool {
        (self.0)(pid)
    }
}

impl std::fmt::Debug for Choice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Choice").finish_non_exhaustive()
    }
}
