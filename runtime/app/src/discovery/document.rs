//! The API document of search, map and upcoming events.

use super::{cards, map, search};
use serde_json::{Value, json};

/// Adds the routes to the generated document.
pub fn add(document: &mut Value) {
    let paths = &mut document["paths"];
    paths["/search"] = json!({"get": operation(
        ("search", "Search everything"),
        "Searches everything that the caller may see. Hits are grouped by type. In each type, names that begin with the words come first, then upcoming events by time and other objects by age, newest first. The last word may be incomplete; accents and capitals are ignored. With `city_id`, if nothing has the words, hits are the objects of the city with the most similar names.",
        vec![
            json!({"name": "q", "in": "query", "required": true, "description": "Words to search for. `\"in quotes\"` they have to be adjacent, and `-word` must not occur.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200}, "example": "jazz"}),
            city(),
            types(search::KINDS, "All types if left out"),
            json!({"name": "limit", "in": "query", "description": "Maximum number of hits of each type.",
                "schema": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 20, "default": 5}}),
            expand(),
        ],
        answer("SearchHits", ""),
    )});
    paths["/map"] = json!({"get": operation(
        ("getMap", "Get the objects on a map"),
        "Returns the public objects inside a box: up to 100 as `objects`; if there are more, `clusters` with the number of objects in each cell of a grid. The cells keep their places when the map is moved. At most 50,000 objects of each type are counted.",
        vec![
            bbox(),
            types(map::KINDS, "`event,venue` if left out"),
            json!({"name": "cells", "in": "query", "description": "Maximum number of clusters.",
                "schema": {"type": "integer", "format": "int32", "minimum": 10, "maximum": 500, "default": 200}}),
            words(),
            city(),
            json!({"$ref": "#/components/parameters/Event.category"}),
            time("from", "Events that end after this time; now if left out."),
            time("to", "Events that begin before this time. A date includes the whole day (UTC)."),
            expand(),
        ],
        answer("MapView", ""),
    )});
    paths["/events/upcoming"] = json!({"get": operation(
        ("listUpcomingEvents", "List upcoming events"),
        "Returns published events that have not begun, next ones first. Besides common filters it takes a maximum price and a number of available tickets. `q` considers the 2,000 newest matches, `bbox` up to 5,000 events inside.",
        vec![
            city(),
            json!({"$ref": "#/components/parameters/Event.category"}),
            time("from", "Events that begin at this time or later; now if left out."),
            time("to", "Events that begin before this time. A date includes the whole day (UTC)."),
            json!({"$ref": "#/components/parameters/bbox"}),
            words(),
            json!({"name": "max_price_cents", "in": "query", "description": "Events with a ticket on sale for at most this price, in minor units of `currency`. 0: free events.",
                "schema": {"type": "integer", "format": "int64", "minimum": 0}}),
            json!({"name": "currency", "in": "query", "description": "Currency of `max_price_cents`; required unless that is 0.",
                "schema": {"type": "string", "pattern": "^[A-Z]{3}$"}}),
            json!({"name": "open_seats", "in": "query", "description": "Events with at least this many tickets left of one ticket type on sale.",
                "schema": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 1000}}),
            json!({"$ref": "#/components/parameters/limit"}),
            json!({"$ref": "#/components/parameters/Cursor"}),
            json!({"$ref": "#/components/parameters/Event.expand"}),
        ],
        json!({"$ref": "#/components/responses/EventPage"}),
    )});
    schemas(&mut document["components"]["schemas"]);
}

fn city() -> Value {
    json!({"$ref": "#/components/parameters/city_id"})
}

fn words() -> Value {
    json!({"$ref": "#/components/parameters/q"})
}

fn types(known: &[&str], otherwise: &str) -> Value {
    json!({"name": "types", "in": "query", "style": "form", "explode": false, "description": format!("Only objects of these types. {otherwise}."),
        "schema": {"type": "array", "items": {"type": "string", "enum": known}}})
}

