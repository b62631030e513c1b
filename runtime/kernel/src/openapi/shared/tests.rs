//! What is hoisted, what it is called then, and what stays where it is.

use super::say_once;
use serde_json::{Value, json};

fn of(paths: Value) -> Value {
    let mut document = json!({
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {"Hit": {"properties": {
                "kind": {"type": "string", "enum": ["a", "b"], "description": "Which."},
                "other": {"type": ["string", "null"], "enum": ["c", "d"]},
                "object": {"type": "string", "enum": ["hit"]},
                "usual": {"type": "string", "enum": ["e", "f"], "default": "e"},
                "list": {"type": "array", "items": {"type": "object", "properties": {
                    "kind": {"type": "string", "enum": ["a", "b"]},
                    "way": {"type": ["string", "null"], "enum": ["in", "out", null]},
                }}},
            }}},
            "responses": {"429": {}},
            "headers": {"Location": {"description": "Path of the new object.", "schema": {"type": "string"}}},
            "parameters": {
                "id": {"name": "id", "in": "path", "required": true, "description": "Id of the object.",
                    "schema": {"type": "string", "format": "uuid"}},
                "city_id": {"name": "city_id", "in": "query", "description": "A filter.", "schema": {"type": "string"}},
            },
        },
    });
    say_once(&mut document);
    document
}

fn get(parameters: Value, responses: Value) -> Value {
    json!({"get": {"operationId": "findThem", "parameters": parameters, "responses": responses, "security": [{"bearer": []}]}})
}

#[test]
fn closed_sets_have_names() {
    let kinds = json!([{"name": "kinds", "in": "query", "schema": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}},
        {"name": "order", "in": "query", "schema": {"type": "string", "enum": ["up", "down"]}}]);
    let document = of(json!({"/hits": get(kinds, json!({}))}));
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["HitKind"],
        json!({"type": "string", "enum": ["a", "b"]})
    );
    let hit = &schemas["Hit"]["properties"];
    assert_eq!(
        hit["kind"],
        json!({"$ref": "#/components/schemas/HitKind", "description": "Which."})
    );
    assert_eq!(
        hit["other"],
        json!({"anyOf": [{"$ref": "#/components/schemas/HitOther"}, {"type": "null"}]})
    );
    let inner = &hit["list"]["items"]["properties"];
    assert_eq!(
        inner["kind"],
        json!({"$ref": "#/components/schemas/HitKind"})
    );
    assert_eq!(
        inner["way"],
        json!({"anyOf": [{"$ref": "#/components/schemas/HitListWay"}, {"type": "null"}]})
    );
    assert!(hit["object"].get("enum").is_some(), "a constant");
    assert!(hit["usual"].get("enum").is_some(), "with a default");
    let parameters = &document["paths"]["/hits"]["get"]["parameters"];
    assert_eq!(
        parameters[0]["schema"]["items"]["$ref"],
        "#/components/schemas/HitKind"
    );
    assert_eq!(
        parameters[1]["schema"]["$ref"],
        "#/components/schemas/FindThemOrder"
    );
}

#[test]
fn parameters_that_say_the_same_stand_once() {
    let id = json!({"name": "id", "in": "path", "required": true, "description": "Of the hit",
        "schema": {"type": "string", "format": "uuid"}});
    let from = json!({"name": "from", "in": "query", "required": false, "description": "First day", "schema": {"type": "string"}});
    let city = json!({"name": "city_id", "in": "query", "description": "Here", "schema": {"type": "string"}});
    let once = json!({"name": "to", "in": "query", "schema": {"type": "string"}});
    let both = get(json!([id, from, city]), json!({}));
    let document =
        of(json!({"/a/{id}": both, "/b/{id}": both, "/c": get(json!([once]), json!({}))}));
    let parameters = &document["paths"]["/b/{id}"]["get"]["parameters"];
    assert_eq!(parameters[0], json!({"$ref": "#/components/parameters/id"}));
    assert_eq!(
        parameters[1],
        json!({"$ref": "#/components/parameters/from"})
    );
    assert_eq!(parameters[2], city, "its name is another's");
    assert_eq!(
        document["components"]["parameters"]["from"],
        json!({"name": "from", "in": "query", "description": "First day", "schema": {"type": "string"}})
    );
    assert_eq!(document["paths"]["/c"]["get"]["parameters"][0], once);
}

