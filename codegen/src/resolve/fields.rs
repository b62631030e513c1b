//! Resolves field phrases into typed fields and checks their bounds and defaults; their rules come later.

use super::lines::Lines;
use super::literals::literal_fits;
use super::places::{Part, Places};
use crate::diag::{Collector, Diagnostic};
use crate::model::{Beside, EntityId, Field, Model, Object, RenamedValue, Ty};
use crate::names;
use crate::phrase::{At, FieldLine, FieldModifier, FieldPhrase, TyPhrase, ValuePhrase, Word};

pub fn resolve(
    model: &mut Model,
    id: EntityId,
    lines: &Lines,
    places: &mut Places,
    errors: &Collector,
) {
    let (mut fields, mut former) = (Vec::new(), Vec::new());
    for (name, phrase) in &lines.fields {
        places.put(id, Part::Field, &name.it, name.span);
        refuse_name(name, errors);
        let Some(ty) = ty(&phrase.ty, &model.objects, errors) else {
            continue;
        };
        if let Ty::Slug { from: Some(from) } = &ty {
            let source = lines.fields.iter().find(|(name, _)| name.it == *from);
            let is_text = |p: &FieldPhrase| matches!(p.ty.it, TyPhrase::Known(Ty::Text { .. }));
            if !source.is_some_and(|(_, p)| is_text(p) && !p.optional) {
                let texts = lines
                    .fields
                    .iter()
                    .filter(|(_, p)| is_text(p) && !p.optional);
                let texts: Vec<&str> = texts.map(|(name, _)| name.it.as_str()).collect();
                let help = match source {
                    Some((_, p)) if is_text(p) => {
                        format!("take the `?` behind the type of `{from}` away")
                    }
                    _ if texts.is_empty() => "add one, like `name: text(1..80)`".to_owned(),
                    _ => names::suggest(from, texts, "required texts"),
                };
                errors.push(
                    Diagnostic::at(
                        phrase.ty.span,
                        format!("a slug is made of a required text field, not of `{from}`"),
                    )
                    .help(help),
                );
            }
        }
        if let Some(default) = &phrase.default {
            places.put(id, Part::Default, &name.it, default.span);
        }
        for modifier in &phrase.modifiers {
            places.put(
                id,
                Part::Modifier,
                &format!("{} {}", name.it, modifier.it.word()),
                modifier.span,
            );
        }
        let mut field = field(name, phrase, ty, errors);
        field.filter |= is_address(phrase, &field) && !model.entities[id].internal;
        fields.push(field);
        former.extend(renamed(&phrase.ty.it).map(|(to, from)| RenamedValue {
            field: name.it.clone(),
            from: from.it.clone(),
            to: to.it.clone(),
        }));
    }
    refuse_second_states(lines, errors);
    model.entities[id].fields = fields;
    model.entities[id].renamed = former;
    model.entities[id].dropped = lines.dropped.clone();
}

/// Resolves the fields of an object, which have a type and may be optional, but have no modifiers.
pub fn object_fields(lines: &[(Word, FieldLine)], errors: &Collector) -> Vec<Field> {
    let mut fields = Vec::new();
    for (name, line) in lines {
        if names::is_rust_unraw(&name.it) {
            errors.push(
                Diagnostic::at(name.span, format!("`{}` can't be a Rust field", name.it))
                    .help(format!("choose another name, like `{}_value`", name.it)),
            );
        }
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
        for (_, was) in renamed(&phrase.ty.it) {
            errors.push(
                Diagnostic::at(was.span, "a value inside of an object is not renamed").help(
                    "the objects of the rows are moved in a migration by hand; take `was` away",
                ),
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

/// Refuses names that a column can't have. Columns are fields and derived values.
pub(super) fn refuse_name(name: &Word, errors: &Collector) {
    let clash = if names::is_sql_reserved(&name.it) {
        "would need quotes in SQL"
    } else if names::is_plpgsql_reserved(&name.it) {
        "is a word of PL/pgSQL, in which triggers are written"
    } else if names::is_system_column(&name.it) {
        "is a column that every table of PostgreSQL has"
    } else if names::is_rust_unraw(&name.it) {
        "can't be a Rust field"
    } else if names::is_rule_word(&name.it) {
        "is a word of the rule language"
    } else if names::is_generated_variable(&name.it) {
        "reads like a parameter or variable of the generated functions"
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

/// Values that have a former name.
fn renamed(phrase: &TyPhrase) -> impl Iterator<Item = (&Word, &Word)> {
    let values = match phrase {
        TyPhrase::Enum(values) | TyPhrase::States(values) => values.as_slice(),
        _ => &[],
    };
    values
        .iter()
        .filter_map(|v| Some((&v.word, v.was.as_ref()?)))
}

/// Front ends link by slugs, so a slug that everybody may read can be filtered by without the word `filter`.
fn is_address(phrase: &FieldPhrase, field: &Field) -> bool {
    let is_private = |m: &At<FieldModifier>| matches!(m.it, FieldModifier::Read(_));
    matches!(field.ty, Ty::Slug { .. })
        && !phrase.modifiers.iter().any(is_private)
        && !crate::check::is_parameter(&field.name)
}

/// Runs before transitions are resolved, which would otherwise be taken for those of the first states field.
fn refuse_second_states(lines: &Lines, errors: &Collector) {
    let states = |(_, phrase): &&(&Word, &FieldPhrase)| matches!(phrase.ty.it, TyPhrase::States(_));
    let mut states = lines.fields.iter().filter(states);
    let (Some((first, _)), Some((second, phrase))) = (states.next(), states.next()) else {
        return;
    };
    let name = &second.it;
    let default = if phrase.default.is_some() {
        ""
    } else {
        " with a default"
    };
    errors.push(
        Diagnostic::at(second.span, format!("`{name}` would be a second field of states"))
            .also(first.span, "the first")
            .help(format!(
                "make `{name}` an `enum(…)`{default} and `system`; transitions change it with `set {name} = …`"
            )),
    );
}

fn ty(phrase: &At<TyPhrase>, objects: &[Object], errors: &Collector) -> Option<Ty> {
    let values =
        |words: &[ValuePhrase]| words.iter().map(|v| v.word.it.clone()).collect::<Vec<_>>();
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
    let default = phrase.default.as_ref();
    let mut field = Field {
        name: name.it.clone(),
        default: default.map(|default| default.it.clone().of(&ty)),
        ty,
        optional: phrase.optional,
        unique: false,
        moves: false,
        search: false,
        filter: false,
        beside: None,
        sort: false,
        fixed: false,
        system: false,
        redact: false,
        future: None,
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
            FieldModifier::Moves => field.moves = true,
            FieldModifier::Search => field.search = true,
            FieldModifier::Filter => field.filter = true,
            FieldModifier::Else(relation, place) => {
                field.beside = Some(Beside {
                    relation: relation.it.clone(),
                    field: place.it.clone(),
                })
            }
            FieldModifier::Sort => field.sort = true,
            FieldModifier::Fixed => field.fixed = true,
            FieldModifier::System => field.system = true,
            FieldModifier::Redact => field.redact = true,
            FieldModifier::Future(future) => field.future = Some(*future),
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
