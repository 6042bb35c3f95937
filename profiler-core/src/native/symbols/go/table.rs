//! `.gopclntab` as Go 1.2 and all later versions lay it out, of programs of 64 bits.

/// Which layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    /// To 1.15.
    Go12,
    /// And 1.17.
    Go116,
    /// And 1.19.
    Go118,
    Go120,
}

/// A value from an address on, counted from the function's beginning.
pub(super) type Steps = Vec<(u32, i32)>;

/// Most steps through values of one kind: a file may say that each of its functions has the longest ones.
pub(super) const MAX_STEPS: usize = 256 << 20;

/// The tables in the table.
#[derive(Debug)]
pub(super) struct Table<'t> {
    pub(super) version: Version,
    /// Bytes of the shortest instruction.
    pub(super) quantum: u32,
    /// Where the code begins, as far as the table says it.
    pub(super) text: Option<u64>,
    /// How far behind the header the names are.
    pub(super) names_offset: u64,
    pub(super) names: &'t [u8],
    /// Where names of files are in `files`, by compilation unit.
    units: &'t [u8],
    files: &'t [u8],
    /// Values by address.
    values: &'t [u8],
    /// Where each function begins, and where its description is in `descriptions`.
    places: &'t [u8],
    descriptions: &'t [u8],
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) start: u64,
    /// Where the next one begins.
    pub(super) end: u64,
    /// Where its name is.
    pub(super) name: u32,
    /// Its values by address: how far the stack pointer is below where it was called.
    pub(super) frame: u32,
    pub(super) is_assembly: bool,
    /// It sets the stack pointer to what cannot be said in such values.
    pub(super) switches_stack: bool,
    /// Where it is declared.
    pub(super) line: u32,
    /// Its values by address: the file, and the line.
    pub(super) files: u32,
    pub(super) lines: u32,
    /// Which inlined function code is of.
    pub(super) inlined: Option<u32>,
    /// Where these are described, behind where all such data begins.
    pub(super) inlined_tree: Option<u32>,
    unit: u32,
}

/// The header of 1.2 is this long: magic, two zeros, quantum, bytes of a pointer; then come words.
const FIRST_WORD: usize = 8;
const WORD: usize = 8;
/// What is at which place in a function's description: numbers of four bytes behind its beginning.
const NAME: usize = 0;
const FRAME: usize = 3;
const FILES: usize = 4;
const LINES: usize = 5;
const VALUES: usize = 6;
const UNIT: usize = 7;
const LINE: usize = 8;
/// Of the flags, which 1.17 was the first to have; 1.16 has a zero in their place.
const SWITCHES_STACK: u8 = 2;
const IS_ASSEMBLY: u8 = 4;
/// Among values, and among data.
const INLINED: u32 = 2;
const INLINED_TREE: u32 = 3;

impl<'t> Table<'t> {
    /// Whether bytes begin as a table does.
    pub(super) fn is_header(bytes: &[u8]) -> bool {
        version(bytes).is_some()
    }

    /// None of bytes that are no table.
    pub(super) fn parse(bytes: &'t [u8]) -> Option<Self> {
        let version = version(bytes)?;
        let quantum = u32::from(*bytes.get(6)?);
        let word = |place: usize| read_word(bytes, FIRST_WORD + place * WORD);
        let part = |place: usize| bytes.get(usize::try_from(word(place)?).ok()?..);
        let count = usize::try_from(word(0)?).ok()?;
        let table = match version {
            Version::Go12 => {
                let places = bytes.get(FIRST_WORD + WORD..)?;
                let (places, behind) =
                    places.split_at_checked(count.checked_mul(2)?.checked_add(1)?.checked_mul(WORD)?)?;
                let files = bytes.get(usize::try_from(read_u32(behind, 0)?).ok()?..)?;
                Self {
                    version,
                    quantum,
                    text: Some(0),
                    names_offset: 0,
                    names: bytes,
                    units: files,
                    files: bytes,
                    values: bytes,
                    places,
                    descriptions: bytes,
                }
            }
            Version::Go116 | Version::Go118 | Version::Go120 => {
                let (text, first) =
                    if version == Version::Go116 { (Some(0), 2) } else { (word(2).filter(|text| *text != 0), 3) };
                let descriptions = part(first + 4)?;
                let of_places = count.checked_mul(2)?.checked_add(1)?.checked_mul(field(version))?;
                Self {
                    version,
                    quantum,
                    text,
                    names_offset: word(first)?,
                    names: part(first)?,
                    units: part(first + 1)?,
                    files: part(first + 2)?,
                    values: part(first + 3)?,
                    places: descriptions.get(..of_places)?,
                    descriptions,
                }
            }
        };
        Some(table)
    }

