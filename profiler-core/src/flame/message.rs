//! pprof messages, read in place: a sample is some bytes until its stack is needed, and no sample owns memory.

use std::collections::HashMap;
use std::str::from_utf8;

use rapidhash::fast::RandomState;

use super::stacks::Stacks;
use super::{Side, TreeBuilder};
use crate::pprof::Damaged;
use crate::pprof::fields::{Field, Fields};
use crate::pprof::sections::{FUNCTIONS, LOCATIONS, MAPPINGS, SAMPLES, Sections, TEXTS, TYPES};

/// The field of a profile that says which type is shown first.
const DEFAULT_TYPE: u32 = 14;
/// Kinds of values: more are nobody's.
const MOST_TYPES: usize = 64;
/// Bytes of memory that the tables of a message may take while it is read: two bytes of input can be an entry of 24.
const MOST_TABLE_BYTES: usize = 256 << 20;

/// A kind of values, such as `cpu` in `nanoseconds`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleType {
    /// For example `inuse_space`.
    pub kind: String,
    /// For example `bytes`; may be empty.
    pub unit: String,
}

/// A pprof message, not gzipped.
#[derive(Debug)]
pub struct PprofMessage<'m> {
    sections: Sections<'m>,
    texts: Vec<&'m str>,
    types: Vec<SampleType>,
    usual: Option<usize>,
}

/// Why a message cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A part of it is cut short, or not what it should be.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// A text is not UTF-8.
    #[error("the profile is damaged: a text is no UTF-8")]
    Text,
    /// Its tables have more entries than real profiles do.
    #[error("the profile's tables would take more than {MOST_TABLE_BYTES} bytes of memory")]
    TooManyEntries,
    /// It is longer than places in it can be counted.
    #[error("the profile is larger than 4 GiB")]
    TooLong,
}

impl<'m> PprofMessage<'m> {
    /// Reads all of it but the samples and their tables.
    ///
    /// # Errors
    /// A message that is damaged, or that is made of nothing but tables.
    pub fn read(message: &'m [u8]) -> Result<Self, Unreadable> {
        if u32::try_from(message.len()).is_err() {
            return Err(Unreadable::TooLong);
        }
        let sections = Sections::of(message)?;
        let memory = |tag, each: usize| sections.count(tag).saturating_mul(each);
        let entries = [
            memory(TEXTS, size_of::<&str>()),
            memory(FUNCTIONS, size_of::<Function>()),
            memory(MAPPINGS, size_of::<Mapping>()),
            memory(LOCATIONS, size_of::<Span>() + size_of::<u64>()),
            memory(SAMPLES, Stacks::EACH),
        ];
        if entries.into_iter().fold(0, usize::saturating_add) > MOST_TABLE_BYTES {
            return Err(Unreadable::TooManyEntries);
        }
        let mut texts = Vec::with_capacity(sections.count(TEXTS));
        for text in sections.fields(TEXTS) {
            texts.push(from_utf8(text?.bytes()?).map_err(|_| Unreadable::Text)?);
        }
        let mut message = Self { sections, texts, types: Vec::new(), usual: None };
        message.read_types()?;
        Ok(message)
    }

    /// The kinds of its values, in its order: the first 64.
    pub fn types(&self) -> &[SampleType] {
        &self.types
    }

    /// The one that is to be shown first: the last one, unless the profile says otherwise.
    pub fn default_type(&self) -> Option<&SampleType> {
        self.usual.and_then(|place| self.types.get(place)).or(self.types.last())
    }

    fn read_types(&mut self) -> Result<(), Damaged> {
        for of in self.sections.fields(TYPES).take(MOST_TYPES) {
            let (mut kind, mut unit) = (0, 0);
            for field in Fields::of(of?.bytes()?, "a type of values") {
                let field = field?;
                match field.tag {
                    1 => kind = field.number()?,
                    2 => unit = field.number()?,
                    _ => {}
                }
            }
            let of = SampleType { kind: self.text(kind).to_owned(), unit: self.text(unit).to_owned() };
            self.types.push(of);
        }
        let mut wanted = 0;
        for field in self.sections.rest() {
            let field = field?;
            if field.tag == DEFAULT_TYPE {
                wanted = field.number()?;
            }
        }
        let wanted = self.text(wanted);
        self.usual = self.types.iter().position(|of| !wanted.is_empty() && of.kind == wanted);
        Ok(())
    }