#[test]
fn answers_that_say_the_same_stand_once() {
    let answer = json!({"description": "It", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Hit"}}}});
    let both = get(
        json!([]),
        json!({"200": answer, "204": {"description": "Gone"}}),
    );
    let document = of(json!({"/a": both, "/b": both}));
    let answers = &document["paths"]["/b"]["get"]["responses"];
    assert_eq!(
        answers["200"],
        json!({"$ref": "#/components/responses/HitAnswer"})
    );
    assert_eq!(answers["204"], json!({"description": "Gone"}));
    assert_eq!(document["components"]["responses"]["HitAnswer"], answer);
}

#[test]
fn general_errors_are_in_default() {
    let problem = |name: &str| json!({"$ref": format!("#/components/responses/{name}")});
    let all = json!({"200": {"description": "It"}, "400": problem("400"), "413": {"$ref": "#/components/responses/413", "description": "Longer than announced"}, "403": problem("403"),
        "404": {"$ref": "#/components/responses/404", "description": "There is no such hit, or the caller may not see it"},
        "503": problem("503"), "default": problem("default")});
    let alone = json!({"200": {"description": "It"}, "default": problem("default")});
    let plain = json!({"200": {"description": "It"}, "429": problem("429")});
    let refused =
        json!({"200": {"description": "It"}, "401": problem("401"), "default": problem("default")});
    let mut changing = get(json!([]), all.clone());
    changing["post"] = changing["get"].take();
    let document = of(json!({
        "/a": get(json!([]), all), "/b": get(json!([]), alone), "/c": get(json!([]), plain), "/d": get(json!([]), refused), "/e": changing,
    }));
    let statuses = |path: &str, method: &str| -> Vec<&String> {
        let answers = document["paths"][path][method]["responses"].as_object();
        answers.expect("answers").keys().collect()
    };
    assert_eq!(
        statuses("/a", "get"),
        ["200", "404", "413", "default"],
        "what says more stays"
    );
    assert_eq!(statuses("/b", "get"), ["200", "429", "default"]);
    assert_eq!(
        statuses("/c", "get"),
        ["200", "429"],
        "nothing stands for it"
    );
    assert_eq!(
        statuses("/d", "get"),
        ["200", "401", "default"],
        "the only one"
    );
    assert_eq!(
        statuses("/e", "post"),
        ["200", "403", "404", "413", "default"]
    );
    assert_eq!(
        document["paths"]["/a"]["get"]["responses"]["404"],
        problem("404"),
        "which says so itself"
    );
}

#[test]
fn what_holds_for_all_stands_at_the_top() {
    let mut open = get(json!([]), json!({}));
    open["get"]["security"] = json!([]);
    let mut closed = get(json!([]), json!({}));
    closed["get"]["x-access"] = json!({"member": "depends"});
    let document = of(json!({"/a": closed, "/b": open}));
    assert_eq!(
        document["paths"]["/b"]["get"]["x-access"],
        json!({"anonymous": "yes"}),
        "everybody"
    );
    assert_eq!(document["paths"]["/a"]["get"].get("security"), None);
    assert_eq!(document["paths"]["/b"]["get"]["security"], json!([]));
}

#[test]
fn headers_of_answers_are_the_shared_ones() {
    let own = json!({"description": "Where it is.", "schema": {"type": "string"}});
    let answer =
        json!({"201": {"description": "The hit", "headers": {"Location": own, "Age": own}}});
    let document = of(json!({"/hits": get(json!([]), answer)}));
    let sent = &document["paths"]["/hits"]["get"]["responses"]["201"]["headers"];
    assert_eq!(
        sent["Location"],
        json!({"$ref": "#/components/headers/Location"})
    );
    assert_eq!(sent["Age"], own);
}
