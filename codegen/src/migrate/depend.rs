//! Which old objects must be dropped, for good or to be created again.
//!
//! PostgreSQL refuses to drop or retype what a view, policy, trigger, check or generated column uses, so everything
//! that mentions a changed object is dropped and created again as well.

use std::collections::{BTreeMap, BTreeSet};

use super::change::TableChange;
use super::text::{base_name, mentions, signature, words};
use crate::objects::{Kind, Object, Schema};

/// Kind and name, which identify an object.
pub type Key<'a> = (Kind, &'a str);

pub fn key(object: &Object) -> Key<'_> {
    (object.kind, &object.name)
}

pub fn by_key(schema: &Schema) -> BTreeMap<Key<'_>, &Object> {
    schema.objects.iter().map(|o| (key(o), o)).collect()
}

/// The old objects to drop. Also moves generated columns that depend on a dropped object to `regenerated`, and removes
/// from `kept` what must be dropped after all.
pub fn dropped<'a>(
    old: &'a Schema,
    new: &Schema,
    changes: &mut [TableChange],
    kept: &mut BTreeMap<Key<'a>, &Object>,
) -> BTreeSet<Key<'a>> {
    let after = by_key(new);
    let changed = changed_functions(old, &after);
    let writers = writers_of_documents(old);
    let (mut gone, mut left): (Vec<&Object>, Vec<&Object>) = (old.objects.iter())
        .filter(|o| o.kind != Kind::Table)
        .partition(|o| {
            let means_otherwise =
                holds_answers(o) && changed.iter().any(|f| mentions(&o.create, f));
            !kept.contains_key(&key(o))
                && (means_otherwise || must_go(o, after.get(&key(o)).copied()))
        });
    loop {
        changes
            .iter_mut()
            .for_each(|change| follow_generated(change, &gone, &changed));
        let held_on_to: Vec<&Object> = gone.iter().copied().filter(|g| is_held_on_to(g)).collect();
        let (more, rest): (Vec<&Object>, Vec<&Object>) = left.into_iter().partition(|object| {
            held_on_to
                .iter()
                .any(|g| uses_object(object, g) || writes(&writers, object, g))
                || changes.iter().any(|c| uses_column(object, c))
                || leaves_log_with_target(object, changes)
        });
        left = rest;
        if more.is_empty() {
            return gone.into_iter().map(key).collect();
        }
        for object in &more {
            kept.remove(&key(object));
        }
        gone.extend(more);
    }
}

/// Functions that may return something else after the migration, because their text or that of a function that they
/// call changed.
fn changed_functions<'a>(old: &'a Schema, after: &BTreeMap<Key, &Object>) -> Vec<&'a str> {
    let (mut found, mut rest): (Vec<&Object>, Vec<&Object>) = (old.objects.iter())
        .filter(|o| o.kind == Kind::Function)
        .partition(|o| after.get(&key(o)).is_some_and(|new| new.create != o.create));
    loop {
        let (more, others): (Vec<&Object>, Vec<&Object>) = rest.into_iter().partition(|o| {
            found
                .iter()
                .any(|f| mentions(&o.create, base_name(&f.name)))
        });
        if more.is_empty() {
            return found.into_iter().map(|o| base_name(&o.name)).collect();
        }
        found.extend(more);
        rest = others;
    }
}

/// Trigger functions, each with a table of search documents that it writes.
fn writers_of_documents(old: &Schema) -> Vec<(&Object, &Object)> {
    let objects = || old.objects.iter();
    let documents = objects().filter(|o| o.kind == Kind::View && holds_answers(o));
    documents
        .flat_map(|table| {
            let writes = |o: &&Object| {
                matches!(o.kind, Kind::Function | Kind::TableFunction)
                    && signature(&o.create).contains("returns trigger")
                    && mentions(&o.create, &table.name)
            };
            objects()
                .filter(writes)
                .map(move |function| (function, table))
        })
        .collect()
}

/// Whether the object is a trigger that writes the table `gone`. It must not run while the table is missing: a down
/// migration fills columns that become required again, which fires the triggers of their rows.
fn writes(writers: &[(&Object, &Object)], object: &Object, gone: &Object) -> bool {
    object.kind == Kind::Trigger
        && writers.iter().any(|(function, table)| {
            key(table) == key(gone) && mentions(&object.create, base_name(&function.name))
        })
}

