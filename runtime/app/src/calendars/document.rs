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
            "Returns the event in the format of calendar programs (iCalendar).",
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
                "Up to 500 events for calendar programs (iCalendar): upcoming ones first, then those of the last 30 days.",
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
    let since = json!({"type": "string", "format": "date-time", "description": "Time at which the address was created."});
    let object = json!({"type": "string", "const": "calendar_feed"});
    schemas["CalendarFeed"] = json!({
        "type": "object",
        "description": "The caller's calendar has a secret address. The address itself is not shown again.",
        "required": ["since"],
        "properties": {"object": object, "since": since},
    });
    schemas["CalendarFeedAddress"] = json!({
        "type": "object",
        "description": "The secret address of the caller's calendar. It is shown only once.",
        "required": ["since", "url"],
        "properties": {"object": object, "since": since,
            "url": {"type": "string", "format": "uri", "description": "Anyone with this address can read the calendar. Enter it in calendar programs only."}},
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
        "304": {"description": "The calendar has not changed since."},
        "404": {"$ref": "#/components/responses/404"},
        "default": {"$ref": "#/components/responses/default"},
    })
}

/// The parts that these routes have in common.
fn shared(components: &mut Value) {
    components["parameters"]["Calendar.known"] = json!({"name": "If-None-Match", "in": "header",
        "description": "ETag of an earlier answer: 304 if the calendar has not changed since.", "schema": {"type": "string"}});
    components["responses"]["Calendar"] = json!({"description": "The calendar (iCalendar, RFC 5545), with times in UTC.",
        "headers": {"ETag": {"description": "Changes with the content.", "schema": {"type": "string"}}},
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
    let feed = json!({"description": "There is a secret address.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CalendarFeed"}}}});
    own(
        "getCalendarFeed",
        "Check whether the caller's calendar has a secret address",
        "404 if it has none. The address itself is shown only once, when it is created.",
        json!({"200": feed, "404": {"$ref": "#/components/responses/404"},
            "default": {"$ref": "#/components/responses/default"}}),
    )
}

fn renew() -> Value {
    let feed = json!({"description": "",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CalendarFeedAddress"}}}});
    own(
        "renewCalendarFeed",
        "Create a secret address for the caller's calendar",
        "The calendar contains events for which the caller holds tickets or which the caller attended, and events of followed hosts and venues. An earlier address becomes invalid.",
        json!({"201": feed, "default": {"$ref": "#/components/responses/default"}}),
    )
}

fn revoke() -> Value {
    own(
        "revokeCalendarFeed",
        "Revoke the secret address of the caller's calendar",
        "It may be repeated: if there is no address, nothing changes.",
        json!({"204": {"description": "There is no address any more."}, "default": {"$ref": "#/components/responses/default"}}),
    )
}

fn read() -> Value {
    json!({
        "tags": ["Me"],
        "operationId": "readCalendarFeed",
        "summary": "Read a member's calendar at its secret address",
        "description": "For calendar programs, which have no access token. 404 if the address was revoked or the account is closed or suspended.",
        "parameters": [
            {"name": "file", "in": "path", "required": true, "description": "The secret, followed by `.ics`.",
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}\\.ics$"}},
            known(),
        ],
        "responses": answers(),
        "security": [],
    })
}
