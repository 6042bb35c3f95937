//! Over memory that is made up.

use std::collections::BTreeMap;

use super::Method;
use super::contracts::Contracts;
use super::entry_points::EntryPoints;
use super::layout::Layout;
use super::metadata::Metadata;
use super::sections::{Kind, Section, Sections};
use super::version::Version;
use crate::native::elf::Machine;
use crate::runtime::memory::ReadMemory;

/// Bytes, by their addresses.
#[derive(Default)]
struct Memory(BTreeMap<u64, u8>);

impl Memory {
    fn put(&mut self, address: u64, bytes: &[u8]) {
        self.0.extend((address..).zip(bytes.iter().copied()));
    }

    fn put_words(&mut self, address: u64, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(address, &bytes);
    }
}

impl ReadMemory for Memory {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        let found = |(byte, address): (&mut u8, u64)| self.0.get(&address).map(|found| *byte = *found);
        into.iter_mut().zip(address..).all(|place| found(place).is_some())
    }
}

/// What 9.0 says of itself.
const OF_9: &str = r#"{"types":{"Module":{"Base":288},"MethodTable":{"Module":24},
    "MethodDesc":{"ChunkIndex":2,"Flags":6,"Flags3AndTokenRemainder":0},
    "MethodDescChunk":{"!":24,"MethodTable":0,"FlagsAndTokenRange":18},"DynamicMethodDesc":{"MethodName":32}},
    "globals":{"MethodDescTokenRemainderBitCount":["0xc","uint8"],"MethodDescAlignment":["0x8","uint64"]},
    "contracts":{"Loader":1,"RuntimeTypeSystem":1}}"#;

fn contracts(text: &str) -> Contracts {
    let mut memory = Memory::default();
    memory.put_words(0x1000, &[0x0043_4144_4343_4e44, 1 | (text.len() as u64) << 32, 0x2000, 0, 0]);
    memory.put(0x2000, text.as_bytes());
    Contracts::read(&memory, 0x1000).unwrap()
}

fn layout() -> Layout {
    Layout::of(Version::V9, Machine::X86_64, &contracts(OF_9)).unwrap()
}

#[test]
fn what_a_process_does_not_say_is_in_tables_of_its_version_alone() {
    let layout = layout();
    assert_eq!((layout.module.base, layout.module.image, layout.header_method), (288, 0x3d8, 0x18));
    for (version, machine) in [(Version::V10, Machine::X86_64), (Version::V9, Machine::Aarch64)] {
        let refused = Layout::of(version, machine, &contracts(OF_9)).unwrap_err().to_string();
        assert_eq!(refused, "ExecutionManager of version None is not known");
    }
    let newer = OF_9.replace("\"Loader\":1", "\"Loader\":7");
    let refused = Layout::of(Version::V9, Machine::X86_64, &contracts(&newer)).unwrap_err().to_string();
    assert_eq!(refused, "Loader of version Some(7) is not known");
    let less = OF_9.replace("ChunkIndex", "Index");
    let refused = Layout::of(Version::V9, Machine::X86_64, &contracts(&less)).unwrap_err().to_string();
    assert_eq!(refused, "it does not say where MethodDesc.ChunkIndex is");
}

#[test]
fn sections_are_found_by_any_of_their_addresses() {
    let (layout, mut memory) = (layout(), Memory::default());
    // Levels, each with one entry, and two fragments behind the last one.
    let address: u64 = 0x7f25_a53e_0000;
    for (depth, level) in (0..5).rev().zip([0x1_0000, 0x2_0000, 0x3_0000, 0x4_0000, 0x5_0000]) {
        memory.put_words(level, &[0; 256]);
        memory.put_words(level + 8 * (address >> (17 + 8 * depth) & 0xff), &[(level + 0x1_0000) | 1]);
    }
    memory.put_words(0x6_0000, &[0x6_1000, address, address + 0x100, 0x7_0000]);
    memory.put_words(0x6_1000, &[0, address + 0x100, address + 0x200, 0x8_0000]);
    memory.put_words(0x7_0000, &[address, 0, 0, 0, 0x70, 0, 0]);
    memory.put_words(0x8_0000, &[address + 0x100, 0, 2, 0, 0, 0x9_0000, 0]);
    let sections = Sections { memory: &memory, layout: &layout, root: 0x1_0000 };
    let kind = |address| sections.at(address).map(|section| (section.start, section.kind));
    assert_eq!(kind(address + 0xff), Some((address, Kind::Image(0x70))));
    assert_eq!(kind(address + 0x100), Some((address + 0x100, Kind::Heap(0x9_0000))));
    assert_eq!([kind(address + 0x200), kind(address - 1), kind(0)], [None; 3]);
    assert_eq!(sections.first().len(), 2);

    // Methods at 16 and at 304, and a word that leads back.
    let mut nibbled = Memory::default();
    nibbled.put_words(0x9_0000, &[0, 0, 0, 0, address, 0x9_1000]);
    nibbled.put_words(0x9_1000, &[0x5000_0000 | 0x0500_0000 << 32, u64::from(256u32 | 9)]);
    let sections = Sections { memory: &nibbled, layout: &layout, root: 0 };
    let section = Section { start: address, kind: Kind::Heap(0x9_0000) };
    assert_eq!(sections.methods_of(&section), Some(vec![address + 16, address + 304]));
}

