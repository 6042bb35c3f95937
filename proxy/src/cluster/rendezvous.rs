//! Which node of several a key belongs to: rendezvous hashing. Whoever knows the same names says the same, and a node
//! that comes or goes moves the keys that it gets or had, and no others.

use rapidhash::v3::rapidhash_v3;

/// The nodes among which keys are divided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rendezvous {
    /// Digests of the names.
    nodes: Vec<u64>,
}

impl Rendezvous {
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { nodes: names.into_iter().map(digest).collect() }
    }

    /// Whether the key belongs to the node of this name.
    pub(super) fn owns(&self, name: &str, key: u64) -> bool {
        self.owner(key) == Some(digest(name))
    }

    fn owner(&self, key: u64) -> Option<u64> {
        self.nodes.iter().copied().max_by_key(|node| (score(*node, key), *node))
    }
}

/// The version of the hash is part of what nodes agree on: it may not change with a release.
fn digest(name: &str) -> u64 {
    rapidhash_v3(name.as_bytes())
}

fn score(node: u64, key: u64) -> u64 {
    let mut text = [0; 16];
    let (first, second) = text.split_at_mut(8);
    first.copy_from_slice(&node.to_le_bytes());
    second.copy_from_slice(&key.to_le_bytes());
    rapidhash_v3(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: u64 = 10_000;

    fn nodes(names: impl IntoIterator<Item = usize>) -> Rendezvous {
        let names: Vec<String> = names.into_iter().map(|number| format!("flamegate-{number}")).collect();
        Rendezvous::new(names.iter().map(String::as_str))
    }

    fn owners(nodes: &Rendezvous) -> Vec<Option<u64>> {
        (0..KEYS).map(|key| nodes.owner(rapidhash_v3(&key.to_le_bytes()))).collect()
    }

    #[test]
    fn each_key_belongs_to_one_node_whatever_the_order_of_the_names() {
        let (here, there) = (nodes(0..10), nodes((0..10).rev()));
        assert_eq!(owners(&here), owners(&there));
        for key in 0..KEYS {
            let owning = (0..10).filter(|number| here.owns(&format!("flamegate-{number}"), key));
            assert_eq!(owning.count(), 1, "{key}");
        }
        assert!(!Rendezvous::default().owns("flamegate-0", 1));
    }

    /// Which nodes there are before and after, and the most keys in a thousand that may move.
    #[test]
    fn a_node_that_comes_or_goes_moves_no_more_than_its_own_keys() {
        let cases: [(Vec<usize>, Vec<usize>, usize); 5] = [
            ((0..10).collect(), (0..9).collect(), 120),
            ((0..10).collect(), (1..10).collect(), 120),
            ((0..10).collect(), (0..11).collect(), 110),
            ((0..2).collect(), (0..1).collect(), 530),
            ((0..100).collect(), (0..99).collect(), 15),
        ];
        for (before, after, most) in cases {
            let (came, went) = (after.len() > before.len(), before.len().min(after.len()));
            let (had, has) = (owners(&nodes(before.iter().copied())), owners(&nodes(after.iter().copied())));
            let moved: Vec<_> = had.iter().zip(&has).filter(|(had, has)| had != has).collect();
            let most = most * usize::try_from(KEYS).unwrap() / 1000;
            assert!(moved.len() <= most && !moved.is_empty(), "{before:?} to {after:?}: {} moved", moved.len());
            // All of them to the one that came, or from the one that went.
            let ends: std::collections::BTreeSet<_> =
                moved.iter().map(|(had, has)| if came { **has } else { **had }).collect();
            assert_eq!(ends.len(), 1, "{went}");
        }
    }

    /// How many nodes, and the least and the most keys of one in hundredths of an equal share.
    #[test]
    fn keys_are_spread_evenly() {
        for (count, least, most) in [(2, 95, 105), (5, 93, 107), (10, 88, 112), (50, 70, 130)] {
            let nodes = nodes(0..count);
            let owners = owners(&nodes);
            for node in &nodes.nodes {
                let share = owners.iter().filter(|owner| **owner == Some(*node)).count();
                let percent = share * count * 100 / owners.len();
                assert!((least..=most).contains(&percent), "of {count}: {percent}");
            }
        }
    }
}
