//! Which old objects must be dropped, for good or to be created again.
//!
//! PostgreSQL refuses to drop or retype what a view, policy, trigger, check or generated column uses,
//! so whatever a step touches is followed to everything that mentions it.

use std::collections::BTreeSet;

use super::change::TableChange;
use super::text::{base_name, mentions, signature, words};
use crate::objects::{Kind, Object, Schema};

/// Kind and name: what an object is known by.
pub type Key = (Kind, String);

pub fn key(object: &Object) -> Key {
    (object.kind, object.name.clone())
}

/// Also moves generated columns that depend on something dropped to `regenerated`, and takes out of
/// `kept` what cannot be kept.
pub fn dropped(
    old: &Schema,
    new: &Schema,
    changes: &mut [TableChange],
    kept: &mut Vec<(&Object, &Object)>,
) -> BTreeSet<Key> {
    let mut dropped: BTreeSet<Key> = (old.objects.iter())
        .filter(|o| o.kind != Kind::Table && !kept.iter().any(|(k, _)| key(k) == key(o)))
        .filter(|o| must_go(o, new))
        .map(key)
        .collect();
    loop {
        let before = (dropped.len(), regenerated(changes));
        let gone: Vec<&Object> = old.objects.iter().filter(|o| dropped.contains(&key(o))).collect();
        for object in old.objects.iter().filter(|o| o.kind != Kind::Table) {
            let held = gone.iter().any(|g| uses_object(object, g)) || changes.iter().any(|c| uses_column(object, c));
            if held {
                kept.retain(|(k, _)| key(k) != key(object));
                dropped.insert(key(object));
            }
        }
        changes.iter_mut().for_each(|change| follow_generated(change, &gone));
        if before == (dropped.len(), regenerated(changes)) {
            return dropped;
        }
    }
}

/// Gone from the new schema, or changed in a way that only a drop can make.
fn must_go(object: &Object, new: &Schema) -> bool {
    let Some(after) = new.objects.iter().find(|o| key(o) == key(object)) else { return true };
    match object.kind {
        Kind::Role | Kind::Schema | Kind::Extension => false,
        Kind::Function | Kind::TableFunction => {
            after.create != object.create && signature(&after.create) != signature(&object.create)
        }
        _ => after.create != object.create,
    }
}

fn uses_object(object: &Object, gone: &Object) -> bool {
    if key(object) == key(gone) {
        return false;
    }
    match (gone.kind, object.kind) {
        // Bodies of functions are not tracked by PostgreSQL; their argument and result types are.
        (Kind::View, Kind::Function | Kind::TableFunction) => mentions(&signature(&object.create), &gone.name),
        (Kind::View, Kind::View | Kind::Policy | Kind::Grant) => mentions(&object.create, &gone.name),
        (Kind::Function | Kind::TableFunction, Kind::Function | Kind::TableFunction) => false,
        (
            Kind::Function | Kind::TableFunction,
            Kind::Constraint | Kind::Index | Kind::View | Kind::Trigger | Kind::Policy | Kind::Grant,
        ) => mentions(&object.create, base_name(&gone.name)),
        (Kind::Constraint | Kind::Index, Kind::ForeignKey) => is_key_of(gone, object),
        _ => false,
    }
}

/// The foreign key points at the columns of this unique constraint or index.
fn is_key_of(gone: &Object, foreign_key: &Object) -> bool {
    let (Some(table), text) = (&gone.table, &foreign_key.create) else { return false };
    if !mentions(&gone.create, "unique") {
        return false;
    }
    let Some(at) = text.find(&format!("references {table}")) else { return false };
    let target = &text[at + "references ".len() + table.len()..];
    let Some((columns, _)) = target.trim_start().strip_prefix('(').and_then(|t| t.split_once(')')) else {
        return false;
    };
    words(columns).iter().all(|column| mentions(&gone.create, column))
}

fn uses_column(object: &Object, change: &TableChange) -> bool {
    let table = &change.old.name;
    let near = object.table.as_deref() == Some(table) || mentions(&object.create, table);
    let uses = |name: &str| near && mentions(&object.create, name);
    match object.kind {
        Kind::Role | Kind::Schema | Kind::Extension | Kind::Function | Kind::TableFunction | Kind::Table => false,
        Kind::Constraint | Kind::Index | Kind::ForeignKey | Kind::Grant => change.lost().any(|c| uses(&c.name)),
        Kind::View | Kind::Trigger | Kind::Policy => {
            change.lost().any(|c| uses(&c.name)) || change.retyped().any(|(c, _)| uses(&c.name))
        }
    }
}

/// A generated column goes with what it is made of.
fn follow_generated(change: &mut TableChange, gone: &[&Object]) {
    let functions: Vec<&str> = (gone.iter())
        .filter(|g| matches!(g.kind, Kind::Function | Kind::TableFunction))
        .map(|g| base_name(&g.name))
        .collect();
    let lost: Vec<String> = change.lost().map(|c| c.name.clone()).collect();
    let retyped: Vec<String> = change.retyped().map(|(c, _)| c.name.clone()).collect();
    let touched: Vec<String> = (change.kept.iter())
        .filter(|(old, _)| {
            old.generated.as_ref().is_some_and(|expr| {
                lost.iter().chain(&retyped).any(|name| mentions(expr, name))
                    || functions.iter().any(|name| mentions(expr, name))
            })
        })
        .map(|(old, _)| old.name.clone())
        .collect();
    for name in touched {
        change.regenerate(&name);
        change.renamed.retain(|(from, _)| *from != name);
    }
}

fn regenerated(changes: &[TableChange]) -> usize {
    changes.iter().map(|c| c.regenerated.len()).sum()
}
