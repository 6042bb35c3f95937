//! Derive macros for [`alloy-syntax`](https://docs.rs/alloy-syntax): structs that blocks and objects decode
//! into.

use proc_macro::TokenStream;
use quote::quote;
use syn::{DeriveInput, parse_macro_input};

mod expand;
mod input;

/// Makes a struct of a block, and the block's body of the struct.
///
/// On a field:
/// - `#[alloy(attr)]`: an attribute that must be there; `#[alloy(attr, default = EXPR)]`: one with a default;
///   `#[alloy(attr, optional)]`: one whose default is [`Default`].
/// - `#[alloy(block)]`: a block that must be there; `#[alloy(block, optional)]`: one that need not be (`T` is
///   then what an empty block would be, `Option<T>` is `None`); `default = EXPR` as above. `Vec<T>` takes any number
///   of blocks, `BTreeMap<String, T>` too, by label.
/// - `#[alloy(label)]`: the block's label, a `String`.
/// - `#[alloy(flatten)]`: a struct that derives `Arguments` too, whose fields stand in the same body.
/// - `name = "other"` beside these: the name in the configuration, with dots for a block; without it, that of
///   the field.
///
/// On the struct:
/// - `#[alloy(validate = path)]`: a `fn(&Self) -> Result<(), Invalid>` that is asked at the end.
/// - `#[alloy(unsupported("a", "b.c"))]`: names that are refused as not supported yet.
/// - `#[alloy(ignored("a"))]`: names that are accepted with a warning.
#[proc_macro_derive(Arguments, attributes(alloy))]
pub fn derive_arguments(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand_or_error(&input, expand::arguments)
}

/// Makes a struct of an object, and the object of the struct: `#[alloy(attr)]`, `default = EXPR`, `optional` and `name = "other"` on its
/// fields and `validate` on the struct mean what they mean for `Arguments`.
#[proc_macro_derive(DecodeValue, attributes(alloy))]
pub fn derive_decode_value(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand_or_error(&input, expand::decode_value)
}

fn expand_or_error(
    input: &DeriveInput,
    expand: fn(&input::Struct) -> syn::Result<proc_macro2::TokenStream>,
) -> TokenStream {
    input::Struct::parse(input)
        .and_then(|parsed| expand(&parsed))
        .unwrap_or_else(|error| {
            let error = error.to_compile_error();
            quote! { #error }
        })
        .into()
}
