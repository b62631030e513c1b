//! The common basis of system tests: a database and a real server on a free port for each test, and members with
//! tokens.

pub mod catalogue;
pub mod client;
pub mod companion;
pub mod database;
pub mod documented;
pub mod edits;
pub mod events;
pub mod fragile;
pub mod locks;
pub mod mail;
pub mod pages;
pub mod people;
pub mod pictures;
pub mod pools;
pub mod program;
pub mod rows;
mod sample;
pub mod server;
pub mod socket;
pub mod stripe;
pub mod superuser;

pub use client::{Answer, Client};
pub use database::Database;
pub use pools::{Pools, database};
pub use server::{Member, TestServer};
pub use superuser::Superuser;

use ::server::seed::examples::{MADE_LATER, ROWS};
use codegen::model::{Entity, Model};
use kernel::resource::Resource;
use serde_json::Value;
use std::{collections::HashMap, path::Path, sync::LazyLock};

/// The root folder of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace")
}

/// The model of CulturePass's spec.
pub fn model() -> &'static Model {
    static MODEL: LazyLock<Model> = LazyLock::new(|| match codegen::load(root()) {
        Ok(model) => model,
        Err(_) => panic!("the spec has mistakes: cargo gen --check"),
    });
    &MODEL
}

/// Whether somebody has just added the entity: nothing is written by hand for it, and none of its rows is in the
/// demonstration. Tests that ask for a decision about entities leave it out, because a new file in `spec/entities` is
/// tested without an edit of the tests.
pub fn is_new(entity: &Entity) -> bool {
    let rows = ROWS.iter().map(|(name, _)| *name);
    let mut known = rows.chain(MADE_LATER);
    !entity.internal && entity.module.is_none() && !known.any(|name| name == entity.name)
}

/// The API document, which is long and therefore parsed only once.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(app::api::document()).expect("JSON"));
    &DOCUMENT
}

/// Every mounted entity by name.
pub fn resources() -> &'static HashMap<&'static str, &'static Resource> {
    static RESOURCES: LazyLock<HashMap<&'static str, &'static Resource>> = LazyLock::new(|| {
        generated::hooks::RESOURCES
            .iter()
            .map(|resource| (resource.name, *resource))
            .collect()
    });
    &RESOURCES
}
