//! `generated/src/lib.rs`: the modules of the crate, and the declarations that hand-written modules are checked
//! against when the application starts.

use super::rust::doc;
use crate::model::Model;

/// Path below `generated/`, and the file's text.
pub fn file(model: &Model, messages: bool) -> (String, String) {
    let mut modules: Vec<&str> = model
        .entities
        .iter()
        .map(|entity| entity.name.as_str())
        .collect();
    modules.extend(["hooks", "migrations", "objects"]);
    modules.extend(messages.then_some("messages"));
    modules.sort_unstable();
    let modules: String = modules
        .iter()
        .map(|name| format!("pub mod {name};\n"))
        .collect();
    let mut out = super::rust::header("app.yaml");
    out.push_str(&doc("//!", &format!("{}: {}", model.title, model.doc)));
    out.push_str("//!\n//! One module per entity: its types, its statements, its rules. No logic: that is in `kernel`.\n\n");
    out.push_str(&modules);
    for (name, doc, words) in lists(model) {
        let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        out.push_str(&format!(
            "\n/// {doc}\n#[rustfmt::skip]\npub const {name}: &[&str] = &[{}];\n",
            words.join(", ")
        ));
    }
    ("src/lib.rs".into(), out)
}

fn lists(model: &Model) -> [(&'static str, &'static str, Vec<String>); 4] {
    let modules = model.modules.iter();
    let entities = model.entities.iter();
    [
        (
            "MODULES",
            "Names under `modules:` of the spec.",
            modules.clone().map(|module| module.name.clone()).collect(),
        ),
        (
            "REQUESTED",
            "Jobs that requests may ask for (`on_request`).",
            modules
                .flat_map(|m| m.requested.iter().map(|job| format!("{}.{job}", m.name)))
                .collect(),
        ),
        (
            "COUNTED_LATER",
            "Entities with counters that a job adds up (`delta`).",
            entities
                .clone()
                .filter(|e| e.derived.iter().any(|d| d.delta))
                .map(|e| e.name.clone())
                .collect(),
        ),
        (
            "EVENTS",
            "What entities tell (`emit`).",
            entities
                .flat_map(|e| e.emits.iter().map(|action| format!("{}.{action}", e.name)))
                .collect(),
        ),
    ]
}
