//! Moves what several hand-written operations have in common into shared components, as in the generated part:
//! parameters, answers, closed sets, general errors, and security. Works on the finished document, whose generated
//! part is in this form already.
//!
//! A shared component is named after what it describes, never numbered; where no such name can be derived, nothing is
//! moved.
//!
//! Knows JSON only.

mod choices;

use serde_json::{Map, Value, json};

/// Parameters of the engine, whose descriptions fit all routes.
const PARAMETERS: [&str; 5] = [
    "id",
    "Cursor",
    "IdempotencyKey",
    "IdempotencyKeyRequired",
    "IfNoneMatch",
];

/// Statuses that any request may be answered with; `default` stands for all of these.
const GENERAL: [&str; 9] = [
    "400", "401", "408", "413", "415", "429", "431", "500", "503",
];

/// Rate limits apply everywhere, so every operation has at least this refusal.
const TOO_MANY: &str = "429";

/// Descriptions that say the same as the shared answers.
const USUAL: [(&str, &str); 8] = [
    ("400", "The key is missing"),
    ("400", "The cursor belongs to another list"),
    // `x-access` says this already.
    ("403", "The caller is no platform administrator"),
    ("422", "A value is wrong"),
    ("422", "A parameter is unknown or has a wrong value"),
    // The description of the parameter says this already.
    ("422", "The key belongs to another request"),
    (
        "422",
        "A value is wrong, or the key belongs to another request",
    ),
    ("503", "The provider does not answer"),
];

pub fn say_once(document: &mut Value) {
    choices::name(document);
    parameters(document);
    headers(document);
    answers(document);
    let too_many = document["components"]["responses"].get(TOO_MANY).is_some();
    for_each_operation(document, |method, operation| {
        if let Some(Value::Object(answers)) = operation.get_mut("responses") {
            let has_refusal = answers.keys().any(|status| status.starts_with('4'));
            if too_many && !has_refusal {
                answers.insert("429".to_owned(), reference("responses", TOO_MANY));
            }
            errors(method, answers);
        }
    });
    access(document);
    security(document);
}

pub(super) fn for_each_operation(
    document: &mut Value,
    mut with: impl FnMut(&str, &mut Map<String, Value>),
) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(Map::values_mut);
    for item in items.filter_map(Value::as_object_mut) {
        for (method, operation) in item.iter_mut() {
            if let Some(operation) = operation.as_object_mut() {
                with(method, operation);
            }
        }
    }
}

/// Moves the engine's parameters, and all others that two operations have with the same description.
fn parameters(document: &mut Value) {
    let components = &document["components"]["parameters"];
    let known: Vec<(&str, Value)> = PARAMETERS
        .iter()
        .filter_map(|name| Some((*name, components.get(*name)?.clone())))
        .collect();
    let mut found = Repeated::default();
    for_each_parameter(document, |parameter| {
        if parameter.get("required") == Some(&json!(false))
            && let Some(parameter) = parameter.as_object_mut()
        {
            parameter.remove("required");
        }
        // A header is either present or absent; it can't be null.
        if parameter.get("in") == Some(&json!("header"))
            && parameter["schema"]["type"] == json!(["string", "null"])
        {
            parameter["schema"]["type"] = json!("string");
        }
        match known.iter().find(|(_, one)| is_same(one, parameter)) {
            Some((name, _)) => *parameter = reference("parameters", name),
            None => found.count(parameter, parameter_name(parameter)),
        }
    });
    let named = found.named(&document["components"]["parameters"]);
    for_each_parameter(document, |parameter| {
        refer(&named, "parameters", parameter);
    });
    define(document, "parameters", named);
}

fn for_each_parameter(document: &mut Value, mut with: impl FnMut(&mut Value)) {
    for_each_operation(document, |_, operation| {
        let all = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        let own = all
            .into_iter()
            .flatten()
            .filter(|one| one.get("$ref").is_none());
        own.for_each(&mut with);
    });
}

/// Whether they are equal except for the description.
fn is_same(one: &Value, other: &Value) -> bool {
    ["name", "in", "required", "schema"]
        .iter()
        .all(|key| one.get(*key) == other.get(*key))
}

/// `city_id.required`
fn parameter_name(parameter: &Value) -> Option<String> {
    let name = parameter["name"].as_str()?;
    Some(match parameter["required"] == true {
        true => format!("{name}.required"),
        false => name.to_owned(),
    })
}

/// Headers that the generated part describes are described there only.
fn headers(document: &mut Value) {
    let shared = document["components"]["headers"].clone();
    for_each_success(document, |_, answer| {
        let sent = answer.get_mut("headers").and_then(Value::as_object_mut);
        for (name, header) in sent.into_iter().flatten() {
            if shared.get(name).is_some() {
                *header = reference("headers", name);
            }
        }
    });
}

/// Success answers that two operations have in common, such as the figures of each type of host.
fn answers(document: &mut Value) {
    let mut found = Repeated::default();
    for_each_success(document, |status, answer| {
        found.count(answer, answer_name(status, answer));
    });
    let named = found.named(&document["components"]["responses"]);
    for_each_success(document, |_, answer| refer(&named, "responses", answer));
    define(document, "responses", named);
}

