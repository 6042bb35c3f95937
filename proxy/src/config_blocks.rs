//! Configuration blocks: what stands beside the components and says how the process itself behaves.

mod livedebugging;

pub use livedebugging::LiveDebuggingBlock;