#[test]
fn parts_of_a_method_that_was_compiled_ahead_are_of_it() {
    let (layout, mut memory) = (layout(), Memory::default());
    let (image, base, buckets) = (0x1000, 0x10_0000, 0x2000);
    memory.put_words(image + 0x50, &[0x3000, 3]);
    memory.put_words(image + 0x1b0 + 0x10, &[buckets]);
    for (place, begin) in [0x100u32, 0x140, 0x200].into_iter().enumerate() {
        memory.put(0x3000 + 12 * place as u64, &begin.to_le_bytes());
    }
    // Two methods, whose keys collide, in five buckets.
    memory.put_words(buckets, &[5, 0, 0, 0, 0, 0, 0, 0]);
    (1..=5).for_each(|bucket| memory.put_words(buckets + 64 * bucket, &[0; 8]));
    let first = base + 0x100;
    let (place, step) = ((first >> 2) % 5, 1 + ((first >> 5) + 1) % 4);
    memory.put_words(buckets + 64 * (1 + place), &[8, 8, 8, 8, 1 << 63, 0, 0, 0]);
    memory.put_words(buckets + 64 * (1 + (place + step) % 5), &[0, first, 0, 0, 0, 0x8000 >> 1, 0, 0]);
    let points = EntryPoints { memory: &memory, layout: &layout, image, base };
    assert_eq!(points.method(first), Some(0x8000));
    assert_eq!(points.method(base + 0x140), Some(0x8000));
    assert_eq!(points.method(base + 0x90), None);
}

#[test]
fn names_have_namespaces_and_the_types_around_a_type() {
    for is_loaded in [true, false] {
        let mut memory = Memory::default();
        assembly(&mut memory, 0x4_0000, is_loaded);
        let metadata = Metadata::read(&memory, 0x4_0000).unwrap();
        let name = |number| metadata.method(&memory, number);
        let method = |name: &str| Some(Method { name: name.to_owned(), file: "a.dll".to_owned() });
        assert_eq!(name(1), method("Shop.Cart.Total"));
        assert_eq!(name(2), method("Shop.Cart+Line.Price"));
        assert_eq!([name(0), name(3)], [None, None]);
    }
    assert!(Metadata::read(&Memory::default(), 0x4_0000).is_none());
}

/// Of two types and two methods, whose metadata are where a section of the file asks to be, or where the file has it.
fn assembly(memory: &mut Memory, base: u64, is_loaded: bool) {
    const SECTION: u32 = 0x2000;
    let at = base + if is_loaded { u64::from(SECTION) } else { 0x400 };
    memory.put(base, b"MZ");
    memory.put(base + 0x3c, &0x80u32.to_le_bytes());
    let headers = base + 0x80;
    memory.put(headers, &[0; 24]);
    memory.put(headers, b"PE\0\0");
    memory.put(headers + 6, &[1, 0]);
    memory.put(headers + 20, &[0xe0, 0]);
    memory.put(headers + 24, &[0x0b, 0x01]);
    memory.put(headers + 24 + 96 + 8 * 14, &SECTION.to_le_bytes());
    let section = [0x1000, SECTION, 0x1000, 0x400].map(u32::to_le_bytes).concat();
    memory.put(headers + 24 + 0xe0 + 8, &section);
    memory.put(at, &[0; 0x48]);
    memory.put(at + 8, &(SECTION + 0x48).to_le_bytes());

    let root = at + 0x48;
    let mut text = b"BSJB".to_vec();
    text.extend([[0; 8], [4, 0, 0, 0, b'v', b'4', 0, 0]].concat());
    text.extend([0, 0, 2, 0]);
    for (place, name) in [(0x80u32, &b"#~\0\0"[..]), (0x180, b"#Strings\0\0\0\0")] {
        text.extend([place.to_le_bytes(), [0; 4]].concat());
        text.extend(name);
    }
    memory.put(root, &text);
    let strings = b"\0a.dll\0Shop\0Cart\0Line\0Total\0Price\0";
    memory.put(root + 0x180, strings);
    memory.put(root + 0x180 + strings.len() as u64, &[0; 64]);
    // Module, two of TypeDef, two of MethodDef, one of NestedClass; everything is narrow.
    let there = 1u64 | 1 << 2 | 1 << 6 | 1 << 0x29;
    let mut tables = [[0; 8], there.to_le_bytes(), [0; 8]].concat();
    tables.extend([1u32, 2, 2, 1].map(u32::to_le_bytes).concat());
    let short = |numbers: &[u16]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    tables.extend(short(&[0, 1, 0, 0, 0]));
    tables.extend(short(&[0, 0, 12, 7, 0, 1, 1]));
    tables.extend(short(&[0, 0, 17, 0, 0, 1, 2]));
    tables.extend(short(&[0, 0, 0, 0, 22, 0, 1]));
    tables.extend(short(&[0, 0, 0, 0, 28, 0, 1]));
    tables.extend(short(&[2, 1]));
    memory.put(root + 0x80, &tables);
}
