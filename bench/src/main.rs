//! Flamegate under load, beside a forwarder that does nothing else.
//!
//! `load` measures the program, `neighbours` what its pipelines do to one another, `ui` what those who look cost, `filters` its filters, `enrich` the one with targets, `guests` those of the examples,
//! `ebpf` what sampling the machine costs, `runtimes` what the frames of each runtime do, `java` what recording JVMs does, `jfr` how recordings become profiles, `scrape` what asking targets does,
//! `flame` how large profiles become flame graphs,
//! `profiles` and `samples` changes of what is inside a profile and `config` how it reads a configuration; `sink` and `forward` are the
//! backend and the yardstick that it starts as processes of their own.

mod config;
mod cpu;
mod ebpf;
mod enrich;
mod filters;
mod flame;
mod forward;
mod guests;
mod java;
mod jfr;
mod load;
mod memory;
mod profiles;
mod runtimes;
mod samples;
mod scrape;
mod sink;
mod timing;

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
    /// Measures the latency of one pipeline while the filter of another one misbehaves
    Neighbours(load::neighbours::Arguments),
    /// Measures what the web UI costs the pipeline while five clients have it open
    Ui(load::ui::Arguments),
    /// Opens a profile of half a million samples in the web UI
    Flame(flame::Flags),
    /// Compares a cached verdict, one from the sandbox and the same rules native
    Filters(filters::Arguments),
    /// Samples the machine, and what that costs
    Ebpf(ebpf::Flags),
    /// Samples a program of each runtime, and what its frames cost
    Runtimes(runtimes::Flags),
    /// Records JVMs, and what that costs
    Java(java::Flags),
    /// Scrapes very many targets, or large heap profiles
    Scrape(scrape::Flags),
    /// Holds very many targets, and looks them up
    Enrich(enrich::Flags),
    /// Calls example filters for a long time, and fails if their memory grows
    Guests(guests::Arguments),
    /// Makes profiles of recordings of Java
    Jfr(jfr::Flags),
    /// Changes what is inside a profile
    Samples(samples::Arguments),
    /// Hides functions of a profile by a filter, and the same without a sandbox
    Profiles(profiles::Arguments),
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
        Command::Neighbours(arguments) => load::neighbours::run(&arguments),
        Command::Ui(arguments) => load::ui::run(&arguments),
        Command::Flame(flags) => flame::run(&flags),
        Command::Filters(arguments) => filters::run(&arguments),
        Command::Ebpf(flags) => ebpf::run(&flags),
        Command::Runtimes(flags) => runtimes::run(&flags),
        Command::Java(flags) => java::run(&flags),
        Command::Scrape(flags) => scrape::run(&flags),
        Command::Enrich(flags) => enrich::run(&flags),
        Command::Guests(arguments) => guests::run(&arguments),
        Command::Jfr(flags) => jfr::run(&flags),
        Command::Samples(arguments) => samples::run(&arguments),
        Command::Profiles(arguments) => profiles::run(&arguments),
        Command::Config(flags) => config::run(&flags),
        Command::Sink(arguments) => sink::run(&arguments),
        Command::Forward(arguments) => forward::run(arguments),
    }
}