    /// All that is no gap; `text` is where the code begins.
    pub(super) fn functions(&self, text: u64) -> impl Iterator<Item = Function> {
        let text = if self.version >= Version::Go118 { text } else { 0 };
        let size = field(self.version);
        let count = (self.places.len() / size).saturating_sub(1) / 2;
        (0..count).filter_map(move |place| {
            let number = |place: usize| self.number(self.places, place * size);
            let start = text.checked_add(number(2 * place)?)?;
            let end = text.checked_add(number(2 * place + 2)?)?;
            let description =
                usize::try_from(number(2 * place + 1)?).ok().and_then(|from| self.descriptions.get(from..))?;
            self.describe(start, end, description).filter(|function| function.start < function.end)
        })
    }

    /// The name of a function's file, by its number.
    pub(super) fn file(&self, function: &Function, number: i32) -> Option<&'t [u8]> {
        let number = u32::try_from(number).ok()?;
        let place = if self.version == Version::Go12 { number } else { function.unit.checked_add(number)? };
        let from = read_u32(self.units, usize::try_from(place).ok()?.checked_mul(4)?)?;
        // So does Go say that there is none.
        let from = Some(from).filter(|from| *from != u32::MAX)?;
        self.files.get(usize::try_from(from).ok()?..)
    }

    /// Values by address of a function of some length, from a place on: zero is none. They are pairs of differences,
    /// { zigzag of the value; of the address }, until a value that does not change. No more than `left` are followed.
    pub(super) fn steps(&self, from: u32, length: u32, left: &mut usize) -> Steps {
        let from = usize::try_from(from).ok().filter(|from| *from != 0);
        let mut bytes = from.and_then(|from| self.values.get(from..)).unwrap_or_default();
        let mut steps = Steps::new();
        let (mut pc, mut value) = (0_u32, -1_i32);
        while pc < length && *left > 0 {
            *left -= 1;
            let Some(difference) = variable(&mut bytes) else { break };
            if difference == 0 && !steps.is_empty() {
                break;
            }
            let Some(distance) = variable(&mut bytes) else { break };
            let difference = (difference >> 1).cast_signed() ^ -(difference & 1).cast_signed();
            value = value.wrapping_add(difference);
            match steps.last_mut() {
                Some((at, last)) if *at == pc => *last = value,
                _ => steps.push((pc, value)),
            }
            pc = pc.saturating_add(distance.saturating_mul(self.quantum));
        }
        steps
    }

    fn describe(&self, start: u64, end: u64, description: &[u8]) -> Option<Function> {
        let numbers = description.get(field(self.version)..)?;
        let number = |place: usize| read_u32(numbers, place * 4);
        let unit = if self.version >= Version::Go116 { number(UNIT)? } else { 0 };
        let line = if self.version >= Version::Go120 { number(LINE)? } else { 0 };
        let behind = if self.version >= Version::Go120 { LINE + 1 } else { UNIT + 1 };
        let flags = if self.version >= Version::Go116 { *numbers.get(4 * behind + 1)? } else { 0 };
        let mut function = Function {
            start,
            end,
            name: number(NAME)?,
            frame: number(FRAME)?,
            is_assembly: flags & IS_ASSEMBLY != 0,
            switches_stack: flags & SWITCHES_STACK != 0,
            line,
            files: number(FILES)?,
            lines: number(LINES)?,
            inlined: None,
            inlined_tree: None,
            unit,
        };
        // Before that what was inlined is described in another way.
        if self.version >= Version::Go120 {
            let count = number(VALUES)?;
            let data = *numbers.get(4 * (LINE + 1) + 3)?;
            let behind = numbers.get(4 * (LINE + 2)..).unwrap_or_default();
            let at = |place: u32| read_u32(behind, usize::try_from(place).ok()?.checked_mul(4)?);
            function.inlined = at(INLINED).filter(|from| count > INLINED && *from != 0);
            let tree = count.checked_add(INLINED_TREE).and_then(at);
            function.inlined_tree = tree.filter(|from| u32::from(data) > INLINED_TREE && *from != u32::MAX);
        }
        Some(function)
    }

    fn number(&self, bytes: &[u8], from: usize) -> Option<u64> {
        if field(self.version) == 4 { read_u32(bytes, from).map(u64::from) } else { read_word(bytes, from) }
    }
}

fn version(bytes: &[u8]) -> Option<Version> {
    let (magic, rest) = bytes.split_first_chunk()?;
    let version = match u32::from_le_bytes(*magic) {
        0xffff_fffb => Version::Go12,
        0xffff_fffa => Version::Go116,
        0xffff_fff0 => Version::Go118,
        0xffff_fff1 => Version::Go120,
        _ => return None,
    };
    matches!(rest, [0, 0, 1 | 2 | 4, 8, ..]).then_some(version)
}

/// Bytes of an address in the table.
fn field(version: Version) -> usize {
    if version >= Version::Go118 { 4 } else { WORD }
}

pub(super) fn read_u32(bytes: &[u8], from: usize) -> Option<u32> {
    bytes.get(from..)?.first_chunk().map(|number| u32::from_le_bytes(*number))
}

pub(super) fn read_word(bytes: &[u8], from: usize) -> Option<u64> {
    bytes.get(from..)?.first_chunk().map(|number| u64::from_le_bytes(*number))
}

/// A number in groups of seven bits, the lowest first.
fn variable(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
