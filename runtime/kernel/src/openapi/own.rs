//! The description of the engine's own routes.

use serde_json::{Value, json};

/// Its parameter is required on routes behind [`required`](crate::idempotency::required).
///
/// Answers of these are not JSON or come from before the layers, so their problems are listed individually
/// (`x-plain`).
pub fn document() -> Value {
    let tag = "About the API";
    let page = |what: &str| json!({"description": what, "content": {"text/html": {"schema": {"type": "string"}}}});
    json!({
        "components": {"parameters": {"IdempotencyKeyRequired": {
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "A new random text for each intended action. A retry with the same key and body does nothing and gets the first answer, with `Idempotent-Replayed: true`. 400 if it is missing. Keys are kept for three days.",
            "schema": {"type": "string", "minLength": 16, "maxLength": 255, "pattern": "^[!-~]+$"},
        }}},
        "tags": [{"name": tag, "description": "This document, the problem types, and a check that the server is running."}],
        "paths": {
            super::PATH: {"get": {
                "tags": [tag],
                "operationId": "getDocument",
                "summary": "Get this document",
                "description": "The OpenAPI document of all routes. Its ETag changes with its content.",
                "parameters": [{"$ref": "#/components/parameters/IfNoneMatch"}],
                "security": [],
                "responses": {
                    "200": {
                        "description": "The OpenAPI document.",
                        "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    "304": {"$ref": "#/components/responses/NotModified"},
                },
            }},
            "/": {"get": {
                "tags": [tag],
                "operationId": "getHome",
                "summary": "Get an overview of the API",
                "description": "Returns a page to browsers and JSON to other clients.",
                "security": [],
                "responses": {
                    "200": {
                        "description": "Name, description and links to the documentation.",
                        "content": {
                            "application/json": {"schema": {
                                "type": "object",
                                "required": ["name", "about", "links"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "about": {"type": "string"},
                                    "links": {"type": "object", "additionalProperties": {"type": "string"}},
                                },
                            }},
                            "text/html": {"schema": {"type": "string"}},
                        },
                    },
                },
            }},
            "/openapi/{file}": {"get": {
                "tags": [tag],
                "operationId": "getPartOfDocument",
                "summary": "Get a part of this document",
                "description": "The operations of one group of tags and their schemas, for tools to which the whole document is too \
                                long. The file has the name of the group in lower case, with `-` between words.",
                "parameters": [
                    {
                        "name": "file",
                        "in": "path",
                        "required": true,
                        "description": "Name of the group, followed by `.json`.",
                        "schema": {"type": "string", "pattern": "^[a-z0-9-]+\\.json$"},
                        "example": "about-the-api.json",
                    },
                    {"$ref": "#/components/parameters/IfNoneMatch"},
                ],
                "security": [{}],
                "responses": {
                    "200": {
                        "description": "The part of the document.",
                        "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    "304": {"$ref": "#/components/responses/NotModified"},
                    "404": {"description": ""},
                },
            }},
            "/problems": {"get": {
                "tags": [tag],
                "operationId": "listProblems",
                "summary": "List the problem types",
                "description": "A page with all problem types that the API uses.",
                "security": [],
                "x-plain": true,
                "responses": {"200": page("The page."), "429": {"description": ""}},
            }},
            "/problems/{slug}": {"get": {
                "tags": [tag],
                "operationId": "getProblem",
                "summary": "Get a problem type",
                "description": "The page at the `type` of a problem: what the problem means and what to do about it.",
                "parameters": [{
                    "name": "slug",
                    "in": "path",
                    "required": true,
                    "description": "Last segment of the `type`.",
                    "schema": {"type": "string", "pattern": "^[a-z-]+$"},
                    "example": "not-found",
                }],
                "security": [],
                "x-plain": true,
                "responses": {"200": page("The page."), "404": {"description": ""}, "429": {"description": ""}},
            }},
            "/livez": {"get": {
                "tags": [tag],
                "operationId": "getLiveness",
                "summary": "Check that the server is running",
                "description": "Does not check the database.",
                "security": [],
                "x-plain": true,
                "responses": {"200": {"description": "`ok`", "content": {"text/plain": {"schema": {"type": "string"}}}}},
            }},
        },
    })
}
