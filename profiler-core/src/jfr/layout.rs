//! How the values of classes are written: where in them what is asked for stands, and how to pass over the rest.

use super::IdMap;
use super::error::Result;
use super::reader::{Number, Reader, Text};

/// Structs within structs; the JDK's are three deep.
const DEEPEST: usize = 8;
/// Of all plans of a chunk. For JDK 25 some 200 are made.
const MOST_ACTIONS: usize = 1 << 16;
/// Of one value.
const MOST_NUMBERS: usize = 7;
const MOST_TEXTS: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Class {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug, Default)]
pub(super) struct Field {
    pub(super) name: String,
    /// The id of its class.
    pub(super) class: Option<u64>,
    /// What stands there is an id in the pool of the class.
    pub(super) is_pooled: bool,
    pub(super) is_array: bool,
}

/// The classes of a chunk by id.
pub(super) struct Classes {
    by_id: IdMap<Class>,
    actions_left: usize,
}

/// The fields that are asked for, by name; where they stand here is where their values stand in a `Record`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) numbers: &'a [&'a str],
    pub(super) texts: &'a [&'a str],
}

/// What was asked for of one value; 0 and `None` for what it does not have.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) numbers: [u64; MOST_NUMBERS],
    pub(super) texts: [Option<Text>; MOST_TEXTS],
}

/// How to read a value: what to do with one field after the other.
#[derive(Debug)]
pub(super) struct Plan(Vec<Action>);

#[derive(Debug)]
enum Action {
    /// Keep it at a place of the record.
    Number(usize, Number),
    Text(usize),
    /// Numbers that take as many bytes as they need, each with its place in the record.
    Varints(Vec<u8>),
    Skip(Step),
}

/// The place of numbers that are passed over: the record has none there.
const PASSED: u8 = MOST_NUMBERS as u8;

/// What is passed over. Each takes a byte at least, so that no more of them are taken than a recording has bytes.
#[derive(Debug)]
enum Step {
    Number(Number),
    Bytes(u64),
    Text,
    /// A count, and as many elements.
    Array(Vec<Self>),
}

/// How values of a class are written.
enum Shape<'c> {
    Number(Number),
    Bytes(u64),
    Text,
    Fields(&'c [Field]),
}

impl Classes {
    pub(super) fn new(by_id: IdMap<Class>) -> Self {
        Self { by_id, actions_left: MOST_ACTIONS }
    }

    /// All ids and names.
    pub(super) fn names(&self) -> impl Iterator<Item = (u64, &str)> {
        self.by_id.iter().map(|(id, class)| (*id, class.name.as_str()))
    }

    pub(super) fn name(&self, class: u64) -> Option<&str> {
        Some(self.by_id.get(&class)?.name.as_str())
    }

    /// How to read a value of a class.
    pub(super) fn plan(&mut self, class: u64, wanted: Wanted<'_>, reader: &Reader<'_>) -> Result<Plan> {
        let mut planner = Planner { classes: &self.by_id, left: self.actions_left, reader };
        let mut actions = Vec::new();
        match planner.shape(Some(class))? {
            Shape::Fields(fields) => planner.fields(fields, wanted, &mut actions)?,
            // A value that has no fields is its own.
            Shape::Text if !wanted.texts.is_empty() => actions.push(Action::Text(0)),
            _ => planner.steps(Some(class), DEEPEST, &mut |step| actions.push(Action::Skip(step)))?,
        }
        self.actions_left = planner.left;
        Ok(Plan::new(actions, reader))
    }

    /// How to read some fields of a class: those before the array of that name, an element of it, those behind it.
    pub(super) fn plan_around(
        &mut self,
        class: u64,
        array: &str,
        wanted: [Wanted<'_>; 2],
        reader: &Reader<'_>,
    ) -> Result<[Plan; 3]> {
        let missing = || reader.damaged("a class that everything is based on has unknown fields");
        let fields = &self.by_id.get(&class).ok_or_else(missing)?.fields;
        let place = fields.iter().position(|field| field.name == array && field.is_array && !field.is_pooled);
        let (before, rest) = fields.split_at_checked(place.ok_or_else(missing)?).ok_or_else(missing)?;
        let (array, after) = rest.split_first().ok_or_else(missing)?;
        let mut planner = Planner { classes: &self.by_id, left: self.actions_left, reader };
        let mut plans = [Vec::new(), Vec::new(), Vec::new()];
        let [first, element, last] = &mut plans;
        let Shape::Fields(fields) = planner.shape(array.class)? else { return Err(missing()) };
        planner.fields(before, wanted[0], first)?;
        planner.fields(fields, wanted[1], element)?;
        planner.fields(after, wanted[0], last)?;
        // A count of elements that take no byte could be without end.
        if element.is_empty() {
            return Err(missing());
        }
        self.actions_left = planner.left;
        Ok(plans.map(|actions| Plan::new(actions, reader)))
    }
}

impl Plan {
    /// Numbers that follow each other are read at once.
    fn new(actions: Vec<Action>, reader: &Reader<'_>) -> Self {
        let mut joined: Vec<Action> = Vec::new();
        for action in actions {
            let place = match action {
                Action::Number(place, number) if reader.is_varint(number) => u8::try_from(place).unwrap_or(PASSED),
                Action::Skip(Step::Number(number)) if reader.is_varint(number) => PASSED,
                other => {
                    joined.push(other);
                    continue;
                }
            };
            match joined.last_mut() {
                Some(Action::Varints(places)) => places.push(place),
                _ => joined.push(Action::Varints(vec![place])),
            }
        }
        Self(joined)
    }

