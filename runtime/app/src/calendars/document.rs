//! The API document of calendars.

use serde_json::{Value, json};

/// Adds the routes to the generated document.
pub fn add(document: &mut Value) {
    let tags = |path: &str| document["paths"][format!("/{path}")]["get"]["tags"].clone();
    let mut added = vec![(
        "/events/{id}/calendar.ics".to_owned(),
        calendar(
            "getEventCalendar",
            tags("events"),
            "Get this event as a calendar",
            "For calendar programs.",
        ),
    )];
    for (path, kind) in super::OWNERS {
        let name = kind[..1].to_uppercase() + &kind[1..];
        added.push((
            format!("/{path}/{{id}}/calendar.ics"),
            calendar(
                &format!("get{name}Calendar"),
                tags(path),
                &format!("Get the events of this {kind} as a calendar"),
                "Up to 500 events: the next ones, then what ended within thirty days.",
            ),
        ));
    }
    let paths = &mut document["paths"];
    for (path, operation) in added {
        paths[path] = json!({"get": operation});
    }
    paths["/me/calendar-feed"] = json!({"get": show(), "post": renew(), "delete": revoke()});
    paths[super::feed::PATH] = json!({"get": read()});
    shared(&mut document["components"]);
    let schemas = &mut document["components"]["schemas"];
    let since = json!({"type": "string", "format": "date-time", "description": "When the address was made."});
    let object = json!({"type": "string", "const": "calendar_feed", "readOnly": true});
    schemas["CalendarFeed"] = json!({
        "type": "object",
        "description": "That there is an address at which the caller's calendar is read.",
        "required": ["since"],
        "properties": {"object": object, "since": since},
    });
    schemas["CalendarFeedAddress"] = json!({
        "type": "object",
        "description": "The address at which the caller's calendar is read. It is told once.",
        "required": ["since", "url"],
        "properties": {"object": object, "since": since,
            "url": {"type": "string", "format": "uri", "description": "Whoever has it reads the calendar. Give it to calendar programs only."}},
        "example": {"object": "calendar_feed", "since": "2027-03-01T19:00:00Z",
            "url": "https://api.example.org/calendar-feeds/Qx3Vd0kzR4m7uY1bN8sLwE5tH2jP6aC9fG0iK3oM7qU.ics"},
    });
}

fn calendar(id: &str, tags: Value, summary: &str, description: &str) -> Value {
    json!({
        "tags": tags,
        "operationId": id,
        "summary": summary,
        "description": description,
        "parameters": [{"$ref": "#/components/parameters/id"}, known()],
        "responses": answers(),
        "security": [{}, {"bearer": []}],
    })
}

fn known() -> Value {
    json!({"$ref": "#/components/parameters/Calendar.known"})
}

fn answers() -> Value {
    json!({
        "200": {"$ref": "#/components/responses/Calendar"},
        "304": {"description": "The client has it."},
        "404": {"$ref": "#/components/responses/NotFound"},
        "default": {"$ref": "#/components/responses/OtherProblem"},
    })
}

/// The parts that these routes have in common.
fn shared(components: &mut Value) {
    components["parameters"]["Calendar.known"] = json!({"name": "If-None-Match", "in": "header",
        "description": "The ETag of the calendar that the client has.", "schema": {"type": "string"}});
    components["responses"]["Calendar"] = json!({"description": "The calendar (RFC 5545). Times are in UTC.",
        "headers": {"ETag": {"description": "Of these bytes.", "schema": {"type": "string"}}},
        "content": {"text/calendar": {"schema": {"type": "string"}}}});
}

fn own(id: &str, summary: &str, description: &str, answers: Value) -> Value {
    json!({
        "tags": ["Me"],
        "operationId": id,
        "summary": summary,
        "description": description,
        "responses": answers,
        "security": [{"bearer": []}],
    })
}

fn show() -> Value {
    let feed = json!({"description": "There is one.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CalendarFeed"}}}});
    own(
        "getCalendarFeed",
        "Get whether the caller's calendar has an address",
        "The address itself is told once.",
        json!({"200": feed, "404": {"$ref": "#/components/responses/NotFound"},
            "default": {"$ref": "#/components/responses/OtherProblem"}}),
    )
}

fn renew() -> Value {
    let feed = json!({"description": "The address.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CalendarFeedAddress"}}}});
    own(
        "renewCalendarFeed",
        "Make an address for the caller's calendar",
        "Of events that the caller holds tickets for or was at, and of hosts and venues that the caller follows. The address before ends.",
        json!({"201": feed, "default": {"$ref": "#/components/responses/OtherProblem"}}),
    )
}

fn revoke() -> Value {
    own(
        "revokeCalendarFeed",
        "End the address of the caller's calendar",
        "Whether there was one or not.",
        json!({"204": {"description": "There is none."}, "default": {"$ref": "#/components/responses/OtherProblem"}}),
    )
}

fn read() -> Value {
    json!({
        "tags": ["Me"],
        "operationId": "readCalendarFeed",
        "summary": "Read a member's calendar at its secret address",
        "description": "For calendar programs; needs no access token. It ends with the address and with the account.",
        "parameters": [
            {"name": "file", "in": "path", "required": true, "description": "The secret, and `.ics`.",
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}\\.ics$"}},
            known(),
        ],
        "responses": answers(),
        "security": [],
    })
}
