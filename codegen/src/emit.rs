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

/// All files in `generated/` except those that depend on migrations.
pub fn emit(model: &Model, database: &Schema, messages: &[MessageType], tree: &mut Tree) {
    tree.add("generated/schema.sql", schema::render(database));
    tree.add("generated/openapi.json", openapi::render(model));
    let rust = (0..model.entities.len()).map(|id| entity::file(model, id));
    let messages = (!messages.is_empty()).then(|| messages::file(messages));
    for (path, text) in rust.chain(messages.clone()).chain([
        root::file(model, messages.is_some()),
        objects::file(model),
        hooks::file(model),
        rbac::file(model),
    ]) {
        tree.add(format!("generated/{path}"), text);
    }
}
