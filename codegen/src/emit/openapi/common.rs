//! What all operations share: parameters, headers, problem answers, the bearer scheme, small schemas.
//!
//! Knows no entity.

use super::{example, types};
use crate::model::Model;
use serde_json::{Map, Value, json};

/// Status, name in `components/responses`, when, slug and title of the problem in the example.
/// The kernel lists every problem type; one of its tests holds this table against that list.
const PROBLEMS: [(u16, &str, &str, &str, &str); 16] = [
    (
        400,
        "BadRequest",
        "The request could not be read: malformed JSON, a key given twice, a bad header or cursor.",
        "invalid-syntax",
        "The request body is not valid JSON",
    ),
    (
        401,
        "Unauthorized",
        "No access token where one is needed, or one that does not count (any more). A bad token is refused on public operations too.",
        "authentication-required",
        "Sign in to do this",
    ),
    (
        403,
        "Forbidden",
        "The caller may see this but not do it, or may not set one of the fields.",
        "forbidden",
        "You may not do this",
    ),
    (
        404,
        "NotFound",
        "There is no such object, or the caller may not know of it. Both look the same.",
        "not-found",
        "Not found",
    ),
    (
        408,
        "RequestTimeout",
        "The body did not arrive in time.",
        "request-timeout",
        "The request took too long to arrive",
    ),
    (
        409,
        "Conflict",
        "A value that must be unique is taken, the object is still referred to, or it is in a state that does not allow this.",
        "conflict",
        "The change clashes with other data",
    ),
    (
        410,
        "Gone",
        "It was there once, and is gone for good.",
        "gone",
        "No longer available",
    ),
    (
        412,
        "PreconditionFailed",
        "`If-Match` does not name the current version. Read again and repeat the change.",
        "precondition-failed",
        "The object has changed in the meantime",
    ),
    (
        413,
        "ContentTooLarge",
        "The body is larger than the limit.",
        "content-too-large",
        "The request body is too large",
    ),
    (
        415,
        "UnsupportedMediaType",
        "The body is not JSON, not UTF-8, or compressed.",
        "unsupported-media-type",
        "The media type is not supported",
    ),
    (
        422,
        "UnprocessableContent",
        "Some values are not valid, or a referenced object is not available. `errors` lists them all.",
        "invalid-request",
        "Some values are not valid",
    ),
    (
        428,
        "PreconditionRequired",
        "`If-Match` is missing.",
        "precondition-required",
        "If-Match is required",
    ),
    (
        429,
        "TooManyRequests",
        "The rate limit is used up. `Retry-After` says when to try again.",
        "quota-exceeded",
        "Too many requests",
    ),
    (
        431,
        "HeadersTooLarge",
        "The headers, or the parameters of the path and the query, are too long.",
        "headers-too-large",
        "The request headers are too large",
    ),
    (
        500,
        "InternalError",
        "Something went wrong on our side. Quote `instance` when reporting it.",
        "internal-error",
        "Something went wrong on our side",
    ),
    (
        503,
        "Unavailable",
        "Busy or restarting. Nothing was changed; repeat after `Retry-After` seconds.",
        "unavailable",
        "Temporarily unavailable",
    ),
];

/// `{"400": {"$ref": …}, …}` for the given statuses.
pub fn problems(statuses: &[u16]) -> Map<String, Value> {
    let known = PROBLEMS
        .iter()
        .filter(|(status, ..)| statuses.contains(status));
    known
        .map(|(status, name, ..)| {
            (
                status.to_string(),
                json!({"$ref": format!("#/components/responses/{name}")}),
            )
        })
        .collect()
}

pub fn schemas(model: &Model) -> Map<String, Value> {
    let mut schemas = Map::new();
    schemas.insert("Problem".to_owned(), problem());
    schemas.insert("ProblemItem".to_owned(), problem_item());
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
            "description": "How many there are on all pages together; only with `count=exact`.",
            "example": 42,
        }),
    );
    schemas.insert(
        "Reason".to_owned(),
        json!({
            "type": "object",
            "description": "Why this is done. It goes to the audit log.",
            "required": ["reason"],
            "properties": {"reason": {"type": "string", "minLength": 1, "maxLength": 500}},
            "additionalProperties": false,
            "example": {"reason": "The speaker has fallen ill."},
        }),
    );
    schemas.insert("Point".to_owned(), point());
    for (index, object) in model.objects.iter().enumerate() {
        let schema = closed_object(model, index);
        schemas.insert(crate::names::pascal(&object.name), schema);
    }
    schemas
}

fn point() -> Value {
    json!({
        "type": "object",
        "description": "A place on earth (WGS 84), in degrees.",
        "required": ["lat", "lng"],
        "properties": {
            "lat": {"type": "number", "minimum": -90, "maximum": 90, "description": "Latitude."},
            "lng": {"type": "number", "minimum": -180, "maximum": 180, "description": "Longitude."},
        },
        "additionalProperties": false,
        "example": example::point(),
    })
}

