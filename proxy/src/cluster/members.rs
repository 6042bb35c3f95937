//! Who is a node among those that live: one of each name.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chitchat::ChitchatId;

/// Those that live, sorted out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    /// One of each name, in the order of the names.
    pub(super) nodes: Vec<ChitchatId>,
    /// Those whose name another node had before them, at another address.
    pub(super) rivals: Vec<ChitchatId>,
}

impl Members {
    /// All nodes agree on it, whatever the order.
    pub(super) fn among(living: impl IntoIterator<Item = ChitchatId>) -> Self {
        let mut names = BTreeMap::<_, BTreeMap<SocketAddr, ChitchatId>>::new();
        for id in living {
            let of_name = names.entry(id.node_id.clone()).or_default();
            // At the same address it was started again: what was there before is no more.
            let newest = of_name.entry(id.gossip_advertise_addr).or_insert_with(|| id.clone());
            if newest.generation_id < id.generation_id {
                *newest = id;
            }
        }
        let mut members = Self::default();
        for of_name in names.into_values() {
            let mut ids: Vec<_> = of_name.into_values().collect();
            ids.sort_by_key(|id| (id.generation_id, id.gossip_advertise_addr));
            let mut ids = ids.into_iter();
            members.nodes.extend(ids.next());
            members.rivals.extend(ids);
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str, generation: u64, port: u16) -> ChitchatId {
        ChitchatId::new(name, generation, ([127, 0, 0, 1], port).into())
    }

    #[test]
    fn of_each_name_there_is_one() {
        // Who lives, who is a node, and who is not because another one is.
        type Case<'a> = (&'a [(&'a str, u64, u16)], &'a [(&'a str, u64, u16)], &'a [(&'a str, u64, u16)]);
        let cases: [Case<'_>; 5] = [
            (&[], &[], &[]),
            (&[("b", 1, 2), ("a", 2, 1)], &[("a", 2, 1), ("b", 1, 2)], &[]),
            // Started again.
            (&[("a", 1, 1), ("a", 2, 1)], &[("a", 2, 1)], &[]),
            // Two have the name: the first one keeps it.
            (&[("a", 2, 1), ("a", 1, 2)], &[("a", 1, 2)], &[("a", 2, 1)]),
            (&[("a", 1, 1), ("a", 2, 2), ("a", 3, 1)], &[("a", 2, 2)], &[("a", 3, 1)]),
        ];
        for (living, nodes, rivals) in cases {
            let ids = |list: &[(&str, u64, u16)]| -> Vec<_> {
                list.iter().map(|(name, generation, port)| id(name, *generation, *port)).collect()
            };
            let expected = Members { nodes: ids(nodes), rivals: ids(rivals) };
            assert_eq!(Members::among(ids(living)), expected);
            assert_eq!(Members::among(ids(living).into_iter().rev()), expected, "in another order");
        }
    }
}
