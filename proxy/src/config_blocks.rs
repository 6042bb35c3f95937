//! Configuration blocks: what stands beside the components and says how the process itself behaves.

mod http;
mod livedebugging;
mod logging;
mod tracing;

pub use self::tracing::{SamplerArguments, TracingArguments, TracingBlock};
pub use http::{AuthArguments, BasicArguments, FilterArguments, HttpArguments, HttpBlock};
pub use livedebugging::LiveDebuggingBlock;
pub use logging::{LogDestination, LogFormat, LogLevel, LoggingArguments, LoggingBlock};
