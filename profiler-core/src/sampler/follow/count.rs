//! What there is by now, as numbers.

use super::Follower;
use crate::kernel::Kernel;
use crate::sampler::files::TableState;
use crate::sampler::{Shared, lock};

impl Follower {
    /// Counts what there is now.
    pub(in crate::sampler) fn count(&self, kernel: &Kernel, shared: &Shared) {
        let (dropped, unlabelled) = {
            let traces = lock(&shared.traces);
            (traces.dropped(), traces.unlabelled())
        };
        let mut statistics = lock(&shared.statistics);
        if let Ok(counters) = kernel.counters() {
            statistics.kernel = counters;
        }
        statistics.in_kernel = kernel.run_time();
        (statistics.dropped, statistics.unlabelled) = (dropped, unlabelled);
        statistics.refused = self.refused;
        let runtimes = self.reader.counts();
        (statistics.runtimes, statistics.runtimes_refused) = (runtimes.attached, runtimes.refused);
        statistics.processes = self.processes.len() as u64;
        (statistics.began, statistics.ended) = (self.began, self.began - statistics.processes);
        (statistics.tables, statistics.rows, statistics.files_without_table) = (0, 0, 0);
        for table in self.files.tables() {
            match table {
                TableState::Ready(table) => {
                    statistics.tables += 1;
                    statistics.rows += u64::from(table.slot.rows());
                }
                TableState::Without | TableState::NoRoom => statistics.files_without_table += 1,
                TableState::Wanted | TableState::Pending => {}
            }
        }
    }
}
