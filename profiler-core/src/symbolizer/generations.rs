//! What was asked for of late, within a limit.

use std::collections::HashMap;
use std::hash::Hash;

/// Two generations: what is asked for moves into the young one, and when that is full the old one is forgotten. No
/// more than the limit is held, and what is used between two changes stays.
#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    young: HashMap<K, (V, usize), rapidhash::fast::RandomState>,
    old: HashMap<K, (V, usize), rapidhash::fast::RandomState>,
    cost: usize,
    limit: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Generations<K, V> {
    /// `limit` is of the costs of all together.
    pub(crate) fn new(limit: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), cost: 0, limit: limit / 2 }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, (value, cost)) = self.old.remove_entry(key)?;
        self.insert(key, value.clone(), cost);
        Some(value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V, cost: usize) {
        if self.cost.saturating_add(cost) > self.limit {
            self.old = std::mem::take(&mut self.young);
            self.cost = 0;
        }
        if cost > self.limit {
            return;
        }
        self.cost += cost;
        if let Some((_, before)) = self.young.insert(key, (value, cost)) {
            self.cost -= before;
        }
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some((_, cost)) = self.young.remove(key) {
            self.cost -= cost;
        }
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_limit_holds() {
        let mut held = Generations::new(20);
        for number in 0..100 {
            held.insert(number, number, 1);
            assert_eq!(held.get(&0), Some(0), "after {number}");
            assert!(held.young.len() + held.old.len() <= 20);
        }
        assert_eq!(held.get(&1), None);
        held.remove(&0);
        assert_eq!(held.get(&0), None);
        held.insert(1000, 1, 11);
        assert_eq!(held.get(&1000), None);
    }
}
