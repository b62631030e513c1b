//! The API document of ratings.

use serde_json::{Value, json};

/// Adds the routes to the generated document, from whose schemas they are built.
pub fn add(document: &mut Value) {
    let mut added = Vec::new();
    for (path, kind) in super::RATED {
        let list = &document["paths"][format!("/{path}")]["get"];
        let name = kind[..1].to_uppercase() + &kind[1..];
        let plural = path[..1].to_uppercase() + &path[1..];
        let answers = |answer: Value, other: &str| {
            json!({"200": answer, other: {"$ref": format!("#/components/responses/{}", if other == "404" { "NotFound" } else { "UnprocessableContent" })},
                "default": {"$ref": "#/components/responses/OtherProblem"}})
        };
        added.push((
            format!("/{path}/top-rated"),
            json!({
                "tags": list["tags"],
                "operationId": format!("listTopRated{plural}"),
                "summary": format!("List the best rated {path} of a city"),
                "description": "Best first: the average of their reviews as if ten more had given the average of the city, so that one \
                    review of five stars does not outweigh two hundred of 4.7.",
                "parameters": [
                    {"name": "city_id", "in": "query", "required": true, "description": "Of this city.",
                        "schema": {"type": "string", "format": "uuid"}},
                    {"$ref": "#/components/parameters/limit.20"},
                    {"name": "cursor", "in": "query", "description": "`next_cursor` of the page before.",
                        "schema": {"type": "string", "minLength": 1, "maxLength": 1000}},
                ],
                "responses": answers(list["responses"]["200"].clone(), "422"),
                "security": list["security"],
            }),
        ));
        added.push((
            format!("/{path}/{{id}}/rating"),
            json!({
                "tags": list["tags"],
                "operationId": format!("get{name}Rating"),
                "summary": format!("Get how many stars this {kind} has"),
                "description": "How its reviews spread over one to five stars.",
                "parameters": [{"$ref": "#/components/parameters/id"}],
                "responses": answers(json!({"description": "Its reviews, by stars.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Rating"}}}}), "404"),
                "security": list["security"],
            }),
        ));
    }
    for (path, operation) in added {
        document["paths"][path] = json!({"get": operation});
    }
    document["components"]["schemas"]["Rating"] = json!({
        "type": "object",
        "description": "What reviews say together.",
        "required": ["average", "count", "stars"],
        "properties": {
            "object": {"type": "string", "const": "rating", "readOnly": true},
            "average": {"type": ["number", "null"], "format": "double", "description": "To one decimal; null without reviews."},
            "count": {"type": "integer", "format": "int64", "minimum": 0},
            "stars": {"type": "array", "minItems": 5, "maxItems": 5, "items": {"type": "integer", "format": "int32", "minimum": 0},
                "description": "How many reviews have one star, two, … five."},
        },
        "example": {"object": "rating", "average": 4.5, "count": 2, "stars": [0, 0, 0, 1, 1]},
    });
}
