//! Flamegate under load, beside a forwarder that does nothing else.
//!
//! `load` measures the program, `filters` its filters, `enrich` the one with targets, `guests` those of the examples,
//! `samples` changes of what is inside a profile and `config` how it reads a configuration; `sink` and `forward` are the
//! backend and the yardstick that it starts as processes of their own.

mod config;
mod enrich;
mod filters;
mod forward;
mod guests;
mod load;
mod memory;
mod samples;
mod sink;

use clap::Parser;

/// The proxy's allocator, so that the plain forwarder's figures do not differ from its by the allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures what Flamegate costs.
#[derive(Parser)]
#[command(name = "flamegate-bench", version)]
enum Command {
    /// Loads each program in turn and prints its throughput, latency, CPU time and memory
    Load(load::Arguments),
    /// Compares a cached verdict, one from the sandbox and the same rules native
    Filters(filters::Arguments),
    /// Holds very many targets, and looks them up
    Enrich(enrich::Flags),
    /// Calls example filters for a long time, and fails if their memory grows
    Guests(guests::Arguments),
    /// Changes what is inside a profile
    Samples(samples::Arguments),
    /// Reads a configuration of thousands of components
    Config(config::Flags),
    /// Takes profiles and answers at once
    Sink(sink::Arguments),
    /// Forwards each request unread through Pingora and hyper
    Forward(forward::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Load(arguments) => load::run(&arguments),
        Command::Filters(arguments) => filters::run(&arguments),
        Command::Enrich(flags) => enrich::run(&flags),
        Command::Guests(arguments) => guests::run(&arguments),
        Command::Samples(arguments) => samples::run(&arguments),
        Command::Config(flags) => config::run(&flags),
        Command::Sink(arguments) => sink::run(&arguments),
        Command::Forward(arguments) => forward::run(arguments),
    }
}
