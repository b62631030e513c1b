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
            "description": "A fresh random text per thing that is meant: repeated with the same body, the request does nothing more and gets the same answer, with `Idempotent-Replayed: true`. Without one the answer is 400. Kept for three days.",
            "schema": {"type": "string", "minLength": 16, "maxLength": 255, "pattern": "^[!-~]+$"},
        }}},
        "tags": [{"name": tag, "description": "This document, the problem types, and whether the server is alive."}],
        "paths": {
            super::PATH: {"get": {
                "tags": [tag],
                "operationId": "getDocument",
                "summary": "Get this document",
                "description": "The OpenAPI document of all routes. Its ETag changes when the document does.",
                "parameters": [{"$ref": "#/components/parameters/IfNoneMatch"}],
                "security": [],
                "responses": {
                    "200": {
                        "description": "The document.",
                        "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    "304": {"$ref": "#/components/responses/NotModified"},
                },
            }},
            "/": {"get": {
                "tags": [tag],
                "operationId": "getHome",
                "summary": "What this is and where to go",
                "description": "A page for people whose browser asks for one, JSON for everybody else.",
                "security": [],
                "responses": {
                    "200": {
                        "description": "Name, a sentence about it, and paths.",
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
                "description": "The operations of one group of tags and what they refer to, for readers that find the whole too long. The \
                                name of a group in lower case, words joined by `-`, is the name of its file.",
                "parameters": [
                    {
                        "name": "file",
                        "in": "path",
                        "required": true,
                        "description": "Name of the group, and `.json`.",
                        "schema": {"type": "string", "pattern": "^[a-z0-9-]+\\.json$"},
                        "example": "about-the-api.json",
                    },
                    {"$ref": "#/components/parameters/IfNoneMatch"},
                ],
                "security": [{}],
                "responses": {
                    "200": {
                        "description": "The part.",
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
                "description": "A page with every kind of problem that the API answers with.",
                "security": [],
                "x-plain": true,
                "responses": {"200": page("The page."), "429": {"description": ""}},
            }},
            "/problems/{slug}": {"get": {
                "tags": [tag],
                "operationId": "getProblem",
                "summary": "Get a problem type",
                "description": "What the `type` of a problem answer leads to: what it means and what can be done.",
                "parameters": [{
                    "name": "slug",
                    "in": "path",
                    "required": true,
                    "description": "Last segment of the type.",
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
                "summary": "Is the server alive?",
                "description": "Answers as long as the process does, without asking the database.",
                "security": [],
                "x-plain": true,
                "responses": {"200": {"description": "`ok`", "content": {"text/plain": {"schema": {"type": "string"}}}}},
            }},
        },
    })
}
