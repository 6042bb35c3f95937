//! Writes small recordings, byte by byte as the format says.

/// A class, its fields, and of what class each is: `*` before a class is an id in its pool, `[]` behind it an array.
type Described = (u64, &'static str, &'static [(&'static str, &'static str)]);

const CLASSES: [Described; 16] = [
    (1, "boolean", &[]),
    (2, "int", &[]),
    (3, "long", &[]),
    (4, "java.lang.String", &[]),
    (5, "jdk.types.Symbol", &[("string", "java.lang.String")]),
    (6, "java.lang.Class", &[("name", "*jdk.types.Symbol")]),
    (7, "jdk.types.Method", &[("type", "*java.lang.Class"), ("name", "*jdk.types.Symbol")]),
    (8, "jdk.types.StackFrame", &[("method", "*jdk.types.Method"), ("lineNumber", "int")]),
    (9, "jdk.types.StackTrace", &[("truncated", "boolean"), ("frames", "jdk.types.StackFrame[]")]),
    (10, "jdk.types.ThreadState", &[("name", "java.lang.String")]),
    (11, "java.lang.Thread", &[("osName", "java.lang.String"), ("javaName", "java.lang.String")]),
    (12, "double", &[]),
    (
        EXECUTION,
        "jdk.ExecutionSample",
        &[
            ("sampledThread", "*java.lang.Thread"),
            ("noise", "double[]"),
            ("stackTrace", "*jdk.types.StackTrace"),
            ("state", "*jdk.types.ThreadState"),
            ("contextId", "long"),
            ("spanId", "long"),
            ("spanName", "long"),
        ],
    ),
    (SETTING, "jdk.ActiveSetting", &[("id", "long"), ("name", "java.lang.String"), ("value", "java.lang.String")]),
    (
        MONITOR,
        "jdk.JavaMonitorEnter",
        &[("duration", "long"), ("eventThread", "*java.lang.Thread"), ("stackTrace", "*jdk.types.StackTrace")],
    ),
    (
        WALL,
        "profiler.WallClockSample",
        &[
            ("sampledThread", "*java.lang.Thread"),
            ("stackTrace", "*jdk.types.StackTrace"),
            ("state", "*jdk.types.ThreadState"),
            ("samples", "int"),
        ],
    ),
];
const EXECUTION: u64 = 101;
const SETTING: u64 = 102;
const MONITOR: u64 = 103;
const WALL: u64 = 104;

/// Ticks a second of the recordings' clocks.
const TICKS: u64 = 2_000_000_000;
/// In bytes.
pub(super) const HEADER: usize = 68;

/// Writes one chunk.
pub(super) struct Writer {
    compressed: bool,
    bytes: Vec<u8>,
    metadata: u64,
    constants: u64,
}

/// The class of a pool, and what writes its values.
type Pool<'p> = (u64, &'p dyn Fn(&mut Writer));

