//! The API document: what is in it, and that everything it shows as an example is true to its schemas.

mod access;
mod check;
mod world;

use codegen::emit::openapi;
use serde_json::{Value, json};

fn document() -> Value {
    openapi::document(&world::model())
}

fn operation<'a>(document: &'a Value, method: &str, path: &str) -> &'a Value {
    &document["paths"][path][method]
}

/// Parameters with their references resolved.
fn parameters<'a>(document: &'a Value, operation: &'a Value) -> Vec<&'a Value> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    all.map(|parameter| match parameter["$ref"].as_str() {
        Some(target) => document.pointer(&target[1..]).unwrap(),
        None => parameter,
    })
    .collect()
}

fn parameter_names<'a>(document: &'a Value, operation: &'a Value) -> Vec<&'a str> {
    parameters(document, operation)
        .iter()
        .filter_map(|parameter| parameter["name"].as_str())
        .collect()
}

#[test]
fn every_example_is_valid_and_every_reference_leads_somewhere() {
    let faults = check::faults(&document());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_document_of_the_real_spec_is_true_to_itself() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let model = codegen::load(&root).unwrap_or_else(|errors| panic!("{errors}"));
    let document = openapi::document(&model);
    let faults = check::faults(&document);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    if let Some(path) = std::env::var_os("OPENAPI_DUMP") {
        std::fs::write(path, openapi::render(&model)).unwrap();
    }
}

#[test]
fn the_text_is_the_same_every_time() {
    assert_eq!(
        openapi::render(&world::model()),
        openapi::render(&world::model())
    );
    assert!(openapi::render(&world::model()).ends_with("}\n"));
}

#[test]
fn operations_have_the_expected_names() {
    let document = document();
    let mut ids: Vec<String> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        if path.starts_with("/events") {
            ids.extend(item.as_object().unwrap().iter().map(|(method, operation)| {
                format!(
                    "{method} {path} {}",
                    operation["operationId"].as_str().unwrap()
                )
            }));
        }
    }
    assert_eq!(
        ids,
        [
            "get /events listEvents",
            "post /events createEvent",
            "get /events/{id} getEvent",
            "put /events/{id} replaceEvent",
            "patch /events/{id} updateEvent",
            "delete /events/{id} archiveEvent",
            "get /events/archived listArchivedEvents",
            "post /events/{id}/restore restoreEvent",
            "post /events/{id}/suspend suspendEvent",
            "post /events/{id}/unsuspend unsuspendEvent",
            "post /events/{id}/publish publishEvent",
            "post /events/{id}/cancel cancelEvent",
            "get /events/{id}/likes listEventLikes",
        ]
    );
}

#[test]
fn what_does_not_exist_is_not_written_down() {
    let document = document();
    let methods = |path: &str| -> Vec<String> {
        document["paths"][path]
            .as_object()
            .map(|item| item.keys().cloned().collect())
            .unwrap_or_default()
    };
    assert_eq!(methods("/secrets"), [""; 0], "internal");
    assert_eq!(
        methods("/transactions"),
        ["get"],
        "written by a module only"
    );
    assert_eq!(methods("/transactions/{id}"), ["get"]);
    assert_eq!(
        methods("/likes/{id}"),
        ["get", "delete"],
        "nothing of a like can be updated"
    );
    assert_eq!(methods("/likes/{id}/restore"), [""; 0], "nobody");
    assert_eq!(
        methods("/role-assignments/{id}"),
        ["get"],
        "no rule for update, no delete without soft delete"
    );
    assert_eq!(methods("/users"), ["get"]);
}

