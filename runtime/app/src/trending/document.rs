//! The API document of these lists: pages of events like those of `GET /events`.

use serde_json::{Value, json};

/// Adds the routes to the generated document, from whose schemas they are built.
pub fn add(document: &mut Value) {
    let paging = |of: &str| {
        [
            json!({"$ref": "#/components/parameters/limit.20"}),
            json!({"name": "cursor", "in": "query", "description": format!("`next_cursor` of the page before{of}."),
                "schema": {"type": "string", "minLength": 1, "maxLength": 1000}}),
        ]
    };
    let city = json!({"name": "city_id", "in": "query", "required": true, "description": "Of this city.",
        "schema": {"type": "string", "format": "uuid"}});
    let variant = json!({"name": "variant", "in": "query",
        "description": "`scaled`: after the best events of a host come the best of others, before more of it.",
        "schema": {"type": "string", "enum": ["hot", "scaled"], "default": "hot"}, "example": "scaled"});
    let slot = json!({"name": "slot", "in": "query", "description": "Only in this place.",
        "schema": {"$ref": "#/components/schemas/PromotionSlot"}});
    let open = json!([{}, {"bearer": []}]);
    let trending = operation(
        ("listTrendingEvents", "Events", "List what trends in a city"),
        "Published events that are for everybody and not over, hottest first: what people did with them lately, each \
         action counting half as much with every half-life. A list that goes on shows how things stood when it began, for \
         ten minutes. What is featured is in `GET /events/featured` and has no part in this.",
        [vec![city.clone(), variant], paging("").to_vec()].concat(),
        "#/components/responses/EventPage",
        open.clone(),
    );
    let featured = operation(
        (
            "listFeaturedEvents",
            "Events",
            "List what is featured in a city",
        ),
        "Events that stand in featured places now, those that came first in front. Each says until when and where.",
        [vec![city, slot], paging("").to_vec()].concat(),
        "#/components/responses/FeaturedEventPage",
        open,
    );
    let feed = operation(
        (
            "getFeed",
            "Me",
            "List events by those whom the caller follows",
        ),
        "Events of hosts and at venues that the caller follows, newest first, which are not over.",
        paging("").to_vec(),
        "#/components/responses/EventPage",
        json!([{"bearer": []}]),
    );
    let paths = &mut document["paths"];
    paths["/events/trending"] = json!({"get": trending});
    paths["/events/featured"] = json!({"get": featured});
    paths["/me/feed"] = json!({"get": feed});
    edges(paths);
    let components = &mut document["components"];
    components["responses"]["FeaturedEventPage"] = json!({
        "description": "The page.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/FeaturedEventList"}}},
    });
    components["schemas"]["FeaturedEventList"] = json!({
        "type": "object",
        "description": "A page of what is featured.",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": {"type": "array", "maxItems": 100, "items": {"$ref": "#/components/schemas/FeaturedEvent"}},
            "next_cursor": {"$ref": "#/components/schemas/NextCursor"},
        },
    });
    components["schemas"]["FeaturedEvent"] = featured_event();
}

/// `PUT /events/{id}/like` and the like.
fn edges(paths: &mut Value) {
    for (path, verb, kind) in super::edges::EDGES {
        let (of, tag, schema) = match kind {
            "" => ("event", "Likes", "Like"),
            kind => (kind, "Follows", "Follow"),
        };
        let what = if verb == "like" { "Like" } else { "Follow" };
        let name = of[..1].to_uppercase() + &of[1..];
        let answer = |description: &str| {
            json!({"description": description,
                "content": {"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}}})
        };
        let mut make = json!({
            "tags": [tag],
            "operationId": format!("{verb}{name}"),
            "summary": format!("{what} this {of}"),
            "description": format!("Makes it so, whether it was or not: the same as creating a {verb}, and may be repeated."),
            "parameters": [{"$ref": "#/components/parameters/id"}],
            "responses": {
                "200": answer("It was so."),
                "201": answer("It is so now."),
                "404": {"$ref": "#/components/responses/NotFound"},
                "409": {"$ref": "#/components/responses/Conflict"},
                "422": {"$ref": "#/components/responses/UnprocessableContent"},
                "default": {"$ref": "#/components/responses/OtherProblem"},
            },
            "security": [{"bearer": []}],
        });
        let mut end = make.clone();
        end["operationId"] = json!(format!("un{verb}{name}"));
        end["summary"] = json!(format!("No longer {verb} this {of}"));
        end["description"] = json!("Ends it, whether it was so or not, and may be repeated.");
        end["responses"] = json!({
            "204": {"description": "It is so no more."},
            "404": make["responses"]["404"].take(),
            "default": {"$ref": "#/components/responses/OtherProblem"},
        });
        make["responses"]["404"] = end["responses"]["404"].clone();
        paths[format!("/{path}/{{id}}/{verb}")] = json!({"put": make, "delete": end});
    }
}

fn featured_event() -> Value {
    json!({
        "type": "object",
        "description": "An event in a featured place of its city.",
        "required": ["id", "slot", "starts_at", "ends_at", "event"],
        "properties": {
            "object": {"type": "string", "const": "featured_event", "readOnly": true},
            "id": {"type": "string", "format": "uuid", "description": "Of the promotion."},
            "slot": {"$ref": "#/components/schemas/PromotionSlot"},
            "starts_at": {"type": "string", "format": "date-time", "description": "Since when it stands there."},
            "ends_at": {"type": "string", "format": "date-time", "description": "Until when."},
            "event": {"$ref": "#/components/schemas/Event"},
        },
    })
}

fn operation(
    (id, tag, summary): (&str, &str, &str),
    description: &str,
    parameters: Vec<Value>,
    answer: &str,
    security: Value,
) -> Value {
    json!({
        "tags": [tag],
        "operationId": id,
        "summary": summary,
        "description": description,
        "parameters": parameters,
        "responses": {
            "200": {"$ref": answer},
            "422": {"$ref": "#/components/responses/UnprocessableContent"},
            "default": {"$ref": "#/components/responses/OtherProblem"},
        },
        "security": security,
    })
}
