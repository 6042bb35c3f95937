//! Functions, and those that were inlined into them.

use gimli::{Attribute, AttributeValue, DwTag};

use super::super::functions::{Named, Rank};
use super::super::source::{Inlined, MAX_ROWS};
use super::super::spans::{Span, flatten};
use super::super::strings::{Place, Strings};
use super::{Dwarf, Found, Reader, Unit, names};

/// Most attributes and ranges that are read. The largest files that are read have some ten million.
const MAX_WORK: usize = 256 << 20;
/// Functions inside of functions.
const MAX_DEPTH: usize = 256;
/// Functions that are declared.
const MAX_DECLARED: usize = 4 << 20;
/// How often a function says that it is another one.
const MAX_HOPS: usize = 8;

pub(super) struct Functions<'d> {
    /// By rising offset.
    declared: Vec<Declared<'d>>,
    /// Stretches of code of functions; the value is the offset of the declaration.
    bodies: Vec<Span>,
    /// Those of inlined functions; the value is the place in `inlined`.
    spans: Vec<Span>,
    inlined: Vec<Call>,
    work: usize,
    pub(super) cut: bool,
}

/// What a function is called, or which other one says it.
struct Declared<'d> {
    offset: u32,
    origin: u32,
    line: u32,
    name: &'d [u8],
    known: Option<Place>,
}

/// A function that was inlined.
struct Call {
    origin: u32,
    caller: Option<u32>,
    /// A number of the unit, until its files are known.
    file: Place,
    line: u32,
}

/// What one entry says.
#[derive(Default)]
struct Entry<'d> {
    name: Option<&'d [u8]>,
    linkage_name: Option<&'d [u8]>,
    origin: Option<usize>,
    line: u32,
    call_file: u32,
    call_line: u32,
    low: Option<u64>,
    high: Option<AttributeValue<Reader<'d>>>,
    ranges: Option<AttributeValue<Reader<'d>>>,
}

impl<'d> Functions<'d> {
    pub(super) fn new() -> Self {
        let (declared, bodies, spans, inlined) = Default::default();
        Self { declared, bodies, spans, inlined, work: 0, cut: false }
    }

    /// Reads a unit.
    pub(super) fn read(&mut self, dwarf: &Dwarf<'d>, unit: &Unit<'d>, found: &Found<'_>) -> gimli::Result<()> {
        // Of functions and inlined ones that are around what is read: how deep they are, and their place.
        let mut around: Vec<(isize, Option<u32>)> = Vec::new();
        let mut entries = unit.header.entries_raw(&unit.abbreviations, None)?;
        while !entries.is_empty() {
            let (depth, offset) = (entries.next_depth(), entries.next_offset());
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            let attributes = abbreviation.attributes();
            self.work += attributes.len() + 1;
            if self.work > MAX_WORK {
                self.cut = true;
                break;
            }
            // For each entry: what is behind an inlined function in the same block is not inside of it.
            while around.pop_if(|(outer, _)| *outer >= depth).is_some() {}
            let tag = abbreviation.tag();
            if tag != gimli::DW_TAG_subprogram && tag != gimli::DW_TAG_inlined_subroutine {
                entries.skip_attributes(attributes)?;
                continue;
            }
            let mut entry = Entry::default();
            for specification in attributes {
                entry.add(dwarf, unit, &entries.read_attribute(*specification)?);
            }
            let caller = around.last().and_then(|(_, place)| *place);
            let offset = offset.to_debug_info_offset(&unit.header).map_or(0, |offset| offset.0);
            let place = self.add(dwarf, unit, tag, offset, caller, &entry, found)?;
            if abbreviation.has_children() && around.len() < MAX_DEPTH {
                around.push((depth, place));
            }
        }
        Ok(())
    }

    /// Puts names in the place of numbers: `file` gives those of the unit that was read last. The first of its calls is
    /// at `from`.
    pub(super) fn name_files(&mut self, from: usize, mut file: impl FnMut(u32) -> Place) {
        for call in self.inlined.iter_mut().skip(from) {
            call.file = file(call.file);
        }
    }

    /// How many were inlined.
    pub(super) fn calls(&self) -> usize {
        self.inlined.len()
    }