    /// Reads what is wanted.
    #[inline]
    pub(super) fn read(&self, reader: &mut Reader<'_>, record: &mut Record) -> Result<()> {
        for action in &self.0 {
            match action {
                Action::Number(place, number) => {
                    let value = reader.number(*number)?;
                    if let Some(slot) = record.numbers.get_mut(*place) {
                        *slot = value;
                    }
                }
                Action::Text(place) => {
                    let text = reader.text()?;
                    if let Some(slot) = record.texts.get_mut(*place) {
                        *slot = text;
                    }
                }
                Action::Varints(places) => reader.varints(places, &mut record.numbers)?,
                Action::Skip(step) => step.skip(reader)?,
            }
        }
        Ok(())
    }

    /// Leaves out what is passed over at the end, for values that say where they end.
    pub(super) fn without_rest(mut self) -> Self {
        while let Some(last) = self.0.last_mut() {
            if let Action::Varints(places) = last {
                let kept = places.iter().rposition(|place| *place != PASSED);
                places.truncate(kept.map_or(0, |last| last + 1));
            }
            match last {
                Action::Varints(places) if places.is_empty() => {}
                Action::Skip(_) => {}
                _ => break,
            }
            self.0.pop();
        }
        self
    }
}

impl Step {
    #[inline]
    fn skip(&self, reader: &mut Reader<'_>) -> Result<()> {
        match self {
            Self::Number(number) => reader.number(*number).map(drop),
            Self::Bytes(bytes) => reader.skip(*bytes),
            Self::Text => reader.skip_text(),
            Self::Array(steps) => Self::skip_array(steps, reader),
        }
    }

    fn skip_array(steps: &[Self], reader: &mut Reader<'_>) -> Result<()> {
        let count = reader.int()?;
        if steps.is_empty() {
            return Ok(());
        }
        (0..count).try_for_each(|_| steps.iter().try_for_each(|step| step.skip(reader)))
    }
}

struct Planner<'c> {
    classes: &'c IdMap<Class>,
    left: usize,
    /// For errors: it stands behind the metadata.
    reader: &'c Reader<'c>,
}

impl<'c> Planner<'c> {
    fn fields(&mut self, fields: &[Field], wanted: Wanted<'_>, actions: &mut Vec<Action>) -> Result<()> {
        for field in fields {
            let place = |names: &[&str]| names.iter().position(|name| *name == field.name && !field.is_array);
            let shape = if field.is_pooled { Shape::Number(Number::Long) } else { self.shape(field.class)? };
            match (shape, place(wanted.numbers), place(wanted.texts)) {
                (Shape::Number(number), Some(place), _) => actions.push(Action::Number(place, number)),
                (Shape::Text, _, Some(place)) => actions.push(Action::Text(place)),
                _ => self.field(field, DEEPEST, &mut |step| actions.push(Action::Skip(step)))?,
            }
            self.count()?;
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, depth: usize, take: &mut dyn FnMut(Step)) -> Result<()> {
        if !field.is_array {
            return self.element(field, depth, take);
        }
        let mut steps = Vec::new();
        self.element(field, depth, &mut |step| steps.push(step))?;
        take(Step::Array(steps));
        self.count()
    }

    fn element(&mut self, field: &Field, depth: usize, take: &mut dyn FnMut(Step)) -> Result<()> {
        if field.is_pooled {
            take(Step::Number(Number::Long));
            return self.count();
        }
        self.steps(field.class, depth, take)
    }

    fn steps(&mut self, class: Option<u64>, depth: usize, take: &mut dyn FnMut(Step)) -> Result<()> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.reader.damaged("the metadata's classes are within each other too deep"));
        };
        match self.shape(class)? {
            Shape::Number(number) => take(Step::Number(number)),
            Shape::Bytes(bytes) => take(Step::Bytes(bytes)),
            Shape::Text => take(Step::Text),
            Shape::Fields(fields) => fields.iter().try_for_each(|field| self.field(field, depth, take))?,
        }
        self.count()
    }

    fn shape(&self, class: Option<u64>) -> Result<Shape<'c>> {
        let class = class.and_then(|id| self.classes.get(&id));
        let class = class.ok_or_else(|| self.reader.damaged("a field has a class that is not described"))?;
        Ok(match class.name.as_str() {
            "boolean" | "byte" => Shape::Number(Number::Byte),
            "char" | "short" => Shape::Number(Number::Short),
            "int" => Shape::Number(Number::Int),
            "long" => Shape::Number(Number::Long),
            "float" => Shape::Bytes(4),
            "double" => Shape::Bytes(8),
            "java.lang.String" => Shape::Text,
            _ => Shape::Fields(&class.fields),
        })
    }

    /// Each class and field is looked at a bounded number of times.
    fn count(&mut self) -> Result<()> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| self.reader.damaged("the metadata's classes are larger than those of any Java"))?;
        Ok(())
    }
}
