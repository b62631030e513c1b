//! Query parameters of lists: filters and their comparisons, search, map, sort, paging, expansion.

use super::{
    named,
    types::{self, reference},
};
use crate::{
    emit::{
        columns::{self, Source},
        entity::types::{enum_name, type_name},
    },
    model::{Derived, DerivedKind, Entity, EntityId, Model, OfWhat, PAGE, Relation, Ty},
    names::pascal,
};
use serde_json::{Map, Value, json};
use std::{collections::HashMap, sync::Arc};

/// The parameters of all lists. Parameters for ids, times and booleans that are the same in every list appear once in
/// the document, as `city_id.in`; others carry the name of their entity: `Event.state`.
pub fn components(model: &Model, order: &[EntityId]) -> Map<String, Value> {
    let mut all = Map::new();
    for id in order {
        let entity = &model.entities[*id];
        for own in own(model, *id) {
            all.insert(own.key(model, entity), own.parameter);
        }
    }
    all
}

/// A parameter of a list.
struct Own {
    /// The relation that a filter compares; `None` for filters of other columns and for other parameters.
    relation: Option<String>,
    parameter: Value,
}

impl Own {
    fn name(&self) -> &str {
        self.parameter["name"].as_str().unwrap_or_default()
    }

    /// The parameter's name in `components/parameters`.
    fn key(&self, model: &Model, entity: &Entity) -> String {
        let name = self.name();
        let schema = &self.parameter["schema"];
        if name == "limit" {
            return limit_name(entity);
        }
        if name == "sort" && named::is_by_id(entity) {
            return named::BY_ID.to_owned();
        }
        if name == "q" || MAP.contains(&name) {
            return name.to_owned();
        }
        let column = name.split('.').next().unwrap_or(name);
        match name == "sort" || name == "expand" || !is_shared(model, column, schema) {
            true => format!("{}.{name}", pascal(&entity.name)),
            false => name.to_owned(),
        }
    }
}

/// By the name of a filter's column, the schema of the values that all lists compare it with; `None` if they differ.
type Kinds = Arc<HashMap<String, Option<Value>>>;

/// References to the parameters of a list; those of a nested list without the filters of `fixed`, the relation to the
/// parent.
pub fn of_list(model: &Model, id: EntityId, fixed: Option<&str>) -> Vec<Value> {
    let entity = &model.entities[id];
    let mut all = Vec::new();
    for own in own(model, id) {
        if own.relation.is_some() && own.relation.as_deref() == fixed {
            continue;
        }
        all.push(common(&own.key(model, entity)));
        if own.name() == "limit" {
            all.extend([common("Cursor"), common("count")]);
        }
    }
    // In a nested list, `id` is the parameter of the path.
    all.extend(fixed.is_none().then(|| common("IdIs")));
    all.extend([common("IdIn"), common("IdNe")]);
    all
}

/// References to the parameters of a list that has neither filters nor sort orders.
pub fn of_page(entity: &Entity) -> Vec<Value> {
    vec![common(&limit_name(entity)), common("Cursor")]
}

/// The name of the parameter `limit` for pages of the entity's size. Most have the usual one.
fn limit_name(entity: &Entity) -> String {
    match entity.page {
        PAGE => "limit".to_owned(),
        page => format!("limit.{page}"),
    }
}

/// Reference to the parameter `expand` of an answer with one object; `None` if nothing can be expanded.
pub fn of_one(model: &Model, id: EntityId) -> Option<Value> {
    let name = pascal(&model.entities[id].name);
    expand(model, id).map(|_| common(&format!("{name}.expand")))
}

