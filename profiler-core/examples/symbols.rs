//! `symbols FILE…`: how long the tables of files take, and how large they are.

#![allow(clippy::print_stdout, reason = "it is what the program is for")]

use std::fs::File;
use std::time::Instant;

use profiler_core::native::elf::ElfFile;
use profiler_core::native::symbols::{Sources, SymbolTable};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        for lines in [false, true] {
            let started = Instant::now();
            let file = ElfFile::open(File::open(&path)?)?;
            let table = SymbolTable::build(&file, &Sources { debug: None, lines })?;
            let mut written = Vec::new();
            table.write(file.id(), &mut written)?;
            let took = started.elapsed();
            println!("{path} lines={lines}: {:?}, {} bytes, {took:?}", table.stats, written.len());
        }
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    if let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM")) {
        println!("{peak}");
    }
    Ok(())
}
