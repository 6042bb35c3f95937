//! What the programs count.

use aya::maps::{MapData, PerCpuArray};

use super::{FillError, RuntimeWalk, Stop, Unwinder};

/// Since the programs were loaded, on all CPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Samples handed over.
    pub samples: u64,
    /// Samples lost because the ring buffer was full.
    pub lost: u64,
    /// Events (processes that came or went) lost for the same reason.
    pub events_lost: u64,
    /// Unknown processes that were announced.
    pub announced: u64,
    /// Times that a process had mappings which were not known.
    pub stale: u64,
    /// Probes that were hit while another one's stack was walked on the same CPU: they are not sampled.
    pub collided: u64,
    /// Samples with the labels of a goroutine.
    pub labelled: u64,
    /// Samples of goroutines whose labels were too many or too long, or could not be read: some are left out.
    pub labels_cut: u64,
    stops: Vec<u64>,
    runtimes: Vec<u64>,
}

/// `COUNT_STOPS`.
const STOPS: usize = 16;
/// `COUNT_RUNTIMES`.
const RUNTIMES: usize = 32;
/// `RUNTIME_REASONS`.
const RUNTIME_REASONS: usize = 8;

impl Counters {
    /// Walks that ended for this reason, samples that were lost included.
    #[must_use]
    pub fn stopped(&self, reason: Stop) -> u64 {
        Stop::ALL.iter().position(|stop| *stop == reason).and_then(|place| self.stops.get(place)).copied().unwrap_or(0)
    }

    /// What became of looking for a runtime's frames, each time.
    #[must_use]
    pub fn runtime_walks(&self, unwinder: Unwinder, what: RuntimeWalk) -> u64 {
        let place = RuntimeWalk::ALL.iter().position(|walk| *walk == what).unwrap_or(RUNTIME_REASONS);
        self.runtimes.get(usize::from(unwinder.0) * RUNTIME_REASONS + place).copied().unwrap_or(0)
    }

    pub(super) fn read(map: &PerCpuArray<MapData, u64>) -> Result<Self, FillError> {
        let sums = map
            .iter()
            .map(|values| Ok(values?.iter().sum::<u64>()))
            .collect::<Result<Vec<u64>, aya::maps::MapError>>()?;
        let at = |place: usize| sums.get(place).copied().unwrap_or(0);
        Ok(Self {
            samples: at(0),
            lost: at(1),
            events_lost: at(2),
            announced: at(3),
            stale: at(4),
            collided: at(5),
            labelled: at(6),
            labels_cut: at(7),
            stops: sums.get(STOPS..RUNTIMES).unwrap_or_default().to_vec(),
            runtimes: sums.get(RUNTIMES..).unwrap_or_default().to_vec(),
        })
    }
}
