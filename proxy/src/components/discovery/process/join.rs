//! Processes with the labels of the containers that they run in.

use std::collections::HashMap;

use profiler_core::labels::Labels;

use super::super::super::targets::container_of;
use super::super::Found;

/// The targets that are no containers, the processes, then the containers. A process in a container has the labels of
/// both; those of the container count. Of several containers of one id the last counts.
pub(super) fn join(processes: &[Labels], others: &[Labels]) -> Found {
    let mut found = Found::default();
    let mut containers: HashMap<&str, usize> = HashMap::new();
    for (place, other) in others.iter().enumerate() {
        match container_of(other) {
            Some(id) => drop(containers.insert(id, place)),
            None => found.targets.push(other.clone()),
        }
    }
    for process in processes {
        let container = container_of(process).and_then(|id| others.get(*containers.get(id)?));
        let Some(container) = container else {
            found.targets.push(process.clone());
            continue;
        };
        let mut joined = process.to_builder();
        for (name, value) in container.iter() {
            joined.set(name, value);
        }
        match joined.build() {
            Ok(joined) => found.targets.push(joined),
            Err(error) => found.problems.push(format!("a process and its container are left out: {error}")),
        }
    }
    let mut places: Vec<usize> = containers.into_values().collect();
    places.sort_unstable();
    found.targets.extend(places.into_iter().filter_map(|place| others.get(place)).cloned());
    found
}