    /// An index that leads nowhere is the empty text, as readers have it.
    fn text(&self, index: u64) -> &'m str {
        usize::try_from(index).ok().and_then(|place| self.texts.get(place)).copied().unwrap_or_default()
    }

    /// The samples that have a value at this place above 0.
    fn stacks(&self, value: usize, locations: &Ids) -> Result<Stacks, Damaged> {
        let mut stacks = Stacks::with_capacity(self.sections.count(SAMPLES));
        let mut stack: Vec<u32> = Vec::new();
        for sample in self.sections.fields(SAMPLES) {
            stack.clear();
            let (mut counted, mut values) = (0, 0);
            for field in Fields::of(sample?.bytes()?, "a sample") {
                let field = field?;
                match field.tag {
                    1 => {
                        for id in field.numbers()? {
                            // What is not in the profile is no function.
                            stack.extend(locations.place(id?));
                        }
                    }
                    2 => {
                        for number in field.numbers()? {
                            let number = number?;
                            if values == value {
                                counted = number;
                            }
                            values += 1;
                        }
                    }
                    _ => {}
                }
            }
            // Numbers below 0 are the upper half.
            if counted.cast_signed() > 0 {
                stacks.push(&stack, counted);
            }
        }
        Ok(stacks)
    }
}

impl TreeBuilder {
    /// Adds the samples of a message with their values of this kind; `false` where it has no such values. Values below 0
    /// count as none.
    ///
    /// # Errors
    /// A message that is damaged: nothing of it is counted then.
    pub fn add_message(&mut self, message: &PprofMessage<'_>, kind: &str, side: Side) -> Result<bool, Unreadable> {
        let Some(value) = message.types.iter().position(|of| of.kind == kind) else { return Ok(false) };
        let (frames, locations) = Frames::of(self, message)?;
        let stacks = message.stacks(value, &locations)?;
        self.add_stacks(stacks, &frames, side);
        Ok(true)
    }
}

/// The names of the functions at each location, the outermost first; `None` for those that the tree has no room for.
pub(super) struct Frames {
    names: Vec<Option<NameId>>,
    /// Where in `names` those of a location begin and end.
    spans: Vec<Span>,
}

type NameId = u32;
type Span = (u32, u32);
/// Its id, and the place of its name in the tree.
type Function = (u64, Option<NameId>);
/// Its id, and the text of its path.
type Mapping = (u64, u64);

impl Frames {
    /// With where locations stand.
    fn of(tree: &mut TreeBuilder, message: &PprofMessage<'_>) -> Result<(Self, Ids), Unreadable> {
        let sections = &message.sections;
        let functions = Table::read(sections, FUNCTIONS, |field| function(tree, message, field))?;
        let mappings = Table::read(sections, MAPPINGS, mapping)?;
        let mut frames = Self {
            names: Vec::with_capacity(sections.count(LOCATIONS)),
            spans: Vec::with_capacity(sections.count(LOCATIONS)),
        };
        let locations = Table::read(sections, LOCATIONS, |field| {
            let begin = frames.names.len();
            let (mut id, mut in_mapping, mut address) = (0, 0, 0);
            for field in Fields::of(field.bytes()?, "a location") {
                let field = field?;
                match field.tag {
                    1 => id = field.number()?,
                    2 => in_mapping = field.number()?,
                    3 => address = field.number()?,
                    4 => frames.names.extend(functions.get(function_of(field)?)),
                    _ => {}
                }
            }
            if frames.names.len() == begin {
                let path = mappings.get(in_mapping).map_or("", |path| message.text(path));
                frames.names.push(tree.name(&place_without_functions(path, address)));
            }
            // The last line is that of the caller which the others are inlined into.
            frames.names.get_mut(begin..).unwrap_or_default().reverse();
            frames.spans.push((begin as u32, frames.names.len() as u32));
            Ok((id, ()))
        })?;
        Ok((frames, locations.ids))
    }

