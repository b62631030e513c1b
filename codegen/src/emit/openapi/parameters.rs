//! Query parameters of lists: filters with their comparisons, search, map, order, page, expansion.

use super::{schema::expandable, types, words::spaced};
use crate::{
    emit::columns::{self, Source},
    model::{Derived, DerivedKind, Entity, EntityId, Field, Model, Ty},
    names::pascal,
};
use serde_json::{Value, json};

/// What `GET /events` may be asked, each under the name it has in `components/parameters`: `Event.city_id`.
/// Every list of events refers to these.
pub fn components(model: &Model, id: EntityId) -> Vec<(String, Value)> {
    let name = pascal(&model.entities[id].name);
    let key =
        |parameter: &Value| format!("{name}.{}", parameter["name"].as_str().unwrap_or_default());
    own(model, id)
        .into_iter()
        .map(|(_, parameter)| (key(&parameter), parameter))
        .collect()
}

/// References to the parameters of a list; for a nested one without those that the parent decides (`fixed`).
pub fn of_list(model: &Model, id: EntityId, fixed: Option<&str>) -> Vec<Value> {
    let name = pascal(&model.entities[id].name);
    let mut all: Vec<Value> = own(model, id)
        .into_iter()
        .filter(|(relation, _)| relation.is_none() || relation.as_deref() != fixed)
        .map(|(_, parameter)| {
            common(&format!(
                "{name}.{}",
                parameter["name"].as_str().unwrap_or_default()
            ))
        })
        .collect();
    // `limit` and what follows it are the entity's own only in their defaults and words.
    let page = all.iter().position(|one| {
        one["$ref"]
            .as_str()
            .is_some_and(|name| name.ends_with(".limit"))
    });
    let at = page.map_or(all.len(), |page| page + 1);
    all.splice(at..at, [common("Cursor"), common("CountParameter")]);
    all
}

/// Those of a list that has neither filters nor orders.
pub fn of_page(entity: &Entity) -> Vec<Value> {
    let limit = common(&format!("{}.limit", pascal(&entity.name)));
    vec![limit, common("Cursor")]
}

/// With the relation that a filter is about.
fn own(model: &Model, id: EntityId) -> Vec<(Option<String>, Value)> {
    let entity = &model.entities[id];
    let mut all: Vec<(Option<String>, Value)> = Vec::new();
    let free = |parameters: Vec<Value>| {
        parameters
            .into_iter()
            .map(|one| (None, one))
            .collect::<Vec<_>>()
    };
    if entity.fields.iter().any(|field| field.search) {
        all.push((None, search(entity)));
    }
    for column in columns::row(entity) {
        let name = column.name();
        match column.source {
            Source::Field(field) if field.filter && field.ty == Ty::Point => {
                all.extend(free(map(field)))
            }
            Source::Field(field) if field.filter => {
                all.extend(free(filters(model, &name, &field.ty)))
            }
            Source::TypeOf(relation) if relation.filter => {
                let values = relation
                    .targets
                    .iter()
                    .map(|target| model.entities[*target].name.clone())
                    .collect();
                let filters = filters(model, &name, &Ty::Enum { values });
                all.extend(
                    filters
                        .into_iter()
                        .map(|one| (Some(relation.name.clone()), one)),
                );
            }
            Source::IdOf(relation) if relation.filter => {
                let filters = filters(model, &name, &Ty::Uuid);
                all.extend(
                    filters
                        .into_iter()
                        .map(|one| (Some(relation.name.clone()), one)),
                );
            }
            Source::Derived(derived) if derived.filter => {
                all.extend(free(filters(model, &name, &derived_type(derived))))
            }
            _ => {}
        }
    }
    all.push((None, sort(entity)));
    all.push((None, limit(entity)));
    all.extend(expand(model, entity).map(|one| (None, one)));
    all
}

/// Reference to `expand` for the answer of one object, if anything can be expanded.
pub fn of_one(model: &Model, entity: &Entity) -> Option<Value> {
    expand(model, entity).map(|_| common(&format!("{}.expand", pascal(&entity.name))))
}

fn expand(model: &Model, entity: &Entity) -> Option<Value> {
    let names: Vec<&str> = entity
        .belongs
        .iter()
        .filter(|relation| expandable(model, relation))
        .map(|relation| relation.name.as_str())
        .collect();
    if names.is_empty() {
        return None;
    }
    Some(json!({
        "name": "expand",
        "in": "query",
        "description": "Relations to put into the answer as whole objects, separated by commas.",
        "explode": false,
        "schema": {"type": "array", "uniqueItems": true, "minItems": 1, "maxItems": names.len(), "items": {"type": "string", "enum": names}},
    }))
}

