//! Writes the implementations.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, Result};

use crate::input::{Absent, Field, Kind, Struct};

pub(crate) fn arguments(input: &Struct) -> Result<TokenStream> {
    let (name, doc) = (&input.name, &input.doc);
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let (unsupported, ignored) = (&input.unsupported, &input.ignored);
    let attributes = names(input, Kind::Attribute);
    let blocks = names(input, Kind::Block);
    let labelled = input.fields.iter().any(|field| field.kind == Kind::Label);
    let decoded = input.fields.iter().map(decode_field);
    let unwrapped = input.fields.iter().map(variable).map(|variable| quote! { let #variable = #variable?; });
    let construct = construct(input);
    let validate = input.validate.as_ref().map(|path| {
        quote! {
            if let ::core::result::Result::Err(invalid) = #path(&value) {
                decoder.invalid(invalid);
                return ::core::option::Option::None;
            }
        }
    });
    let label = match input.fields.iter().find(|field| field.kind == Kind::Label) {
        Some(Field { member, .. }) => quote! { ::core::option::Option::Some(self.#member.as_str()) },
        None => quote! { ::core::option::Option::None },
    };
    let encoded = input.fields.iter().map(encode_field);
    let schemas = input.fields.iter().filter_map(schema);
    let flattened = of_kind(input, Kind::Flatten).map(|field| {
        let ty = &field.ty;
        quote! { <#ty as ::alloy_syntax::decode::Arguments>::KNOWN }
    });
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::alloy_syntax::decode::Arguments for #name #type_generics #where_clause {
            const LABELLED: bool = #labelled;
            const KNOWN: &'static ::alloy_syntax::decode::Known = &::alloy_syntax::decode::Known {
                attributes: &[#(#attributes),*],
                blocks: &[#(#blocks),*],
                unsupported: &[#(#unsupported),*],
                ignored: &[#(#ignored),*],
                flattened: &[#(#flattened),*],
            };

            fn decode_fields(
                decoder: &mut ::alloy_syntax::decode::BodyDecoder<'_>,
            ) -> ::core::option::Option<Self> {
                #(#decoded)*
                if decoder.failed() {
                    return ::core::option::Option::None;
                }
                #(#unwrapped)*
                let value = #construct;
                #validate
                ::core::option::Option::Some(value)
            }

            fn encode_body(&self) -> ::std::vec::Vec<::alloy_syntax::EncodedStatement> {
                #[allow(unused_mut, reason = "a struct may have no fields")]
                let mut encoder = ::alloy_syntax::encode::BodyEncoder::new();
                #(#encoded)*
                encoder.finish()
            }

            fn label(&self) -> ::core::option::Option<&str> {
                #label
            }

            fn schema() -> ::alloy_syntax::Schema {
                #[allow(unused_mut, reason = "a struct may have no fields")]
                let mut schema = ::alloy_syntax::Schema {
                    doc: #doc,
                    labelled: #labelled,
                    unsupported: Self::KNOWN.all(|known| known.unsupported),
                    ignored: Self::KNOWN.all(|known| known.ignored),
                    ..::core::default::Default::default()
                };
                #(#schemas)*
                schema
            }
        }
    })
}

pub(crate) fn decode_value(input: &Struct) -> Result<TokenStream> {
    if let Some(field) = input.fields.iter().find(|field| field.kind != Kind::Attribute) {
        return Err(Error::new(field.member.span(), "an object has attributes alone"));
    }
    if let Some(name) = input.unsupported.first().or(input.ignored.first()) {
        return Err(Error::new(name.span(), "only the names of a block can be unsupported or ignored"));
    }
    let name = &input.name;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let names = names(input, Kind::Attribute);
    let decoded = input.fields.iter().map(|field| {
        let (variable, ty, name) = (variable(field), &field.ty, &field.name);
        match &field.absent {
            Absent::Error => quote! { let #variable = decoder.required::<#ty>(#name)?; },
            Absent::Optional => {
                quote! { let #variable = decoder.field_or::<#ty>(#name, ::core::default::Default::default)?; }
            }
            Absent::Default(value) => {
                quote! { let #variable = decoder.field_or::<#ty>(#name, || #value)?; }
            }
        }
    });
    let encoded = input.fields.iter().map(|Field { member, name, .. }| {
        quote! { (#name, ::alloy_syntax::decode::DecodeValue::encode_value(&self.#member)) }
    });
    let construct = construct(input);
    let validate = input.validate.as_ref().map(|path| {
        quote! {
            #path(&value).map_err(|invalid| {
                let error = ::alloy_syntax::DecodeError::new(invalid.message);
                match invalid.attribute {
                    ::core::option::Option::Some(name) => error.in_field(name),
                    ::core::option::Option::None => error,
                }
            })?;
        }
    });
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::alloy_syntax::decode::DecodeValue for #name #type_generics #where_clause {
            fn decode_value(
                value: &::alloy_syntax::Value,
            ) -> ::core::result::Result<Self, ::alloy_syntax::DecodeError> {
                let decoder = ::alloy_syntax::decode::ObjectDecoder::new(value, &[#(#names),*])?;
                #(#decoded)*
                let value = #construct;
                #validate
                ::core::result::Result::Ok(value)
            }

            fn encode_value(&self) -> ::alloy_syntax::Value {
                let fields: [(&str, ::alloy_syntax::Value); _] = [#(#encoded),*];
                ::alloy_syntax::Value::object(fields)
            }

            fn type_name() -> ::std::string::String {
                ::std::string::String::from("object")
            }
        }
    })
}

fn decode_field(field: &Field) -> TokenStream {
    let (variable, ty, name) = (variable(field), &field.ty, &field.name);
    let decoded = match (field.kind, &field.absent) {
        (Kind::Label, _) => quote! { decoder.label() },
        (Kind::Flatten, _) => quote! { <#ty as ::alloy_syntax::decode::Arguments>::decode_fields(decoder) },
        (Kind::Attribute, Absent::Error) => quote! { decoder.required::<#ty>(#name) },
        (Kind::Attribute, Absent::Optional) => {
            quote! { decoder.attribute_or::<#ty>(#name, ::core::default::Default::default) }
        }
        (Kind::Attribute, Absent::Default(value)) => {
            quote! { decoder.attribute_or::<#ty>(#name, || #value) }
        }
        (Kind::Block, Absent::Error) => quote! { decoder.required_block::<#ty>(#name) },
        (Kind::Block, Absent::Optional) => quote! { decoder.optional_block::<#ty>(#name) },
        (Kind::Block, Absent::Default(value)) => quote! { decoder.block_or::<#ty>(#name, || #value) },
    };
    quote! { let #variable = #decoded; }
}

fn encode_field(field: &Field) -> TokenStream {
    let (member, ty, name) = (&field.member, &field.ty, &field.name);
    match (field.kind, &field.absent) {
        (Kind::Label, _) => TokenStream::new(),
        (Kind::Flatten, _) => {
            quote! { encoder.flattened(::alloy_syntax::decode::Arguments::encode_body(&self.#member)); }
        }
        (Kind::Attribute, Absent::Error) => quote! { encoder.required::<#ty>(#name, &self.#member); },
        (Kind::Attribute, Absent::Optional) => {
            quote! { encoder.attribute_or::<#ty>(#name, &self.#member, ::core::default::Default::default); }
        }
        (Kind::Attribute, Absent::Default(value)) => {
            quote! { encoder.attribute_or::<#ty>(#name, &self.#member, || #value); }
        }
        (Kind::Block, Absent::Error) => quote! { encoder.required_block::<#ty>(#name, &self.#member); },
        (Kind::Block, Absent::Optional) => quote! { encoder.optional_block::<#ty>(#name, &self.#member); },
        (Kind::Block, Absent::Default(value)) => {
            quote! { encoder.block_or::<#ty>(#name, &self.#member, || #value); }
        }
    }
}

/// Adds what a field says to the schema.
fn schema(field: &Field) -> Option<TokenStream> {
    let ty = &field.ty;
    Some(match field.kind {
        Kind::Label => return None,
        Kind::Attribute => {
            let attribute = attribute_schema(field);
            quote! { schema.attributes.push(#attribute); }
        }
        Kind::Block => {
            let block = block_schema(field);
            quote! { schema.blocks.push(#block); }
        }
        Kind::Flatten => quote! {
            let flattened = <#ty as ::alloy_syntax::decode::Arguments>::schema();
            schema.attributes.extend(flattened.attributes);
            schema.blocks.extend(flattened.blocks);
        },
    })
}

fn attribute_schema(field: &Field) -> TokenStream {
    let (ty, name, doc) = (&field.ty, &field.name, &field.doc);
    let required = matches!(field.absent, Absent::Error);
    let default = match &field.absent {
        Absent::Error => quote! { ::core::option::Option::None },
        Absent::Optional => {
            quote! {
                ::alloy_syntax::schema::AttributeSchema::default_text::<#ty>(&::core::default::Default::default())
            }
        }
        Absent::Default(value) => quote! { ::alloy_syntax::schema::AttributeSchema::default_text::<#ty>(&#value) },
    };
    quote! {
        ::alloy_syntax::schema::AttributeSchema {
            name: #name,
            type_name: <#ty as ::alloy_syntax::decode::DecodeValue>::type_name(),
            required: #required,
            default: #default,
            doc: #doc,
        }
    }
}

fn block_schema(field: &Field) -> TokenStream {
    let (ty, name, doc) = (&field.ty, &field.name, &field.doc);
    let required = matches!(field.absent, Absent::Error);
    quote! {
        ::alloy_syntax::schema::BlockSchema {
            name: #name,
            required: #required,
            repeated: <#ty as ::alloy_syntax::decode::BlockField>::REPEATED,
            labelled: <#ty as ::alloy_syntax::decode::BlockField>::LABELLED,
            doc: #doc,
            schema: <#ty as ::alloy_syntax::decode::BlockField>::block_schema,
        }
    }
}

fn construct(input: &Struct) -> TokenStream {
    let members = input.fields.iter().map(|field| {
        let (member, variable) = (&field.member, variable(field));
        quote! { #member: #variable }
    });
    quote! { Self { #(#members),* } }
}

fn names(input: &Struct, kind: Kind) -> Vec<&str> {
    of_kind(input, kind).map(|field| field.name.as_str()).collect()
}

fn of_kind(input: &Struct, kind: Kind) -> impl Iterator<Item = &Field> {
    input.fields.iter().filter(move |field| field.kind == kind)
}

/// A name for the field's value that no default's expression uses by accident.
fn variable(field: &Field) -> syn::Ident {
    format_ident!("alloy_field_{}", field.member.to_string().trim_start_matches("r#"))
}
