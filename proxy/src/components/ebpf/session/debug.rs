//! What a session shows of itself to whoever looks for a fault.

use std::collections::BTreeMap;

use alloy_syntax::Value;
use profiler_core::sampler::Statistics;

use crate::components::ebpf::build::Harvest;
use crate::components::ebpf::plan::Plan;

/// Targets and processes that are shown.
const MOST_SHOWN: usize = 1_000;

/// What the last collection brought.
#[derive(Default)]
pub(super) struct Seen {
    /// By the text of a series' labels: its processes and how often each was seen.
    processes: BTreeMap<String, BTreeMap<u32, u64>>,
    statistics: Statistics,
}

impl Seen {
    pub(super) fn note(&mut self, harvest: &Harvest, statistics: &Statistics) {
        self.processes.clear();
        for profile in harvest.profiles.iter().take(MOST_SHOWN) {
            let processes = self.processes.entry(profile.series.labels.to_string()).or_default();
            *processes.entry(profile.pid).or_default() += profile.samples;
        }
        self.statistics = statistics.clone();
    }

    pub(super) fn show(&self, plan: &Plan) -> Value {
        let target = |labels: String| {
            let seen = self.processes.get(&labels);
            let processes = seen.into_iter().flatten().map(|(pid, samples)| {
                Value::object([("pid", Value::from(u64::from(*pid))), ("samples", Value::from(*samples))])
            });
            let processes = Value::array(processes);
            Value::object([("labels", Value::from(labels)), ("processes", processes)])
        };
        let mut targets: Vec<String> = plan.selection.all().map(|series| series.labels.to_string()).collect();
        targets.sort_unstable();
        targets.dedup();
        let of_no_target = self.processes.keys().filter(|labels| targets.binary_search(labels).is_err()).cloned();
        let mut shown: Vec<String> = of_no_target.collect();
        shown.extend(targets);
        shown.truncate(MOST_SHOWN);
        let Statistics { processes, tables, rows, files_without_table, refused, runtimes, runtimes_refused, .. } =
            self.statistics;
        Value::object([
            ("targets", Value::array(shown.into_iter().map(target))),
            ("processes", Value::from(processes)),
            ("runtimes", Value::object([("found", Value::from(runtimes)), ("refused", Value::from(runtimes_refused))])),
            (
                "files",
                Value::object([
                    ("with_unwind_table", Value::from(tables)),
                    ("rows", Value::from(rows)),
                    ("without_unwind_table", Value::from(files_without_table)),
                    ("refused", Value::from(refused)),
                ]),
            ),
        ])
    }
}
