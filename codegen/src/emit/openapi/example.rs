//! Example values: whole ones of bodies, so that they can be sent as they are, and those properties of answers of which
//! the schema alone would make a bad example.
//!
//! All values are derived from names, so an unrelated change of the spec changes no example.

use super::{
    names::capitalised,
    schema::{self, Body},
    settled,
    words::spaced,
};
use crate::{
    emit::columns::{Column, Source},
    model::{Entity, EntityId, Field, Model, Relation, Ty},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub const ETAG: &str = "\"3-9f2c4e1ab07d5583\"";

/// The id of the example object of an entity (or of anything named): a UUID version 7.
pub fn id(name: &str) -> String {
    let hash: String = Sha256::digest(name.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "019caddd-0f20-7{}-a{}-{}",
        &hash[0..3],
        &hash[3..6],
        &hash[6..18]
    )
}

/// The example of a property of an answer. `None`: viewers make a good one of its schema, as of a time, a number, a set
/// of values or a type that has an example itself. Of other texts they would make the word "string".
pub fn of_property(model: &Model, id_: EntityId, column: Column) -> Option<Value> {
    let entity = &model.entities[id_];
    match column.source {
        // The page of the document puts it into the path of operations on one object.
        Source::Id => Some(json!(id(&entity.name))),
        Source::Field(field) => match field.ty {
            Ty::Text { .. }
            | Ty::Code { .. }
            | Ty::Handle { .. }
            | Ty::Social { .. }
            | Ty::LocalTime
            | Ty::TextList { .. }
            | Ty::Json => Some(self::field(model, entity, field)),
            _ => None,
        },
        _ => None,
    }
}

/// A body that creates or replaces the object: required properties, and optional ones that are safe to send. Optional
/// ids, lists of them and fields with a write rule are left out, because the request would fail for readers who try it.
pub fn body(model: &Model, entity: EntityId, body: Body) -> Value {
    let mut example = Map::new();
    let columns = schema::inputs(&model.entities[entity], body);
    for column in &columns {
        let value = match column.source {
            Source::Field(field) if field.optional && field.write.is_some() => continue,
            Source::Field(field) if field.optional && is_list_of_ids(field) => continue,
            Source::Field(Field {
                ty: Ty::Slug { from: Some(_) },
                ..
            }) => continue,
            Source::Field(field) => self::field(model, &model.entities[entity], field),
            Source::TypeOf(relation) | Source::IdOf(relation) if relation.optional => {
                continue;
            }
            Source::TypeOf(relation) => json!(model.entities[relation.targets[0]].name),
            // Whoever may give the role of the example has it already.
            Source::IdOf(relation) if is_holder(model, entity, relation) => {
                json!(settled::another(&model.entities[model.identity].name))
            }
            // The example object has one with each word of the set.
            Source::IdOf(relation) if is_one_of_each(&model.entities[entity], relation) => {
                json!(settled::another(&model.entities[relation.targets[0]].name))
            }
            Source::IdOf(relation) => reference(model, relation),
            _ => continue,
        };
        example.insert(column.name(), value);
    }
    settled::settle(model, &model.entities[entity], &columns, &mut example);
    if body == Body::Patch {
        // An example of a PATCH changes just one property.
        example = example.into_iter().take(1).collect();
    }
    Value::Object(example)
}

pub fn field(model: &Model, entity: &Entity, field: &Field) -> Value {
    if let Some(default) = super::types::default(field) {
        return default;
    }
    value(model, entity, field)
}

/// From this key on, examples of declared objects leave out optional ones: the example is repeated in each entity that
/// has such an object.
const OPTIONAL_KEYS: usize = 2;

/// An object declared under `objects:`.
pub fn object(model: &Model, index: usize) -> Value {
    let object = &model.objects[index];
    let nobody = Owner {
        name: &object.name,
        fields: &object.fields,
    };
    let all = object
        .fields
        .iter()
        .filter(|field| !matches!(field.ty, Ty::Json))
        .enumerate()
        .filter(|(at, field)| *at < OPTIONAL_KEYS || !field.optional);
    Value::Object(
        all.map(|(_, field)| (field.name.clone(), of(model, &nobody, field)))
            .collect(),
    )
}

/// The entity or object that a field belongs to: its other fields decide some values.
struct Owner<'a> {
    name: &'a str,
    fields: &'a [Field],
}

/// The address of an example page on the network.
pub fn social(network: &str) -> &'static str {
    match network {
        "instagram" => "https://www.instagram.com/example",
        "facebook" => "https://www.facebook.com/example",
        "youtube" => "https://www.youtube.com/@example",
        "linkedin" => "https://www.linkedin.com/company/example",
        "x" => "https://x.com/example",
        "tiktok" => "https://www.tiktok.com/@example",
        "mastodon" => "https://mastodon.social/@example",
        "threads" => "https://www.threads.com/@example",
        "bluesky" => "https://bsky.app/profile/example.bsky.social",
        "whatsapp" => "https://wa.me/41446681800",
        _ => "https://t.me/example",
    }
}

pub fn point() -> Value {
    json!({"lat": 47.3769, "lng": 8.5417})
}