#[test]
fn bodies_hold_what_a_caller_may_send() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let keys = |name: &str| -> Vec<String> {
        schemas[name]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let common = [
        "title",
        "slug",
        "description",
        "category",
        "starts_at",
        "ends_at",
        "capacity",
        "location",
        "door_code",
    ];
    let with = |more: &[&str]| -> Vec<String> {
        common
            .iter()
            .chain(more)
            .map(|name| (*name).to_owned())
            .collect()
    };
    assert_eq!(
        keys("CreateEvent"),
        with(&[
            "price_cents",
            "currency",
            "tags",
            "city_id",
            "host_type",
            "host_id",
            "venue_id"
        ])
    );
    assert_eq!(
        keys("ReplaceEvent"),
        with(&["currency", "tags", "venue_id"])
    );
    assert_eq!(keys("PatchEvent"), keys("ReplaceEvent"));
    for body in ["CreateEvent", "ReplaceEvent", "PatchEvent"] {
        assert_eq!(schemas[body]["additionalProperties"], json!(false));
    }
    assert_eq!(
        schemas["CreateEvent"]["required"],
        json!([
            "title",
            "starts_at",
            "ends_at",
            "price_cents",
            "currency",
            "city_id",
            "host_type",
            "host_id"
        ])
    );
    assert_eq!(
        schemas["ReplaceEvent"]["required"],
        json!(["title", "starts_at", "ends_at", "currency"])
    );
    assert_eq!(schemas["PatchEvent"]["required"], Value::Null);
    assert_eq!(
        schemas["CreateEvent"]["properties"]["category"]["default"],
        "other"
    );
    assert_eq!(
        schemas["PatchEvent"]["properties"]["category"]["default"],
        Value::Null
    );
    assert_eq!(
        schemas["CreateRoleAssignment"]["dependentRequired"],
        json!({"scope_type": ["scope_id"], "scope_id": ["scope_type"]})
    );
}

/// Answers don't mark what the server keeps, so no body may contain it.
#[test]
fn bodies_lack_what_the_server_keeps() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let properties = |name: &str| schemas[name]["properties"].clone();
    for name in [
        "object",
        "id",
        "status",
        "state",
        "version",
        "created_at",
        "updated_at",
        "like_count",
        "full",
        "allowed_actions",
    ] {
        assert!(properties("Event").get(name).is_some(), "{name}");
        for body in ["CreateEvent", "ReplaceEvent", "PatchEvent"] {
            assert!(properties(body).get(name).is_none(), "{name} of {body}");
        }
    }
    assert!(!document.to_string().contains("readOnly"));
}

