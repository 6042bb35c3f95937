//! The metadata event of a chunk: which types there are and how their values are laid out.

use std::collections::HashMap;

use super::JfrError;
use super::cursor::{Cursor, Text};

/// A recording of the JDK nests four elements deep: root, metadata, class, field, annotation.
const MAX_DEPTH: usize = 16;

#[derive(Debug, Clone, Default)]
pub(super) struct Class {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) class: i64,
    pub(super) in_constant_pool: bool,
    pub(super) is_array: bool,
}

/// How a value of a class is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Byte,
    Long,
    Fixed(usize),
    Text,
    Fields,
}

impl Class {
    pub(super) fn encoding(&self) -> Encoding {
        match self.name.as_str() {
            "boolean" | "byte" => Encoding::Byte,
            "char" | "short" | "int" | "long" => Encoding::Long,
            "float" => Encoding::Fixed(4),
            "double" => Encoding::Fixed(8),
            "java.lang.String" => Encoding::Text,
            _ => Encoding::Fields,
        }
    }

    pub(super) fn field_index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}

/// Reads the metadata event that begins at `position`.
pub(super) fn read(chunk: &[u8], position: usize) -> Result<HashMap<i64, Class>, JfrError> {
    let mut cursor = Cursor::at(chunk, position);
    let size = cursor.long()?;
    let event_type = cursor.long()?;
    if event_type != 0 {
        let what = format!("event type {event_type} stands where the metadata (0) should");
        return Err(JfrError::malformed(position, what));
    }
    let (_start, _duration, _metadata_id) = (cursor.long()?, cursor.long()?, cursor.long()?);
    let strings = strings(&mut cursor)?;
    let mut tree = Tree { strings, classes: HashMap::new() };
    tree.element(&mut cursor, None, 0)?;
    let read = cursor.position() - position;
    if usize::try_from(size).ok() != Some(read) {
        let what = format!("the metadata announces {size} bytes and has {read}");
        return Err(JfrError::malformed(position, what));
    }
    for class in tree.classes.values() {
        for field in &class.fields {
            if !tree.classes.contains_key(&field.class) {
                let what = format!("{}.{} has the unknown type {}", class.name, field.name, field.class);
                return Err(JfrError::malformed(position, what));
            }
        }
    }
    Ok(tree.classes)
}

fn strings(cursor: &mut Cursor<'_>) -> Result<Vec<String>, JfrError> {
    let count = cursor.count()?;
    let mut strings = Vec::with_capacity(count);
    for _ in 0..count {
        let at = cursor.position();
        strings.push(match cursor.text()? {
            Text::Inline(text) => text,
            Text::Null => String::new(),
            Text::Pooled(_) => {
                return Err(JfrError::malformed(at, "a pooled string in the metadata"));
            }
        });
    }
    Ok(strings)
}

struct Tree {
    strings: Vec<String>,
    classes: HashMap<i64, Class>,
}

impl Tree {
    fn element(&mut self, cursor: &mut Cursor<'_>, parent: Option<i64>, depth: usize) -> Result<(), JfrError> {
        let at = cursor.position();
        if depth > MAX_DEPTH {
            return Err(JfrError::malformed(at, "the metadata nests too deep"));
        }
        let name = self.string(cursor)?;
        let mut attributes = HashMap::new();
        for _ in 0..cursor.count()? {
            let key = self.string(cursor)?;
            attributes.insert(key, self.string(cursor)?);
        }
        let attribute = |key: &str| attributes.get(key);
        let mut within = parent;
        match name.as_str() {
            "class" => {
                let id = number(at, "class id", attribute("id"))?;
                let name = attribute("name").cloned().ok_or_else(|| JfrError::malformed(at, "a class without name"))?;
                self.classes.insert(id, Class { name, fields: Vec::new() });
                within = Some(id);
            }
            "field" => {
                let field = Field {
                    name: attribute("name").cloned().unwrap_or_default(),
                    class: number(at, "class of a field", attribute("class"))?,
                    in_constant_pool: attribute("constantPool").is_some_and(|value| value == "true"),
                    is_array: attribute("dimension").is_some_and(|value| value != "0"),
                };
                let owner = parent.and_then(|id| self.classes.get_mut(&id));
                let owner = owner.ok_or_else(|| JfrError::malformed(at, "a field outside a class"))?;
                owner.fields.push(field);
                within = None;
            }
            _ => {}
        }
        for _ in 0..cursor.count()? {
            self.element(cursor, within, depth + 1)?;
        }
        Ok(())
    }

    fn string(&self, cursor: &mut Cursor<'_>) -> Result<String, JfrError> {
        let at = cursor.position();
        let index = cursor.long()?;
        let found = usize::try_from(index).ok().and_then(|index| self.strings.get(index));
        found.cloned().ok_or_else(|| JfrError::malformed(at, format!("no metadata string {index}")))
    }
}

fn number(at: usize, what: &str, text: Option<&String>) -> Result<i64, JfrError> {
    let parsed = text.and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| JfrError::malformed(at, format!("{what} is {text:?}, no number")))
}
