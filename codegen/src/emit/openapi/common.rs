//! The parts that all operations share: parameters, headers, the bearer scheme, small schemas.
//!
//! Knows nothing of single entities.

use super::schema::{self, Body};
use super::{example, named, parameters, problems, types};
use crate::emit::entity::types::enum_name_of;
use crate::model::{Field, Model, Ty};
use serde_json::{Map, Value, json};

pub fn schemas(model: &Model) -> Map<String, Value> {
    let mut schemas = own_schemas();
    schemas.extend(types::formats(model));
    for (index, object) in model.objects.iter().enumerate() {
        let name = crate::names::pascal(&object.name);
        if is_patched(model, index) {
            schemas.insert(format!("Patch{name}"), closed_object(model, index, false));
        }
        for field in &object.fields {
            if let Ty::Enum { values } | Ty::States { values } = &field.ty {
                schemas.insert(
                    enum_name_of(&object.name, &field.name),
                    types::choice(values),
                );
            }
        }
        schemas.insert(name, closed_object(model, index, true));
    }
    schemas
}

/// The schemas of the engine.
pub fn own_schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    schemas.extend(problems::schemas());
    schemas.insert("PageInfo".to_owned(), page_info());
    schemas.insert("Count".to_owned(), types::choice(&["exact"]));
    schemas.insert(parameters::ID_LIST.to_owned(), parameters::id_list());
    schemas.insert(
        "Reason".to_owned(),
        json!({
            "type": "object",
            "description": "The reason for the action, in one line. It is written to the audit log.",
            "required": ["reason"],
            "properties": {"reason": {"type": "string", "minLength": 1, "maxLength": 500}},
            "additionalProperties": false,
            "example": {"reason": "The speaker has fallen ill."},
        }),
    );
    schemas.insert("StillArchived".to_owned(), still_archived());
    schemas.insert(
        "Restored".to_owned(),
        json!({
            "type": "object",
            "required": ["still_archived"],
            "properties": {"still_archived": {
                "type": "array",
                "maxItems": 100,
                "description": "Objects that were archived together with this one and stay archived; only those that the caller may restore.",
                "items": {"$ref": "#/components/schemas/StillArchived"},
                "example": [],
            }},
        }),
    );
    schemas.insert(
        "StillArchivedCode".to_owned(),
        described(
            types::choice(&["reference", "state", "conflict"]),
            "`reference`: something else that the object belongs to is archived too. `state`: its rule does not allow restoring it in its present state. `conflict`: another object has taken its place.",
        ),
    );
    schemas.insert("Point".to_owned(), point());
    schemas.insert(named::BY_ID.to_owned(), named::by_id());
    schemas.insert(
        "ObjectId".to_owned(),
        json!({"type": "string", "format": "uuid", "description": "UUID version 7; ids sort by time of creation."}),
    );
    schemas.insert(
        "ObjectVersion".to_owned(),
        json!({
            "type": "integer",
            "format": "int64",
            "minimum": 1,
            "description": "Increases with every change; the first part of the ETag.",
        }),
    );
    schemas.insert(
        "Status".to_owned(),
        described(
            types::choice(&["active", "suspended", "archived"]),
            "`suspended`: hidden by a moderator. `archived`: deleted, and can be restored.",
        ),
    );
    schemas
}

/// Whether the object needs a second schema for PATCH, which may contain single keys although the object has required
/// ones.
pub fn is_patched(model: &Model, index: usize) -> bool {
    let demands = |field: &Field| !field.optional && field.default.is_none();
    model.objects[index].fields.iter().any(demands)
        && model.entities.iter().any(|entity| {
            (schema::inputs(entity, Body::Patch).iter()).any(
                |column| matches!(column.ty(), Some(Ty::Object { object }) if *object == index),
            )
        })
}