    /// Hands over what was read.
    pub(super) fn finish(mut self, found: &mut Found<'_>) {
        for body in std::mem::take(&mut self.bodies) {
            let (name, line) = self.resolve(body.value, found.strings);
            let named = Named { rank: Rank::DEBUG, name, file: 0, line };
            found.candidates.add_span(body.start, body.end, named);
        }
        for call in std::mem::take(&mut self.inlined) {
            let (name, line) = self.resolve(call.origin, found.strings);
            let inlined = Inlined { name, caller: call.caller, call_file: call.file, call_line: call.line, line };
            found.source.add_inlined(inlined);
        }
        // Callers come before those that are inlined into them.
        self.spans.sort_unstable_by_key(|span| (span.start, span.value));
        let mut end = None;
        for span in flatten(std::mem::take(&mut self.spans)) {
            if let Some(end) = end.filter(|end| *end < span.start) {
                found.source.add_inlined_at(end, None);
            }
            found.source.add_inlined_at(span.start, Some(span.value));
            end = Some(span.end);
        }
        if let Some(end) = end {
            found.source.add_inlined_at(end, None);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "what is known of one entry")]
    fn add(
        &mut self,
        dwarf: &Dwarf<'d>,
        unit: &Unit<'d>,
        tag: DwTag,
        offset: usize,
        caller: Option<u32>,
        entry: &Entry<'d>,
        found: &Found<'_>,
    ) -> gimli::Result<Option<u32>> {
        let number = |offset: usize| u32::try_from(offset).unwrap_or_default();
        if tag == gimli::DW_TAG_subprogram {
            if self.declared.len() >= MAX_DECLARED {
                self.cut = true;
                return Ok(None);
            }
            let name = entry.linkage_name.or(entry.name).unwrap_or_default();
            let origin = entry.origin.map_or(0, number);
            self.declared.push(Declared { offset: number(offset), origin, line: entry.line, name, known: None });
            self.spans_of(dwarf, unit, entry, found, number(offset), |functions| &mut functions.bodies)?;
            return Ok(None);
        }
        let Some(place) = u32::try_from(self.inlined.len()).ok().filter(|_| self.inlined.len() < MAX_ROWS) else {
            self.cut = true;
            return Ok(caller);
        };
        let before = self.spans.len();
        self.spans_of(dwarf, unit, entry, found, place, |functions| &mut functions.spans)?;
        if self.spans.len() == before {
            return Ok(caller);
        }
        let origin = entry.origin.map_or(0, number);
        self.inlined.push(Call { origin, caller, file: entry.call_file, line: entry.call_line });
        Ok(Some(place))
    }

    /// Adds the code of an entry.
    fn spans_of(
        &mut self,
        dwarf: &Dwarf<'d>,
        unit: &Unit<'d>,
        entry: &Entry<'d>,
        found: &Found<'_>,
        value: u32,
        to: impl Fn(&mut Self) -> &mut Vec<Span>,
    ) -> gimli::Result<()> {
        let add = |functions: &mut Self, low: u64, high: u64| {
            let Some((start, end)) = found.candidates.relative(low, high) else { return };
            if to(functions).len() < MAX_ROWS {
                to(functions).push(Span { start, end, value });
            } else {
                functions.cut = true;
            }
        };
        if let Some(ranges) = &entry.ranges {
            let Some(offset) = dwarf.attr_ranges_offset(unit, *ranges)? else { return Ok(()) };
            // They may be very many for very many entries, and most of them empty.
            let mut raw = dwarf.raw_ranges(unit, offset)?;
            while raw.next()?.is_some() {
                self.work += 1;
                if self.work > MAX_WORK {
                    self.cut = true;
                    return Ok(());
                }
            }
            let mut ranges = dwarf.ranges(unit, offset)?;
            while let Some(range) = ranges.next()? {
                add(self, range.begin, range.end);
            }
            return Ok(());
        }
        let high = match (entry.low, &entry.high) {
            (Some(low), Some(value)) => match dwarf.attr_address(unit, *value)? {
                Some(high) => Some(high),
                None => value.udata_value().map(|size| low.wrapping_add(size)),
            },
            _ => None,
        };
        if let (Some(low), Some(high)) = (entry.low, high) {
            add(self, low, high);
        }
        Ok(())
    }

    /// Name and line of the declaration at an offset.
    fn resolve(&mut self, offset: u32, strings: &mut Strings) -> (Place, u32) {
        let (mut name, mut line) = (0, 0);
        let mut next = offset;
        for _ in 0..MAX_HOPS {
            let Ok(place) = self.declared.binary_search_by_key(&next, |declared| declared.offset) else { break };
            let Some(declared) = self.declared.get_mut(place) else { break };
            if name == 0 {
                name = *declared.known.get_or_insert_with(|| strings.add_terminated(declared.name, 0));
            }
            line = if line == 0 { declared.line } else { line };
            next = declared.origin;
            if next == 0 || name != 0 && line != 0 {
                break;
            }
        }
        (name, line)
    }
}

impl<'d> Entry<'d> {
    fn add(&mut self, dwarf: &Dwarf<'d>, unit: &Unit<'d>, attribute: &Attribute<Reader<'d>>) {
        let value = attribute.value();
        let number = || value.udata_value().and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
        match attribute.name() {
            gimli::DW_AT_name => self.name = names::text(dwarf, unit, &value),
            gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => {
                self.linkage_name = names::text(dwarf, unit, &value)
            }
            gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => self.origin = reference(unit, &value),
            gimli::DW_AT_decl_line => self.line = number(),
            gimli::DW_AT_call_file => {
                self.call_file = match value {
                    AttributeValue::FileIndex(file) => u32::try_from(file).unwrap_or_default(),
                    _ => number(),
                }
            }
            gimli::DW_AT_call_line => self.call_line = number(),
            gimli::DW_AT_low_pc => self.low = dwarf.attr_address(unit, value).ok().flatten(),
            gimli::DW_AT_high_pc => self.high = Some(value),
            gimli::DW_AT_ranges => self.ranges = Some(value),
            _ => {}
        }
    }
}

/// The offset in `.debug_info`.
fn reference(unit: &Unit<'_>, value: &AttributeValue<Reader<'_>>) -> Option<usize> {
    match value {
        AttributeValue::UnitRef(offset) => offset.to_debug_info_offset(&unit.header).map(|offset| offset.0),
        AttributeValue::DebugInfoRef(offset) => Some(offset.0),
        _ => None,
    }
}
