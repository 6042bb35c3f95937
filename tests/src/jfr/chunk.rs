//! One chunk: header, constant pools and events, decoded by the chunk's own metadata.

use std::collections::{BTreeSet, HashMap};

use super::cursor::{Cursor, Text};
use super::layout::{self, Class, Encoding, Field};
use super::{JfrError, Recording};

const HEADER: usize = 68;
const MAGIC: &[u8] = b"FLR\0";
/// The types of the JDK nest three deep.
const MAX_DEPTH: usize = 8;
/// Every value but a wrapping structure takes at least one byte of the file, and wrappers nest `MAX_DEPTH` deep.
const VALUES_A_BYTE: usize = MAX_DEPTH + 1;

#[derive(Debug, Clone)]
enum Value {
    Long(i64),
    Text(Text),
    /// A number with a fraction: of no use here.
    Fraction,
    Fields(Vec<Value>),
    Array(Vec<Value>),
}

pub(super) struct Chunk<'a> {
    bytes: &'a [u8],
    constants_at: usize,
    classes: HashMap<i64, Class>,
    constants: HashMap<(i64, i64), Value>,
    values_left: usize,
}

impl<'a> Chunk<'a> {
    /// Reads the first chunk of `bytes` up to its constants.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, JfrError> {
        if bytes.get(..MAGIC.len()) != Some(MAGIC) {
            return Err(JfrError::malformed(0, "no chunk begins here (magic FLR\\0)"));
        }
        if bytes.len() < HEADER {
            return Err(JfrError::malformed(0, "the chunk header is cut off"));
        }
        let major = fixed(bytes, 4, 2);
        if major != 2 {
            return Err(JfrError::malformed(4, format!("JFR version {major}, not 2")));
        }
        if fixed(bytes, 64, 4) & 1 == 0 {
            return Err(JfrError::malformed(64, "integers are not compressed"));
        }
        let size = fixed(bytes, 8, 8);
        let chunk = usize::try_from(size).ok().and_then(|size| bytes.get(..size));
        let bytes = chunk.filter(|chunk| chunk.len() >= HEADER).ok_or_else(|| {
            JfrError::malformed(8, format!("the chunk announces {size} bytes, {} are there", bytes.len()))
        })?;
        let offset = |at: usize| {
            let offset = usize::try_from(fixed(bytes, at, 8)).unwrap_or(usize::MAX);
            let inside = (HEADER..bytes.len()).contains(&offset);
            inside.then_some(offset).ok_or_else(|| JfrError::malformed(at, "offset outside the chunk"))
        };
        let constants_at = offset(16)?;
        let classes = layout::read(bytes, offset(24)?)?;
        let values_left = bytes.len().saturating_mul(VALUES_A_BYTE);
        let mut chunk = Self { bytes, constants_at, classes, constants: HashMap::new(), values_left };
        chunk.read_constants()?;
        Ok(chunk)
    }

    /// In bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Adds the chunk's events and the functions of their stacks.
    pub(super) fn add_to(mut self, recording: &mut Recording) -> Result<(), JfrError> {
        let mut position = HEADER;
        let mut traces = BTreeSet::new();
        while position < self.bytes.len() {
            let mut cursor = Cursor::at(self.bytes, position);
            let size = cursor.long()?;
            let end = usize::try_from(size).ok().and_then(|size| position.checked_add(size));
            let within = end
                .and_then(|end| self.bytes.get(..end))
                .filter(|_| size > 0)
                .ok_or_else(|| JfrError::malformed(position, format!("an event of {size} bytes leaves the chunk")))?;
            let mut cursor = Cursor::at(within, cursor.position());
            let event_type = cursor.long()?;
            // 0 is the metadata, 1 the constants: read already.
            if event_type > 1 {
                traces.extend(self.add_event(event_type, &mut cursor, recording)?);
                if cursor.left() != 0 {
                    let what = format!("an event of type {event_type} is {} bytes too long", cursor.left());
                    return Err(JfrError::malformed(position, what));
                }
            }
            position = within.len();
        }
        let mut methods = BTreeSet::new();
        for trace in traces {
            self.add_methods(trace, &mut methods)?;
        }
        for method in methods {
            recording.functions.insert(self.method_name(method)?);
        }
        Ok(())
    }

    /// Counts the event and hands back the id of its stack trace.
    fn add_event(
        &mut self,
        event_type: i64,
        cursor: &mut Cursor<'_>,
        recording: &mut Recording,
    ) -> Result<Option<i64>, JfrError> {
        let event = self.value(cursor, event_type, 0)?;
        let class = self.class(event_type, cursor.position())?;
        *recording.events.entry(class.name.clone()).or_default() += 1;
        match self.field(event_type, &event, "stackTrace") {
            Some(&Value::Long(trace)) if trace != 0 => {
                recording.sampled.insert(class.name.clone());
                Ok(Some(trace))
            }
            _ => Ok(None),
        }
    }

    fn add_methods(&self, trace: i64, methods: &mut BTreeSet<i64>) -> Result<(), JfrError> {
        let (traces, trace) = self.constant("jdk.types.StackTrace", trace)?;
        let Some(Value::Array(frames)) = self.field(traces, trace, "frames") else {
            return Err(JfrError::malformed(self.constants_at, "a stack trace without frames"));
        };
        let frame_class = self.class_named("jdk.types.StackFrame")?;
        for frame in frames {
            methods.insert(self.reference(frame_class, frame, "method")?);
        }
        Ok(())
    }

    fn method_name(&self, method: i64) -> Result<String, JfrError> {
        let (methods, method) = self.constant("jdk.types.Method", method)?;
        let (classes, class) = self.constant("java.lang.Class", self.reference(methods, method, "type")?)?;
        let class = self.symbol(self.reference(classes, class, "name")?)?.replace('/', ".");
        let name = self.symbol(self.reference(methods, method, "name")?)?;
        Ok(if class.is_empty() { name } else { format!("{class}.{name}") })
    }

    fn symbol(&self, id: i64) -> Result<String, JfrError> {
        let (symbols, symbol) = self.constant("jdk.types.Symbol", id)?;
        match self.field(symbols, symbol, "string") {
            Some(Value::Text(Text::Inline(text))) => Ok(text.clone()),
            Some(Value::Text(Text::Null)) => Ok(String::new()),
            Some(Value::Text(Text::Pooled(id))) => match self.constant("java.lang.String", *id)? {
                (_, Value::Text(Text::Inline(text))) => Ok(text.clone()),
                _ => Err(JfrError::Unresolved { what: "string", id: *id }),
            },
            _ => Err(JfrError::Unresolved { what: "text of jdk.types.Symbol", id }),
        }
    }

    fn read_constants(&mut self) -> Result<(), JfrError> {
        let mut position = self.constants_at;
        loop {
            let mut cursor = Cursor::at(self.bytes, position);
            let (_size, event_type) = (cursor.long()?, cursor.long()?);
            if event_type != 1 {
                let what = format!("event type {event_type} stands where constants (1) should");
                return Err(JfrError::malformed(position, what));
            }
            let (_start, _duration) = (cursor.long()?, cursor.long()?);
            let to_previous = cursor.long()?;
            let _flush_type = cursor.long()?;
            for _ in 0..cursor.count()? {
                let class = cursor.long()?;
                for _ in 0..cursor.count()? {
                    let id = cursor.long()?;
                    let value = self.value(&mut cursor, class, 0)?;
                    self.constants.insert((class, id), value);
                }
            }
            if to_previous == 0 {
                return Ok(());
            }
            // Only backwards, so that the chain ends.
            let previous = i64::try_from(position).unwrap_or(i64::MAX).checked_add(to_previous);
            let previous = previous.and_then(|at| usize::try_from(at).ok());
            position = previous
                .filter(|at| (HEADER..position).contains(at))
                .ok_or_else(|| JfrError::malformed(position, format!("constants before these at {to_previous:+}")))?;
        }
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, class: i64, depth: usize) -> Result<Value, JfrError> {
        let at = cursor.position();
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or_else(|| JfrError::malformed(at, "more values than the chunk has room for"))?;
        if depth > MAX_DEPTH {
            return Err(JfrError::malformed(at, "values nest too deep"));
        }
        match self.class(class, at)?.encoding() {
            Encoding::Byte => Ok(Value::Long(i64::from(cursor.byte()?))),
            Encoding::Long => Ok(Value::Long(cursor.long()?)),
            Encoding::Fixed(length) => cursor.take(length).map(|_| Value::Fraction),
            Encoding::Text => cursor.text().map(Value::Text),
            Encoding::Fields => {
                let fields = self.class(class, at)?.fields.clone();
                let values = fields.iter().map(|field| self.field_value(cursor, field, depth + 1));
                values.collect::<Result<_, _>>().map(Value::Fields)
            }
        }
    }

    fn field_value(&mut self, cursor: &mut Cursor<'_>, field: &Field, depth: usize) -> Result<Value, JfrError> {
        if !field.is_array {
            return self.element(cursor, field, depth);
        }
        let count = cursor.count()?;
        let elements = (0..count).map(|_| self.element(cursor, field, depth));
        elements.collect::<Result<_, _>>().map(Value::Array)
    }

    fn element(&mut self, cursor: &mut Cursor<'_>, field: &Field, depth: usize) -> Result<Value, JfrError> {
        if field.in_constant_pool {
            return cursor.long().map(Value::Long);
        }
        self.value(cursor, field.class, depth)
    }

    fn class(&self, id: i64, at: usize) -> Result<&Class, JfrError> {
        self.classes.get(&id).ok_or_else(|| JfrError::malformed(at, format!("unknown type {id}")))
    }

    fn class_named(&self, name: &'static str) -> Result<i64, JfrError> {
        let found = self.classes.iter().find(|(_, class)| class.name == name);
        found.map(|(&id, _)| id).ok_or_else(|| JfrError::malformed(0, format!("the metadata has no type {name}")))
    }

    fn constant(&self, of: &'static str, id: i64) -> Result<(i64, &Value), JfrError> {
        let class = self.class_named(of)?;
        let value = self.constants.get(&(class, id));
        value.map(|value| (class, value)).ok_or(JfrError::Unresolved { what: of, id })
    }

    fn field<'v>(&self, class: i64, value: &'v Value, name: &str) -> Option<&'v Value> {
        let Value::Fields(values) = value else { return None };
        values.get(self.classes.get(&class)?.field_index(name)?)
    }

    fn reference(&self, class: i64, value: &Value, name: &'static str) -> Result<i64, JfrError> {
        match self.field(class, value, name) {
            Some(Value::Long(id)) => Ok(*id),
            _ => Err(JfrError::malformed(0, format!("type {class} has no reference {name}"))),
        }
    }
}

/// A big-endian number of the header, whose length was checked.
fn fixed(bytes: &[u8], at: usize, length: usize) -> u64 {
    let digits = bytes.get(at..at + length).unwrap_or_default();
    digits.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
