//! Error responses: their schema, and one response for each kind.
//!
//! Knows nothing of single entities.

use super::common::{header_ref, rate_limit};
use super::{example, types};
use serde_json::{Map, Value, json};

/// Status, when it is sent, and slug and title of the problem in the example. A test of the kernel compares this table
/// with its list of all problem types. In `components/responses`, the name of each is its status.
const PROBLEMS: [(u16, &str, &str, &str); 16] = [
    (
        400,
        "The request could not be read: malformed JSON, a repeated key, or an invalid header or cursor.",
        "invalid-syntax",
        "The request body is not valid JSON",
    ),
    (
        401,
        "The access token is missing, expired or not valid. Public operations refuse an invalid token as well.",
        "authentication-required",
        "Sign in to do this",
    ),
    (
        403,
        "The caller can see the object but may not do this, or may not set one of the properties.",
        "forbidden",
        "You may not do this",
    ),
    (
        404,
        "The object does not exist, or the caller may not see it. Both are answered alike.",
        "not-found",
        "Not found",
    ),
    (
        408,
        "The body did not arrive in time.",
        "request-timeout",
        "The request took too long to arrive",
    ),
    (
        409,
        "A unique value is taken, other objects still refer to the object, or its state does not allow this.",
        "conflict",
        "The change clashes with other data",
    ),
    (
        410,
        "The object was removed for good.",
        "gone",
        "No longer available",
    ),
    (
        412,
        "`If-Match` does not name the current version. Read the object again and repeat the change.",
        "precondition-failed",
        "The object has changed in the meantime",
    ),
    (
        413,
        "The body is larger than the limit.",
        "content-too-large",
        "The request body is too large",
    ),
    (
        415,
        "The body is not JSON, not UTF-8, or compressed.",
        "unsupported-media-type",
        "The media type is not supported",
    ),
    (
        422,
        "Some values are not valid, or a referenced object is not available. `errors` lists all of them.",
        "invalid-request",
        "Some values are not valid",
    ),
    (
        428,
        "`If-Match` is missing.",
        "precondition-required",
        "If-Match is required",
    ),
    (
        429,
        "The rate limit is used up. `Retry-After` says when to try again.",
        "quota-exceeded",
        "Too many requests",
    ),
    (
        431,
        "The headers, or the parameters in path and query, are too long. If they exceed twice the limit, the answer has no body.",
        "headers-too-large",
        "The request headers are too large",
    ),
    (
        500,
        "An error on our side. Quote `instance` when you report it.",
        "internal-error",
        "Something went wrong on our side",
    ),
    (
        503,
        "Busy or restarting. Nothing was changed; repeat the request after `Retry-After` seconds.",
        "unavailable",
        "Temporarily unavailable",
    ),
];

/// Problems whose description is an empty text, because client generators repeat descriptions at every operation. The
/// introduction explains them, and so does the example.
const PLAIN: [u16; 6] = [403, 404, 409, 412, 422, 428];

/// `{"400": {"$ref": …}, …}` for the given statuses.
pub fn references(statuses: &[u16]) -> Map<String, Value> {
    let known = PROBLEMS
        .iter()
        .filter(|(status, ..)| statuses.contains(status));
    known
        .map(|(status, ..)| {
            let reference = json!({"$ref": format!("#/components/responses/{status}")});
            (status.to_string(), reference)
        })
        .collect()
}

/// The response for all other statuses: errors that any request may cause.
pub const OTHERS: &str = "default";

pub fn schemas() -> [(String, Value); 2] {
    [
        ("Problem".to_owned(), problem()),
        ("ProblemItem".to_owned(), problem_item()),
    ]
}

pub fn responses() -> Map<String, Value> {
    let mut responses = Map::new();
    for (status, when, slug, title) in PROBLEMS {
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
        let told = if PLAIN.contains(&status) { "" } else { when };
        let mut response = json!({"description": told});
        if !headers.is_empty() {
            response["headers"] = Value::Object(headers);
        }
        response["content"] = json!({
            "application/problem+json": {
                "schema": types::reference("Problem"),
                "example": problem_example(status, slug, title, when),
            }
        });
        responses.insert(status.to_string(), response);
    }
    let (_, when, slug, title) = PROBLEMS[12];
    responses.insert(
        OTHERS.to_owned(),
        json!({
            // The introduction lists them; client generators would repeat a description at every operation.
            "description": "",
            "headers": {
                "Retry-After": header_ref("RetryAfter"),
                "WWW-Authenticate": header_ref("WwwAuthenticate"),
            },
            "content": {"application/problem+json": {
                "schema": types::reference("Problem"),
                "example": problem_example(429, slug, title, when),
            }},
        }),
    );
    responses.insert("Archived".to_owned(), json!({"description": "Archived."}));
    responses.insert(
        "Unseen".to_owned(),
        json!({"description": "Done, but the caller can't see the object any more."}),
    );
    responses.insert(
        "NotModified".to_owned(),
        json!({"description": "Nothing has changed since the answer with this ETag.", "headers": {"ETag": header_ref("ETag")}}),
    );
    responses
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "The reason why a request failed (RFC 9457, `application/problem+json`).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "Type of the problem, and path of the page that explains it."},
            "title": {"type": "string", "description": "The type in a few words, always the same for a type."},
            "status": {"type": "integer", "format": "int32", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "What went wrong in this request, and what to do."},
            "instance": {"type": "string", "format": "uri", "description": "Identifies this request, for support."},
            "errors": {
                "type": "array",
                "description": "All values that are wrong.",
                "items": {"$ref": "#/components/schemas/ProblemItem"},
            },
        },
        "example": problem_example(422, "invalid-request", "Some values are not valid", "`errors` lists every value that is wrong."),
    })
}

fn problem_item() -> Value {
    json!({
        "type": "object",
        "description": "An error in the body (`pointer`) or in the query (`parameter`), or an object that prevents the request (`object`).",
        "required": ["code", "detail"],
        "properties": {
            "pointer": {"type": "string", "description": "JSON pointer into the body."},
            "parameter": {"type": "string", "description": "Name of the query parameter."},
            "object": {
                "type": "object",
                "description": "An object that prevents the request.",
                "required": ["type", "id"],
                "properties": {"type": {"type": "string"}, "id": {"type": "string", "format": "uuid"}},
            },
            "code": {"type": "string", "description": "The kind of error, for programs."},
            "detail": {"type": "string", "description": "What is wrong, or what to send instead, as a sentence."},
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