/// A reference to a parameter.
pub fn common(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

fn parameter(name: &str, description: String, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

/// Equality, and the other comparisons the type has. No parameter bears an example: Swagger UI would
/// send it with whatever is tried out.
fn filters(model: &Model, name: &str, ty: &Ty) -> Vec<Value> {
    let schema = compared(model, ty);
    let equal = format!("Only those with this `{name}`.");
    let mut all = vec![parameter(name, equal, schema.clone())];
    if lists(ty) {
        all.push(json!({
            "name": format!("{name}.in"),
            "in": "query",
            "description": format!("Only those whose `{name}` is one of these, separated by commas."),
            "explode": false,
            "schema": {"type": "array", "minItems": 1, "maxItems": IN_MAX, "items": schema},
        }));
    }
    if ranges(ty) {
        let words = match ty {
            Ty::Time | Ty::Date => ["at or after", "at or before", "after", "before"],
            _ => ["at least", "at most", "more than", "less than"],
        };
        for (suffix, words) in ["gte", "lte", "gt", "lt"].into_iter().zip(words) {
            let description = format!("Only those whose `{name}` is {words} this.");
            all.push(parameter(
                &format!("{name}.{suffix}"),
                description,
                schema.clone(),
            ));
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
    matches!(
        ty,
        Ty::Int { .. }
            | Ty::Bigint { .. }
            | Ty::Money { .. }
            | Ty::Decimal { .. }
            | Ty::Time
            | Ty::Date
    )
}

/// A value to compare with need not be one that could be stored, so bounds and patterns are left away.
fn compared(model: &Model, ty: &Ty) -> Value {
    match ty {
        Ty::Int { .. } => json!({"type": "integer", "format": "int32"}),
        Ty::Bigint { .. } | Ty::Money { .. } => json!({"type": "integer", "format": "int64"}),
        Ty::Decimal { .. }
        | Ty::Bool
        | Ty::Time
        | Ty::Date
        | Ty::Uuid
        | Ty::Enum { .. }
        | Ty::States { .. } => types::schema(model, ty),
        _ => json!({"type": "string", "minLength": 1, "maxLength": 200}),
    }
}

fn derived_type(derived: &Derived) -> Ty {
    match derived.kind {
        DerivedKind::Count { .. } | DerivedKind::Sum { .. } => Ty::Bigint {
            min: None,
            max: None,
        },
        DerivedKind::Avg { .. } => Ty::Decimal { places: 1 },
        DerivedKind::Flag { .. } => Ty::Bool,
    }
}

fn search(entity: &Entity) -> Value {
    let fields: Vec<String> = entity
        .fields
        .iter()
        .filter(|field| field.search)
        .map(|field| format!("`{}`", field.name))
        .collect();
    let description = format!(
        "Words to look for in {}: all of them, the last one perhaps not typed to its end; accents and capitals do not matter. \
         `\"two words\"` stand side by side, `-word` is not there, `or` is between alternatives. Where few hold the words, parts of \
         names are found as well. Finds public {} only, and orders and filters at most the 2,000 newest of them.",
        fields.join(", "),
        spaced(&entity.plural)
    );
    parameter(
        "q",
        description,
        json!({"type": "string", "minLength": 1, "maxLength": 200}),
    )
}

fn map(field: &Field) -> Vec<Value> {
    let name = &field.name;
    let number = r"-?[0-9]+(\.[0-9]+)?";
    let near = format!(
        "Latitude and longitude such as `47.3769,8.5417`: only those whose `{name}` is within `radius_m` of it, the nearest first. With another order or other filters: of the 2,000 nearest."
    );
    let bbox = format!(
        "West, south, east, north in degrees such as `8.44,47.32,8.62,47.43`: only those whose `{name}` is inside, 2,000 at most."
    );
    let radius =
        "Radius around `near` in metres, 5000 if left out. Only together with `near`.".to_owned();
    vec![
        parameter(
            "near",
            near,
            json!({"type": "string", "pattern": format!("^{number},{number}$")}),
        ),
        parameter(
            "radius_m",
            radius,
            json!({"type": "integer", "minimum": 1, "maximum": 100000}),
        ),
        parameter(
            "bbox",
            bbox,
            json!({"type": "string", "pattern": format!("^{number}(,{number}){{3}}$")}),
        ),
    ]
}

fn limit(entity: &Entity) -> Value {
    let schema = json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 100, "default": entity.page});
    parameter("limit", "Objects per page.".to_owned(), schema)
}

/// `sort=name` ascending, `sort=-name` descending.
fn sort(entity: &Entity) -> Value {
    let fields = entity
        .fields
        .iter()
        .filter(|field| field.sort)
        .map(|field| &field.name);
    let derived = entity
        .derived
        .iter()
        .filter(|derived| derived.sort)
        .map(|derived| &derived.name);
    let values: Vec<String> = (fields.chain(derived).map(String::as_str))
        .chain(["id"])
        .flat_map(|name| [name.to_owned(), format!("-{name}")])
        .collect();
    let mut description = "Order of the list; `-` in front turns it round. Objects equal in it are ordered by id. Without it: newest first, which is `-id`.".to_owned();
    if entity.fields.iter().any(|f| f.filter && f.ty == Ty::Point) {
        description.push_str(" With `near`: nearest first.");
    }
    parameter(
        "sort",
        description,
        json!({"type": "string", "enum": values}),
    )
}
