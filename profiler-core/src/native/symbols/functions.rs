//! Which function an address belongs to, of all that sources of symbols say.

use super::super::elf::Segment;
use super::spans::{Span, flatten};
use super::strings::{Place, Strings};

/// Most functions that are looked at, of all sources together.
const MAX_CANDIDATES: usize = 16 << 20;

/// Which of two names for one address is better: the greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(u8);

impl Rank {
    /// What Go's own table says of Go's functions.
    pub(super) const GO: Rank = Rank(0x80);
    /// What debug information says, where no symbol does.
    pub(super) const DEBUG: Rank = Rank(0);

    /// `binding` is 2 for a global symbol, 1 for a weak one; names with fewer underscores before them are those that
    /// programs call.
    pub(super) fn symbol(is_function: bool, binding: u8, underscores: usize) -> Self {
        let fewer = 7_u8.saturating_sub(u8::try_from(underscores).unwrap_or(7));
        Rank(u8::from(is_function) << 6 | binding.min(2) << 4 | fewer.min(7) << 1 | 1)
    }
}

/// What a source says of a function.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Named {
    pub(super) rank: Rank,
    pub(super) name: Place,
    /// Where it is declared, if that is known.
    pub(super) file: Place,
    pub(super) line: u32,
}

/// What may be a function.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    start: u32,
    /// The address behind it; that of a symbol without size is found later.
    end: u32,
    is_sized: bool,
    named: Named,
}

/// A stretch of code that belongs to one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) name: Place,
    pub(super) file: Place,
    pub(super) line: u32,
}

#[derive(Debug)]
pub(super) struct Candidates {
    code: Vec<Segment>,
    base: u64,
    found: Vec<Candidate>,
    pub(super) cut: bool,
}

impl Candidates {
    /// `base`: the lowest address of the code, of which there is less than 4 GiB.
    pub(super) fn new(code: &[Segment], base: u64) -> Self {
        Self { code: code.to_vec(), base, found: Vec::new(), cut: false }
    }

    /// Adds what begins at an address; of no size where that is not known. What lies outside of the code is passed
    /// over, and it reaches to `limit` at most.
    pub(super) fn add(&mut self, address: u64, size: u64, limit: u64, named: Named) {
        let Some(segment) = self.code.iter().find(|segment| segment.contains(address)) else { return };
        let last = segment.end().min(limit);
        let end = if size == 0 { last } else { address.saturating_add(size).min(last) };
        let relative = |address: u64| address.checked_sub(self.base).and_then(|address| u32::try_from(address).ok());
        let (Some(start), Some(end)) = (relative(address), relative(end)) else { return };
        if self.found.len() >= MAX_CANDIDATES {
            self.cut = true;
        } else if start < end {
            self.found.push(Candidate { start, end, is_sized: size > 0, named });
        }
    }

    /// The same of a stretch that [`Candidates::relative`] gave.
    pub(super) fn add_span(&mut self, start: u32, end: u32, named: Named) {
        if self.found.len() >= MAX_CANDIDATES {
            self.cut = true;
        } else if start < end && named.name != 0 {
            self.found.push(Candidate { start, end, is_sized: true, named });
        }
    }

    /// A stretch of code less the base. None of what is not in the code, such as functions that the linker has left out.
    pub(super) fn relative(&self, start: u64, end: u64) -> Option<(u32, u32)> {
        let segment = self.code.iter().find(|segment| segment.contains(start))?;
        let relative = |address: u64| u32::try_from(address.checked_sub(self.base)?).ok();
        relative(start).zip(relative(end.min(segment.end()))).filter(|(start, end)| start < end)
    }

    /// An address less the base, in the code or right behind it.
    pub(super) fn place(&self, address: u64) -> Option<u32> {
        let is_code = |segment: &Segment| address >= segment.address && address <= segment.end();
        self.code.iter().any(is_code).then(|| u32::try_from(address.checked_sub(self.base)?).ok()).flatten()
    }

    /// By rising addresses, none over another. The same for any order of symbols in the files.
    pub(super) fn resolve(mut self, strings: &Strings) -> Vec<Function> {
        self.found.sort_unstable_by(|one, other| {
            let by_name = || strings.at(other.named.name).cmp(strings.at(one.named.name));
            let by_place = one.start.cmp(&other.start).then(one.is_sized.cmp(&other.is_sized));
            by_place.then(one.named.rank.cmp(&other.named.rank)).then_with(by_name).then(one.end.cmp(&other.end))
        });
        self.share_lines();
        self.end_unsized();
        let spans = self.found.iter().zip(0..).map(|(found, value)| Span { start: found.start, end: found.end, value });
        let flat = flatten(spans);
        let named = |span: Span| {
            let found = usize::try_from(span.value).ok().and_then(|place| self.found.get(place))?;
            let Named { name, file, line, .. } = found.named;
            Some(Function { start: span.start, end: span.end, name, file, line })
        };
        let mut functions: Vec<Function> = flat.into_iter().filter_map(named).collect();
        functions.dedup_by(|next, before| {
            let is_continued = before.end == next.start && before.name == next.name && before.line == next.line;
            if is_continued {
                before.end = next.end;
            }
            is_continued
        });
        functions
    }

