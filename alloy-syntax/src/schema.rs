//! What a block may hold, for documentation and completion.

/// What may stand in a block.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The block's own documentation.
    pub doc: &'static str,
    /// Whether the block must have a label.
    pub labelled: bool,
    /// Its attributes, in the order of the struct.
    pub attributes: Vec<AttributeSchema>,
    /// Its blocks, in the order of the struct.
    pub blocks: Vec<BlockSchema>,
    /// Attributes and blocks of the reference that are refused, as not supported yet.
    pub unsupported: &'static [&'static str],
    /// Attributes and blocks of the reference that are accepted and do nothing.
    pub ignored: &'static [&'static str],
}

/// One attribute.
#[derive(Debug, Clone)]
pub struct AttributeSchema {
    /// Its name.
    pub name: &'static str,
    /// Its type: `string`, `list(string)`, …
    pub type_name: String,
    /// Whether it must be given.
    pub required: bool,
    /// The Rust expression that makes its default, if it has one of its own.
    pub default: Option<&'static str>,
    /// What it is for.
    pub doc: &'static str,
}

/// One block.
#[derive(Debug, Clone)]
pub struct BlockSchema {
    /// Its name, with dots.
    pub name: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it may be given more than once.
    pub repeated: bool,
    /// What it is for.
    pub doc: &'static str,
    /// What may stand in it; made on demand, as a block may hold itself.
    pub schema: fn() -> Schema,
}