fn bbox() -> Value {
    json!({"name": "bbox", "in": "query", "required": true,
        "description": "West, south, east and north in degrees. If west is greater than east, the box crosses the date line.",
        "schema": {"type": "string"}, "example": "144.8,-37.9,145.1,-37.7"})
}

fn expand() -> Value {
    let names: Vec<&str> = cards::EXPANDS.iter().map(|expand| expand.name).collect();
    json!({"name": "expand", "in": "query", "style": "form", "explode": false,
        "description": "Shows each object with its main picture, and each event with the cheapest type of ticket on sale.",
        "schema": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": names}}})
}

/// The properties that `expand` adds.
fn expanded(properties: &mut Value) {
    for (name, schema) in [("cover", "Media"), ("cheapest_ticket_type", "TicketType")] {
        properties[name] = json!({
            "anyOf": [{"$ref": format!("#/components/schemas/{schema}")}, {"type": "null"}],
            "description": "Only with `expand`; null if there is none that the caller can see.",
        });
    }
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
            "422": {"$ref": "#/components/responses/422"},
            "default": {"$ref": "#/components/responses/default"},
        },
        "security": [{}, {"bearer": []}],
    })
}

fn schemas(schemas: &mut Value) {
    let id = json!({"type": "string", "format": "uuid"});
    let text = |description: &str| json!({"type": "string", "description": description});
    let zone = json!({"type": ["string", "null"], "description": "IANA name of the event's time zone; null for other types."});
    let or_null = |format: &str, description: &str| json!({"type": ["string", "null"], "format": format, "description": description});
    schemas["SearchHit"] = json!({
        "type": "object",
        "description": "An object that was found.",
        "required": ["type", "id", "name", "subtitle", "slug", "picture_url", "starts_at", "timezone"],
        "properties": {
            "object": {"type": "string", "const": "search_hit"},
            "type": {"type": "string", "enum": search::KINDS},
            "id": id,
            "name": text("Name or title."),
            "subtitle": {"type": ["string", "null"], "description": "Name of the city; the handle of a member."},
            "slug": text("Slug; the handle of a member."),
            "picture_url": or_null("uri", "Address of a small picture."),
            "starts_at": or_null("date-time", "Begin of an event; null for other types."),
            "timezone": zone,
        },
    });
    schemas["SearchHits"] = json!({
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"type": "array", "maxItems": 140, "items": {"$ref": "#/components/schemas/SearchHit"}}},
    });
    schemas["MapObject"] = json!({
        "type": "object",
        "description": "An object on the map.",
        "required": ["type", "id", "name", "slug", "starts_at", "timezone", "location"],
        "properties": {
            "object": {"type": "string", "const": "map_object"},
            "type": {"type": "string", "enum": map::KINDS},
            "id": id,
            "name": text("Name or title."),
            "slug": text("Slug, unique in its city."),
            "starts_at": or_null("date-time", "Begin of an event; null for other types."),
            "timezone": zone,
            "location": {"$ref": "#/components/schemas/Point"},
        },
    });
    for schema in ["SearchHit", "MapObject"] {
        expanded(&mut schemas[schema]["properties"]);
    }
    schemas["MapCluster"] = json!({
        "type": "object",
        "description": "The number of objects in a cell of the map.",
        "required": ["count", "location", "bbox"],
        "properties": {
            "count": {"type": "integer", "format": "int64", "minimum": 1},
            "location": {"$ref": "#/components/schemas/Point"},
            "bbox": {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number", "format": "double"},
                "description": "West, south, east and north of the objects in the cell: the `bbox` of a closer look."},
        },
    });
    schemas["MapView"] = json!({
        "type": "object",
        "description": "The objects inside a box, or clusters of them.",
        "required": ["count", "objects", "clusters"],
        "properties": {
            "object": {"type": "string", "const": "map"},
            "count": {"type": "integer", "format": "int64", "minimum": 0, "description": "Number of all objects in the box."},
            "objects": {"type": "array", "maxItems": 100, "items": {"$ref": "#/components/schemas/MapObject"}},
            "clusters": {"type": "array", "maxItems": 500, "items": {"$ref": "#/components/schemas/MapCluster"}},
        },
    });
}
