//! What goes wrong between a sender, Flamegate and a backend: each fault has its answer and its count, and after each
//! Flamegate serves on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

#[path = "faults/backends.rs"]
mod backends;
#[path = "faults/connections.rs"]
mod connections;
#[path = "faults/memory.rs"]
mod memory;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/outage.rs"]
mod outage;
#[path = "faults/refusals.rs"]
mod refusals;
#[path = "faults/resends.rs"]
mod resends;
#[path = "faults/senders.rs"]
mod senders;
