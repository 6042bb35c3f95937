//! Names of functions, from the symbol tables of the files themselves.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use object::{Object, ObjectSymbol};
use profiler_core::kernel::{Frame, FrameKind};
use profiler_core::sampler::Sampler;

type Symbols = BTreeMap<u64, String>;

pub(crate) struct Names<'a> {
    sampler: &'a Sampler,
    files: RefCell<HashMap<String, Symbols>>,
}

impl<'a> Names<'a> {
    pub(crate) fn of(sampler: &'a Sampler) -> Self {
        Self { sampler, files: RefCell::default() }
    }

    /// The function's name, or the file's and an address.
    pub(crate) fn of_frame(&self, frame: &Frame) -> String {
        let file = self.sampler.file(frame.file).filter(|_| frame.kind == FrameKind::Native);
        let Some(file) = file else { return format!("{}+{:#x}", frame.kind.text(), frame.address) };
        let address = frame.address - u64::from(frame.caller);
        let mut files = self.files.borrow_mut();
        let symbols = files.entry(file.path.clone()).or_insert_with(|| symbols(&file.path));
        match symbols.range(..=address).next_back() {
            Some((_, name)) => name.clone(),
            None => format!("{}+{address:#x}", file.path),
        }
    }
}

/// None of a file that is none: the vDSO.
fn symbols(path: &str) -> Symbols {
    let Ok(bytes) = std::fs::read(path) else { return Symbols::new() };
    let file = object::read::elf::ElfFile64::<object::Endianness>::parse(&*bytes).unwrap();
    file.symbols()
        .filter(|symbol| symbol.is_definition() && symbol.kind() == object::SymbolKind::Text)
        .map(|symbol| (symbol.address(), symbol.name().unwrap().to_owned()))
        .collect()
}
