//! The API document of these lists: pages of events like those of `GET /events`.

use serde_json::{Value, json};

/// Adds the routes to the generated document, from whose schemas they are built.
pub fn add(document: &mut Value) {
    let paging = [
        json!({"$ref": "#/components/parameters/limit"}),
        json!({"$ref": "#/components/parameters/Cursor"}),
        json!({"$ref": "#/components/parameters/Event.expand"}),
    ];
    let city = json!({"name": "city_id", "in": "query", "required": true, "description": "Id of the city.",
        "schema": {"type": "string", "format": "uuid"}});
    let variant = json!({"name": "variant", "in": "query",
        "description": "`hot` sorts by score alone. `scaled` lists three events of each host before further events of the same host.",
        "schema": {"type": "string", "enum": ["hot", "scaled"], "default": "hot"}, "example": "scaled"});
    let slot = json!({"name": "slot", "in": "query", "description": "Only events in this featured place.",
        "schema": {"$ref": "#/components/schemas/PromotionSlot"}});
    let open = json!([{}, {"bearer": []}]);
    let trending = operation(
        (
            "listTrendingEvents",
            "Events",
            "List the trending events of a city",
        ),
        "Returns public events that are published and have not ended, most popular first. The score of an event counts likes, \
         follows, tickets, attendances, views and shares; older actions count less. For ten minutes, the pages that \
         follow the first show the order that it had. Featured places have no influence; `GET /events/featured` lists them.",
        [vec![city.clone(), variant], paging.to_vec()].concat(),
        "#/components/responses/EventPage",
        open.clone(),
    );
    let featured = operation(
        (
            "listFeaturedEvents",
            "Events",
            "List the featured events of a city",
        ),
        "Returns events with a booked featured place, longest-standing first, each with its place and the time at which the booking ends.",
        [vec![city, slot], paging.to_vec()].concat(),
        "#/components/responses/FeaturedEventPage",
        open,
    );
    let feed = operation(
        (
            "getFeed",
            "Me",
            "List events of hosts and venues that the caller follows",
        ),
        "Returns events that have not ended, most recently published first.",
        paging.to_vec(),
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
        "description": "",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/FeaturedEventList"}}},
    });
    components["schemas"]["FeaturedEventList"] = json!({
        "allOf": [
            {"$ref": "#/components/schemas/PageInfo"},
            {"type": "object", "required": ["data"], "properties": {
                "data": {"type": "array", "maxItems": 100, "items": {"$ref": "#/components/schemas/FeaturedEvent"}},
            }},
        ],
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
            "description": format!("Like `POST`, and may be repeated: a {verb} that exists stays."),
            "parameters": [{"$ref": "#/components/parameters/id"}],
            "responses": {
                "200": answer("It existed already."),
                "201": answer("Created."),
                "404": {"$ref": "#/components/responses/404"},
                "409": {"$ref": "#/components/responses/409"},
                "422": {"$ref": "#/components/responses/422"},
                "default": {"$ref": "#/components/responses/default"},
            },
            "security": [{"bearer": []}],
        });
        let mut end = make.clone();
        end["operationId"] = json!(format!("un{verb}{name}"));
        end["summary"] = json!(format!("Un{verb} this {of}"));
        end["description"] = json!(format!("Ends the caller's own {verb}, if there is one."));
        end["responses"] = json!({
            "204": {"description": "There is none any more."},
            "404": make["responses"]["404"].take(),
            "default": {"$ref": "#/components/responses/default"},
        });
        make["responses"]["404"] = end["responses"]["404"].clone();
        paths[format!("/{path}/{{id}}/{verb}")] = json!({"put": make, "delete": end});
    }
}

fn featured_event() -> Value {
    json!({
        "type": "object",
        "description": "An event with a booked featured place of its city.",
        "required": ["id", "slot", "starts_at", "ends_at", "event"],
        "properties": {
            "object": {"type": "string", "const": "featured_event"},
            "id": {"type": "string", "format": "uuid", "description": "Id of the promotion."},
            "slot": {"$ref": "#/components/schemas/PromotionSlot"},
            "starts_at": {"type": "string", "format": "date-time", "description": "Begin of the booking."},
            "ends_at": {"type": "string", "format": "date-time", "description": "End of the booking."},
            "event": {"$ref": "#/components/schemas/ExpandedEvent"},
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
            "422": {"$ref": "#/components/responses/422"},
            "default": {"$ref": "#/components/responses/default"},
        },
        "security": security,
    })
}
