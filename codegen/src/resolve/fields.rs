//! Field phrases → typed fields, with their bounds and defaults checked; rules come later.

use super::lines::Lines;
use super::places::{Part, Places};
use crate::diag::{Collector, Diagnostic, Span};
use crate::model::{EntityId, Field, Literal, Model, Object, Ty};
use crate::names;
use crate::phrase::{At, FieldLine, FieldModifier, FieldPhrase, TyPhrase, Word};

pub fn resolve(
    model: &mut Model,
    id: EntityId,
    lines: &Lines,
    places: &mut Places,
    errors: &Collector,
) {
    let field_names: Vec<&str> = lines
        .fields
        .iter()
        .map(|(name, _)| name.it.as_str())
        .collect();
    let mut fields = Vec::new();
    for (name, phrase) in &lines.fields {
        places.put(id, Part::Field, &name.it, name.span);
        refuse_name(name, errors);
        let Some(ty) = ty(&phrase.ty, &model.objects, errors) else {
            continue;
        };
        if let Ty::Slug { from: Some(from) } = &ty {
            let source = lines.fields.iter().find(|(name, _)| name.it == *from);
            if !source.is_some_and(|(_, p)| {
                matches!(p.ty.it, TyPhrase::Known(Ty::Text { .. })) && !p.optional
            }) {
                errors.push(
                    Diagnostic::at(
                        phrase.ty.span,
                        format!("a slug is made of a required text field, not of `{from}`"),
                    )
                    .help(names::suggest(
                        from,
                        field_names.iter().copied(),
                        "fields",
                    )),
                );
            }
        }
        for modifier in &phrase.modifiers {
            places.put(
                id,
                Part::Modifier,
                &format!("{} {}", name.it, modifier.it.word()),
                modifier.span,
            );
        }
        fields.push(field(name, phrase, ty, errors));
    }
    model.entities[id].fields = fields;
    model.entities[id].dropped = lines.dropped.clone();
}

/// Fields of an object: a type, maybe optional, nothing more.
pub fn object_fields(lines: &[(Word, FieldLine)], errors: &Collector) -> Vec<Field> {
    let mut fields = Vec::new();
    for (name, line) in lines {
        let FieldLine::Field(phrase) = line else {
            errors.push(Diagnostic::at(name.span, "`drop` in an object").help("remove the line"));
            continue;
        };
        if let Some(modifier) = phrase.modifiers.first() {
            errors.push(
                Diagnostic::at(modifier.span, "a modifier in an object has no effect")
                    .help("fields of objects are only a type and `?`"),
            );
        }
        if let Some(default) = &phrase.default {
            errors.push(
                Diagnostic::at(default.span, "a default in an object has no effect")
                    .help("make the field optional"),
            );
        }
        let Some(ty) = ty(&phrase.ty, &[], errors) else {
            continue;
        };
        if matches!(
            ty,
            Ty::Object { .. }
                | Ty::States { .. }
                | Ty::Point
                | Ty::Money { .. }
                | Ty::Slug { from: Some(_) }
        ) {
            errors.push(
                Diagnostic::at(phrase.ty.span, "this type can't stand in an object").help(
                    "objects hold texts, numbers, times, enums, lists and formats like `url`",
                ),
            );
        }
        fields.push(field(name, phrase, ty, errors));
    }
    fields
}

fn refuse_name(name: &Word, errors: &Collector) {
    let clash = if names::is_sql_reserved(&name.it) {
        "would need quotes in SQL"
    } else if names::is_rust_unraw(&name.it) {
        "can't be a Rust field"
    } else if names::is_rule_word(&name.it) {
        "is a word of the rule language"
    } else {
        return;
    };
    errors.push(
        Diagnostic::at(
            name.span,
            format!("`{}` can't be a field: it {clash}", name.it),
        )
        .help(format!("choose another name, like `{}_value`", name.it)),
    );
}

fn ty(phrase: &At<TyPhrase>, objects: &[Object], errors: &Collector) -> Option<Ty> {
    let values = |words: &[Word]| words.iter().map(|w| w.it.clone()).collect::<Vec<_>>();
    Some(match &phrase.it {
        TyPhrase::Known(ty) => ty.clone(),
        TyPhrase::SlugFrom(from) => Ty::Slug {
            from: Some(from.it.clone()),
        },
        TyPhrase::Enum(words) => Ty::Enum {
            values: values(words),
        },
        TyPhrase::States(words) => Ty::States {
            values: values(words),
        },
        TyPhrase::Object(word) => match objects.iter().position(|o| o.name == word.it) {
            Some(object) => Ty::Object { object },
            None => {
                errors.push(
                    Diagnostic::at(word.span, format!("unknown object `{}`", word.it)).help(
                        names::suggest(
                            &word.it,
                            objects.iter().map(|o| o.name.as_str()),
                            "objects",
                        ),
                    ),
                );
                return None;
            }
        },
    })
}

