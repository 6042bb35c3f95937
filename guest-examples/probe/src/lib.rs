//! Does to each profile what its configuration says, a word and its arguments a line, and never ships:
//!
//! - `rename PLACE NAME [FILE]`, `drop-samples PLACE…`, `drop-types PLACE…`: the changes of the contract
//! - `label PLACE KEY=TEXT…`, where `KEY=#5:bytes` is a number and its unit
//! - `read`: all that can be read of the profile becomes the label `read`
//! - `read-labels`: as much, of the labels of samples
//! - `range FIRST COUNT`: how many samples such a range hands over becomes the label `range`
//! - `now`: what the clock says becomes the label `read`
//! - `drop REASON`, `trap`, `spin`: how the call ends

#[cfg(target_arch = "wasm32")]
mod component;
