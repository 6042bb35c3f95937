//! The rows that a filter may look up: once in the host, for all instances of all generations that share them.

use std::collections::{BTreeMap, HashMap};

use profiler_core::labels::{LabelError, Labels};
use rapidhash::fast::RandomState;

/// Most rows of one table.
pub const MAX_ROWS: usize = 1_000_000;

/// The tables of one filter, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables(HashMap<String, Rows, RandomState>);

type Rows = HashMap<String, Labels, RandomState>;

/// Why targets are no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Two tables of one name.
    #[error("there are two tables called {0:?}: give each a name of its own")]
    Twice(String),
    /// More rows than [`MAX_ROWS`].
    #[error("the table {table:?} has {rows} targets, more than the {MAX_ROWS} allowed: select fewer of them")]
    TooLong {
        /// Its name.
        table: String,
        /// How many there are.
        rows: usize,
    },
    /// A target that is no label set.
    #[error("a target of the table {table:?} is no row: {error}")]
    Row {
        /// Its name.
        table: String,
        /// What is wrong with the target.
        error: LabelError,
    },
}

impl Tables {
    /// Adds a table: a row for each target that has the key's label; of several with one key the last.
    pub fn add(&mut self, table: &str, key: &str, targets: &[BTreeMap<String, String>]) -> Result<(), TableError> {
        if self.0.contains_key(table) {
            return Err(TableError::Twice(table.to_owned()));
        }
        if targets.len() > MAX_ROWS {
            return Err(TableError::TooLong { table: table.to_owned(), rows: targets.len() });
        }
        let mut rows = Rows::default();
        for target in targets {
            let filled = target.iter().filter(|(_, value)| !value.is_empty());
            let row = Labels::from_pairs(filled).map_err(|error| TableError::Row { table: table.to_owned(), error })?;
            if let Some(value) = row.value(key) {
                rows.insert(value.to_owned(), row.clone());
            }
        }
        self.0.insert(table.to_owned(), rows);
        Ok(())
    }

    /// Tables and the rows in each, by name.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(name, rows)| (name.as_str(), rows.len()))
    }

    /// A row, where there is one; `None` without such a table.
    pub(super) fn look_up(&self, table: &str, key: &str) -> Option<Option<&Labels>> {
        self.0.get(table).map(|rows| rows.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_last_target_of_a_key_is_its_row() {
        let targets = [
            target(&[("pod", "a"), ("team", "x")]),
            target(&[("team", "nobody's")]),
            target(&[("pod", ""), ("team", "nobody's")]),
            target(&[("pod", "a"), ("team", "y"), ("empty", "")]),
        ];
        let mut tables = Tables::default();
        tables.add("pods", "pod", &targets).unwrap();
        let row = tables.look_up("pods", "a").unwrap().unwrap().to_string();
        assert_eq!(row, r#"{pod="a", team="y"}"#);
        assert_eq!(tables.look_up("pods", ""), Some(None));
        assert_eq!(tables.look_up("nodes", "a"), None);
        assert_eq!(tables.sizes().collect::<Vec<_>>(), [("pods", 1)]);
        assert_eq!(tables.add("pods", "pod", &targets), Err(TableError::Twice("pods".to_owned())));
    }
}
