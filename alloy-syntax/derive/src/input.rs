//! Reads the struct and its `#[alloy(…)]` attributes.

use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Fields, Generics, Ident, Lit, LitStr, Meta, Path, Result, Token, Type,
};

pub(crate) struct Struct {
    pub(crate) name: Ident,
    pub(crate) generics: Generics,
    pub(crate) doc: String,
    pub(crate) validate: Option<Path>,
    pub(crate) unsupported: Vec<LitStr>,
    pub(crate) ignored: Vec<LitStr>,
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) member: Ident,
    pub(crate) ty: Type,
    pub(crate) kind: Kind,
    /// The name in the configuration.
    pub(crate) name: String,
    pub(crate) absent: Absent,
    pub(crate) doc: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Attribute,
    Block,
    Label,
    /// A struct whose fields stand in the same body.
    Flatten,
}

/// What a field is where the configuration does not give it.
pub(crate) enum Absent {
    Error,
    Optional,
    Default(Box<Expr>),
}

impl Struct {
    pub(crate) fn parse(input: &DeriveInput) -> Result<Self> {
        let named = match &input.data {
            Data::Struct(data) => match &data.fields {
                Fields::Named(named) => Some(&named.named),
                Fields::Unit => None,
                Fields::Unnamed(_) => return Err(Error::new(input.span(), "the fields need names")),
            },
            _ => return Err(Error::new(input.span(), "only a struct can be derived")),
        };
        let mut parsed = Self {
            name: input.ident.clone(),
            generics: input.generics.clone(),
            doc: doc(&input.attrs),
            validate: None,
            unsupported: Vec::new(),
            ignored: Vec::new(),
            fields: Vec::new(),
        };
        for attribute in alloy(&input.attrs) {
            attribute.parse_nested_meta(|meta| parsed.parse_option(&meta))?;
        }
        for field in named.into_iter().flatten() {
            let member = field.ident.clone().ok_or_else(|| Error::new(field.span(), "the field needs a name"))?;
            parsed.fields.push(Field::parse(field, member)?);
        }
        Ok(parsed)
    }

    fn parse_option(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("validate") {
            self.validate = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("unsupported") {
            self.unsupported.extend(names(meta)?);
        } else if meta.path.is_ident("ignored") {
            self.ignored.extend(names(meta)?);
        } else {
            return Err(meta.error("expected `validate = …`, `unsupported(…)` or `ignored(…)`"));
        }
        Ok(())
    }
}

impl Field {
    fn parse(field: &syn::Field, member: Ident) -> Result<Self> {
        let mut kind = None;
        let mut name = None;
        let mut optional = false;
        let mut default = None;
        for attribute in alloy(&field.attrs) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("attr") {
                    kind = Some(Kind::Attribute);
                } else if meta.path.is_ident("block") {
                    kind = Some(Kind::Block);
                } else if meta.path.is_ident("label") {
                    kind = Some(Kind::Label);
                } else if meta.path.is_ident("flatten") {
                    kind = Some(Kind::Flatten);
                } else if meta.path.is_ident("optional") {
                    optional = true;
                } else if meta.path.is_ident("name") {
                    name = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if meta.path.is_ident("default") {
                    default = Some(meta.value()?.parse::<Expr>()?);
                } else {
                    return Err(meta.error(
                        "expected `attr`, `block`, `label`, `flatten`, `optional`, `default = …` or `name = …`",
                    ));
                }
                Ok(())
            })?;
        }
        let kind = kind.ok_or_else(|| {
            Error::new(
                field.span(),
                "say what the field is: #[alloy(attr)], #[alloy(block)], #[alloy(label)] or #[alloy(flatten)]",
            )
        })?;
        let absent = match default {
            Some(_) if optional => {
                return Err(Error::new(field.span(), "`optional` and `default` exclude each other"));
            }
            Some(value) => Absent::Default(Box::new(value)),
            None if optional => Absent::Optional,
            None => Absent::Error,
        };
        if kind == Kind::Flatten && (name.is_some() || !matches!(absent, Absent::Error)) {
            return Err(Error::new(field.span(), "what is flattened has neither a name nor a default"));
        }
        let name = name.unwrap_or_else(|| member.to_string().trim_start_matches("r#").to_owned());
        Ok(Self { member, ty: field.ty.clone(), kind, name, absent, doc: doc(&field.attrs) })
    }
}

fn alloy(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("alloy"))
}

fn names(meta: &ParseNestedMeta<'_>) -> Result<Vec<LitStr>> {
    let content;
    syn::parenthesized!(content in meta.input);
    Ok(Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

/// The lines of a doc comment, joined.
fn doc(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(text) => Some(text.value().trim().to_owned()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        })
        .collect();
    lines.join("\n").trim().to_owned()
}