    /// None of a location that is not in the profile.
    pub(super) fn at(&self, location: u32) -> &[Option<NameId>] {
        let (begin, end) = self.spans.get(location as usize).copied().unwrap_or_default();
        self.names.get(begin as usize..end as usize).unwrap_or_default()
    }
}

fn function(tree: &mut TreeBuilder, message: &PprofMessage<'_>, field: Field<'_>) -> Result<Function, Damaged> {
    let (mut id, mut name, mut system_name) = (0, 0, 0);
    for field in Fields::of(field.bytes()?, "a function") {
        let field = field?;
        match field.tag {
            1 => id = field.number()?,
            2 => name = field.number()?,
            3 => system_name = field.number()?,
            _ => {}
        }
    }
    let names = [name, system_name].map(|name| message.text(name));
    Ok((id, tree.name(names.into_iter().find(|name| !name.is_empty()).unwrap_or("[unknown]"))))
}

fn mapping(field: Field<'_>) -> Result<Mapping, Damaged> {
    let (mut id, mut path) = (0, 0);
    for field in Fields::of(field.bytes()?, "a mapping") {
        let field = field?;
        match field.tag {
            1 => id = field.number()?,
            5 => path = field.number()?,
            _ => {}
        }
    }
    Ok((id, path))
}

/// The id of a line's function.
fn function_of(line: Field<'_>) -> Result<u64, Damaged> {
    let mut id = 0;
    for field in Fields::of(line.bytes()?, "a line") {
        let field = field?;
        if field.tag == 1 {
            id = field.number()?;
        }
    }
    Ok(id)
}

/// What is known of such a place.
fn place_without_functions(path: &str, address: u64) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    if file.is_empty() { format!("0x{address:x}") } else { format!("{file}+0x{address:x}") }
}

/// Entries by their ids.
struct Table<T> {
    entries: Vec<T>,
    ids: Ids,
}

impl<T: Copy> Table<T> {
    fn read<'m>(
        sections: &Sections<'m>,
        tag: u32,
        mut read: impl FnMut(Field<'m>) -> Result<(u64, T), Damaged>,
    ) -> Result<Self, Damaged> {
        let mut table = Self { entries: Vec::with_capacity(sections.count(tag)), ids: Ids::InOrder(0) };
        for (field, place) in sections.fields(tag).zip(0..) {
            let (id, entry) = read(field?)?;
            table.ids.add(id, place);
            table.entries.push(entry);
        }
        Ok(table)
    }

    fn get(&self, id: u64) -> Option<T> {
        self.entries.get(self.ids.place(id)? as usize).copied()
    }
}

/// Where the entries of a table stand, by their ids. Of several with one id it is the last.
enum Ids {
    /// Counted from 1, as almost all profiles have it.
    InOrder(u32),
    Any(HashMap<u64, u32, RandomState>),
}

impl Ids {
    /// The entry behind all others.
    fn add(&mut self, id: u64, place: u32) {
        match self {
            Self::InOrder(length) if id == u64::from(place) + 1 => *length = place + 1,
            Self::InOrder(length) => {
                let before = (0..*length).map(|place| (u64::from(place) + 1, place));
                *self = Self::Any(before.chain([(id, place)]).collect());
            }
            Self::Any(places) => {
                places.insert(id, place);
            }
        }
    }

    fn place(&self, id: u64) -> Option<u32> {
        match self {
            Self::InOrder(length) => u32::try_from(id.checked_sub(1)?).ok().filter(|place| place < length),
            Self::Any(places) => places.get(&id).copied(),
        }
    }
}
