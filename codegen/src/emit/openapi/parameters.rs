//! Query parameters of lists: filters with their comparisons, search, map, order, page, expansion.

use super::{
    schema::{Column, columns, expandable},
    types,
    words::spaced,
};
use crate::model::{Derived, DerivedKind, Entity, EntityId, Field, Lifecycle, Model, Ty};
use serde_json::{Value, json};

/// Parameters of `GET /events`; for a nested list without those that the parent decides (`fixed`).
pub fn of_list(model: &Model, id: EntityId, fixed: Option<&str>) -> Vec<Value> {
    let entity = &model.entities[id];
    let mut all = Vec::new();
    if entity.fields.iter().any(|field| field.search) {
        all.push(search(entity));
    }
    for column in columns(model, id) {
        match column {
            Column::Field(field) if field.filter && field.ty == Ty::Point => all.extend(map(field)),
            Column::Field(field) if field.filter => all.extend(filters(model, &field.name, &field.ty)),
            Column::TypeOf(relation) if relation.filter && fixed != Some(&relation.name) => {
                let names = relation.targets.iter().map(|target| model.entities[*target].name.clone()).collect();
                all.extend(filters(model, &column.name(), &Ty::Enum { values: names }));
            }
            Column::IdOf(relation) if relation.filter && fixed != Some(&relation.name) => {
                all.extend(filters(model, &column.name(), &Ty::Uuid));
            }
            Column::Derived(derived) if derived.filter => all.extend(filters(model, &derived.name, &derived_type(derived))),
            _ => {}
        }
    }
    all.push(sort(entity));
    all.push(limit(entity));
    all.extend(common("Cursor"));
    all.extend(common("CountParameter"));
    all.extend(expand(model, entity));
    all
}

/// `expand` for one object or a list, if anything can be expanded.
pub fn expand(model: &Model, entity: &Entity) -> Option<Value> {
    let names: Vec<&str> =
        entity.belongs.iter().filter(|relation| expandable(model, relation)).map(|relation| relation.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    Some(json!({
        "name": "expand",
        "in": "query",
        "description": "Relations to put into the answer as whole objects, separated by commas.",
        "explode": false,
        "schema": {"type": "array", "uniqueItems": true, "maxItems": names.len(), "items": {"type": "string", "enum": names}},
    }))
}

/// A reference to a shared parameter.
pub fn common(name: &str) -> Option<Value> {
    Some(json!({"$ref": format!("#/components/parameters/{name}")}))
}

fn parameter(name: &str, description: String, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

/// Equality, and the other comparisons the type has.
fn filters(model: &Model, name: &str, ty: &Ty) -> Vec<Value> {
    let spoken = spaced(name);
    let schema = compared(model, ty);
    let mut all = vec![parameter(name, format!("Only those whose {spoken} is this."), schema.clone())];
    if lists(ty) {
        all.push(json!({
            "name": format!("{name}.in"),
            "in": "query",
            "description": format!("Only those whose {spoken} is one of these, separated by commas."),
            "explode": false,
            "schema": {"type": "array", "minItems": 1, "maxItems": IN_MAX, "items": schema},
        }));
    }
    if ranges(ty) {
        for (suffix, words) in [("gte", "at least"), ("lte", "at most"), ("gt", "more than"), ("lt", "less than")] {
            let words = match (ty, suffix) {
                (Ty::Time | Ty::Date, "gte") => "at or after",
                (Ty::Time | Ty::Date, "lte") => "at or before",
                (Ty::Time | Ty::Date, "gt") => "after",
                (Ty::Time | Ty::Date, _) => "before",
                _ => words,
            };
            all.push(parameter(&format!("{name}.{suffix}"), format!("Only those whose {spoken} is {words} this."), schema.clone()));
        }
    }
    all
}

/// Values of one `.in`.
const IN_MAX: usize = 50;

fn lists(ty: &Ty) -> bool {
    !matches!(ty, Ty::Bool) && !ranges(ty)
}

fn ranges(ty: &Ty) -> bool {
    matches!(ty, Ty::Int { .. } | Ty::Bigint { .. } | Ty::Money { .. } | Ty::Decimal { .. } | Ty::Time | Ty::Date)
}

/// A value to compare with need not be one that could be stored, so bounds and patterns are left away.
fn compared(model: &Model, ty: &Ty) -> Value {
    match ty {
        Ty::Int { .. } => json!({"type": "integer", "format": "int32"}),
        Ty::Bigint { .. } | Ty::Money { .. } => json!({"type": "integer", "format": "int64"}),
        Ty::Decimal { .. } | Ty::Bool | Ty::Time | Ty::Date | Ty::Uuid | Ty::Enum { .. } | Ty::States { .. } => {
            types::schema(model, ty)
        }
        _ => json!({"type": "string", "minLength": 1, "maxLength": 200}),
    }
}

fn derived_type(derived: &Derived) -> Ty {
    match derived.kind {
        DerivedKind::Count { .. } | DerivedKind::Sum { .. } => Ty::Bigint { min: None, max: None },
        DerivedKind::Avg { .. } => Ty::Decimal { places: 1 },
        DerivedKind::Flag { .. } => Ty::Bool,
    }
}

fn search(entity: &Entity) -> Value {
    let fields: Vec<String> =
        entity.fields.iter().filter(|field| field.search).map(|field| format!("`{}`", field.name)).collect();
    let description = format!(
        "Words to look for in {}: whole words and parts of words. Finds public {} only.",
        fields.join(", "),
        spaced(&entity.plural)
    );
    parameter("q", description, json!({"type": "string", "minLength": 1, "maxLength": 200}))
}

fn map(field: &Field) -> [Value; 3] {
    let spoken = spaced(&field.name);
    let number = r"-?[0-9]+(\.[0-9]+)?";
    [
        json!({
            "name": "near",
            "in": "query",
            "description": format!("Latitude and longitude, separated by a comma: only those whose {spoken} is within `radius_m` of it."),
            "schema": {"type": "string", "pattern": format!("^{number},{number}$")},
            "example": "47.3769,8.5417",
        }),
        json!({
            "name": "radius_m",
            "in": "query",
            "description": "Radius around `near` in metres.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 100000, "default": 5000},
        }),
        json!({
            "name": "bbox",
            "in": "query",
            "description": format!("West, south, east, north in degrees, separated by commas: only those whose {spoken} is inside."),
            "schema": {"type": "string", "pattern": format!("^{number}(,{number}){{3}}$")},
            "example": "8.44,47.32,8.62,47.43",
        }),
    ]
}

fn limit(entity: &Entity) -> Value {
    let schema = json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 100, "default": entity.page});
    parameter("limit", "Objects per page.".to_owned(), schema)
}

/// `sort=name` ascending, `sort=-name` descending.
fn sort(entity: &Entity) -> Value {
    let mut names: Vec<String> = entity.fields.iter().filter(|field| field.sort).map(|field| field.name.clone()).collect();
    names.extend(entity.derived.iter().filter(|derived| derived.sort).map(|derived| derived.name.clone()));
    names.push("created_at".to_owned());
    if entity.lifecycle != Lifecycle::AppendOnly {
        names.push("updated_at".to_owned());
    }
    let values: Vec<String> = names.iter().flat_map(|name| [name.clone(), format!("-{name}")]).collect();
    parameter(
        "sort",
        "Order of the list; `-` in front turns it round. Objects equal in it are ordered by id.".to_owned(),
        json!({"type": "string", "enum": values}),
    )
}
