//! Files of machine code: what is in them, and how to walk the stacks of the code. No kernel and no process is needed.
//!
//! The files are those of the programs that run on this host, and whoever runs one chooses its bytes: nothing here
//! panics, maps a file into memory, or takes more than a small multiple of the bytes that a file really has.

pub mod elf;
pub(crate) mod goroutine;
pub mod perf_map;
pub mod symbols;
pub mod unwind;
