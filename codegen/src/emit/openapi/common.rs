//! The parts that all operations share: parameters, headers, the bearer scheme, small schemas.
//!
//! Knows nothing of single entities.

use super::schema::{self, Body};
use super::{example, named, problems, types};
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
    schemas.insert(
        "NextCursor".to_owned(),
        json!({
            "type": ["string", "null"],
            "description": "Send it as `cursor` to get the next page; null on the last page.",
            "example": "AZyt3Q8gdQCgAfVk",
        }),
    );
    schemas.insert(
        "Count".to_owned(),
        json!({
            "type": "integer",
            "format": "int64",
            "minimum": 0,
            "maximum": 10000,
            "description": "How many there are on all pages together; only with `count=exact`. 10000 where there are more.",
            "example": 42,
        }),
    );
    schemas.insert(
        "CountIsExact".to_owned(),
        json!({
            "type": "boolean",
            "description": "False: there are more than `count`. Only with `count=exact`.",
            "example": true,
        }),
    );
    schemas.insert(
        "Reason".to_owned(),
        json!({
            "type": "object",
            "description": "Why this is done, in one line. It goes to the audit log.",
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
                "description": "What went along and stays archived, as far as the caller may restore it.",
                "items": {"$ref": "#/components/schemas/StillArchived"},
            }},
            "example": {"still_archived": []},
        }),
    );
    schemas.insert(
        "StillArchivedCode".to_owned(),
        described(
            types::choice(&["reference", "state", "conflict"]),
            "`reference`: something else that it belongs to is archived too; `state`: its own rule does not let it come back as it is now; `conflict`: another object has its place by now.",
        ),
    );
    schemas.insert("Point".to_owned(), point());
    schemas.insert(named::BY_ID.to_owned(), named::by_id());
    schemas.insert(
        "ObjectId".to_owned(),
        json!({"type": "string", "format": "uuid", "description": "UUID version 7: sorts by time of creation."}),
    );
    schemas.insert(
        "ObjectVersion".to_owned(),
        json!({
            "type": "integer",
            "format": "int64",
            "minimum": 1,
            "description": "Grows with every change; the first part of the ETag.",
        }),
    );
    schemas.insert(
        "Status".to_owned(),
        described(
            types::choice(&["active", "suspended", "archived"]),
            "`suspended` by a moderator; `archived` is the delete.",
        ),
    );
    schemas
}

fn described(schema: Value, description: &str) -> Value {
    types::with(schema, json!({"description": description}))
}

fn still_archived() -> Value {
    json!({
        "type": "object",
        "description": "An object that did not come back with what it was archived with. It can be restored by itself once nothing keeps it; with code `reference` it comes back with the other thing.",
        "required": ["type", "id", "code", "pointer", "detail"],
        "properties": {
            "type": {"type": "string", "description": "What kind of object it is."},
            "id": {"type": "string", "format": "uuid"},
            "code": types::reference("StillArchivedCode"),
            "pointer": {"type": "string", "description": "JSON pointer to the value that keeps it; empty if it is not a single one."},
            "detail": {"type": "string", "description": "The same for people."},
        },
        "example": {"type": "like", "id": example::id("like"), "code": "reference", "pointer": "/user_id", "detail": "belongs to something that is archived itself"},
    })
}

fn point() -> Value {
    json!({
        "type": "object",
        "description": "A place on earth (WGS 84), in degrees.",
        "required": ["lat", "lng"],
        "properties": {
            "lat": {"type": "number", "format": "double", "minimum": -90, "maximum": 90, "description": "Latitude."},
            "lng": {"type": "number", "format": "double", "minimum": -180, "maximum": 180, "description": "Longitude."},
        },
        "additionalProperties": false,
        "example": example::point(),
    })
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
            format!("{title}: an answer has all keys, null where there is nothing.")
        }
        true => format!("{title}."),
        false => format!(
            "{title}: the keys that change. What is left out stays as it is; null takes away."
        ),
    };
    let schema = types::object(&description, required, properties, true);
    types::with(schema, json!({"example": example::object(model, index)}))
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
            "description": "Version of the object and hash of this answer. Send it in `If-Match` with a change, in `If-None-Match` with a read.",
            "schema": {"type": "string"},
            "example": example::ETAG,
        },
        "Location": {
            "description": "Path of the new object.",
            "schema": {"type": "string", "format": "uri-reference"},
            "example": format!("/events/{}", example::id("event")),
        },
        "RateLimit": {
            "description": "What is left of the limit.",
            "schema": {"type": "string"},
            "example": "\"user\";r=99;t=1",
        },
        "RateLimitPolicy": {
            "description": "The limits that count this request.",
            "schema": {"type": "string"},
            "example": "\"user\";q=100;w=10",
        },
        "RetryAfter": {
            "description": "Seconds to wait before trying again.",
            "schema": {"type": "integer", "minimum": 0},
            "example": 2,
        },
        "WwwAuthenticate": {
            "description": "How to sign in, and what is wrong with the token if one was sent.",
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
        "CountParameter": {
            "name": "count",
            "in": "query",
            "schema": {"type": "string", "enum": ["exact"]},
        },
        "IfMatch": {
            "name": "If-Match",
            "in": "header",
            "required": true,
            "description": "The version that the change is based on: its ETag, or the `version` of the object in double quotes, such as `\"3\"`; the quotes are part of it. Another version in the meantime is answered with 412.",
            "schema": {"type": "string", "pattern": TAGS},
            "example": "\"3\"",
        },
        "IfMatchOptional": {
            "name": "If-Match",
            "in": "header",
            "description": "The version that is meant: its ETag, or the `version` of the object in double quotes, such as `\"3\"`. Another version in the meantime is answered with 412.",
            "schema": {"type": "string", "pattern": TAGS},
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "A fresh random text per thing that is meant to be created: repeated with the same body, the request creates nothing more and gets the same answer, with `Idempotent-Replayed: true`; with another body 422. For signed-in callers; kept for three days.",
            "schema": {"type": "string", "minLength": 16, "maxLength": 255, "pattern": "^[!-~]+$"},
        },
        "IfNoneMatch": {
            "name": "If-None-Match",
            "in": "header",
            "description": "ETag of a former answer: 304 if it would be the same again.",
            "schema": {"type": "string", "pattern": TAGS},
        },
    });
    let ids = super::parameters::of_ids().map(|(name, parameter)| (name.to_owned(), parameter));
    match all {
        Value::Object(all) => all.into_iter().chain(ids).collect(),
        _ => Map::new(),
    }
}

pub fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token of a session. It holds no roles: a role that is given or taken counts from the next request on.",
        }
    })
}
