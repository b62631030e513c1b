//! Modules: what their jobs may read and write past the rules for members.

use super::{
    names::{self, Roles},
    object::{policy, quoted_list},
};
use crate::model::{EntityId, Lifecycle, Model, Module};
use crate::objects::Object;

/// Names of the modules that read an entity; who writes it reads it.
pub fn readers(model: &Model, id: EntityId) -> Vec<String> {
    modules(
        model,
        |m, own| own || m.reads.contains(&id) || m.writes.contains(&id),
        id,
    )
}

pub fn writers(model: &Model, id: EntityId) -> Vec<String> {
    modules(model, |m, own| own || m.writes.contains(&id), id)
}

fn modules(model: &Model, test: impl Fn(&Module, bool) -> bool, id: EntityId) -> Vec<String> {
    let owner = model.entities[id].module;
    let found = model
        .modules
        .iter()
        .enumerate()
        .filter(|(i, m)| test(m, owner == Some(*i)));
    found.map(|(_, m)| m.name.clone()).collect()
}

pub fn policies(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let (role, table) = (Roles(&model.app).job(), names::table(entity));
    let is_one_of =
        |names: &[String]| Some(format!("(select sec.job()) in ({})", quoted_list(names)));
    let name = |command: &str| format!("{}_job_{command}", entity.plural);
    let (readers, writers) = (readers(model, id), writers(model, id));
    let mut found = Vec::new();
    if !readers.is_empty() {
        found.push(policy(
            &table,
            &name("select"),
            "select",
            &role,
            is_one_of(&readers),
            None,
        ));
    }
    if !writers.is_empty() {
        let test = || is_one_of(&writers);
        found.push(policy(
            &table,
            &name("insert"),
            "insert",
            &role,
            None,
            test(),
        ));
        if entity.lifecycle != Lifecycle::AppendOnly {
            found.push(policy(
                &table,
                &name("update"),
                "update",
                &role,
                test(),
                test(),
            ));
        }
        if entity.internal {
            found.push(policy(
                &table,
                &name("delete"),
                "delete",
                &role,
                test(),
                None,
            ));
        }
    }
    found
}
