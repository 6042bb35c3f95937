//! Flamegate: an edge proxy for continuous profiles.
//!
//! The modules stand in the order in which a profile meets them; ARCHITECTURE.md draws the map.

pub mod cli;
pub mod cluster;
pub mod component;
pub mod components;
pub mod config;
pub mod config_blocks;
pub mod filters;
pub mod graph;
pub mod import;
pub mod ingest;
pub mod kept;
mod latest;
mod login;
pub mod overview;
pub mod pipeline;
mod polled_url;
mod quoted;
pub mod recent;
pub mod tap;
pub mod telemetry;
pub mod tls;
pub mod upstream;
pub mod watch;
pub mod web;
mod whole_file;
pub mod wire;
pub mod workers;
