//! Error responses: their schema, and one response for each kind.
//!
//! Knows nothing of single entities.

use super::common::{header_ref, rate_limit};
use super::{example, types};
use serde_json::{Map, Value, json};

/// Status, name in `components/responses`, when it is sent, and slug and title of the problem in the example. A test
/// of the kernel compares this table with its list of all problem types.
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
        "The headers, or the parameters of the path and the query, are too long. More than twice too long, and the answer has no body.",
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

/// Problems whose description is an empty text, because client generators repeat descriptions at every operation.
const PLAIN: [u16; 3] = [404, 412, 428];

/// `{"400": {"$ref": …}, …}` for the given statuses.
pub fn references(statuses: &[u16]) -> Map<String, Value> {
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

/// The response for all other statuses: errors that any request may cause.
pub const OTHERS: &str = "OtherProblem";

pub fn schemas() -> [(String, Value); 2] {
    [
        ("Problem".to_owned(), problem()),
        ("ProblemItem".to_owned(), problem_item()),
    ]
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
        "description": "One thing that is wrong: in the body (`pointer`), in the query (`parameter`), or another object that is in the way (`object`).",
        "required": ["code", "detail"],
        "properties": {
            "pointer": {"type": "string", "description": "JSON pointer into the body."},
            "parameter": {"type": "string", "description": "Name of the query parameter."},
            "object": {
                "type": "object",
                "description": "An object that is in the way.",
                "required": ["type", "id"],
                "properties": {"type": {"type": "string"}, "id": {"type": "string", "format": "uuid"}},
            },
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
        // The introduction explains those whose status is self-explanatory, and so does the example.
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
        responses.insert(name.to_owned(), response);
    }
    let (_, _, when, slug, title) = PROBLEMS[12];
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
        json!({"description": "Done; from now on the caller may not see the object."}),
    );
    responses.insert(
        "NotModified".to_owned(),
        json!({"description": "Nothing has changed since the ETag in `If-None-Match`.", "headers": {"ETag": header_ref("ETag")}}),
    );
    responses
}
