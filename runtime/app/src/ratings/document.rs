//! The API document of ratings.

use serde_json::{Value, json};

/// Adds the routes to the generated document, from whose schemas they are built.
pub fn add(document: &mut Value) {
    let mut added = Vec::new();
    for (of, _) in &super::RATED {
        let (path, kind) = (of.path, of.name);
        let list = &document["paths"][format!("/{path}")]["get"];
        let name = kind[..1].to_uppercase() + &kind[1..];
        let plural = path[..1].to_uppercase() + &path[1..];
        let answers = |answer: Value, other: &str| {
            json!({"200": answer, other: {"$ref": format!("#/components/responses/{other}")},
                "default": {"$ref": "#/components/responses/default"}})
        };
        added.push((
            format!("/{path}/top-rated"),
            json!({
                "tags": list["tags"],
                "operationId": format!("listTopRated{plural}"),
                "summary": format!("List the top-rated {path} of a city"),
                "description": "Sorts by a weighted average: ten reviews with the city's average are added to each, so that one review \
                    of five stars does not outweigh many.",
                "parameters": [
                    {"name": "city_id", "in": "query", "required": true, "description": "Id of the city.",
                        "schema": {"type": "string", "format": "uuid"}},
                    {"$ref": "#/components/parameters/limit"},
                    {"$ref": "#/components/parameters/Cursor"},
                    {"$ref": format!("#/components/parameters/{name}.expand")},
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
                "summary": format!("Get the rating of this {kind}"),
                "description": "Returns the average of its reviews, and the number of reviews with one to five stars.",
                "parameters": [{"$ref": "#/components/parameters/id"}],
                "responses": answers(json!({"description": "",
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
        "description": "Average and numbers of the reviews of a profile or venue.",
        "required": ["average", "count", "stars"],
        "properties": {
            "object": {"type": "string", "const": "rating"},
            "average": {"type": ["number", "null"], "format": "double", "description": "One to five stars, rounded to one decimal; null without reviews."},
            "count": {"type": "integer", "format": "int64", "minimum": 0},
            "stars": {"type": "array", "minItems": 5, "maxItems": 5, "items": {"type": "integer", "format": "int32", "minimum": 0},
                "description": "Number of reviews with one, two, three, four and five stars."},
        },
        "example": {"object": "rating", "average": 4.5, "count": 2, "stars": [0, 0, 0, 1, 1]},
    });
}
