//! Lines of a function's code. What the compiler says is one entry for each instruction that it has something to say of;
//! which of them holds at a place is a count of bits (`iseq.c`, `succ_index_table`).

use super::objects::Objects;

/// Largest code, in words, and most entries of it.
const MAX_WORDS: u32 = 1 << 20;
const MAX_ENTRIES: u32 = 1 << 16;
/// Places whose counts are there at once, nine of seven bits in a word (`IMMEDIATE_TABLE_SIZE`).
const AT_ONCE: u32 = 54;
const WORDS_AT_ONCE: usize = 6;
/// Places of a block, and its words: the count before it, seven counts of nine bits before its parts, and its bits.
const BLOCK: u32 = 512;
const BLOCK_WORDS: usize = 10;

/// From which place on which line holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LineTable(Vec<(u32, u32)>);

impl LineTable {
    /// Of a `rb_iseq_constant_body`.
    pub(super) fn read(objects: Objects<'_>, body: u64) -> Self {
        Self::try_read(objects, body).unwrap_or_default()
    }

    fn try_read(objects: Objects<'_>, body: u64) -> Option<Self> {
        // { type, iseq_size }
        let words = (objects.memory.word(body)? >> 32) as u32;
        // { body, positions, size, succ_index_table }
        let [entries, _, count, index] = *objects.memory.words(body.wrapping_add(objects.layout.lines.into()), 4)
        else {
            return None;
        };
        let (words, count) = (words.min(MAX_WORDS), (count as u32).min(MAX_ENTRIES));
        let entry_size = usize::from(objects.layout.line_size);
        let mut bytes = vec![0; usize::try_from(count).ok()? * entry_size];
        if !objects.memory.read(entries, &mut bytes) {
            return None;
        }
        // The line is the first of an entry's numbers.
        let entries = bytes.chunks_exact(entry_size).filter_map(|entry| entry.first_chunk());
        let lines: Vec<u32> = entries.map(|line| u32::from_le_bytes(*line)).collect();
        let blocks = usize::try_from(words.saturating_sub(AT_ONCE).div_ceil(BLOCK)).ok()?;
        let index = objects.memory.words(index, WORDS_AT_ONCE + blocks * BLOCK_WORDS);
        Some(Self::of(words, &lines, &index))
    }

    fn of(words: u32, lines: &[u32], index: &[u64]) -> Self {
        let mut table: Vec<(u32, u32)> = Vec::new();
        let only = lines.len() == 1;
        for place in 0..words {
            let count = if only { Some(1) } else { entries_up_to(index, place) };
            let line = count.and_then(|count| lines.get((count as usize).checked_sub(1)?));
            if let Some(line) = line.filter(|line| table.last().is_none_or(|(_, last)| last != *line)) {
                table.push((place, *line));
            }
        }
        Self(table)
    }

    /// The line of a place; none before the first.
    pub(super) fn line(&self, place: u32) -> Option<u32> {
        let after = self.0.partition_point(|(start, _)| *start <= place);
        self.0.get(after.checked_sub(1)?).map(|(_, line)| *line)
    }

    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        self.0.capacity() * size_of::<(u32, u32)>()
    }
}

/// How many entries begin at this place or before it.
fn entries_up_to(index: &[u64], place: u32) -> Option<u32> {
    let at = |word: usize| index.get(word).copied();
    let Some(behind) = place.checked_sub(AT_ONCE) else {
        return Some((at(place as usize / 9)? >> (place % 9 * 7)) as u32 & 0x7f);
    };
    let block = WORDS_AT_ONCE + (behind / BLOCK) as usize * BLOCK_WORDS;
    let (part, bit) = (behind % BLOCK / 64, behind % 64);
    let before_part = if part == 0 { 0 } else { (at(block + 1)? >> ((part - 1) * 9)) as u32 & 0x1ff };
    let bits = at(block + 2 + part as usize)? << (63 - bit);
    Some((at(block)? as u32).wrapping_add(before_part).wrapping_add(bits.count_ones()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The index of entries at these places, as `succ_index_table_create` makes it.
    fn index(words: u32, places: &[u32]) -> Vec<u64> {
        let rank = |place: u32| places.iter().filter(|entry| **entry <= place).count() as u64;
        let mut index = vec![0; WORDS_AT_ONCE];
        for place in 0..AT_ONCE {
            index[place as usize / 9] |= rank(place) << (place % 9 * 7);
        }
        for start in (AT_ONCE..words.max(AT_ONCE)).step_by(BLOCK as usize) {
            let before = rank(start - 1);
            let parts = (1..8).map(|part| (rank(start + part * 64 - 1) - before) << ((part - 1) * 9));
            index.extend([before, parts.sum()]);
            index.extend((0..8).map(|part| {
                let bits = (0..64).filter(|bit| places.contains(&(start + part * 64 + bit)));
                bits.map(|bit| 1 << bit).sum::<u64>()
            }));
        }
        index
    }

    #[test]
    fn lines_are_counted_as_the_compiler_has_said() {
        let places: Vec<u32> = [0, 3, 8, 9, 53, 54, 117, 118, 300, 565, 566, 567, 1100].to_vec();
        let lines: Vec<u32> = (0..).map(|line| 100 + line).take(places.len()).collect();
        let table = LineTable::of(1200, &lines, &index(1200, &places));
        for place in 0..1200 {
            let entry = places.partition_point(|start| *start <= place) - 1;
            assert_eq!(table.line(place), Some(lines[entry]), "{place}");
        }
        assert_eq!(LineTable::of(7, &[5], &[]).line(6), Some(5));
    }

    #[test]
    fn what_is_damaged_has_no_lines() {
        for word in [0, u64::MAX, 0x0101_0101_0101_0101] {
            for length in 0..20 {
                let _ = LineTable::of(1 << 12, &[1, 2, 3], &vec![word; length]).line(u32::MAX);
            }
        }
        assert_eq!(LineTable::of(100, &[], &[0; 16]).line(5), None);
    }
}
