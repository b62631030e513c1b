//! Writes a field back as a phrase of the spec, so that a refusal can quote the line to write.

use crate::model::{Field, Future, Literal, Model, Ty};

pub fn phrase(model: &Model, field: &Field) -> String {
    let mut text = ty(model, &field.ty);
    if field.optional {
        text.push('?');
    }
    if let Some(value) = &field.default {
        text.push_str(&format!(" = {}", literal(value)));
    }
    let modifiers = [
        (field.unique, "unique"),
        (field.search, "search"),
        // Slugs can always be filtered by.
        (
            field.filter && !matches!(field.ty, Ty::Slug { .. }),
            "filter",
        ),
        (field.sort, "sort"),
        (field.fixed, "fixed"),
        (field.system, "system"),
        (field.redact, "redact"),
    ];
    for (_, word) in modifiers.iter().filter(|(on, _)| *on) {
        text.push_str(&format!(", {word}"));
    }
    match field.future {
        Some(Future::Always) => text.push_str(", future"),
        Some(Future::OnCreate) => text.push_str(", future on create"),
        None => {}
    }
    if let Some(beside) = &field.beside {
        text.push_str(&format!(", else {}.{}", beside.relation, beside.field));
    }
    text
}

fn ty(model: &Model, ty: &Ty) -> String {
    match ty {
        Ty::Text { min: 0, max } => format!("text(..{max})"),
        Ty::Text { min, max } => format!("text({min}..{max})"),
        Ty::Int { min, max } => bounded("int", *min, *max),
        Ty::Bigint { min, max } => bounded("bigint", *min, *max),
        Ty::Decimal { places } => format!("decimal({places})"),
        Ty::Money { min, max } => bounded("money", *min, *max),
        Ty::Slug { from: Some(field) } => format!("slug from {field}"),
        Ty::Slug { from: None } => "slug".to_owned(),
        Ty::Enum { values } => format!("enum({})", values.join(", ")),
        Ty::States { values } => format!("states({})", values.join(", ")),
        Ty::Object { object } => format!("object {}", model.objects[*object].name),
        Ty::TextList { max, count } => format!("list text(..{max})(..{count})"),
        Ty::Bool => "bool".to_owned(),
        Ty::Time => "time".to_owned(),
        Ty::Date => "date".to_owned(),
        Ty::Uuid => "uuid".to_owned(),
        Ty::Json => "json".to_owned(),
        Ty::Url => "url".to_owned(),
        Ty::Email => "email".to_owned(),
        Ty::Phone => "phone".to_owned(),
        Ty::Social { network } => format!("social({network})"),
        Ty::LocalTime => "local_time".to_owned(),
        Ty::Code { min: 0, max } => format!("code(..{max})"),
        Ty::Code { min, max } => format!("code({min}..{max})"),
        Ty::Handle { min: 0, max } => format!("handle(..{max})"),
        Ty::Handle { min, max } => format!("handle({min}..{max})"),
        Ty::Currency => "currency".to_owned(),
        Ty::Country => "country".to_owned(),
        Ty::Locale => "locale".to_owned(),
        Ty::Timezone => "timezone".to_owned(),
        Ty::Point => "point".to_owned(),
    }
}

fn bounded(name: &str, min: Option<i64>, max: Option<i64>) -> String {
    let side = |bound: Option<i64>| bound.map_or_else(String::new, |n| n.to_string());
    match (min, max) {
        (None, None) => name.to_owned(),
        _ => format!("{name}({}..{})", side(min), side(max)),
    }
}

fn literal(value: &Literal) -> String {
    match value {
        Literal::Null => "null".to_owned(),
        Literal::Bool(b) => b.to_string(),
        Literal::Int(n) => n.to_string(),
        Literal::Decimal(d) => d.clone(),
        Literal::Text(t) if t.chars().all(|c| c.is_alphanumeric() || c == '_') && !t.is_empty() => {
            t.clone()
        }
        Literal::Text(t) => format!("{t:?}"),
        Literal::Now | Literal::Today => "now()".to_owned(),
    }
}