pub fn header_ref(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

/// Headers of every answer to a request that counts against a rate limit.
pub fn rate_limit() -> Map<String, Value> {
    let mut headers = Map::new();
    headers.insert("RateLimit".to_owned(), header_ref("RateLimit"));
    headers.insert("RateLimit-Policy".to_owned(), header_ref("RateLimitPolicy"));
    headers
}

pub fn headers() -> Value {
    json!({
        "ETag": {
            "description": "Version of the object and hash of this answer. Send it in `If-Match` when you change the object, in `If-None-Match` when you read it again.",
            "schema": {"type": "string"},
            "example": example::ETAG,
        },
        "Location": {
            "description": "Path of the new object.",
            "schema": {"type": "string", "format": "uri-reference"},
            "example": format!("/events/{}", example::id("event")),
        },
        "RateLimit": {
            "description": "How many requests are left (`r`), and after how many seconds (`t`) there are more.",
            "schema": {"type": "string"},
            "example": "\"user\";r=99;t=1",
        },
        "RateLimitPolicy": {
            "description": "The limits that apply to this request: `q` requests in `w` seconds.",
            "schema": {"type": "string"},
            "example": "\"user\";q=100;w=10",
        },
        "RetryAfter": {
            "description": "Seconds to wait before the next attempt.",
            "schema": {"type": "integer", "format": "int32", "minimum": 0},
            "example": 2,
        },
        "WwwAuthenticate": {
            "description": "The authentication scheme, and what is wrong with the token that was sent.",
            "schema": {"type": "string"},
            "example": "Bearer error=\"invalid_token\"",
        },
    })
}

/// Entity tags separated by commas, or `*`.
const TAGS: &str =
    r#"^(\*|(W/)?("[!#-~]*"|[0-9][0-9A-Za-z-]*)(, ?(W/)?("[!#-~]*"|[0-9][0-9A-Za-z-]*))*)$"#;

pub fn parameters() -> Map<String, Value> {
    let all = json!({
        "id": {
            "name": "id",
            "in": "path",
            "required": true,
            "schema": {"type": "string", "format": "uuid"},
        },
        "Cursor": {
            "name": "cursor",
            "in": "query",
            "schema": {"type": "string", "minLength": 1, "maxLength": 1000},
        },
        "count": {
            "name": "count",
            "in": "query",
            "schema": types::reference("Count"),
        },
        "IfMatchRequired": {
            "name": "If-Match",
            "in": "header",
            "required": true,
            "description": "The version that you have read: its ETag, or the `version` of the object in double quotes, such as `\"3\"`; the quotes are part of the value. 412 if the object has changed since.",
            "schema": {"type": "string", "pattern": TAGS},
            "example": "\"3\"",
        },
        "IfMatch": {
            "name": "If-Match",
            "in": "header",
            "description": "The version that you have read: its ETag, or the `version` of the object in double quotes, such as `\"3\"`. 412 if the object has changed since. Without it, the version is not checked.",
            "schema": {"type": "string", "pattern": TAGS},
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "A new random text for each object to create. A retry with the same key and body creates nothing and gets the first answer, with `Idempotent-Replayed: true`; with another body the answer is 422. Needs a token; keys are kept for three days.",
            "schema": {"type": "string", "minLength": 16, "maxLength": 255, "pattern": "^[!-~]+$"},
        },
        "IfNoneMatch": {
            "name": "If-None-Match",
            "in": "header",
            "description": "ETag of an earlier answer: 304 if nothing has changed since.",
            "schema": {"type": "string", "pattern": TAGS},
        },
    });
    let lists = parameters::of_ids()
        .into_iter()
        .chain(parameters::of_searches());
    let lists = lists.map(|(name, parameter)| (name.to_owned(), parameter));
    match all {
        Value::Object(all) => all.into_iter().chain(lists).collect(),
        _ => Map::new(),
    }
}

pub fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token of a session. It contains no roles: roles that are granted or revoked take effect with the next request.",
        }
    })
}

fn described(schema: Value, description: &str) -> Value {
    types::with(schema, json!({"description": description}))
}

/// What all pages of lists have beside their objects.
fn page_info() -> Value {
    json!({
        "type": "object",
        "required": ["next_cursor"],
        "properties": {
            "next_cursor": {
                "type": ["string", "null"],
                "description": "The `cursor` of the next page; null on the last page.",
                "example": "AZyt3Q8gdQCgAfVk",
            },
            "count": {
                "type": "integer",
                "format": "int64",
                "minimum": 0,
                "maximum": 10000,
                "description": "Number of objects on all pages, with `count=exact` only. 10000 if there are more.",
                "example": 42,
            },
            "count_is_exact": {
                "type": "boolean",
                "description": "False if there are more than `count`. With `count=exact` only.",
                "example": true,
            },
        },
    })
}

fn still_archived() -> Value {
    json!({
        "type": "object",
        "description": "An object that was not restored together with the object it was archived with. It can be restored separately as soon as nothing prevents it; with the code `reference`, it is restored along with the other object.",
        "required": ["type", "id", "code", "pointer", "detail"],
        "properties": {
            "type": {"type": "string", "description": "Type of the object."},
            "id": {"type": "string", "format": "uuid"},
            "code": types::reference("StillArchivedCode"),
            "pointer": {"type": "string", "description": "JSON pointer to the value that prevents it; empty if it is more than one."},
            "detail": {"type": "string", "description": "The reason as a sentence."},
        },
        "example": {"type": "like", "id": example::id("like"), "code": "reference", "pointer": "/user_id", "detail": "belongs to something that is archived itself"},
    })
}

fn point() -> Value {
    json!({
        "type": "object",
        "description": "A point on the earth in degrees (WGS 84).",
        "required": ["lat", "lng"],
        "properties": {
            "lat": {"type": "number", "format": "double", "minimum": -90, "maximum": 90, "description": "Latitude."},
            "lng": {"type": "number", "format": "double", "minimum": -180, "maximum": 180, "description": "Longitude."},
        },
        "additionalProperties": false,
        "example": example::point(),
    })
}

fn closed_object(model: &Model, index: usize, is_whole: bool) -> Value {
    let object = &model.objects[index];
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in &object.fields {
        let schema = match field.ty {
            Ty::Enum { .. } | Ty::States { .. } => {
                types::reference(&enum_name_of(&object.name, &field.name))
            }
            _ => types::in_object(model, &field.ty),
        };
        properties.insert(
            field.name.clone(),
            if field.optional {
                types::nullable(schema)
            } else {
                schema
            },
        );
        if is_whole && !field.optional && field.default.is_none() {
            required.push(field.name.clone());
        }
    }
    let title = super::names::title(&object.name);
    let description = match is_whole {
        // Bodies use this schema too, so it can't list the keys that answers always have as `required`.
        true if object.fields.iter().any(|field| field.optional) => {
            format!("{title}. Answers contain all keys, null if there is no value.")
        }
        true => format!("{title}."),
        false => format!(
            "{title}: the keys to change. Keys that are left out keep their values; null removes a key."
        ),
    };
    let schema = types::object(&description, required, properties, true);
    types::with(schema, json!({"example": example::object(model, index)}))
}
