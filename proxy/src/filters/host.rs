//! What all filters of a process share: the engine, the compiler, the compiled modules, the threads for slow calls.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::code_store::CodeStore;
use super::compiler::{CodeOrigin, Source};
use super::engine::{self, Engine};
use super::pool::Pool;
use super::world::{Capability, Linked, World};
use super::{Builtin, CompileError, Compiler, ConfigureError, Digest};

/// Most bytes of a component. The largest interpreters take 18 MB.
pub const MAX_COMPONENT: u64 = 64 << 20;

/// The engine and what it has compiled, made when first asked for: a pipeline without filters pays nothing. Clones
/// share them.
#[derive(Clone, Default)]
pub struct FilterHost(Arc<Shared>);

#[derive(Default)]
struct Shared {
    compiler: Compiler,
    /// Whether calls are to say how much they took.
    counts_fuel: bool,
    /// Where compiled code is kept.
    code_folder: Option<PathBuf>,
    /// That folder, once it was opened; none where there is none or it cannot be used.
    code_store: OnceLock<Option<CodeStore>>,
    engine: Mutex<Option<Engine>>,
    builtins: Mutex<BTreeMap<&'static str, Module>>,
    /// Modules that something runs.
    modules: Mutex<HashMap<Digest, Weak<Compiled>>>,
    pool: Pool,
}

/// A component that fits the contract, compiled. Clones share the code.
#[derive(Clone)]
pub struct Module(Arc<Compiled>);

struct Compiled {
    engine: Engine,
    code: Linked,
    digest: Digest,
}

impl FilterHost {
    /// Compiles with this compiler, and keeps the code in this folder; both are touched when first needed.
    pub fn new(compiler: Compiler, code_folder: Option<PathBuf>) -> Self {
        Self(Arc::new(Shared { compiler, code_folder, ..Shared::default() }))
    }

    /// For tools: compiles in this process, keeps no code, and counts the fuel that calls take.
    pub fn for_tools() -> Self {
        Self(Arc::new(Shared { counts_fuel: true, ..Shared::default() }))
    }

    /// A filter that is compiled in. The first call takes about a second, where no folder has its code.
    pub fn builtin(&self, builtin: Builtin) -> Result<(Module, CodeOrigin), CompileError> {
        // Held while it is compiled: who comes meanwhile wants the same.
        let mut builtins = locked(&self.0.builtins);
        if let Some(ready) = builtins.get(builtin.name) {
            return Ok((ready.clone(), CodeOrigin::Memory));
        }
        let (module, origin) = self.compile(Source::Builtin(builtin), builtin.digest())?;
        builtins.insert(builtin.name, module.clone());
        Ok((module, origin))
    }

    /// The filter in these bytes. Takes seconds where neither memory nor folder has its code; not to be called on a
    /// thread that serves.
    pub fn load(&self, component: &[u8]) -> Result<(Module, CodeOrigin), CompileError> {
        let digest = Digest::of(component);
        if let Some(running) = locked(&self.0.modules).get(&digest).and_then(Weak::upgrade) {
            return Ok((Module(running), CodeOrigin::Memory));
        }
        let (module, origin) = self.compile(Source::Bytes(component), digest)?;
        let mut modules = locked(&self.0.modules);
        modules.retain(|_, module| module.strong_count() > 0);
        modules.insert(digest, Arc::downgrade(&module.0));
        Ok((module, origin))
    }

    /// Does what takes long on the threads of low priority on which slow calls of filters are made; `None` where too much
    /// waits for them already.
    pub async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.pool().run(work).await
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    fn compile(&self, source: Source<'_>, digest: Digest) -> Result<(Module, CodeOrigin), CompileError> {
        let engine = self.engine()?;
        let store = self.0.code_store.get_or_init(|| self.open_store()).as_ref();
        let (code, origin) = engine.compile(&self.0.compiler, source, digest, store)?;
        Ok((Module(Arc::new(Compiled { engine, code, digest })), origin))
    }

    fn engine(&self) -> Result<Engine, CompileError> {
        let mut shared = locked(&self.0.engine);
        match shared.as_ref() {
            Some(engine) => Ok(engine.clone()),
            None => {
                let config = if self.0.counts_fuel { engine::tool_config() } else { engine::config() };
                Ok(shared.insert(Engine::new(&config)?).clone())
            }
        }
    }

    fn open_store(&self) -> Option<CodeStore> {
        let opened = CodeStore::open(self.0.code_folder.as_deref()?);
        opened.inspect_err(|error| tracing::warn!(err = %error, "filters are compiled anew in each start")).ok()
    }
}

impl Module {
    /// The digest of the component.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// The world that it fits.
    pub fn world(&self) -> World {
        self.0.code.world()
    }

    /// What it is to be granted before it runs.
    pub fn needs(&self) -> Vec<Capability> {
        self.0.code.needs()
    }

    /// Whether it was granted what it needs.
    pub(super) fn check_granted(&self, granted: &[Capability]) -> Result<(), ConfigureError> {
        match self.needs().into_iter().find(|needed| !granted.contains(needed)) {
            Some(missing) => Err(ConfigureError::Ungranted(missing.name())),
            None => Ok(()),
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(super) fn code(&self) -> &Linked {
        &self.0.code
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
