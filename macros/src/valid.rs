//! Errors in attributes that parse but make no sense: reported at the token that is wrong, with the correction.

use crate::ast::{Enum, Field, Shape, Struct, all};
use crate::attr::{InputKind, Rule, RuleKind, StructWord};
use crate::expand::choice::word;
use syn::{Error, Result};

pub const FORMATS: [(&str, &str); 23] = [
    ("email", "Email"),
    ("url", "Url"),
    ("https", "Https"),
    ("phone", "Phone"),
    ("slug", "Slug"),
    ("currency", "Currency"),
    ("country", "Country"),
    ("locale", "Locale"),
    ("timezone", "Timezone"),
    ("local_time", "LocalTime"),
    ("code", "Code"),
    ("handle", "Handle"),
    // Formats of `social(…)`, which are constants of `Format`.
    ("instagram", "INSTAGRAM"),
    ("facebook", "FACEBOOK"),
    ("youtube", "YOUTUBE"),
    ("linkedin", "LINKEDIN"),
    ("x", "X"),
    ("tiktok", "TIKTOK"),
    ("mastodon", "MASTODON"),
    ("threads", "THREADS"),
    ("bluesky", "BLUESKY"),
    ("whatsapp", "WHATSAPP"),
    ("telegram", "TELEGRAM"),
];

/// The kind of body that the struct declares; exactly one is required.
pub fn kind(item: &Struct) -> Result<InputKind> {
    let kinds = item.attrs.iter().filter_map(|attr| match attr.word {
        StructWord::Kind(kind) => Some((attr.span, kind)),
        _ => None,
    });
    let kind = match &kinds.collect::<Vec<_>>()[..] {
        [(_, one)] => *one,
        [] => {
            return Err(Error::new_spanned(
                &item.ident,
                "say what this is: `#[input(create)]`, `#[input(update)]`, `#[input(object)]` or `#[input(body)]`",
            ));
        }
        [_, (span, _), ..] => {
            return Err(Error::new(
                *span,
                "only one of `create`, `update`, `object` and `body`",
            ));
        }
    };
    let other = item
        .attrs
        .iter()
        .find(|attr| !matches!(attr.word, StructWord::Kind(_)));
    match other {
        Some(other) if kind != InputKind::Body => {
            Err(Error::new(other.span, "only together with `body`"))
        }
        _ => Ok(kind),
    }
}

pub fn input(item: &Struct) -> Result<InputKind> {
    let kind = kind(item)?;
    all(item.fields.iter().map(|field| match kind {
        InputKind::Update => update_field(field),
        InputKind::Create | InputKind::Object | InputKind::Body => create_field(field),
    }))?;
    all(item
        .fields
        .iter()
        .flat_map(|field| field.rules.iter().map(|rule| field_rule(item, field, rule))))?;
    all(item.fields.iter().flat_map(|field| {
        field.rules.iter().enumerate().map(|(i, rule)| {
            let again = field.rules[..i]
                .iter()
                .any(|earlier| earlier.ident == rule.ident);
            if again {
                Err(Error::new(
                    rule.ident.span(),
                    format!("`{}` stands here twice", rule.ident),
                ))
            } else {
                Ok(())
            }
        })
    }))?;
    Ok(kind)
}

pub fn choice(item: &Enum) -> Result<()> {
    let words: Vec<String> = item.variants.iter().map(word).collect();
    all(words.iter().enumerate().map(|(i, word)| {
        let variant = &item.variants[i].ident;
        if word.is_empty() {
            return Err(Error::new_spanned(variant, "a word must not be empty"));
        }
        match words[..i].contains(word) {
            true => Err(Error::new_spanned(
                variant,
                format!("the word `{word}` stands here twice"),
            )),
            false => Ok(()),
        }
    }))?;
    Ok(())
}

/// In a create body, the field's type says whether it is required.
fn create_field(field: &Field) -> Result<()> {
    if let Shape::Patch(_) = field.shape {
        return Err(Error::new_spanned(
            &field.ty,
            "`Patch` is for `#[input(update)]`; write the type itself or `Option`",
        ));
    }
    match field.rules.iter().find(|r| {
        matches!(
            r.kind,
            RuleKind::Required | RuleKind::Optional | RuleKind::Keep
        )
    }) {
        Some(rule) => Err(Error::new(
            rule.ident.span(),
            format!(
                "`{}` is for `#[input(update)]`; here the type says it: `Option` may be left out",
                rule.ident
            ),
        )),
        None => Ok(()),
    }
}

/// In an update body every field may be absent, so the attribute must say what PUT and null do.
fn update_field(field: &Field) -> Result<()> {
    let Shape::Patch(_) = field.shape else {
        return Err(Error::new_spanned(
            &field.ty,
            "expected `Patch<…>`: in an update absent is not null",
        ));
    };
    let has = |wanted: fn(&RuleKind) -> bool| field.rules.iter().find(|r| wanted(&r.kind));
    let required = has(|k| matches!(k, RuleKind::Required));
    let optional = has(|k| matches!(k, RuleKind::Optional));
    let default = has(|k| matches!(k, RuleKind::Default(_)));
    let keep = has(|k| matches!(k, RuleKind::Keep));
    match (required, optional, default, keep) {
        (Some(_), Some(rule), ..) | (Some(_), _, Some(rule), _) | (_, _, Some(rule), Some(_)) => {
            Err(Error::new(
                rule.ident.span(),
                format!("`{}` contradicts what stands before it", rule.ident),
            ))
        }
        (None, None, None, None) => Err(Error::new_spanned(
            &field.ident,
            "say what PUT does when this is absent: `required`, `optional`, `default = …` or `keep`",
        )),
        _ => Ok(()),
    }
}

fn field_rule(item: &Struct, field: &Field, rule: &Rule) -> Result<()> {
    let fail = |message: String| Err(Error::new(rule.ident.span(), message));
    match &rule.kind {
        RuleKind::Length(min, max) | RuleKind::Line(min, max) | RuleKind::Opaque(min, max)
            if min > max =>
        {
            fail(format!(
                "no text has {min} to {max} characters: swap the two"
            ))
        }
        RuleKind::Range(Some(min), Some(max)) if min > max => {
            fail(format!("no number is from {min} to {max}: swap the two"))
        }
        RuleKind::Range(None, None) => fail("a range needs a bound; leave it out instead".into()),
        RuleKind::Length(..) | RuleKind::Line(..) | RuleKind::Opaque(..) | RuleKind::Format(_)
            if is_list(field) =>
        {
            fail("texts of a list are bounded with `list(characters, items)`".into())
        }
        RuleKind::Lower if !is_text(field) => fail("`lower` is for `String`".into()),
        RuleKind::List(..) if !is_list(field) => {
            fail("`list` is for `Vec<String>`; a text takes `length(min, max)`".into())
        }
        RuleKind::Format(name) if !FORMATS.iter().any(|(known, _)| *known == name.value()) => {
            let known = FORMATS.map(|(known, _)| known).join(", ");
            Err(Error::new_spanned(
                name,
                format!("unknown format, expected one of: {known}"),
            ))
        }
        RuleKind::With(name) if !item.fields.iter().any(|other| other.name() == name.value()) => {
            Err(Error::new_spanned(name, "there is no field of this name"))
        }
        _ => Ok(()),
    }
}

fn is_text(field: &Field) -> bool {
    matches!(&field.shape, Shape::Plain(syn::Type::Path(path)) if path.path.is_ident("String"))
}

fn is_list(field: &Field) -> bool {
    matches!(field.shape.value(), syn::Type::Path(path) if path.path.segments.last().is_some_and(|s| s.ident == "Vec"))
}