fn closed_object(model: &Model, index: usize) -> Value {
    let object = &model.objects[index];
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in &object.fields {
        let schema = types::in_object(model, &field.ty);
        properties.insert(
            field.name.clone(),
            if field.optional {
                types::nullable(schema)
            } else {
                schema
            },
        );
        if !field.optional && field.default.is_none() {
            required.push(field.name.clone());
        }
    }
    let description = format!("{}.", super::names::title(&object.name));
    let schema = types::object(&description, required, properties, true);
    types::with(schema, json!({"example": example::object(model, index)}))
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457, `application/problem+json`).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "The kind of problem; its documentation is there."},
            "title": {"type": "string", "description": "The kind of problem in a few words; always the same for a type."},
            "status": {"type": "integer", "format": "int32", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "What it means here and what can be done."},
            "instance": {"type": "string", "format": "uri", "description": "This very request, for support."},
            "errors": {
                "type": "array",
                "description": "Every value that is wrong.",
                "items": {"$ref": "#/components/schemas/ProblemItem"},
            },
        },
        "example": problem_example(422, "invalid-request", "Some values are not valid", "`errors` lists every value that is wrong."),
    })
}

fn problem_item() -> Value {
    json!({
        "type": "object",
        "description": "One value that is wrong: in the body (`pointer`) or in the query (`parameter`).",
        "required": ["code", "detail"],
        "properties": {
            "pointer": {"type": "string", "description": "JSON pointer into the body."},
            "parameter": {"type": "string", "description": "Name of the query parameter."},
            "code": {"type": "string", "description": "What is wrong with it, for programs."},
            "detail": {"type": "string", "description": "What to send instead, for people."},
        },
        "example": item_example(),
    })
}

fn item_example() -> Value {
    json!({"pointer": "/title", "code": "length", "detail": "must have 1 to 140 characters"})
}

fn problem_example(status: u16, slug: &str, title: &str, detail: &str) -> Value {
    let mut problem = json!({
        "type": format!("/problems/{slug}"),
        "title": title,
        "status": status,
        "detail": detail,
        "instance": format!("urn:uuid:{}", example::id("request")),
    });
    if status == 422 {
        problem["errors"] = json!([item_example()]);
    }
    problem
}

pub fn responses() -> Map<String, Value> {
    let mut responses = Map::new();
    for (status, name, when, slug, title) in PROBLEMS {
        let mut headers = Map::new();
        if status == 401 {
            headers.insert("WWW-Authenticate".to_owned(), header_ref("WwwAuthenticate"));
        }
        if status == 429 || status == 503 {
            headers.insert("Retry-After".to_owned(), header_ref("RetryAfter"));
        }
        if status == 429 {
            headers.extend(rate_limit());
        }
        let mut response = json!({"description": when});
        if !headers.is_empty() {
            response["headers"] = Value::Object(headers);
        }
        response["content"] = json!({
            "application/problem+json": {
                "schema": types::reference("Problem"),
                "example": problem_example(status, slug, title, when),
            }
        });
        responses.insert(name.to_owned(), response);
    }
    responses.insert(
        "Unseen".to_owned(),
        json!({"description": "Done; from now on the caller may not see the object.", "headers": rate_limit()}),
    );
    responses.insert(
        "NotModified".to_owned(),
        json!({"description": "Nothing has changed since the ETag in `If-None-Match`.", "headers": {"ETag": header_ref("ETag")}}),
    );
    responses
}

pub fn header_ref(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

/// Sent with every answer that a limit counts.
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
const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$"#;

pub fn parameters() -> Map<String, Value> {
    let all = json!({
        "id": {
            "name": "id",
            "in": "path",
            "required": true,
            "description": "Id of the object.",
            "schema": {"type": "string", "format": "uuid"},
        },
        "Cursor": {
            "name": "cursor",
            "in": "query",
            "description": "`next_cursor` of the page before, with the same filters and order.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 1000},
        },
        "CountParameter": {
            "name": "count",
            "in": "query",
            "description": "`exact`: also answer how many there are. Slow for long lists.",
            "schema": {"type": "string", "enum": ["exact"]},
        },
        "IfMatch": {
            "name": "If-Match",
            "in": "header",
            "required": true,
            "description": "ETag of the version that the change is based on. Another version in the meantime is answered with 412.",
            "schema": {"type": "string", "pattern": TAGS},
        },
        "IfMatchOptional": {
            "name": "If-Match",
            "in": "header",
            "description": "ETag of the version that is meant. Another version in the meantime is answered with 412.",
            "schema": {"type": "string", "pattern": TAGS},
        },
        "IfNoneMatch": {
            "name": "If-None-Match",
            "in": "header",
            "description": "ETag of a former answer: 304 if it would be the same again.",
            "schema": {"type": "string", "pattern": TAGS},
        },
    });
    match all {
        Value::Object(all) => all,
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
