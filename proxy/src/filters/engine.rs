//! One engine for all filters: compiles them, and interrupts them when their time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::Digest;
use super::code_store::CodeStore;
use super::compiler::{CodeOrigin, Compiler, Source};
use super::instance::HostState;
use super::world::Linked;

/// How long an epoch lasts: a filter is interrupted at most this much after its deadline.
pub(super) const EPOCH: Duration = Duration::from_millis(10);
/// The most memory that any instance may have. Address space is reserved for it, memory is not.
pub const MAX_MEMORY: usize = 256 << 20;
/// Instances of all filters together: for each filter one a worker thread, and those being replaced.
const INSTANCES: u32 = 512;
/// Stack of a filter. Deeper recursion traps.
const STACK: usize = 512 << 10;

/// Compiles components and keeps their time. Clones share the engine.
#[derive(Clone)]
pub(super) struct Engine {
    engine: wasmtime::Engine,
    linker: Arc<Linker<HostState>>,
    clock: Arc<Clock>,
}

/// Why a module cannot become a filter.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The engine cannot be made on this machine.
    #[error("the Wasm engine cannot start: {0:#}")]
    Engine(wasmtime::Error),
    /// The thread that interrupts filters cannot be started.
    #[error("the thread that interrupts filters cannot start: {0}")]
    Clock(std::io::Error),
    /// No component, or a broken one.
    #[error("not a WebAssembly component: {0:#}")]
    Component(wasmtime::Error),
    /// The compiler refuses it.
    #[error("not a WebAssembly component: {0}")]
    Refused(String),
    /// The compiler cannot be run.
    #[error("the compiler of filters cannot be run: {0}")]
    Child(std::io::Error),
    /// It imports or exports something else than the contract says.
    #[error("the component does not fit the contract flamegate:filter@0.1.0: {0:#}")]
    World(wasmtime::Error),
}

impl Engine {
    /// An engine with the pooling allocator and epoch interruption.
    pub(super) fn new(config: &Config) -> Result<Self, CompileError> {
        let engine = wasmtime::Engine::new(config).map_err(CompileError::Engine)?;
        let mut linker = Linker::new(&engine);
        Linked::offer(&mut linker).map_err(CompileError::Engine)?;
        let clock = Clock::start(engine.weak()).map_err(CompileError::Clock)?;
        Ok(Self { engine, linker: Arc::new(linker), clock })
    }

    /// Compiles a component, which takes a second for a megabyte, or loads what was compiled before.
    pub(super) fn compile(
        &self,
        compiler: &Compiler,
        source: Source<'_>,
        digest: Digest,
        store: Option<&CodeStore>,
    ) -> Result<(Linked, CodeOrigin), CompileError> {
        let (component, origin) = compiler.compile(&self.engine, source, digest, store)?;
        let linked = self.linker.instantiate_pre(&component).map_err(CompileError::World)?;
        Ok((Linked::new(linked).map_err(CompileError::World)?, origin))
    }

    pub(super) fn inner(&self) -> &wasmtime::Engine {
        &self.engine
    }

    /// Lets epochs pass while a filter runs.
    pub(super) fn running(&self) -> Running<'_> {
        if self.clock.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.clock.thread.unpark();
        }
        Running(&self.clock)
    }
}

/// How code is made and run; the same for whoever compiles and for whoever runs what was compiled.
pub(super) fn config() -> Config {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES)
        .total_memories(INSTANCES)
        .total_tables(INSTANCES)
        .max_memory_size(MAX_MEMORY);
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // A trap says what happened without it; the map from machine code to the module is half a megabyte.
        .generate_address_map(false)
        .max_wasm_stack(STACK)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// As [`config`], with what only tools need: code that counts its instructions is slower.
pub(super) fn tool_config() -> Config {
    let mut config = config();
    config.consume_fuel(true);
    config
}

/// Epochs pass only while some filter runs: an idle process wakes for nothing.
struct Clock {
    running: Arc<AtomicUsize>,
    thread: Thread,
}

/// A filter that runs.
pub(super) struct Running<'a>(&'a Clock);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Clock {
    fn start(engine: wasmtime::EngineWeak) -> std::io::Result<Arc<Self>> {
        let running = Arc::new(AtomicUsize::new(0));
        let watched = running.clone();
        let ticking = move || {
            while let Some(engine) = engine.upgrade() {
                if watched.load(Ordering::Acquire) == 0 {
                    // The engine may go while nothing runs: then the next look finds it gone.
                    drop(engine);
                    thread::park_timeout(Duration::from_secs(60));
                } else {
                    engine.increment_epoch();
                    thread::sleep(EPOCH);
                }
            }
        };
        let thread = thread::Builder::new().name("flamegate-epoch".into()).spawn(ticking)?.thread().clone();
        Ok(Arc::new(Self { running, thread }))
    }
}
