//! The API document of search, map and upcoming events.

use super::{map, search};
use serde_json::{Value, json};

/// Adds the routes to the generated document.
pub fn add(document: &mut Value) {
    let paths = &mut document["paths"];
    paths["/search"] = json!({"get": operation(
        ("search", "Search everything"),
        "What the caller may see, of each kind those that begin with the words first, then events by time and the others by age. The last word may be half typed; accents do not matter.",
        vec![
            json!({"name": "q", "in": "query", "required": true, "description": "The words. `\"in quotes\"` they stand together, `-without`.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200}, "example": "jazz"}),
            city(),
            types(search::KINDS, "All of them without it"),
            json!({"name": "limit", "in": "query", "description": "How many of each kind.",
                "schema": {"type": "integer", "minimum": 1, "maximum": 20, "default": 5}}),
        ],
        answer("SearchResult", "What was found."),
    )});
    paths["/map"] = json!({"get": operation(
        ("getMap", "Get what is on a map"),
        "What everybody may see inside of a box: up to a hundred objects, or clusters of a grid that lies still while the map is moved. Of more than 50,000 objects of a kind some are left out.",
        vec![
            bbox(),
            types(map::KINDS, "`event,venue` without it"),
            json!({"name": "cells", "in": "query", "description": "Most clusters.",
                "schema": {"type": "integer", "minimum": 10, "maximum": 500, "default": 200}}),
            words(),
            city(),
            json!({"$ref": "#/components/parameters/Event.category"}),
            time("from", "Ending after it; without it now."),
            time("to", "Beginning before it; a day counts whole."),
        ],
        answer("Map", "The map."),
    )});
    paths["/events/upcoming"] = json!({"get": operation(
        ("listUpcomingEvents", "List events that can still be had"),
        "Published events that are to come, the next ones first. Words look at the newest 2,000 events that hold them, a box at 5,000 inside of it.",
        vec![
            city(),
            json!({"$ref": "#/components/parameters/Event.category"}),
            time("from", "Beginning then or later; without it now."),
            time("to", "Beginning before it; a day counts whole."),
            json!({"$ref": "#/components/parameters/Event.bbox"}),
            words(),
            json!({"name": "max_price_cents", "in": "query", "description": "A ticket on sale costs no more. 0: it is free.",
                "schema": {"type": "integer", "format": "int64", "minimum": 0}}),
            json!({"name": "currency", "in": "query", "description": "Of `max_price_cents`; required unless that is 0.",
                "schema": {"type": "string", "pattern": "^[A-Z]{3}$"}}),
            json!({"name": "open_seats", "in": "query", "description": "So many tickets of one type that is on sale are left.",
                "schema": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 1000}}),
            json!({"$ref": "#/components/parameters/limit.20"}),
            json!({"name": "cursor", "in": "query", "description": "`next_cursor` of the page before.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 1000}}),
        ],
        json!({"$ref": "#/components/responses/EventPage"}),
    )});
    schemas(&mut document["components"]["schemas"]);
}

fn city() -> Value {
    json!({"$ref": "#/components/parameters/city_id"})
}

fn words() -> Value {
    json!({"$ref": "#/components/parameters/Event.q"})
}

fn types(known: &[&str], otherwise: &str) -> Value {
    json!({"name": "types", "in": "query", "style": "form", "explode": false, "description": format!("Only these kinds. {otherwise}."),
        "schema": {"type": "array", "items": {"type": "string", "enum": known}}})
}

fn bbox() -> Value {
    json!({"name": "bbox", "in": "query", "required": true,
        "description": "West, south, east, north in degrees. West may be greater than east: over the date line.",
        "schema": {"type": "string"}, "example": "144.8,-37.9,145.1,-37.7"})
}

fn time(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": "string"}, "example": "2027-03-01"})
}

fn answer(schema: &str, description: &str) -> Value {
    json!({"description": description,
        "content": {"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}}})
}

fn operation(
    (id, summary): (&str, &str),
    description: &str,
    parameters: Vec<Value>,
    answer: Value,
) -> Value {
    json!({
        "tags": ["Search"],
        "operationId": id,
        "summary": summary,
        "description": description,
        "parameters": parameters,
        "responses": {
            "200": answer,
            "422": {"$ref": "#/components/responses/UnprocessableContent"},
            "default": {"$ref": "#/components/responses/OtherProblem"},
        },
        "security": [{}, {"bearer": []}],
    })
}

fn schemas(schemas: &mut Value) {
    let id = json!({"type": "string", "format": "uuid"});
    let text = |description: &str| json!({"type": "string", "description": description});
    let or_null = |format: &str, description: &str| json!({"type": ["string", "null"], "format": format, "description": description});
    schemas["SearchHit"] = json!({
        "type": "object",
        "description": "One thing that was found.",
        "required": ["type", "id", "name", "subtitle", "slug", "picture_url", "starts_at"],
        "properties": {
            "object": {"type": "string", "const": "search_hit", "readOnly": true},
            "type": {"type": "string", "enum": search::KINDS},
            "id": id,
            "name": text("Its name or title."),
            "subtitle": {"type": ["string", "null"], "description": "The city; of members the handle."},
            "slug": text("Of members the handle."),
            "picture_url": or_null("uri", "A small picture."),
            "starts_at": or_null("date-time", "Of events."),
        },
    });
    schemas["SearchResult"] = json!({
        "type": "object",
        "description": "What was found.",
        "required": ["data"],
        "properties": {"data": {"type": "array", "maxItems": 140, "items": {"$ref": "#/components/schemas/SearchHit"}}},
    });
    schemas["MapObject"] = json!({
        "type": "object",
        "description": "One thing on a map.",
        "required": ["type", "id", "name", "slug", "starts_at", "location"],
        "properties": {
            "object": {"type": "string", "const": "map_object", "readOnly": true},
            "type": {"type": "string", "enum": map::KINDS},
            "id": id,
            "name": text("Its name or title."),
            "slug": text("Unique in its city."),
            "starts_at": or_null("date-time", "Of events."),
            "location": {"$ref": "#/components/schemas/Point"},
        },
    });
    schemas["MapCluster"] = json!({
        "type": "object",
        "description": "Things that are near each other.",
        "required": ["count", "location", "bbox"],
        "properties": {
            "count": {"type": "integer", "format": "int64", "minimum": 1},
            "location": {"$ref": "#/components/schemas/Point"},
            "bbox": {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number", "format": "double"},
                "description": "West, south, east, north of what is in it: what to ask for to look closer."},
        },
    });
    schemas["Map"] = json!({
        "type": "object",
        "description": "What is inside of a box: objects or clusters.",
        "required": ["count", "objects", "clusters"],
        "properties": {
            "object": {"type": "string", "const": "map", "readOnly": true},
            "count": {"type": "integer", "format": "int64", "minimum": 0, "description": "Of objects, shown by themselves or not."},
            "objects": {"type": "array", "maxItems": 100, "items": {"$ref": "#/components/schemas/MapObject"}},
            "clusters": {"type": "array", "maxItems": 500, "items": {"$ref": "#/components/schemas/MapCluster"}},
        },
    });
}