fn field(name: &Word, phrase: &FieldPhrase, ty: Ty, errors: &Collector) -> Field {
    let mut field = Field {
        name: name.it.clone(),
        ty,
        optional: phrase.optional,
        default: phrase.default.as_ref().map(|d| d.it.clone()),
        unique: false,
        search: false,
        filter: false,
        sort: false,
        fixed: false,
        system: false,
        redact: false,
        read: None,
        write: None,
        check: None,
        was: None,
        doc: None,
    };
    let mut seen: Vec<&At<FieldModifier>> = Vec::new();
    for modifier in &phrase.modifiers {
        let same = |m: &&&At<FieldModifier>| {
            std::mem::discriminant(&m.it) == std::mem::discriminant(&modifier.it)
        };
        if let Some(first) = seen.iter().find(same) {
            errors.push(
                Diagnostic::at(modifier.span, "this modifier is here twice")
                    .also(first.span, "first written here")
                    .help("keep one of the two; rules are joined with `or`"),
            );
        }
        seen.push(modifier);
        match &modifier.it {
            FieldModifier::Unique => field.unique = true,
            FieldModifier::Search => field.search = true,
            FieldModifier::Filter => field.filter = true,
            FieldModifier::Sort => field.sort = true,
            FieldModifier::Fixed => field.fixed = true,
            FieldModifier::System => field.system = true,
            FieldModifier::Redact => field.redact = true,
            FieldModifier::Was(was) => field.was = Some(was.it.clone()),
            FieldModifier::Doc(doc) => field.doc = Some(doc.it.clone()),
            FieldModifier::Read(_) | FieldModifier::Write(_) | FieldModifier::Check(_) => {}
        }
    }
    if let Some(default) = &phrase.default {
        errors.keep(literal_fits(
            &field.ty,
            field.optional,
            &default.it,
            default.span,
        ));
    }
    field
}

/// Whether the literal is a value of the type: of its kind, within its bounds, one of its values.
pub fn literal_fits(
    ty: &Ty,
    optional: bool,
    literal: &Literal,
    span: Span,
) -> Result<(), Diagnostic> {
    let wrong = |expected: &str| {
        Err(Diagnostic::at(span, format!("{} is not {expected}", shown(literal))).help(example(ty)))
    };
    let within = |min: Option<i64>, max: Option<i64>| match literal {
        Literal::Int(n) if min.is_some_and(|min| *n < min) || max.is_some_and(|max| *n > max) => {
            let bound = |b: Option<i64>| b.map(|b| b.to_string()).unwrap_or_default();
            Err(
                Diagnostic::at(span, format!("{n} is outside of the bounds")).help(format!(
                    "a value within {}..{}",
                    bound(min),
                    bound(max)
                )),
            )
        }
        Literal::Int(_) => Ok(()),
        _ => wrong("a whole number"),
    };
    match (ty, literal) {
        (_, Literal::Null) if optional => {
            Err(Diagnostic::at(span, "an optional field is null anyway").help("leave `= null` out"))
        }
        (_, Literal::Null) => {
            Err(Diagnostic::at(span, "this field is never null").help("add `?` after the type"))
        }
        (Ty::Int { min, max }, _) => within(
            min.or(Some(i64::from(i32::MIN))),
            max.or(Some(i64::from(i32::MAX))),
        ),
        (Ty::Bigint { min, max } | Ty::Money { min, max }, _) => within(*min, *max),
        (Ty::Decimal { places }, Literal::Decimal(text)) => {
            let given = text.split_once('.').map_or(0, |(_, p)| p.len());
            if given > *places as usize {
                wrong(&format!("a number of {places} decimal places"))
            } else {
                Ok(())
            }
        }
        (Ty::Decimal { .. }, Literal::Int(_)) | (Ty::Bool, Literal::Bool(_)) => Ok(()),
        (Ty::Decimal { .. }, _) => wrong("a number"),
        (Ty::Bool, _) => wrong("`true` or `false`"),
        (Ty::Time | Ty::Date, Literal::Now) => Ok(()),
        (Ty::Time | Ty::Date, _) => wrong("a time"),
        (Ty::Enum { values } | Ty::States { values }, Literal::Text(text)) => {
            if values.contains(text) {
                return Ok(());
            }
            Err(
                Diagnostic::at(span, format!("`{text}` is none of the values")).help(
                    names::suggest(text, values.iter().map(String::as_str), "values"),
                ),
            )
        }
        (Ty::Text { min, max }, Literal::Text(text)) => {
            let len = text.chars().count();
            if len < *min as usize || len > *max as usize {
                return Err(Diagnostic::at(span, format!("a text of {len} characters"))
                    .help(format!("a text of {min} to {max} characters")));
            }
            Ok(())
        }
        (Ty::Currency | Ty::Country, Literal::Text(text)) => {
            let len = if matches!(ty, Ty::Currency) { 3 } else { 2 };
            if text.len() == len && text.bytes().all(|b| b.is_ascii_uppercase()) {
                return Ok(());
            }
            wrong(&format!("{len} capital letters"))
        }
        (
            Ty::Locale | Ty::Timezone | Ty::Url | Ty::Email | Ty::Phone | Ty::Slug { .. },
            Literal::Text(_),
        ) => Ok(()),
        (Ty::Uuid | Ty::Json | Ty::Point | Ty::Object { .. } | Ty::TextList { .. }, _) => {
            Err(Diagnostic::at(span, "this type has no defaults").help("make the field optional"))
        }
        _ => wrong("a text"),
    }
}

fn example(ty: &Ty) -> String {
    match ty {
        Ty::Enum { values } | Ty::States { values } => format!("values: {}", names::quoted(values)),
        Ty::Bool => "write `= false`".into(),
        Ty::Time | Ty::Date => "write `= now()`".into(),
        Ty::Int { .. } | Ty::Bigint { .. } | Ty::Money { .. } => "write it like `= 0`".into(),
        Ty::Decimal { .. } => "write it like `= 0.5`".into(),
        Ty::Currency => "write it like `= AUD`".into(),
        Ty::Country => "write it like `= AU`".into(),
        _ => "write it like `= \"text\"`".into(),
    }
}

pub fn shown(literal: &Literal) -> String {
    match literal {
        Literal::Null => "`null`".into(),
        Literal::Bool(b) => format!("`{b}`"),
        Literal::Int(n) => format!("`{n}`"),
        Literal::Decimal(n) => format!("`{n}`"),
        Literal::Text(text) => format!("`{text}`"),
        Literal::Now => "`now()`".into(),
    }
}