/// Whether the object stores results of functions that were computed when the rows were written: constraints, indexes
/// and search documents. PostgreSQL does not recompute them when such a function changes: rows might then break a
/// check that is marked valid, so that a dump of them could not be restored, and a search would ask an index for
/// values that it does not contain.
fn holds_answers(object: &Object) -> bool {
    match object.kind {
        Kind::Constraint | Kind::Index => true,
        Kind::View => object.create.starts_with("create table "),
        _ => false,
    }
}

/// The object is absent from the new schema, or changed in a way that requires dropping it.
fn must_go(object: &Object, after: Option<&Object>) -> bool {
    let Some(after) = after else { return true };
    match object.kind {
        Kind::Role | Kind::Schema | Kind::Extension => false,
        Kind::Function | Kind::TableFunction => {
            after.create != object.create && signature(&after.create) != signature(&object.create)
        }
        _ => after.create != object.create,
    }
}

/// Whether other objects may depend on this object.
fn is_held_on_to(object: &Object) -> bool {
    match object.kind {
        Kind::View | Kind::Function | Kind::TableFunction => true,
        Kind::Constraint | Kind::Index => mentions(&object.create, "unique"),
        _ => false,
    }
}

fn uses_object(object: &Object, gone: &Object) -> bool {
    match (gone.kind, object.kind) {
        // Bodies of functions are not tracked by PostgreSQL; their argument and result types are.
        (Kind::View, Kind::Function | Kind::TableFunction) => {
            mentions(&signature(&object.create), &gone.name)
        }
        (Kind::View, Kind::View | Kind::Policy | Kind::Grant) => {
            mentions(&object.create, &gone.name)
        }
        (Kind::Function | Kind::TableFunction, Kind::Function | Kind::TableFunction) => false,
        (
            Kind::Function | Kind::TableFunction,
            Kind::Constraint
            | Kind::Index
            | Kind::View
            | Kind::Trigger
            | Kind::Policy
            | Kind::Grant,
        ) => mentions(&object.create, base_name(&gone.name)),
        (Kind::Constraint | Kind::Index, Kind::ForeignKey) => is_key_of(gone, object),
        _ => false,
    }
}

/// Whether the foreign key refers to the columns of this unique constraint or index.
fn is_key_of(gone: &Object, foreign_key: &Object) -> bool {
    let (Some(table), text) = (&gone.table, &foreign_key.create) else {
        return false;
    };
    let Some(at) = text.find(&format!("references {table}")) else {
        return false;
    };
    let target = &text[at + "references ".len() + table.len()..];
    let Some((columns, _)) = target
        .trim_start()
        .strip_prefix('(')
        .and_then(|t| t.split_once(')'))
    else {
        return false;
    };
    words(columns)
        .iter()
        .all(|column| mentions(&gone.create, column))
}

fn uses_column(object: &Object, change: &TableChange) -> bool {
    let table = &change.old.name;
    let near = || object.table.as_deref() == Some(table) || mentions(&object.create, table);
    let uses = |name: &str| mentions(&object.create, name) && near();
    match object.kind {
        Kind::Role
        | Kind::Schema
        | Kind::Extension
        | Kind::Function
        | Kind::TableFunction
        | Kind::Table => false,
        Kind::Constraint | Kind::Index | Kind::ForeignKey | Kind::Grant => {
            change.lost().any(|c| uses(&c.name))
        }
        Kind::View | Kind::Trigger | Kind::Policy => {
            change.lost().any(|c| uses(&c.name)) || change.retyped().any(|(c, _)| uses(&c.name))
        }
    }
}

/// Whether the object is a foreign key between two tables that both become logged or both become unlogged. They are
/// altered one after the other, and PostgreSQL refuses a logged table that refers to an unlogged one in between.
fn leaves_log_with_target(object: &Object, changes: &[TableChange]) -> bool {
    let ends = (changes.iter())
        .filter(|c| c.logged.is_some() && mentions(&object.create, &c.old.name))
        .count();
    object.kind == Kind::ForeignKey && ends > 1
}

/// A generated column is regenerated when an object that it is computed with is dropped or changed.
fn follow_generated(change: &mut TableChange, gone: &[&Object], changed: &[&str]) {
    let functions: Vec<&str> = (gone.iter())
        .filter(|g| matches!(g.kind, Kind::Function | Kind::TableFunction))
        .map(|g| base_name(&g.name))
        .chain(changed.iter().copied())
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