#[test]
fn answers_say_what_is_null_or_hidden() {
    let document = document();
    let event = &document["components"]["schemas"]["Event"];
    let property = |name: &str| &event["properties"][name];
    let required: Vec<&str> = event["required"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(property("title")["minLength"], 1);
    assert_eq!(property("title")["maxLength"], 140);
    assert_eq!(property("description")["type"], json!(["string", "null"]));
    assert_eq!(property("capacity")["maximum"], 1_000_000);
    assert_eq!(
        property("location")["anyOf"],
        json!([{"$ref": "#/components/schemas/Point"}, {"type": "null"}])
    );
    assert_eq!(
        property("door_code")["type"],
        json!(["string", "null"]),
        "null where it is empty, left out where it may not be seen"
    );
    assert!(!required.contains(&"door_code"));
    assert!(required.contains(&"description"), "null, but always there");
    assert_eq!(
        event["properties"]
            .as_object()
            .unwrap()
            .keys()
            .next()
            .unwrap(),
        "object"
    );
    assert_eq!(property("object")["const"], "event");
    for name in ["city", "host", "allowed_actions"] {
        assert!(!required.contains(&name), "{name}");
    }
    let schema = |name: &str| &document["components"]["schemas"][name];
    let expanded = &schema("ExpandedEvent")["allOf"];
    assert_eq!(expanded[0]["$ref"], "#/components/schemas/Event");
    let related = expanded[1]["properties"].as_object().unwrap();
    assert_eq!(
        related.keys().collect::<Vec<_>>(),
        ["city", "host"],
        "not the hidden venue"
    );
    assert_eq!(
        related["host"],
        json!({"anyOf": [{"$ref": "#/components/schemas/EventHost"}, {"type": "null"}]})
    );
    assert_eq!(
        schema("EventHost")["discriminator"],
        json!({"propertyName": "object", "mapping": {
            "organization": "#/components/schemas/Organization",
            "user": "#/components/schemas/User",
        }})
    );
    assert_eq!(
        property("host_type")["$ref"],
        "#/components/schemas/EventHostType"
    );
    assert_eq!(
        schema("EventHostType")["enum"],
        json!(["organization", "user"])
    );
    assert_eq!(
        property("allowed_actions")["items"]["$ref"],
        "#/components/schemas/EventAllowedAction"
    );
    assert_eq!(
        schema("EventAllowedAction")["enum"],
        json!([
            "update",
            "delete",
            "restore",
            "suspend",
            "unsuspend",
            "publish",
            "cancel"
        ])
    );
}

#[test]
fn filters_are_typed() {
    let document = document();
    let list = operation(&document, "get", "/events");
    assert_eq!(
        parameter_names(&document, list),
        [
            "q",
            "category",
            "category.ne",
            "category.in",
            "state",
            "state.ne",
            "state.in",
            "starts_at",
            "starts_at.ne",
            "starts_at.gte",
            "starts_at.lte",
            "starts_at.gt",
            "starts_at.lt",
            "capacity",
            "capacity.ne",
            "capacity.gte",
            "capacity.lte",
            "capacity.gt",
            "capacity.lt",
            "capacity.null",
            "near",
            "radius_m",
            "bbox",
            "location.null",
            "city_id",
            "city_id.ne",
            "city_id.in",
            "host_type",
            "host_type.ne",
            "host_type.in",
            "host_id",
            "host_id.ne",
            "host_id.in",
            "like_count",
            "like_count.ne",
            "like_count.gte",
            "like_count.lte",
            "like_count.gt",
            "like_count.lt",
            "sort",
            "limit",
            "cursor",
            "count",
            "expand",
            "id",
            "id.in",
            "id.ne",
        ]
    );
    let find = |name: &str| {
        parameters(&document, list)
            .into_iter()
            .find(|parameter| parameter["name"] == name)
            .unwrap()
    };
    assert_eq!(find("starts_at.gte")["schema"]["format"], "date-time");
    assert_eq!(
        find("city_id.in")["schema"]["$ref"],
        "#/components/schemas/IdList"
    );
    assert_eq!(
        document["components"]["schemas"]["IdList"]["items"]["format"],
        "uuid"
    );
    assert_eq!(find("limit")["schema"]["default"], 50);
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        find("expand")["schema"]["items"]["$ref"],
        "#/components/schemas/EventExpand"
    );
    assert_eq!(
        schemas["EventExpand"]["enum"],
        json!(["city", "host", "allowed_actions"])
    );
    assert_eq!(
        find("sort")["schema"]["$ref"],
        "#/components/schemas/EventSort"
    );
    assert_eq!(
        schemas["EventSort"]["x-enum-varnames"],
        json!([
            "title_asc",
            "title_desc",
            "starts_at_asc",
            "starts_at_desc",
            "like_count_asc",
            "like_count_desc",
            "id_asc",
            "id_desc"
        ])
    );
    assert_eq!(
        find("count")["schema"]["$ref"],
        "#/components/schemas/Count"
    );
    assert_eq!(
        schemas["EventSort"]["enum"],
        json!([
            "title",
            "-title",
            "starts_at",
            "-starts_at",
            "like_count",
            "-like_count",
            "id",
            "-id"
        ])
    );
    let likes = operation(&document, "get", "/events/{id}/likes");
    assert_eq!(
        parameter_names(&document, likes),
        [
            "id", "sort", "limit", "cursor", "count", "expand", "id.in", "id.ne"
        ],
        "not event_id; by id alone"
    );
}

#[test]
fn tags_come_in_reading_order() {
    let document = document();
    let tags: Vec<&str> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    assert_eq!(
        tags,
        [
            "Events",
            "Likes",
            "Users",
            "Cities",
            "Organizations",
            "Role assignments",
            "Transactions"
        ]
    );
    assert_eq!(
        document["x-tagGroups"][0],
        json!({"name": "Events", "tags": ["Events", "Likes"]})
    );
}