fn for_each_success(document: &mut Value, mut with: impl FnMut(&str, &mut Value)) {
    for_each_operation(document, |_, operation| {
        let all = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut);
        for (status, answer) in all.into_iter().flatten() {
            if status.starts_with('2') && answer.get("$ref").is_none() {
                with(status, answer);
            }
        }
    });
}

/// `PaymentAnswer`, or `PaymentAdded` if the operation creates something.
fn answer_name(status: &str, answer: &Value) -> Option<String> {
    let schema = answer["content"]["application/json"]["schema"]["$ref"].as_str()?;
    let schema = schema.strip_prefix("#/components/schemas/")?;
    let what = if status == "201" { "Added" } else { "Answer" };
    Some(format!("{schema}{what}"))
}

/// General errors are covered by `default` unless the operation says more about them. If an operation would have no
/// explicit error left, one stays, because linters require it.
fn errors(method: &str, answers: &mut Map<String, Value>) {
    for (status, answer) in answers.iter_mut() {
        if let Some(answer) = answer.as_object_mut()
            && answer.contains_key("$ref")
            && answer
                .get("description")
                .is_some_and(|text| is_usual(status, text))
        {
            answer.remove("description");
        }
    }
    if !answers.contains_key("default") {
        return;
    }
    let is_general = |status: &str, answer: &Value| {
        // `x-access` says who is refused a read, so 403 is only kept if there is another reason as well.
        let told = answer.get("description").and_then(Value::as_str);
        let has_another = told.is_some_and(|text| text.contains(", or "));
        let to_readers = status == "403" && method == "get" && !has_another;
        to_readers || (GENERAL.contains(&status) && answer.get("description").is_none())
    };
    let mut refusals = answers.iter().filter(|(status, _)| status.starts_with('4'));
    let first = refusals.clone().next().map(|(status, _)| status.clone());
    let kept = match refusals.any(|(status, answer)| !is_general(status, answer)) {
        true => None,
        false => first,
    };
    answers.retain(|status, answer| !is_general(status, answer) || kept.as_ref() == Some(status));
    answers.sort_keys();
}

/// Whether the description says no more than the shared answer.
fn is_usual(status: &str, text: &Value) -> bool {
    let text = text.as_str().unwrap_or_default();
    let is_missing =
        status == "404" && text.starts_with("There is no") && text.ends_with("may not see it");
    is_missing || USUAL.contains(&(status, text))
}

/// An operation that does not use the token admits anonymous callers, and thereby everybody.
fn access(document: &mut Value) {
    for_each_operation(document, |_, operation| {
        // Unless the operation says itself whom it accepts, for example by a signature.
        if operation.get("security") == Some(&json!([])) && !operation.contains_key("x-access") {
            operation.insert("x-access".to_owned(), json!({"anonymous": "yes"}));
        }
    });
}

/// Moves the most frequent security requirement to the top; only operations with another one keep theirs.
fn security(document: &mut Value) {
    let Some(usual) = document.get("security").cloned() else {
        return;
    };
    for_each_operation(document, |_, operation| {
        if operation.get("security") == Some(&usual) {
            operation.shift_remove("security");
        }
    });
}

/// Parts in the order of their first use.
#[derive(Default)]
struct Repeated(Vec<Use>);

struct Use {
    part: Value,
    times: usize,
    /// The name that the part would get; `None`: it has to stay where it is.
    name: Option<String>,
}

impl Repeated {
    fn count(&mut self, part: &Value, name: Option<String>) {
        match self.0.iter_mut().find(|known| known.part == *part) {
            Some(known) => known.times += 1,
            None => self.0.push(Use {
                part: part.clone(),
                times: 1,
                name,
            }),
        }
    }

    /// If two parts could have the same name, the one with more uses gets it.
    fn named(mut self, taken: &Value) -> Vec<(String, Value)> {
        self.0.sort_by_key(|one| std::cmp::Reverse(one.times));
        let mut named: Vec<(String, Value)> = Vec::new();
        for Use { part, times, name } in self.0 {
            let Some(name) = name else { continue };
            let is_free = taken.get(&name).is_none() && !named.iter().any(|(one, _)| *one == name);
            if times > 1 && is_free {
                named.push((name, part));
            }
        }
        named
    }
}

fn refer(named: &[(String, Value)], kind: &str, part: &mut Value) {
    if let Some((name, _)) = named.iter().find(|(_, one)| one == part) {
        *part = reference(kind, name);
    }
}

fn define(document: &mut Value, kind: &str, named: Vec<(String, Value)>) {
    if !named.is_empty() {
        let components = &mut document["components"];
        if !components[kind].is_object() {
            components[kind] = json!({});
        }
        if let Some(all) = components[kind].as_object_mut() {
            all.extend(named);
        }
    }
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

#[cfg(test)]
mod tests;
