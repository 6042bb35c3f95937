//! What `bindgen!` makes of the contract in `wit/`.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; the contract's own documentation is in wit/")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "labels-filter",
    imports: { "flamegate:filter/tables.lookup": trappable },
});