/// How a text is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text<'t> {
    None,
    Empty,
    Pooled(u64),
    Utf8(&'t str),
    Chars(&'t str),
    Latin(&'t [u8]),
}

impl Writer {
    /// A chunk with its metadata.
    pub(super) fn new(compressed: bool) -> Self {
        let mut writer = Self { compressed, bytes: vec![0; HEADER], metadata: 0, constants: 0 };
        writer.metadata = writer.event(0, Self::describe);
        writer
    }

    /// The chunk, whole.
    pub(super) fn finish(self) -> Vec<u8> {
        let size = self.bytes.len() as u64;
        let [constants, metadata] = [self.constants, self.metadata];
        self.finish_as(size, constants, metadata)
    }

    /// The chunk with what its header says.
    pub(super) fn finish_as(mut self, size: u64, constants: u64, metadata: u64) -> Vec<u8> {
        let mut header = b"FLR\0\0\x02\0\x01".to_vec();
        // From the year 2020 on, for a second.
        for number in [size, constants, metadata, 1_577_836_800_000_000_000, 1_000_000_000, 7, TICKS] {
            header.extend(number.to_be_bytes());
        }
        header.extend(u32::from(self.compressed).to_be_bytes());
        self.bytes[..HEADER].copy_from_slice(&header);
        self.bytes
    }

    pub(super) fn execution(&mut self, thread: u64, stack: u64, state: u64, [context, span, name]: [u64; 3]) {
        self.event(EXECUTION, |writer| {
            writer.long(thread);
            writer.int(1);
            writer.bytes.extend(1.5f64.to_be_bytes());
            writer.longs(&[stack, state, context, span, name]);
        });
    }

    pub(super) fn wall(&mut self, stack: u64, state: u64, samples: u64) {
        self.event(WALL, |writer| {
            writer.longs(&[0, stack, state]);
            writer.int(samples);
        });
    }

    pub(super) fn monitor(&mut self, ticks: u64, stack: u64) {
        self.event(MONITOR, |writer| writer.longs(&[ticks, 0, stack]));
    }

    pub(super) fn setting(&mut self, class: u64, name: Text<'_>, value: Text<'_>) {
        self.event(SETTING, |writer| {
            writer.long(class);
            writer.text(name);
            writer.text(value);
        });
    }

    /// An event of constants, after those that were written before.
    pub(super) fn constants(&mut self, pools: &[Pool<'_>]) {
        let before = self.constants;
        let at = self.bytes.len() as u64;
        self.constants = self.event(1, |writer| {
            writer.longs(&[0, 0]);
            writer.long(if before == 0 { 0 } else { before.wrapping_sub(at) });
            writer.bytes.push(0);
            writer.int(pools.len() as u64);
            for (class, values) in pools {
                writer.long(*class);
                values(writer);
            }
        });
    }

    /// Two methods, `a/B.run` and `a/B.<init>`, in two stacks: 1 is the first of them, and the second under it; 2 is the
    /// first, and was cut. Threads 1 and 2 are `main`, and `[kernel]`, which is none of Java.
    pub(super) fn usual_constants(&mut self, texts: [Text<'_>; 3]) {
        self.constants(&[
            (4, &|writer| writer.pool(&[9], |writer, _| writer.text(Text::Utf8("pooled")))),
            (5, &|writer| writer.pool(&[1, 2, 3], |writer, id| writer.text(texts[id as usize - 1]))),
        ]);
        self.constants(&[
            (6, &|writer| writer.pool(&[1], |writer, _| writer.long(1))),
            (7, &|writer| {
                writer.pool(&[1, 2], |writer, id| {
                    writer.long(1);
                    writer.long(id + 1);
                })
            }),
            (9, &|writer| {
                writer.pool(&[1, 2], |writer, id| {
                    writer.bytes.push(u8::from(id == 2));
                    let frames: &[(u64, u64)] = if id == 1 { &[(1, 10), (2, 4_294_967_295)] } else { &[(1, 10)] };
                    writer.int(frames.len() as u64);
                    for (method, line) in frames {
                        writer.long(*method);
                        writer.int(*line);
                    }
                })
            }),
            (10, &|writer| {
                writer.pool(&[1, 2, 3], |writer, id| {
                    writer.text(Text::Utf8(["STATE_RUNNABLE", "STATE_SLEEPING", "STATE_DEFAULT"][id as usize - 1]));
                })
            }),
            (11, &|writer| {
                writer.pool(&[1, 2], |writer, id| {
                    writer.text(Text::Utf8(["", "[kernel]"][id as usize - 1]));
                    writer.text([Text::Utf8("main"), Text::Empty][id as usize - 1]);
                })
            }),
        ]);
    }

    fn pool(&mut self, ids: &[u64], value: impl Fn(&mut Self, u64)) {
        self.int(ids.len() as u64);
        for id in ids {
            self.long(*id);
            value(self, *id);
        }
    }

    /// Hands back where it stands.
    fn event(&mut self, class: u64, fields: impl FnOnce(&mut Self)) -> u64 {
        let start = self.bytes.len();
        // The size comes last: four bytes, which both ways of writing numbers can fill.
        self.bytes.extend([0; 4]);
        self.long(class);
        fields(self);
        let size = self.bytes.len() - start;
        let written = match self.compressed {
            true => [0, 7, 14, 21].map(|bits| (size >> bits & 0x7f) as u8 | if bits < 21 { 0x80 } else { 0 }),
            false => (size as u32).to_be_bytes(),
        };
        self.bytes[start..start + 4].copy_from_slice(&written);
        start as u64
    }

    fn describe(&mut self) {
        self.longs(&[0, 0, 0]);
        let mut texts = vec!["root", "class", "field", "id", "name", "constantPool", "dimension", "true"];
        let ids = CLASSES.map(|(id, ..)| id.to_string());
        texts.extend(ids.iter().map(String::as_str));
        texts.extend(CLASSES.iter().map(|(_, name, _)| *name));
        texts.extend(CLASSES.iter().flat_map(|(_, _, fields)| fields.iter().map(|(name, _)| *name)));
        self.int(texts.len() as u64);
        texts.iter().for_each(|text| self.text(Text::Utf8(text)));
        let place = |text: &str| texts.iter().position(|known| *known == text).unwrap() as u64;
        let id_of = |class: &str| CLASSES.iter().find(|(_, name, _)| *name == class).unwrap().0.to_string();
        let element = |writer: &mut Self, name: &str, attributes: &[(&str, &str)], children: usize| {
            writer.int(place(name));
            writer.int(attributes.len() as u64);
            for (key, value) in attributes {
                writer.int(place(key));
                writer.int(place(value));
            }
            writer.int(children as u64);
        };
        element(self, "root", &[], CLASSES.len());
        for (id, name, fields) in CLASSES {
            element(self, "class", &[("id", &id.to_string()), ("name", name)], fields.len());
            for (name, class) in fields {
                let id = id_of(class.trim_start_matches('*').trim_end_matches("[]"));
                let mut attributes = vec![("name", *name), ("class", id.as_str())];
                attributes.extend(class.starts_with('*').then_some(("constantPool", "true")));
                attributes.extend(class.ends_with("[]").then_some(("dimension", "1")));
                element(self, "field", &attributes, 0);
            }
        }
    }

    fn int(&mut self, number: u64) {
        match self.compressed {
            true => self.varint(number),
            false => self.bytes.extend((number as u32).to_be_bytes()),
        }
    }

    fn longs(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|number| self.long(*number));
    }

    fn long(&mut self, number: u64) {
        match self.compressed {
            true => self.varint(number),
            false => self.bytes.extend(number.to_be_bytes()),
        }
    }

    /// Seven bits a byte, and eight in the ninth.
    fn varint(&mut self, mut number: u64) {
        for _ in 0..8 {
            if number < 0x80 {
                return self.bytes.push(number as u8);
            }
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn text(&mut self, text: Text<'_>) {
        let (encoding, bytes) = match text {
            Text::None => return self.bytes.push(0),
            Text::Empty => return self.bytes.push(1),
            Text::Pooled(id) => {
                self.bytes.push(2);
                return self.long(id);
            }
            Text::Chars(text) => {
                self.bytes.push(4);
                self.int(text.encode_utf16().count() as u64);
                return text.encode_utf16().for_each(|char| match self.compressed {
                    true => self.varint(u64::from(char)),
                    false => self.bytes.extend(char.to_be_bytes()),
                });
            }
            Text::Utf8(text) => (3, text.as_bytes()),
            Text::Latin(text) => (5, text),
        };
        self.bytes.push(encoding);
        self.int(bytes.len() as u64);
        self.bytes.extend(bytes);
    }
}
