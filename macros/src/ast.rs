//! The parsed type of a derive, as far as the derives need it: names, shapes of field types, and attributes.

use crate::attr::{ChoiceAttr, EntityAttr, Rule, StructAttr};
use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, GenericArgument, PathArguments, Result, Type};

pub struct Struct {
    pub ident: Ident,
    pub doc: String,
    pub attrs: Vec<StructAttr>,
    pub fields: Vec<Field>,
}

pub struct Field {
    pub ident: Ident,
    pub doc: String,
    pub ty: Type,
    pub shape: Shape,
    pub entity: Vec<EntityAttr>,
    pub rules: Vec<Rule>,
}

pub struct Enum {
    pub ident: Ident,
    pub variants: Vec<Variant>,
}

pub struct Variant {
    pub ident: Ident,
    pub attrs: Vec<ChoiceAttr>,
}

/// The wrapper around the type of a field's value.
pub enum Shape {
    Plain(Type),
    Option(Type),
    Patch(Type),
}

impl Struct {
    pub fn from_syn(node: &DeriveInput) -> Result<Self> {
        no_generics(node)?;
        let fields = match &node.data {
            Data::Struct(data) => match &data.fields {
                Fields::Named(fields) => &fields.named,
                other => {
                    return Err(Error::new_spanned(
                        other,
                        "expected a struct with named fields",
                    ));
                }
            },
            _ => {
                return Err(Error::new_spanned(
                    &node.ident,
                    "expected a struct; enums take `#[derive(Choice)]`",
                ));
            }
        };
        Ok(Struct {
            ident: node.ident.clone(),
            doc: crate::attr::doc(&node.attrs),
            attrs: crate::attr::of_struct(&node.attrs)?,
            fields: all(fields.iter().map(Field::from_syn))?,
        })
    }
}

impl Field {
    fn from_syn(node: &syn::Field) -> Result<Self> {
        let Some(ident) = node.ident.clone() else {
            return Err(Error::new_spanned(node, "expected a named field"));
        };
        Ok(Field {
            ident,
            doc: crate::attr::doc(&node.attrs),
            shape: Shape::of(&node.ty),
            ty: node.ty.clone(),
            entity: crate::attr::of_entity_field(&node.attrs)?,
            rules: crate::attr::of_input_field(&node.attrs)?,
        })
    }

    /// The name outside of Rust: `type` for `r#type`.
    pub fn name(&self) -> String {
        self.ident.unraw().to_string()
    }
}

impl Enum {
    pub fn from_syn(node: &DeriveInput) -> Result<Self> {
        no_generics(node)?;
        let Data::Enum(data) = &node.data else {
            return Err(Error::new_spanned(&node.ident, "expected an enum of words"));
        };
        if data.variants.is_empty() {
            return Err(Error::new_spanned(
                &node.ident,
                "expected at least one word",
            ));
        }
        Ok(Enum {
            ident: node.ident.clone(),
            variants: all(data.variants.iter().map(Variant::from_syn))?,
        })
    }
}

impl Variant {
    fn from_syn(node: &syn::Variant) -> Result<Self> {
        match &node.fields {
            Fields::Unit => {}
            fields => return Err(Error::new_spanned(fields, "a word holds no data")),
        }
        if let Some((_, value)) = &node.discriminant {
            return Err(Error::new_spanned(
                value,
                "a word has no number: it is stored as text",
            ));
        }
        Ok(Variant {
            ident: node.ident.clone(),
            attrs: crate::attr::of_variant(&node.attrs)?,
        })
    }
}

impl Shape {
    /// Recognized by the last segment of the type's path, since a derive can't resolve names.
    fn of(ty: &Type) -> Shape {
        let inner = || {
            let Type::Path(path) = ty else { return None };
            let last = path.path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else {
                return None;
            };
            match arguments.args.first()? {
                GenericArgument::Type(inner) => Some((last.ident.to_string(), inner.clone())),
                _ => None,
            }
        };
        match inner() {
            Some((name, inner)) if name == "Option" => Shape::Option(inner),
            Some((name, inner)) if name == "Patch" => Shape::Patch(inner),
            _ => Shape::Plain(ty.clone()),
        }
    }

    pub fn value(&self) -> &Type {
        match self {
            Shape::Plain(ty) | Shape::Option(ty) | Shape::Patch(ty) => ty,
        }
    }
}

/// Collects the values, or the errors of all items and not only the first.
pub fn all<T>(items: impl Iterator<Item = Result<T>>) -> Result<Vec<T>> {
    let mut values = Vec::new();
    let mut errors: Option<Error> = None;
    for item in items {
        match (item, &mut errors) {
            (Ok(value), _) => values.push(value),
            (Err(error), Some(errors)) => errors.combine(error),
            (Err(error), none) => *none = Some(error),
        }
    }
    errors.map_or(Ok(values), Err)
}

fn no_generics(node: &DeriveInput) -> Result<()> {
    match node.generics.params.first() {
        Some(first) => Err(Error::new(
            first.span(),
            "rows and bodies have no generic parameters",
        )),
        None => Ok(()),
    }
}
