//! What `bindgen!` makes of the contract in `wit/`, a module for each world. What all worlds import is made once.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; the contract's own documentation is in wit/")]

pub mod labels {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "labels-filter",
        imports: { "flamegate:filter/tables.lookup": trappable },
    });
}

pub mod packed {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "packed-labels-filter",
        // Handed over without a copy on this side.
        ownership: Borrowing { duplicate_if_necessary: true },
        with: {
            "flamegate:filter/types": super::labels::flamegate::filter::types,
            "flamegate:filter/log": super::labels::flamegate::filter::log,
            "flamegate:filter/tables": super::labels::flamegate::filter::tables,
        },
    });
}

pub mod profile {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "profile-filter",
        imports: { "flamegate:filter/profile": trappable },
        with: {
            "flamegate:filter/types": super::labels::flamegate::filter::types,
            "flamegate:filter/log": super::labels::flamegate::filter::log,
            "flamegate:filter/tables": super::labels::flamegate::filter::tables,
            "flamegate:filter/profile.profile": super::super::profile::Opened,
        },
    });
}

/// What a filter is granted.
pub mod granted {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "package flamegate:host; world granted { import flamegate:filter/clock@0.1.0; }",
        world: "flamegate:host/granted",
    });
}
