//! `expand=cover,cheapest_ticket_type` of searches and maps, as of the generated lists: what a card shows beside the name,
//! with one query for each type of object on the page.

use crate::generated_routes;
use axum::{Router, response::Response};
use generated::{hooks::RESOURCES, user::USER};
use kernel::{
    Caller, Result,
    resource::{Expand, Resource},
};
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

/// What events can be shown with; other types have some of it.
pub(super) static EXPANDS: [Expand; 2] = [
    Expand::to("cover", "id", &["media"]),
    Expand::to("cheapest_ticket_type", "id", &["ticket_type"]),
];

/// Adds what is asked for to objects that have a `type` and an `id`: null where there is none, or the type has none.
pub(super) async fn add(
    generated: &Router,
    caller: &Caller,
    expand: &[&'static str],
    objects: &mut [Value],
) -> Result<std::result::Result<(), Response>> {
    if expand.is_empty() {
        return Ok(Ok(()));
    }
    let mut ids: HashMap<&'static str, (&'static Resource, Vec<Uuid>)> = HashMap::new();
    for object in &*objects {
        let id = object["id"].as_str().and_then(|id| id.parse().ok());
        if let (Some(resource), Some(id)) = (resource(object), id) {
            let of = ids.entry(resource.name);
            of.or_insert_with(|| (resource, Vec::new())).1.push(id);
        }
    }
    let mut found: HashMap<String, Value> = HashMap::new();
    for (resource, ids) in ids.into_values() {
        let has = |name: &&str| resource.expands.iter().any(|one| one.name == *name);
        let names: Vec<&str> = expand.iter().copied().filter(has).collect();
        if names.is_empty() {
            continue;
        }
        match generated_routes::shown(generated, caller, resource.path, &ids, &names).await? {
            Ok(shown) => found.extend(
                shown
                    .into_iter()
                    .filter_map(|one| Some((one["id"].as_str()?.to_owned(), one))),
            ),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    for object in objects {
        let id = object["id"].as_str().unwrap_or_default().to_owned();
        for name in expand {
            let value = found.get_mut(&id).and_then(|one| one.get_mut(name));
            object[name] = value.map(Value::take).unwrap_or_default();
        }
    }
    Ok(Ok(()))
}

/// The entity of a hit; members are called so in searches.
fn resource(object: &Value) -> Option<&'static Resource> {
    match object["type"].as_str()? {
        "member" => Some(&USER),
        kind => RESOURCES.iter().copied().find(|one| one.name == kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use generated::{business::BUSINESS, event::EVENT};

    /// The names are those of the generated lists, and events have all of them.
    #[test]
    fn cards_show_what_lists_can_show() {
        for expand in &EXPANDS {
            let known = |resource: &Resource| {
                let mut all = resource.expands.iter();
                all.any(|one| one.name == expand.name && one.targets == expand.targets)
            };
            assert!(known(&EVENT), "{}", expand.name);
        }
        assert!(BUSINESS.expands.iter().any(|one| one.name == "cover"));
        assert!(USER.expands.iter().any(|one| one.name == "cover"));
    }
}
