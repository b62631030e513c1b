//! All generated files: turns the model into their texts.
//!
//! Each kind of file is one module below, which reads nothing but the model.

pub mod actions;
pub mod columns;
pub mod entity;
pub mod hooks;
mod messages;
mod objects;
pub mod openapi;
mod rbac;
mod root;
mod rust;
pub mod schema;

use crate::model::Model;
use crate::objects::Schema;
use crate::spec::MessageType;
use crate::tree::Tree;

/// Paths below `generated/` of the files that every application has, whatever its entities are called.
pub fn of_application(has_messages: bool) -> Vec<&'static str> {
    let mut paths = vec![
        "model.json",
        "openapi.json",
        "rbac.txt",
        "schema.sql",
        "src/hooks.rs",
        "src/lib.rs",
        "src/migrations.rs",
        "src/objects.rs",
    ];
    paths.extend(has_messages.then_some("src/messages.rs"));
    paths
}

/// All files in `generated/` except those that depend on migrations.
pub fn emit(model: &Model, database: &Schema, messages: &[MessageType], tree: &mut Tree) {
    tree.add("generated/schema.sql", schema::render(database));
    tree.add("generated/openapi.json", openapi::render(model));
    let has_messages = !messages.is_empty();
    let mut files: Vec<_> = (0..model.entities.len())
        .map(|id| entity::file(model, id))
        .collect();
    files.extend(has_messages.then(|| messages::file(messages)));
    files.extend([
        root::file(model, has_messages),
        objects::file(model),
        hooks::file(model),
        rbac::file(model),
    ]);
    for (path, text) in files {
        tree.add(format!("generated/{path}"), text);
    }
}
