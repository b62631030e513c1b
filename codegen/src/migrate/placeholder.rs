//! Placeholder values for required columns whose real values were lost in an earlier migration.
//!
//! Only down migrations need them: they restore the schema but can't restore the data.

use super::columns::default_for_rows;
use super::hints::table;
use crate::model::{Entity, Literal, Model, Ty};
use crate::objects::{Column, Kind, Object, Schema};

/// A value that the column's type and checks allow. If the column must be unique, the expression yields a different
/// value for every row.
pub fn placeholder(model: Option<&Model>, schema: &Schema, of: &str, column: &Column) -> String {
    if let Some(value) = default_for_rows(column) {
        return value.clone();
    }
    let unique = schema
        .objects
        .iter()
        .any(|o| o.table.as_deref() == Some(of) && sets_apart(o, &column.name));
    let entity = model.and_then(|m| m.entities.iter().find(|e| table(e) == of));
    if let Some(kind) = model
        .zip(entity)
        .and_then(|(m, e)| kind_of(m, e, &column.name))
    {
        return kind;
    }
    let field = entity.and_then(|entity| entity.field(&column.name));
    match field {
        Some(field) => match &field.default {
            Some(value) => literal(value),
            None => {
                of_type(&field.ty, unique).unwrap_or_else(|| of_sql_type(&column.sql_type, unique))
            }
        },
        None => of_sql_type(&column.sql_type, unique),
    }
}

/// The first target of a `one of` reference, for the column with its type: another word could not be read.
fn kind_of(model: &Model, entity: &Entity, column: &str) -> Option<String> {
    let mut relations = entity.belongs.iter();
    let relation = relations.find(|r| r.type_column().as_deref() == Some(column))?;
    let target = relation.targets.first()?;
    Some(format!("'{}'", model.entities[*target].name))
}

fn sets_apart(object: &Object, column: &str) -> bool {
    let rule = object.kind == Kind::Constraint || object.kind == Kind::Index;
    let apart = ["unique", "exclude"]
        .iter()
        .any(|w| super::text::mentions(&object.create.to_lowercase(), w));
    rule && apart && super::text::mentions(&object.create, column)
}

const ANY_WORD: &str = "substr(replace(gen_random_uuid()::text, '-', ''), 1, 12)";

fn of_type(ty: &Ty, unique: bool) -> Option<String> {
    let quoted = |text: &str| Some(format!("'{text}'"));
    match ty {
        Ty::Enum { values } | Ty::States { values } => quoted(values.first()?),
        Ty::Int { min, max } | Ty::Bigint { min, max } | Ty::Money { min, max } => {
            let (min, max) = (min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX));
            let least = 0.clamp(min, max);
            Some(match unique {
                true => {
                    let span = max.saturating_sub(least).min(i32::MAX.into());
                    format!("({least} + floor(random() * {span}))::bigint")
                }
                false => least.to_string(),
            })
        }
        Ty::Text { min, max } if unique && *max >= 12 => {
            Some(format!("rpad({ANY_WORD}, greatest(12, {min}), '-')"))
        }
        Ty::Text { min, .. } => Some(format!("repeat('-', {min})")),
        Ty::Slug { .. } => Some(if unique {
            format!("'x' || {ANY_WORD}")
        } else {
            "'x'".to_owned()
        }),
        Ty::Email => Some(format!("{ANY_WORD} || '@example.invalid'")),
        Ty::Url => Some(format!("'https://example.invalid/' || {ANY_WORD}")),
        Ty::Phone => quoted("+10000000000"),
        Ty::Social { network } => quoted(crate::emit::openapi::example::social(network)),
        Ty::LocalTime => quoted("00:00"),
        Ty::Code { min, max } if unique && *max >= 12 => {
            Some(format!("upper(rpad({ANY_WORD}, greatest(12, {min}), '-'))"))
        }
        // Never empty, whatever the least length.
        Ty::Code { min, .. } => Some(format!("repeat('-', greatest(1, {min}))")),
        Ty::Handle { min, max } if unique && *max >= 13 => {
            Some(format!("rpad('x' || {ANY_WORD}, greatest(13, {min}), '_')"))
        }
        Ty::Handle { min, .. } => Some(format!("rpad('x', greatest(1, {min}), '_')")),
        Ty::Currency => quoted("USD"),
        Ty::Country => quoted("US"),
        Ty::Locale => quoted("en"),
        Ty::Timezone => quoted("UTC"),
        Ty::Point => quoted("SRID=4326;POINT(0 0)"),
        _ => None,
    }
}

fn of_sql_type(ty: &str, unique: bool) -> String {
    let bare = ty.split('(').next().unwrap_or(ty);
    match bare {
        "uuid" => "gen_random_uuid()".to_owned(),
        "boolean" | "bool" => "false".to_owned(),
        "integer" | "int" | "bigint" | "smallint" | "numeric" if unique => {
            "(random() * 30000)::int".to_owned()
        }
        "integer" | "int" | "bigint" | "smallint" | "numeric" => "0".to_owned(),
        "timestamptz" => "now()".to_owned(),
        "date" => "current_date".to_owned(),
        "jsonb" | "json" => "'{}'".to_owned(),
        _ if ty.ends_with("[]") => "'{}'".to_owned(),
        "geography" | "geometry" => "'SRID=4326;POINT(0 0)'".to_owned(),
        _ if unique => ANY_WORD.to_owned(),
        _ => "''".to_owned(),
    }
}

fn literal(value: &Literal) -> String {
    match value {
        Literal::Null => "null".to_owned(),
        Literal::Bool(b) => b.to_string(),
        Literal::Int(n) => n.to_string(),
        Literal::Decimal(d) => d.clone(),
        Literal::Text(t) => format!("'{}'", t.replace('\'', "''")),
        Literal::Now => "now()".to_owned(),
        Literal::Today => "(now() at time zone 'UTC')::date".to_owned(),
    }
}