/// Whether an object has at most one of these for each word of a closed set: a city has one featured place for each slot.
fn is_one_of_each(entity: &Entity, relation: &Relation) -> bool {
    let is_set = |name: &String| {
        let mut fields = entity.fields.iter();
        fields.any(|field| field.name == *name && matches!(field.ty, Ty::Enum { .. }))
    };
    let own = relation.id_column();
    !relation.polymorphic
        && entity.unique.iter().any(|columns| {
            columns.len() == 2 && columns.contains(&own) && columns.iter().any(is_set)
        })
}

/// Whether the relation says who holds a role.
fn is_holder(model: &Model, entity: EntityId, relation: &Relation) -> bool {
    let holder = model.holder(&model.entities[entity]);
    entity == model.assignments && holder.is_some_and(|holder| holder.name == relation.name)
}

fn is_list_of_ids(field: &Field) -> bool {
    matches!(field.ty, Ty::TextList { .. }) && field.name.ends_with("_ids")
}

fn reference(model: &Model, relation: &Relation) -> Value {
    json!(id(&model.entities[relation.targets[0]].name))
}

fn value(model: &Model, entity: &Entity, field: &Field) -> Value {
    of(
        model,
        &Owner {
            name: &entity.name,
            fields: &entity.fields,
        },
        field,
    )
}

fn of(model: &Model, owner: &Owner, field: &Field) -> Value {
    match &field.ty {
        Ty::Text { min, max } => json!(text(owner, field, *min, *max)),
        Ty::Int { min, max } => json!(within(*min, *max, 3)),
        Ty::Bigint { min, max } => json!(within(*min, *max, 120)),
        Ty::Money { min, max } => json!(within(*min, *max, 2500)),
        Ty::Decimal { .. } => json!(4.5),
        Ty::Bool => json!(false),
        Ty::Time => json!(time(owner, field)),
        Ty::Date if field.future.is_some() => json!(format!("{FAR}-06-12")),
        Ty::Date => json!("2026-06-12"),
        Ty::Uuid => json!(id(&field.name)),
        Ty::Json => json!({}),
        Ty::Url => json!(format!("https://example.org/{}", slug(&field.name))),
        Ty::Email => json!(format!("{}@example.org", slug(owner.name))),
        Ty::Phone => json!("+41446681800"),
        Ty::Social { network } => json!(social(network)),
        Ty::LocalTime => json!(local_time(owner, field)),
        Ty::Code { min, max } => json!(code(*min, *max)),
        Ty::Handle { min, max } => json!(handle(*min, *max)),
        Ty::Slug { from } => {
            let source = from
                .as_ref()
                .and_then(|name| owner.fields.iter().find(|other| other.name == *name));
            match source.map(|source| of(model, owner, source)) {
                Some(Value::String(source)) => json!(slug(&source)),
                _ => json!(format!("example-{}", slug(owner.name))),
            }
        }
        Ty::Currency => json!("CHF"),
        Ty::Country => json!("CH"),
        Ty::Locale => json!("de-CH"),
        Ty::Timezone => json!("Europe/Zurich"),
        Ty::Enum { values } | Ty::States { values } => json!(values[0]),
        Ty::Point => point(),
        Ty::Object { object } => self::object(model, *object),
        Ty::TextList { max, .. } => json!([cut("first", *max), cut("second", *max)]),
    }
}

fn code(min: u32, max: u32) -> String {
    "SUMMER25"
        .chars()
        .cycle()
        .take(8.clamp(min, max) as usize)
        .collect()
}

fn handle(min: u32, max: u32) -> String {
    "ada_lovelace_"
        .chars()
        .cycle()
        .take(12.clamp(min.max(1), max.max(1)) as usize)
        .collect()
}

fn within(min: Option<i64>, max: Option<i64>, wish: i64) -> i64 {
    wish.clamp(min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX))
}

/// A year in the future, for times that are refused once they are past.
const FAR: u16 = 2099;

/// Times of day ascend like times: the first hour of a period is not its last.
fn local_time(owner: &Owner, field: &Field) -> String {
    let times = owner.fields.iter().filter(|other| other.ty == field.ty);
    let place = times.take_while(|other| other.name != field.name).count();
    format!("{:02}:00", (8 + 10 * place) % 24)
}

/// Times ascend in the order of the fields, so that most checks between them hold. Those of a period, of which one is
/// compared with another, are ahead as well: what is over can't be booked any more.
fn time(owner: &Owner, field: &Field) -> String {
    let times = || owner.fields.iter().filter(|other| other.ty == Ty::Time);
    let place = times().take_while(|other| other.name != field.name).count();
    let is_far = times().any(|time| time.future.is_some() || time.check.is_some());
    let year = if is_far { FAR } else { 2026 };
    format!("{year}-06-{:02}T18:00:00Z", 12 + place.min(16))
}

fn text(owner: &Owner, field: &Field, min: u32, max: u32) -> String {
    let words = match field.name.as_str() {
        "name" | "title" | "display_name" | "label" => format!("Example {}", spaced(owner.name)),
        "username" => "ada_lovelace".to_owned(),
        "code" | "token" => "EXAMPLE1".to_owned(),
        name if max < 30 => capitalised(&spaced(name)),
        name => format!(
            "{} of the {}",
            capitalised(&spaced(name)),
            spaced(owner.name)
        ),
    };
    let mut words = cut(&words, max);
    while words.chars().count() < min as usize {
        words.push('x');
    }
    words
}

fn cut(text: &str, max: u32) -> String {
    text.chars()
        .take(max as usize)
        .collect::<String>()
        .trim_end()
        .to_owned()
}

fn slug(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            out.push(letter.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}