/// A reference to a parameter.
pub fn common(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

const MAP: [&str; 3] = ["near", "radius_m", "bbox"];

/// Part of the introduction of the document.
pub const LISTS: &str = "\
**Lists** are divided into pages of `limit` objects. For the next page, repeat the request with the same filters and order, \
and with `cursor` set to `next_cursor`, until that is null. `sort` names the property to sort by, with `-` before it for \
descending order; without it the newest objects come first. `count=exact` adds the number of objects on all pages, up to \
10,000. `expand` names related objects, separated by commas, that are included in the answer; they are null if the caller \
can't see them.

**Filters** have the name of a property: `city_id=…` returns objects whose `city_id` is equal to the value. A suffix changes \
the comparison: `.ne` is not equal (or null), `.in` is one of up to 100 values, separated by commas (a comma inside a value \
is written `\\,`). `.gte`, `.lte`, `.gt` and `.lt` are at least, at most, more than and less than; for times they are at or \
after, at or before, after and before, and a date stands for the whole day in UTC. `.null=true` returns objects without a \
value, `.null=false` those with one. An object has to match all filters.

**Searching.** `q` finds objects that contain all words, ignoring accents and capitals; the last word may be incomplete. \
`\"two words\"` have to be adjacent, `-word` must not occur, and `or` separates alternatives. If few objects match, parts of \
names are found too. `near` and `bbox` find public objects only, `q` also others that the caller may see. Other filters and \
`sort` are applied to the 2,000 newest public matches of `q` and as many of the caller's own, or to the 2,000 objects nearest to \
`near`; `bbox` returns at most 2,000 objects.";

/// The name of [`id_list`].
pub const ID_LIST: &str = "IdList";

/// The ids that a filter such as `city_id.in` compares with.
pub fn id_list() -> Value {
    list_of(types::schema_of_id())
}

/// The filters by id, which every list has.
pub fn of_ids() -> [(&'static str, Value); 3] {
    let id = types::schema_of_id();
    [
        ("IdIs", filter("id", "", id.clone())),
        ("IdIn", one_of("id", id.clone())),
        ("IdNe", filter("id", ".ne", id)),
    ]
}

/// The greatest number of values in one `.in`.
const IN_MAX: usize = 100;

/// The parameters that every list with a search (`q`) or a map (the others) has. What they compare is said at the list:
/// [`searched`].
pub fn of_searches() -> [(&'static str, Value); 4] {
    let number = r"-?[0-9]+(\.[0-9]+)?";
    let text = |pattern: String| json!({"type": "string", "pattern": pattern});
    let all = [
        (
            "q",
            "Words to search for, see **Searching** at the top.",
            json!({"type": "string", "minLength": 1, "maxLength": 200}),
        ),
        (
            "near",
            "Latitude and longitude, such as `47.3769,8.5417`: returns only what is within `radius_m`, nearest first.",
            text(format!("^{number},{number}$")),
        ),
        (
            "radius_m",
            "Radius around `near` in metres, 5000 if left out.",
            json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 100000}),
        ),
        (
            "bbox",
            "West, south, east and north in degrees, such as `8.44,47.32,8.62,47.43`: returns only what is inside.",
            text(format!("^{number}(,{number}){{3}}$")),
        ),
    ];
    all.map(|(name, description, schema)| {
        let told =
            json!({"name": name, "in": "query", "description": description, "schema": schema});
        (name, told)
    })
}

/// The sentences of a list about what `q`, `near` and `bbox` compare; empty if it has none of them.
pub fn searched(entity: &Entity) -> String {
    let mut told = Vec::new();
    let words: Vec<String> = (entity.fields.iter())
        .filter(|field| field.search)
        .map(|field| format!("`{}`", field.name))
        .collect();
    if !words.is_empty() {
        told.push(format!("`q` searches {}.", words.join(", ")));
    }
    let places = (entity.fields.iter()).filter(|field| field.filter && field.ty == Ty::Point);
    told.extend(places.map(|field| match &field.beside {
        None => format!("`near` and `bbox` compare the `{}`.", field.name),
        Some(beside) => format!(
            "`near` and `bbox` compare the `{}`, or that of the `{}` if it is null.",
            field.name, beside.relation
        ),
    }));
    told.join(" ")
}

/// Whether all columns of this name have the same type, and none has a type that is named after its entity.
fn is_shared(model: &Model, column: &str, schema: &Value) -> bool {
    let is_plain = |schema: &Value| {
        let is_reference = schema.get("$ref").is_some() && *schema != reference(ID_LIST);
        !is_reference && schema.get("enum").is_none()
    };
    let plain = match schema.get("items") {
        Some(items) => is_plain(items),
        None => is_plain(schema),
    };
    plain && kinds(model).get(column).is_some_and(Option::is_some)
}

/// Computed once, because each parameter of each list asks for it.
fn kinds(model: &Model) -> Kinds {
    let find = || {
        let mut found: HashMap<String, Option<Value>> = HashMap::new();
        let columns = model.entities.iter().flat_map(columns::row);
        for column in columns.filter(is_filter) {
            let kind = kind(model, &column);
            let known = found.entry(column.name()).or_insert_with(|| kind.clone());
            if *known != kind {
                *known = None;
            }
        }
        Arc::new(found)
    };
    let key = ("kinds of filters", 0, 0, OfWhat::Read);
    model.memo.once(key, Kinds::default(), find)
}

fn is_filter(column: &columns::Column) -> bool {
    match column.source {
        Source::IdOf(relation) | Source::TypeOf(relation) => relation.filter,
        Source::Field(field) => field.filter,
        Source::Derived(derived) => derived.filter,
        _ => false,
    }
}

/// The schema of the values that filters of a column compare with; `None` if it can't be shared.
fn kind(model: &Model, column: &columns::Column) -> Option<Value> {
    let compared = match column.source {
        Source::IdOf(_) => compared(model, &Ty::Uuid),
        Source::Field(field) => match field.ty {
            Ty::Enum { .. } | Ty::States { .. } | Ty::Point => return None,
            _ => compared(model, &field.ty),
        },
        Source::Derived(derived) => compared(model, &derived_type(derived)),
        _ => return None,
    };
    Some(compared)
}

fn own(model: &Model, id: EntityId) -> Vec<Own> {
    let entity = &model.entities[id];
    let mut all: Vec<Own> = Vec::new();
    let free = |parameters: Vec<Value>| {
        let own = |parameter| Own {
            relation: None,
            parameter,
        };
        parameters.into_iter().map(own).collect::<Vec<_>>()
    };
    let about = |relation: &Relation, parameters: Vec<Value>| {
        let own = |parameter| Own {
            relation: Some(relation.name.clone()),
            parameter,
        };
        parameters.into_iter().map(own).collect::<Vec<_>>()
    };
    if entity.fields.iter().any(|field| field.search) {
        all.extend(free(vec![of_search("q")]));
    }
    for column in columns::row(entity) {
        let name = column.name();
        let filters = |ty: &Ty, schema: Value| filters(&name, ty, schema, column.optional());
        match column.source {
            Source::Field(field) if field.filter && field.ty == Ty::Point => {
                all.extend(free(MAP.map(of_search).to_vec()));
                all.extend(free(
                    column.optional().then(|| null(&name)).into_iter().collect(),
                ));
            }
            Source::Field(field) if field.filter => {
                let schema = match field.ty {
                    Ty::Enum { .. } | Ty::States { .. } => {
                        reference(&enum_name(entity, &field.name))
                    }
                    _ => compared(model, &field.ty),
                };
                all.extend(free(filters(&field.ty, schema)))
            }
            Source::TypeOf(relation) if relation.filter => {
                let ty = Ty::Enum { values: Vec::new() };
                let schema = reference(&type_name(entity, relation));
                all.extend(about(relation, filters(&ty, schema)));
            }
            Source::IdOf(relation) if relation.filter => {
                all.extend(about(
                    relation,
                    filters(&Ty::Uuid, compared(model, &Ty::Uuid)),
                ));
            }
            Source::Derived(derived) if derived.filter => {
                let ty = derived_type(derived);
                all.extend(free(filters(&ty, compared(model, &ty))))
            }
            _ => {}
        }
    }
    all.extend(free(vec![sort(entity), limit(entity)]));
    all.extend(free(expand(model, id).into_iter().collect()));
    all
}

fn expand(model: &Model, id: EntityId) -> Option<Value> {
    if named::expands(model, id).is_empty() {
        return None;
    }
    let entity = &model.entities[id];
    // No `maxItems`: a relation that is named twice counts once, so no length is too great.
    Some(json!({
        "name": "expand",
        "in": "query",
        "explode": false,
        "schema": {"type": "array", "minItems": 1, "items": reference(&named::expand(entity))},
    }))
}

fn of_search(name: &str) -> Value {
    let found = of_searches().into_iter().find(|(known, _)| *known == name);
    found.map(|(_, parameter)| parameter).unwrap_or_default()
}

/// A filter without a description: [`LISTS`] explains all of them once, since client generators repeat a description
/// at every list.
fn filter(name: &str, comparison: &str, schema: Value) -> Value {
    json!({"name": format!("{name}{comparison}"), "in": "query", "schema": schema})
}

/// The filters of a column: equality, and the other comparisons that its type has. They have no examples, because
/// Swagger UI would send those with every request that is tried out.
fn filters(name: &str, ty: &Ty, schema: Value, optional: bool) -> Vec<Value> {
    let mut all = vec![
        filter(name, "", schema.clone()),
        filter(name, ".ne", schema.clone()),
    ];
    if lists(ty) {
        all.push(one_of(name, schema.clone()));
    }
    if ranges(ty) {
        let bounds = [".gte", ".lte", ".gt", ".lt"];
        all.extend(bounds.map(|bound| filter(name, bound, schema.clone())));
    }
    all.extend(optional.then(|| null(name)));
    all
}

fn one_of(name: &str, schema: Value) -> Value {
    let is_id = schema == types::schema_of_id();
    let several = if is_id {
        reference(ID_LIST)
    } else {
        list_of(schema)
    };
    json!({"name": format!("{name}.in"), "in": "query", "explode": false, "schema": several})
}

fn list_of(schema: Value) -> Value {
    json!({"type": "array", "minItems": 1, "maxItems": IN_MAX, "items": schema})
}

fn null(name: &str) -> Value {
    filter(name, ".null", json!({"type": "boolean"}))
}

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

/// The schema of a value to compare with. It has neither bounds nor patterns, because the value need not be one that
/// could be stored.
fn compared(model: &Model, ty: &Ty) -> Value {
    match ty {
        Ty::Int { .. } => json!({"type": "integer", "format": "int32"}),
        Ty::Bigint { .. } | Ty::Money { .. } => json!({"type": "integer", "format": "int64"}),
        Ty::Decimal { .. } | Ty::Bool | Ty::Time | Ty::Date | Ty::Uuid => types::schema(model, ty),
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

fn limit(entity: &Entity) -> Value {
    let schema = json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 100, "default": entity.page});
    json!({"name": "limit", "in": "query", "schema": schema})
}

/// `sort=name` ascending, `sort=-name` descending.
fn sort(entity: &Entity) -> Value {
    json!({"name": "sort", "in": "query", "schema": reference(&named::sort(entity))})
}