    /// Symbols say nothing of lines: debug information has another name for the same function.
    fn share_lines(&mut self) {
        for same in self.found.chunk_by_mut(|one, other| one.start == other.start) {
            let line = same.iter().map(|found| found.named.line).max().unwrap_or_default();
            for found in same.iter_mut().filter(|found| found.named.line == 0) {
                found.named.line = line;
            }
        }
    }

    /// A symbol without size reaches to the next one; inside of a function it is a label and no function.
    fn end_unsized(&mut self) {
        let mut next = u32::MAX;
        let mut start = u32::MAX;
        for found in self.found.iter_mut().rev() {
            if found.start != start {
                next = start;
                start = found.start;
            }
            if !found.is_sized {
                found.end = found.end.min(next);
            }
        }
        // Those with sizes come last among those that begin at one address: such a one is met too late to count.
        let mut covered = 0;
        let mut places = self.found.iter().map(|found| (found.start, found.end, found.is_sized)).peekable();
        let mut is_label = Vec::with_capacity(self.found.len());
        while let Some((start, end, is_sized)) = places.next() {
            let before = covered;
            if is_sized {
                covered = covered.max(end);
            }
            let begins_too = |next: &(u32, u32, bool)| next.0 == start && next.2;
            is_label.push(!is_sized && (start < before || places.peek().is_some_and(begins_too)));
        }
        let mut is_label = is_label.into_iter();
        self.found.retain(|_| !is_label.next().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: Segment = Segment { offset: 0, address: 0x1000, size: 0x1000 };

    /// Of { address, size, binding, name }, what covers which addresses.
    fn resolved(symbols: &[(u64, u64, u8, &str)]) -> Vec<(u32, u32, String)> {
        let mut strings = Strings::new();
        let mut candidates = Candidates::new(&[CODE], CODE.address);
        for (address, size, binding, name) in symbols {
            let underscores = name.bytes().take_while(|byte| *byte == b'_').count();
            let rank = Rank::symbol(true, *binding, underscores);
            let named = Named { name: strings.add(name.as_bytes()), rank, ..Named::default() };
            candidates.add(*address, *size, 0x1800, named);
        }
        let named = |function: Function| {
            (function.start, function.end, String::from_utf8_lossy(strings.at(function.name)).into_owned())
        };
        candidates.resolve(&strings).into_iter().map(named).collect()
    }

    #[test]
    fn the_better_of_two_names_counts_in_any_order() {
        let cases = [
            ([(0x1000, 8, 0, "local"), (0x1000, 8, 1, "weak")], "weak"),
            ([(0x1000, 8, 2, "global"), (0x1000, 8, 1, "weak")], "global"),
            ([(0x1000, 8, 2, "__name"), (0x1000, 8, 2, "name")], "name"),
            ([(0x1000, 8, 2, "b"), (0x1000, 8, 2, "a")], "a"),
            ([(0x1000, 8, 1, "sized"), (0x1000, 0, 2, "not")], "sized"),
        ];
        for (mut symbols, expected) in cases {
            for _ in 0..2 {
                symbols.reverse();
                assert_eq!(resolved(&symbols), [(0, 8, expected.to_owned())]);
            }
        }
    }

    #[test]
    fn what_has_no_size_reaches_to_the_next_or_to_the_end() {
        let found = resolved(&[(0x1000, 0, 2, "first"), (0x1010, 0, 2, "second"), (0x1014, 0, 2, "third")]);
        let expected = [(0, 0x10, "first"), (0x10, 0x14, "second"), (0x14, 0x800, "third")];
        assert_eq!(found, expected.map(|(start, end, name)| (start, end, name.to_owned())));
        let found = resolved(&[(0x1000, 0x20, 2, "function"), (0x1010, 0, 2, "label"), (0x1020, 0, 2, "next")]);
        let expected = [(0, 0x20, "function"), (0x20, 0x800, "next")];
        assert_eq!(found, expected.map(|(start, end, name)| (start, end, name.to_owned())));
    }

    #[test]
    fn what_is_outside_of_the_code_is_no_function() {
        assert_eq!(resolved(&[(0xfff, 9, 2, "before"), (0x1800, 9, 2, "behind"), (0x2000, 0, 2, "end")]), []);
        assert_eq!(resolved(&[(0x1700, u64::MAX, 2, "endless")]), [(0x700, 0x800, "endless".to_owned())]);
    }
}
