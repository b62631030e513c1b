//! `#[derive(Input)]`: generates a statement for each field in `read`, `bind` and `given`.

use super::Derive;
use crate::ast::{Field, Shape, Struct};
use crate::attr::{InputKind, RuleKind, StructWord};
use crate::valid::FORMATS;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{DeriveInput, LitStr, Result};

#[allow(non_upper_case_globals)]
pub const derive: Derive = Derive {
    expand,
    fallback: crate::fallback::input,
};

fn expand(node: &DeriveInput) -> Result<TokenStream> {
    let item = Struct::from_syn(node)?;
    let kind = crate::valid::input(&item)?;
    let read = read(&item);
    let rest = match kind {
        InputKind::Object => object(&item),
        InputKind::Create | InputKind::Update => body(&item, kind),
        InputKind::Body => posted(&item),
    };
    Ok(quote!(#read #rest))
}

/// Reads all fields before returning an error, so that all errors are found.
fn read(item: &Struct) -> TokenStream {
    let name = &item.ident;
    let pairs = item.fields.iter().filter_map(|field| {
        let other = field.rules.iter().find_map(|rule| match &rule.kind {
            RuleKind::With(name) => Some(name),
            _ => None,
        })?;
        let this = field.name();
        Some(quote!(body.together(#other, #this);))
    });
    // The local variables are not named like the fields, of which one may be called `body`.
    let locals: Vec<Ident> = (0..item.fields.len())
        .map(|n| Ident::new(&format!("value_{n}"), Span::mixed_site()))
        .collect();
    let takes = item.fields.iter().zip(&locals).map(|(field, local)| {
        let (take, check) = (take(field), own_check(field, local));
        match check {
            None => quote!(let #local = #take;),
            // The type must be stated, since it can't be inferred from the check, which may take a slice of it.
            Some(check) => {
                let ty = &field.ty;
                quote!(let #local: ::core::option::Option<#ty> = #take; #check)
            }
        }
    });
    let idents = item.fields.iter().map(|field| &field.ident);
    quote! {
        #[automatically_derived]
        impl #name {
            fn read(body: &mut ::kernel::input::Body) -> ::core::option::Option<Self> {
                #(#pairs)*
                #(#takes)*
                ::core::option::Option::Some(Self { #(#idents: #locals?),* })
            }
        }
    }
}

/// Calls the field's check function with the value that was read.
fn own_check(field: &Field, local: &Ident) -> Option<TokenStream> {
    let name = field.name();
    let found = field.rules.iter().find_map(|rule| match &rule.kind {
        RuleKind::Check(path) => Some(path),
        _ => None,
    });
    let path = found?;
    let value = match field.shape {
        Shape::Plain(_) => quote!(::core::option::Option::Some(value)),
        Shape::Option(_) => {
            quote!(::core::option::Option::Some(::core::option::Option::Some(
                value
            )))
        }
        Shape::Patch(_) => {
            quote!(::core::option::Option::Some(::kernel::input::Patch::Value(
                value
            )))
        }
    };
    Some(quote! {
        if let #value = &#local
            && let ::core::option::Option::Some((code, detail)) = #path(value)
        {
            body.refuse(#name, code, detail);
        }
    })
}

fn take(field: &Field) -> TokenStream {
    let is_lower = |rule: &crate::attr::Rule| matches!(rule.kind, RuleKind::Lower);
    let taken = take_as_sent(field);
    match field.rules.iter().any(is_lower) {
        true => quote!(#taken.map(|text: ::std::string::String| text.to_lowercase())),
        false => taken,
    }
}

fn take_as_sent(field: &Field) -> TokenStream {
    let name = field.name();
    let checks = field.rules.iter().filter_map(|rule| check(&rule.kind));
    let checks = quote!(&[#(#checks),*]);
    let has = |wanted: fn(&RuleKind) -> bool| field.rules.iter().any(|rule| wanted(&rule.kind));
    let nullable = has(|kind| matches!(kind, RuleKind::Optional));
    let default = field.rules.iter().find_map(|rule| match &rule.kind {
        RuleKind::Default(value) => Some(default(value.as_ref())),
        _ => None,
    });
    match (&field.shape, default) {
        (Shape::Plain(_), None) => quote!(body.required(#name, #checks)),
        (Shape::Plain(_), Some(default)) => quote!(body.defaulted(#name, #checks, #default)),
        (Shape::Option(_), None) => quote!(body.optional(#name, #checks)),
        (Shape::Option(_), Some(default)) => quote!(body.optional_or(#name, #checks, #default)),
        (Shape::Patch(_), Some(default)) => {
            quote!(body.patch_defaulted(#name, #checks, #nullable, #default))
        }
        (Shape::Patch(_), None) if has(|kind| matches!(kind, RuleKind::Keep)) => {
            quote!(body.patch_kept(#name, #checks, #nullable))
        }
        (Shape::Patch(_), None) if nullable => quote!(body.patch_optional(#name, #checks)),
        (Shape::Patch(_), None) => quote!(body.patch_required(#name, #checks)),
    }
}

fn check(rule: &RuleKind) -> Option<TokenStream> {
    Some(match rule {
        RuleKind::Length(min, max) => quote!(::kernel::input::Check::Length(#min, #max)),
        RuleKind::Line(min, max) => quote!(::kernel::input::Check::Line(#min, #max)),
        RuleKind::Opaque(min, max) => quote!(::kernel::input::Check::Opaque(#min, #max)),
        RuleKind::Range(min, max) => {
            let (min, max) = (bound(min), bound(max));
            quote!(::kernel::input::Check::Range(#min, #max))
        }
        RuleKind::Format(name) => {
            let format = format_variant(name);
            quote!(::kernel::input::Check::Format(::kernel::input::Format::#format))
        }
        RuleKind::List(max, count) => quote!(::kernel::input::Check::List(#max, #count)),
        RuleKind::Places(places) => quote!(::kernel::input::Check::Places(#places)),
        RuleKind::Default(_)
        | RuleKind::Required
        | RuleKind::Optional
        | RuleKind::Keep
        | RuleKind::With(_)
        | RuleKind::Check(_)
        | RuleKind::Lower => return None,
    })
}

fn bound(bound: &Option<i64>) -> TokenStream {
    match bound {
        Some(number) => quote!(::core::option::Option::Some(#number)),
        None => quote!(::core::option::Option::None),
    }
}

/// The format's variant. `valid` has checked that the name is known.
fn format_variant(name: &LitStr) -> Ident {
    let variant = FORMATS
        .iter()
        .find(|(known, _)| *known == name.value())
        .map_or("Url", |(_, variant)| variant);
    Ident::new(variant, Span::call_site())
}

fn default(value: Option<&syn::Expr>) -> TokenStream {
    match value {
        // `into` allows a string literal for a `String`, and an integer literal for an `i64`.
        Some(value) => quote!(::core::convert::Into::into(#value)),
        None => quote!(::core::default::Default::default()),
    }
}

fn body(item: &Struct, kind: InputKind) -> TokenStream {
    let name = &item.ident;
    let bind = match kind {
        InputKind::Update => quote!(::kernel::input::bind_patch),
        _ => quote!(::kernel::input::bind),
    };
    let binds = item.fields.iter().map(|field| {
        let ident = &field.ident;
        quote!(#bind(arguments, &self.#ident)?;)
    });
    let given = item.fields.iter().map(given);
    quote! {
        #[automatically_derived]
        impl #name {
            /// Reads and checks a body; everything that is wrong is reported at once.
            pub fn decode(
                bytes: &[u8],
                mode: ::kernel::input::Mode,
            ) -> ::core::result::Result<::std::boxed::Box<dyn ::kernel::input::Input>, ::kernel::input::Invalid> {
                Self::from_json(bytes, mode).map(|input| ::std::boxed::Box::new(input) as _)
            }

            /// The same, for those who know the type.
            pub fn from_json(
                bytes: &[u8],
                mode: ::kernel::input::Mode,
            ) -> ::core::result::Result<Self, ::kernel::input::Invalid> {
                let mut body = ::kernel::input::Body::parse(bytes, mode)?;
                let input = Self::read(&mut body);
                body.finish(input)
            }
        }

        #[automatically_derived]
        impl ::kernel::input::Input for #name {
            fn bind(
                &self,
                arguments: &mut ::kernel::private::PgArguments,
            ) -> ::core::result::Result<(), ::kernel::private::BoxDynError> {
                #(#binds)*
                ::core::result::Result::Ok(())
            }
            fn as_any_mut(&mut self) -> &mut dyn ::core::any::Any {
                self
            }
            fn given(&self) -> ::std::vec::Vec<&'static str> {
                [#(#given),*].into_iter().flatten().collect()
            }
        }
    }
}

/// Generates the impls of a hand-written route's body, with its part of the API document.
fn posted(item: &Struct) -> TokenStream {
    let (name, doc) = (&item.ident, &item.doc);
    let text = name.to_string();
    let check = item.attrs.iter().find_map(|attr| match &attr.word {
        StructWord::Check(path) => {
            Some(quote!(if let Some(input) = &input { #path(input, body); }))
        }
        _ => None,
    });
    let example = item.attrs.iter().find_map(|attr| match &attr.word {
        StructWord::Example(json) => Some(quote!(::core::option::Option::Some(#json))),
        _ => None,
    });
    let example = example.unwrap_or_else(|| quote!(::core::option::Option::None));
    let fields = item.fields.iter().map(described);
    quote! {
        #[automatically_derived]
        impl ::kernel::input::Posted for #name {
            fn from_body(body: &mut ::kernel::input::Body) -> ::core::option::Option<Self> {
                let input = Self::read(body);
                #check
                input
            }
        }
        #[automatically_derived]
        impl ::kernel::private::PartialSchema for #name {
            fn schema() -> ::kernel::private::RefOr<::kernel::private::Schema> {
                ::kernel::input::schema::body(#doc, #example, &[#(#fields),*])
            }
        }
        #[automatically_derived]
        impl ::kernel::private::ToSchema for #name {
            fn name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(#text)
            }
        }
    }
}

fn described(field: &Field) -> TokenStream {
    let (name, doc, value) = (field.name(), &field.doc, field.shape.value());
    let checks = field.rules.iter().filter_map(|rule| check(&rule.kind));
    let has_default = field
        .rules
        .iter()
        .any(|rule| matches!(rule.kind, RuleKind::Default(_)));
    let nullable = matches!(field.shape, Shape::Option(_));
    let required = !nullable && !has_default;
    quote! {
        ::kernel::input::schema::Described {
            name: #name,
            doc: #doc,
            required: #required,
            nullable: #nullable,
            checks: &[#(#checks),*],
            value: <#value as ::kernel::input::FromJson>::schema,
        }
    }
}

/// A field with a default counts as given only if its value differs from the default, since otherwise the row would be
/// the same without it.
fn given(field: &Field) -> TokenStream {
    let (ident, name) = (&field.ident, field.name());
    let default = field.rules.iter().find_map(|rule| match &rule.kind {
        RuleKind::Default(value) => Some(default(value.as_ref())),
        _ => None,
    });
    let ty = field.shape.value().to_token_stream();
    let test = match (&field.shape, default) {
        (Shape::Patch(_), _) => quote!(!self.#ident.is_absent()),
        (Shape::Option(_), Some(default)) => {
            quote!(self.#ident != ::core::option::Option::Some::<#ty>(#default))
        }
        (Shape::Option(_), None) => quote!(self.#ident.is_some()),
        (Shape::Plain(_), Some(default)) => {
            quote!(self.#ident != { let default: #ty = #default; default })
        }
        (Shape::Plain(_), None) => quote!(true),
    };
    quote!((#test).then_some(#name))
}

/// Generates the impls of an object inside of a body, which is stored as jsonb and accepts no other keys. PATCH
/// changes its keys individually.
fn object(item: &Struct) -> TokenStream {
    let name = &item.ident;
    let parts = item.fields.iter().map(|field| {
        let (key, ty) = (field.name(), field.shape.value());
        let checks = field.rules.iter().filter_map(|rule| check(&rule.kind));
        let optional = matches!(field.shape, Shape::Option(_));
        quote!(body.part::<#ty>(#key, &[#(#checks),*], #optional, &mut parts);)
    });
    let keys = item.fields.iter().map(Field::name);
    quote! {
        #[automatically_derived]
        impl #name {
            const KEYS: &'static [&'static str] = &[#(#keys),*];
            fn parts(body: &mut ::kernel::input::Body) -> ::kernel::input::Parts {
                let mut parts = ::kernel::input::Parts::new();
                #(#parts)*
                parts
            }
        }
        ::kernel::object_impls!(#name);
    }
}
