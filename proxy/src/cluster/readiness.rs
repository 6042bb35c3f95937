//! Whether there are nodes enough to begin.

use std::time::Duration;

use tokio::time::Instant;

/// Waits for a number of nodes, each time there are too few, and not for ever.
#[derive(Debug)]
pub(super) struct Readiness {
    wanted: usize,
    /// None: for ever.
    patience: Option<Duration>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting {
        until: Option<Instant>,
    },
    Enough,
    /// There are too few, and it was waited long enough.
    Expired,
}

impl Readiness {
    pub(super) fn new(wanted: usize, patience: Option<Duration>, now: Instant) -> Self {
        let state = if wanted == 0 { State::Enough } else { waiting(patience, now) };
        Self { wanted, patience, state }
    }

    /// Whether to begin, now that there are so many.
    pub(super) fn look(&mut self, nodes: usize, now: Instant) -> bool {
        let state = match self.state {
            _ if nodes >= self.wanted => State::Enough,
            State::Enough => waiting(self.patience, now),
            State::Waiting { until: Some(until) } if until <= now => State::Expired,
            state => state,
        };
        if state != self.state {
            let wanted = self.wanted;
            match state {
                State::Enough => tracing::info!(nodes, wanted, "the cluster has the size to begin"),
                State::Waiting { .. } => {
                    tracing::warn!(nodes, wanted, "the cluster is too small: clustered components take no targets");
                }
                State::Expired => {
                    tracing::warn!(nodes, wanted, "the cluster is too small, but was waited for long enough");
                }
            }
            self.state = state;
        }
        !matches!(state, State::Waiting { .. })
    }

    /// When to look again, whatever the number is.
    pub(super) fn due(&self) -> Option<Instant> {
        if let State::Waiting { until } = self.state { until } else { None }
    }
}

fn waiting(patience: Option<Duration>, now: Instant) -> State {
    State::Waiting { until: patience.map(|patience| now + patience) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_wait_and_not_for_ever() {
        // How many are waited for, how long, and what is seen after so many seconds: nodes, and whether to begin.
        type Case<'a> = (usize, Option<u64>, &'a [(u64, usize, bool)]);
        let cases: [Case<'_>; 5] = [
            (0, None, &[(0, 1, true), (1, 0, true)]),
            (3, None, &[(0, 1, false), (1_000, 2, false), (1_001, 3, true), (1_002, 2, false), (9_999, 2, false)]),
            (3, Some(10), &[(0, 1, false), (9, 2, false), (10, 2, true), (11, 1, true), (12, 3, true)]),
            // Too few again: the time begins again.
            (3, Some(10), &[(5, 3, true), (8, 2, false), (17, 2, false), (18, 2, true)]),
            (2, Some(10), &[(10, 2, true), (20, 2, true)]),
        ];
        for (wanted, patience, seen) in cases {
            let began = Instant::now();
            let mut readiness = Readiness::new(wanted, patience.map(Duration::from_secs), began);
            for (second, nodes, expected) in seen {
                let now = began + Duration::from_secs(*second);
                assert_eq!(readiness.look(*nodes, now), *expected, "{wanted} {patience:?} at {second}");
                assert!(readiness.due().is_none_or(|due| due > now && !expected));
            }
        }
    }
}
