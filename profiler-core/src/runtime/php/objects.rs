//! Values of PHP: texts, names of classes, tables of functions.

use crate::runtime::memory::ReadMemory;

/// Longest text, in bytes; the rest of it is left out. Paths have no more.
const MAX_TEXT: u64 = 4096;
/// `zend_string`: h, len, val.
const TEXT_HASH: u64 = 8;
const TEXT_LENGTH: u64 = 16;
const TEXT_BYTES: u64 = 24;
/// `zend_class_entry`: name.
const CLASS_NAME: u64 = 8;
/// `zend_array`: arData, nNumUsed; `Bucket`: val, h, key.
const TABLE_ENTRIES: u64 = 16;
const TABLE_USED: u64 = 24;
const ENTRY_SIZE: u64 = 32;
const ENTRY_KEY: u64 = 24;

/// 0 where there is no text.
pub(super) fn hash(memory: &dyn ReadMemory, text: u64) -> u64 {
    if text == 0 { 0 } else { memory.word(text.wrapping_add(TEXT_HASH)).unwrap_or(0) }
}

/// None where there is none.
pub(super) fn text(memory: &dyn ReadMemory, text: u64) -> Option<String> {
    if text == 0 {
        return None;
    }
    let length = memory.word(text.wrapping_add(TEXT_LENGTH))?.min(MAX_TEXT);
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    memory.read(text.wrapping_add(TEXT_BYTES), &mut bytes).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// What a class is called; one without a name with its place.
pub(super) fn class(memory: &dyn ReadMemory, class: u64) -> Option<String> {
    let name = text(memory, memory.pointer(class.wrapping_add(CLASS_NAME))?)?;
    Some(of_class(name))
}

/// Behind the name of a class that has none stand a zero, its place, and a number in hexadecimal digits.
fn of_class(name: String) -> String {
    let Some((kind, place)) = name.split_once('\0') else { return name };
    let place = place.rsplit_once('$').map_or(place, |(place, _)| place);
    format!("{kind}:{place}")
}

/// The first entries of a table: their keys and what they point to.
pub(super) fn first_entries(memory: &dyn ReadMemory, table: u64, most: u64) -> Vec<(String, u64)> {
    let Some(entries) = memory.pointer(table.wrapping_add(TABLE_ENTRIES)) else { return Vec::new() };
    let used = memory.word(table.wrapping_add(TABLE_USED)).unwrap_or(0) & u64::from(u32::MAX);
    let places = (0..used.min(most)).map(|place| entries.wrapping_add(place * ENTRY_SIZE));
    let entry = |place: u64| Some((text(memory, memory.word(place.wrapping_add(ENTRY_KEY))?)?, memory.pointer(place)?));
    places.filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_without_a_name_have_their_place() {
        for (name, shown) in [
            ("Trade\\Shop", "Trade\\Shop"),
            ("class@anonymous\0/srv/a$b.php:12$1f", "class@anonymous:/srv/a$b.php:12"),
            ("Shop@anonymous\0/srv/a.php", "Shop@anonymous:/srv/a.php"),
        ] {
            assert_eq!(of_class(name.to_owned()), shown);
        }
    }
}
