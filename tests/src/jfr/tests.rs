use super::*;

const STRING: i64 = 3;
const SYMBOL: i64 = 5;
const CLASS: i64 = 6;
const METHOD: i64 = 7;
const STACK_TRACE: i64 = 9;
const SAMPLE: i64 = 100;

/// Type id, name, fields: (name, type, in the constant pool, array).
type Type = (i64, &'static str, &'static [(&'static str, i64, bool, bool)]);
const TYPES: [Type; 10] = [
    (1, "long", &[]),
    (2, "int", &[]),
    (STRING, "java.lang.String", &[]),
    (4, "boolean", &[]),
    (SYMBOL, "jdk.types.Symbol", &[("string", STRING, false, false)]),
    (CLASS, "java.lang.Class", &[("name", SYMBOL, true, false)]),
    (METHOD, "jdk.types.Method", &[("type", CLASS, true, false), ("name", SYMBOL, true, false)]),
    (8, "jdk.types.StackFrame", &[("method", METHOD, true, false), ("lineNumber", 2, false, false)]),
    (STACK_TRACE, "jdk.types.StackTrace", &[("truncated", 4, false, false), ("frames", 8, false, true)]),
    (SAMPLE, "jdk.ExecutionSample", &[("startTime", 1, false, false), ("stackTrace", STACK_TRACE, true, false)]),
];

fn long(mut value: u64, to: &mut Vec<u8>) {
    while value > 0x7f {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn longs(values: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().for_each(|&value| long(value as u64, &mut bytes));
    bytes
}

fn text(value: &str) -> Vec<u8> {
    [&[3, value.len() as u8], value.as_bytes()].concat()
}

/// An event with its size in front, which counts itself.
fn event(content: &[u8]) -> Vec<u8> {
    let size = content.len() + if content.len() < 127 { 1 } else { 2 };
    [longs(&[size as i64]), content.to_vec()].concat()
}

#[derive(Default)]
struct Metadata {
    strings: Vec<String>,
    tree: Vec<u8>,
}

impl Metadata {
    fn element(&mut self, name: &str, attributes: &[(&str, String)], children: usize) {
        let name = self.string(name);
        let mut tree = longs(&[name, attributes.len() as i64]);
        for (key, value) in attributes {
            let (key, value) = (self.string(key), self.string(value));
            tree.extend(longs(&[key, value]));
        }
        tree.extend(longs(&[children as i64]));
        self.tree.extend(tree);
    }

    fn string(&mut self, text: &str) -> i64 {
        let found = self.strings.iter().position(|known| known == text);
        found.unwrap_or_else(|| {
            self.strings.push(text.to_owned());
            self.strings.len() - 1
        }) as i64
    }

    fn event() -> Vec<u8> {
        let mut metadata = Self::default();
        metadata.element("root", &[], 1);
        metadata.element("metadata", &[], TYPES.len());
        for (id, name, fields) in TYPES {
            let attributes = [("id", id.to_string()), ("name", name.to_owned())];
            metadata.element("class", &attributes, fields.len());
            for (name, class, pooled, array) in fields {
                let mut attributes = vec![("name", (*name).to_owned()), ("class", class.to_string())];
                if *pooled {
                    attributes.push(("constantPool", "true".to_owned()));
                }
                if *array {
                    attributes.push(("dimension", "1".to_owned()));
                }
                metadata.element("field", &attributes, 0);
            }
        }
        let strings = metadata.strings.iter().flat_map(|string| text(string));
        let mut content = longs(&[0, 1, 0, 1, metadata.strings.len() as i64]);
        content.extend(strings);
        content.extend(metadata.tree);
        event(&content)
    }
}

/// A chunk with one sample of `com/Busy.burn`; `method` is what its frame names.
fn chunk(method: i64) -> Vec<u8> {
    let pool = |class: i64, entries: &[Vec<u8>]| [longs(&[class, entries.len() as i64]), entries.concat()].concat();
    let constants = event(
        &[
            longs(&[1, 1, 0, 0, 0, 4]),
            pool(SYMBOL, &[[longs(&[1]), text("com/Busy")].concat(), [longs(&[2]), text("burn")].concat()]),
            pool(CLASS, &[longs(&[1, 1])]),
            pool(METHOD, &[longs(&[1, 1, 2])]),
            pool(STACK_TRACE, &[longs(&[1, 0, 1, method, 10])]),
        ]
        .concat(),
    );
    let metadata = Metadata::event();
    let sample = event(&longs(&[SAMPLE, 5, 1]));
    let header = 68;
    let constants_at = header + metadata.len();
    let size = constants_at + constants.len() + sample.len();
    let mut bytes = b"FLR\0\0\x02\0\x01".to_vec();
    let numbers = [size, constants_at, header, 0, 0, 0, 1_000_000_000];
    numbers.iter().for_each(|&number| bytes.extend((number as u64).to_be_bytes()));
    bytes.extend(1_u32.to_be_bytes());
    [bytes, metadata, constants, sample].concat()
}

#[test]
fn chunks_in_a_row() {
    let one = chunk(1);
    let recording = read(&[one.clone(), one].concat()).unwrap();
    let expected = Recording {
        chunks: 2,
        events: BTreeMap::from([("jdk.ExecutionSample".to_owned(), 2)]),
        sampled: BTreeSet::from(["jdk.ExecutionSample".to_owned()]),
        functions: BTreeSet::from(["com.Busy.burn".to_owned()]),
    };
    assert_eq!(recording, expected);
}

#[test]
fn refusals_say_what_is_wrong() {
    let damaged = |at: usize, byte: u8| {
        let mut bytes = chunk(1);
        bytes[at] = byte;
        bytes
    };
    let cases = [
        (Vec::new(), "the JFR is empty"),
        (b"PK\x03\x04".to_vec(), "no chunk begins here"),
        (b"FLR\0".to_vec(), "the chunk header is cut off"),
        (damaged(5, 1), "JFR version 1, not 2"),
        (damaged(67, 0), "integers are not compressed"),
        (damaged(12, 1), "the chunk announces"),
        (damaged(23, 0), "event type"),
        (chunk(7), "jdk.types.Method 7 is in no constant pool"),
        ([chunk(1), b"rest".to_vec()].concat(), "no chunk begins here"),
    ];
    for (bytes, says) in cases {
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains(says), "expected {says:?}, got {error:?}");
    }
}

#[test]
fn no_prefix_is_a_recording() {
    let bytes = chunk(1);
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "the first {length} bytes");
    }
}

#[test]
fn any_damaged_byte_is_refused_or_read_but_never_panics() {
    let bytes = chunk(1);
    let mut refused = 0;
    for at in 0..bytes.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1] {
            let mut damaged = bytes.clone();
            damaged[at] = byte;
            refused += usize::from(read(&damaged).is_err());
        }
    }
    assert!(refused > bytes.len(), "only {refused} of {} damages were refused", bytes.len() * 6);
}
