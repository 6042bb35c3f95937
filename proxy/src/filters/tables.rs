//! The rows that a filter may look up: once in the host, for all instances of all generations that share them.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use profiler_core::labels::Labels;
use rapidhash::fast::RandomState;

/// Most targets of one table.
pub const MAX_ROWS: usize = 1_000_000;

/// The tables of one filter, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables(HashMap<String, Table, RandomState>);

/// The targets that a table is made of. Clones share them, and so does the table: whoever shows what a table was made
/// of holds no second copy.
#[derive(Clone, Default)]
pub struct Rows(Arc<[Labels]>);

/// Rows with the places of those that can be found: four bytes for each besides the row itself.
#[derive(Clone)]
struct Table {
    rows: Rows,
    key: String,
    hasher: RandomState,
    places: HashTable<u32>,
}

/// Why targets are no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Two tables of one name.
    #[error("there are two tables called {0:?}: give each a name of its own")]
    Twice(String),
    /// More targets than [`MAX_ROWS`].
    #[error("there are {0} targets, more than the {MAX_ROWS} of a table: select fewer of them")]
    TooLong(usize),
}

impl Rows {
    /// The rows of these targets.
    ///
    /// # Errors
    /// More than [`MAX_ROWS`].
    pub fn new(targets: Vec<Labels>) -> Result<Self, TableError> {
        if targets.len() > MAX_ROWS {
            return Err(TableError::TooLong(targets.len()));
        }
        Ok(Self(targets.into()))
    }

    /// The targets, as they were handed in.
    pub fn targets(&self) -> &[Labels] {
        &self.0
    }

    /// Whether the two are the same memory.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// By what they hold: the hashes that the label sets carry tell most differences.
impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        self.is_shared_with(other) || self.0 == other.0
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows", self.0.len())
    }
}

impl Tables {
    /// Adds a table: a row for each target whose label `key` is not empty; of several with one value the last.
    ///
    /// # Errors
    /// A second table of the name.
    pub fn add(&mut self, table: &str, key: &str, rows: Rows) -> Result<(), TableError> {
        if self.0.contains_key(table) {
            return Err(TableError::Twice(table.to_owned()));
        }
        self.0.insert(table.to_owned(), Table::new(rows, key));
        Ok(())
    }

    /// Tables and the rows that can be found in each, by name.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(name, table)| (name.as_str(), table.places.len()))
    }

    /// What the table of this name was made of.
    pub fn rows(&self, table: &str) -> Option<&Rows> {
        self.0.get(table).map(|table| &table.rows)
    }

    /// A row, where there is one; `None` without such a table.
    pub(super) fn look_up(&self, table: &str, key: &str) -> Option<Option<&Labels>> {
        self.0.get(table).map(|table| table.find(key))
    }
}

impl Table {
    fn new(rows: Rows, key: &str) -> Self {
        let (hasher, mut places) = (RandomState::default(), HashTable::new());
        let value = |place: u32| value(&rows, place, key);
        let found = (0..).zip(rows.targets()).filter_map(|(place, row)| Some((place, row.value(key)?)));
        for (place, wanted) in found.filter(|(_, wanted)| !wanted.is_empty()) {
            let same = |other: &u32| value(*other) == Some(wanted);
            let rehash = |other: &u32| hasher.hash_one(value(*other));
            let entry = places.entry(hasher.hash_one(Some(wanted)), same, rehash);
            *entry.or_insert(place).get_mut() = place;
        }
        places.shrink_to_fit(|place| hasher.hash_one(value(*place)));
        Self { rows, key: key.to_owned(), hasher, places }
    }

    fn find(&self, wanted: &str) -> Option<&Labels> {
        let same = |place: &u32| value(&self.rows, *place, &self.key) == Some(wanted);
        let place = self.places.find(self.hasher.hash_one(Some(wanted)), same)?;
        row(&self.rows, *place)
    }
}

/// The same rows are found by the same keys.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.rows == other.rows
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} by {:?}", self.rows, self.key)
    }
}

/// There are at most [`MAX_ROWS`]: 32 bits are enough for a place.
fn row(rows: &Rows, place: u32) -> Option<&Labels> {
    rows.targets().get(place as usize)
}

fn value<'r>(rows: &'r Rows, place: u32, key: &str) -> Option<&'r str> {
    row(rows, place)?.value(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(targets: &[&[(&str, &str)]]) -> Rows {
        let rows = targets.iter().map(|target| Labels::from_pairs(target.iter().copied()).unwrap());
        Rows::new(rows.collect()).unwrap()
    }

    #[test]
    fn the_last_target_of_a_key_is_its_row() {
        let targets = rows(&[
            &[("pod", "a"), ("team", "x")],
            &[("team", "nobody's")],
            &[("pod", ""), ("team", "nobody's")],
            &[("pod", "a"), ("team", "y"), ("empty", "")],
        ]);
        let mut tables = Tables::default();
        tables.add("pods", "pod", targets.clone()).unwrap();
        let row = tables.look_up("pods", "a").unwrap().unwrap().to_string();
        assert_eq!(row, r#"{empty="", pod="a", team="y"}"#);
        assert_eq!(tables.look_up("pods", ""), Some(None));
        assert_eq!(tables.look_up("nodes", "a"), None);
        assert_eq!(tables.sizes().collect::<Vec<_>>(), [("pods", 1)]);
        assert!(tables.rows("pods").unwrap().is_shared_with(&targets));
        assert_eq!(tables.add("pods", "pod", targets), Err(TableError::Twice("pods".to_owned())));
    }

    #[test]
    fn each_of_many_rows_is_found() {
        let number = |number: usize| number.to_string();
        let targets = (0..10_000).map(|index| Labels::from_pairs([("pod", number(index))]).unwrap()).collect();
        let mut tables = Tables::default();
        tables.add("pods", "pod", Rows::new(targets).unwrap()).unwrap();
        for index in 0..10_000 {
            let row = tables.look_up("pods", &number(index)).unwrap().unwrap();
            assert_eq!(row.value("pod"), Some(number(index).as_str()));
        }
        assert_eq!(tables.look_up("pods", "10000"), Some(None));
    }

    #[test]
    fn tables_are_the_same_by_what_they_hold() {
        let table = |key: &str, team: &str| {
            let mut tables = Tables::default();
            tables.add("pods", key, rows(&[&[("pod", "a"), ("team", team)]])).unwrap();
            tables
        };
        assert_eq!(table("pod", "x"), table("pod", "x"));
        assert_ne!(table("pod", "x"), table("pod", "y"));
        assert_ne!(table("pod", "x"), table("team", "x"));
    }

    #[test]
    fn a_table_is_bounded() {
        let targets = vec![Labels::empty(); MAX_ROWS + 1];
        assert_eq!(Rows::new(targets), Err(TableError::TooLong(MAX_ROWS + 1)));
    }
}
