//! The list of every output: model → files.
//!
//! Each file kind is one module below; they read the model and nothing else.

pub mod actions;
pub mod columns;
pub mod entity;
pub mod hooks;
pub mod migrations;
pub mod objects;
pub mod openapi;
pub mod rbac;
pub mod root;
pub mod rust;
pub mod schema;

use crate::model::Model;

/// The crate `generated` and the table of rules: paths below `generated/` with their texts.
pub fn rust_files(model: &Model) -> Vec<(String, String)> {
    let mut files = vec![root::file(model), objects::file(model), hooks::file(model), rbac::file(model)];
    files.extend((0..model.entities.len()).map(|id| entity::file(model, id)));
    files
}
