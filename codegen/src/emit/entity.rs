//! `generated/src/<entity>.rs`: types, statements, rules and descriptor of one entity, as text.

mod constraints;
pub mod descriptor;
mod rules;
mod statements;
mod tables;
pub mod types;

pub use rules::names as statics;

use super::rust::{doc, header, pascal};
use crate::model::{Entity, EntityId, Lifecycle, Model, Ty};

/// Path below `generated/`.
pub fn path(entity: &Entity) -> String {
    format!("src/{}.rs", entity.name)
}

/// Path below `generated/`, and the file's text.
pub fn file(model: &Model, id: EntityId) -> (String, String) {
    let entity = &model.entities[id];
    let body = [
        types::enums(model, entity),
        types::row(model, entity),
        types::bodies(model, entity),
    ]
    .concat();
    let mut out = header(&format!("entities/{}.yaml", entity.name));
    out.push_str(&doc("//!", &entity.doc));
    out.push('\n');
    out.push_str(&imports(model, entity, &body));
    out.push_str(&body);
    out.push_str(&constraints::names(entity));
    if !entity.internal {
        out.push_str(&statements::macros(model, id));
        let rules = rules::statics(model, id);
        if !rules.is_empty() {
            out.push_str(&format!("\n{rules}"));
        }
        out.push_str(&descriptor::resource(model, id));
    }
    (path(entity), out)
}

fn imports(model: &Model, entity: &Entity, body: &str) -> String {
    let mut shared: Vec<String> = entity
        .fields
        .iter()
        .filter_map(|field| match field.ty {
            Ty::Object { object } => Some(pascal(&model.objects[object].name)),
            _ => None,
        })
        .chain((entity.lifecycle == Lifecycle::SoftDelete).then(|| "Status".to_owned()))
        .collect();
    shared.sort();
    shared.dedup();
    let mut derives = vec!["Entity"];
    derives.extend(body.contains(", Choice)]").then_some("Choice"));
    derives.extend(body.contains(", Input)]").then_some("Input"));
    derives.sort();
    let mut out = String::new();
    if !shared.is_empty() {
        out.push_str(&format!("use crate::objects::{};\n", braced(&shared)));
    }
    out.push_str("use kernel::prelude::*;\n");
    out + &format!("use macros::{};\n", braced(&derives))
}

fn braced<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [one] => one.as_ref().to_owned(),
        several => format!(
            "{{{}}}",
            several
                .iter()
                .map(AsRef::as_ref)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
