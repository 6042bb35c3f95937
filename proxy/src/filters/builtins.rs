//! The filters that are compiled in: the same sandboxed components as everyone else's.

use std::sync::{Arc, Mutex, PoisonError};

use super::{CompileError, CompiledFilter, Compiler, Engine, Source};

/// `pyroscope.relabel`'s rules; source and record of the build stand beside the file.
const RELABEL: &str = "relabel";

/// The component of a built-in filter.
pub(super) fn embedded(name: &str) -> Option<&'static [u8]> {
    (name == RELABEL).then_some(include_bytes!("../../../guest-examples/relabel.wasm"))
}

/// The engine and the built-in filters, made when first asked for: a pipeline without filters pays nothing. Clones
/// share them.
#[derive(Clone, Default)]
pub struct Builtins {
    compiler: Compiler,
    compiled: Arc<Mutex<Option<(Engine, CompiledFilter)>>>,
}

impl Builtins {
    /// Compiled by this compiler.
    pub fn new(compiler: Compiler) -> Self {
        Self { compiler, compiled: Arc::default() }
    }

    /// The filter behind `pyroscope.relabel`. The first call takes about a second.
    pub fn relabel(&self) -> Result<(Engine, CompiledFilter), CompileError> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = compiled.as_ref() {
            return Ok(ready.clone());
        }
        let engine = Engine::new()?;
        let relabel = engine.compile(&self.compiler, Source::Builtin(RELABEL))?;
        Ok(compiled.insert((engine, relabel)).clone())
    }
}
