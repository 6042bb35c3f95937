//! The names of what was sampled, as whoever collects samples asks for them.

use std::fs;
use std::sync::Arc;

use profiler_core::kernel::FrameKind;
use profiler_core::sampler::{Sampler, Scope, Settings, Trace};
use profiler_core::symbolizer::{Demangle, SymbolSettings, Symbolizer, address_of_call};
use tempfile::TempDir;

use super::program::Target;
use crate::{PATIENCE, settled, wait_for};

struct Named {
    symbolizer: Arc<Symbolizer>,
    sampler: Sampler,
    stacks: Vec<Trace>,
}

impl Named {
    /// Samples a program until its tables are made.
    fn sample(target: &Target, cache: &TempDir) -> Self {
        let symbolizer = Arc::new(
            Symbolizer::new(SymbolSettings {
                cache: cache.path().to_owned(),
                cache_bytes: 256 << 20,
                memory_bytes: 1 << 20,
                demangle: Demangle::None,
                lines: false,
            })
            .unwrap(),
        );
        let sampler = Sampler::start(&Settings {
            sample_rate: 499,
            symbolizer: Some(Arc::clone(&symbolizer)),
            ..Settings::new(Scope::Pids(vec![target.pid()]))
        });
        let sampler = sampler.unwrap();
        let stacks = settled(&sampler, target.pid());
        assert!(symbolizer.wait(PATIENCE));
        Self { symbolizer, sampler, stacks }
    }

    /// Whether a stack goes through these functions, from the innermost out.
    fn has(&self, expected: [&str; 3]) -> bool {
        let is_in = |functions: Vec<String>| {
            let mut functions = functions.iter();
            expected.iter().all(|expected| functions.any(|function| function == expected))
        };
        self.stacks.iter().any(|trace| is_in(self.functions(trace)))
    }

    /// Of each native frame the function that is not inlined; empty where it is not known.
    fn functions(&self, trace: &Trace) -> Vec<String> {
        let native = trace.user.iter().filter(|frame| frame.kind == FrameKind::Native);
        native
            .map(|frame| {
                let mut name = String::new();
                if let Some(id) = self.sampler.file(frame.file).and_then(|file| file.id) {
                    self.symbolizer.user(id, address_of_call(frame), |function| name = function.name.to_owned());
                }
                name
            })
            .collect()
    }
}

/// Through the program, through libc, and back.
const STACK: [&str; 3] = ["heavy", "compare", "main"];

#[test]
fn functions_have_names() {
    let target = Target::start(&[]);
    let cache = TempDir::new().unwrap();
    let named = Named::sample(&target, &cache);
    assert!(named.has(STACK), "{:?}", named.stacks.first().map(|trace| named.functions(trace)));
}

#[test]
fn tables_that_were_lost_are_made_again_while_the_program_runs() {
    let target = Target::start(&[]);
    let cache = TempDir::new().unwrap();
    let named = Named::sample(&target, &cache);
    let made = named.symbolizer.made().tables;
    assert!(made > 0);
    for table in fs::read_dir(cache.path()).unwrap() {
        fs::write(table.unwrap().path(), "no table").unwrap();
    }
    assert!(!named.has(STACK));
    wait_for(|| named.has(STACK));
    assert!(named.symbolizer.made().tables > made);
}
