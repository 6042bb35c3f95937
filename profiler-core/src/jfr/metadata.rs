//! The classes that a chunk describes: what fields its events and constants have, and how each is written.

use super::IdMap;
use super::error::{JfrError, Result};
use super::layout::{Class, Classes, Field};
use super::reader::{Reader, Standing};

/// That of JDK 25 has some 200,000.
const MOST_BYTES: u64 = 8 << 20;
/// Of JDK 25 there are some 7,000.
const MOST_TEXTS: u64 = 1 << 17;
/// Of JDK 25 there are some 300.
const MOST_CLASSES: usize = 1 << 13;
/// Of JDK 25 there are some 1,500.
const MOST_FIELDS: usize = 1 << 16;
/// Root, metadata, class, field, annotation.
const DEEPEST: usize = 16;

/// Reads the metadata at the position of the reader.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Classes> {
    let start = reader.position();
    let size = reader.int()?;
    reader.bound(start.saturating_add(size.min(MOST_BYTES)));
    if reader.long()? != 0 {
        return Err(JfrError::Damaged { offset: start, what: "the chunk's metadata is not where its header says" });
    }
    let (_start_time, _duration, _id) = (reader.long()?, reader.long()?, reader.long()?);
    let texts = Texts::read(reader)?;
    let mut tree = Tree { texts, classes: IdMap::default(), fields: 0 };
    tree.element(reader, &mut Parent::None, DEEPEST)?;
    Ok(Classes::new(tree.classes))
}

/// All texts of the metadata, one after the other.
#[derive(Default)]
struct Texts {
    all: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let count = reader.int()?;
        if count > MOST_TEXTS {
            let offset = reader.position();
            return Err(JfrError::TooMuch { offset, what: "texts in a chunk's metadata", limit: MOST_TEXTS });
        }
        let mut texts = Self::default();
        for _ in 0..count {
            if let Standing::Pooled(_) = reader.append_text(&mut texts.all)? {
                return Err(reader.damaged("a text of the metadata is in a pool"));
            }
            texts.ends.push(texts.all.len());
        }
        Ok(texts)
    }

    fn at(&self, place: u64) -> Option<&str> {
        let place = usize::try_from(place).ok()?;
        let start = place.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.all.get(start..*self.ends.get(place)?)
    }
}

struct Tree {
    texts: Texts,
    classes: IdMap<Class>,
    fields: usize,
}

/// What an element is part of, as far as it matters.
enum Parent {
    None,
    Class(Class),
}

impl Tree {
    /// Reads an element and all within.
    fn element(&mut self, reader: &mut Reader<'_>, parent: &mut Parent, depth: usize) -> Result<()> {
        let Some(depth) = depth.checked_sub(1) else { return Err(reader.damaged("the metadata nests too deep")) };
        let name = self.text(reader)?;
        let (is_class, is_field) = (name == "class", name == "field");
        let (mut class, mut field) = (Class::default(), Field::default());
        let mut id = None;
        for _ in 0..reader.int()? {
            let key = self.text(reader)?;
            let value = self.text(reader)?;
            match key {
                "id" if is_class => id = value.parse().ok(),
                "name" if is_class => value.clone_into(&mut class.name),
                "name" if is_field => value.clone_into(&mut field.name),
                "class" if is_field => field.class = value.parse().ok(),
                "constantPool" if is_field => field.is_pooled = value == "true",
                "dimension" if is_field => field.is_array = value != "0",
                _ => {}
            }
        }
        let mut this = if is_class { Parent::Class(class) } else { Parent::None };
        for _ in 0..reader.int()? {
            self.element(reader, &mut this, depth)?;
        }
        if let (Parent::Class(parent), true) = (parent, is_field) {
            self.fields += 1;
            parent.fields.push(field);
        }
        if let (Parent::Class(class), Some(id)) = (this, id) {
            self.classes.insert(id, class);
        }
        if self.classes.len() > MOST_CLASSES || self.fields > MOST_FIELDS {
            return Err(reader.damaged("the metadata describes more classes and fields than any Java has"));
        }
        Ok(())
    }

    fn text(&self, reader: &mut Reader<'_>) -> Result<&str> {
        let place = reader.int()?;
        self.texts.at(place).ok_or_else(|| reader.damaged("the metadata names a text that it does not have"))
    }
}
