//! What programs written by hand name in the database: conditions, jobs, entities of their modules, and the columns of
//! unique rules.
//!
//! The generator doesn't see these programs. The version that is still running may name whatever the old model offered,
//! so it counts as failing where the new one doesn't offer that any more.

use std::collections::BTreeSet;

use super::hints::{former, kept_by_triggers, table};
use crate::emit::schema::names;
use crate::model::{EntityId, Lifecycle, Model};
use crate::objects::{Kind, Object, Schema};

/// Names of functions and policies that refuse what the running version asks of them.
pub fn refusing(old: &Model, new: &Model) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entity in &new.entities {
        let Some(was) = former(entity, old, new).filter(|was| !was.internal) else {
            continue;
        };
        let stays = |name: &str| entity.conditions.iter().any(|after| after.name == name);
        if was.conditions.iter().any(|before| !stays(&before.name)) {
            found.insert(names::asked("holds", entity));
        }
    }
    let requested = |model: &Model| -> BTreeSet<String> {
        let modules = model.modules.iter();
        let jobs = modules.flat_map(|m| m.requested.iter().map(|job| format!("{}.{job}", m.name)));
        jobs.collect()
    };
    if !requested(old).is_subset(&requested(new)) {
        found.insert("jobs.request".to_owned());
    }
    found.extend(lost_by_modules(old, new));
    found
}

/// Whether an insert of the running version that names the columns of this unique index (`on conflict (user_id)`) finds
/// no index for them any more, or none that covers all its rows.
pub fn loses_arbiter(gone: &Object, new: &Schema) -> bool {
    let Some((columns, rows)) = arbiter(gone) else {
        return false;
    };
    // A statement that names the condition of the index before finds one that asks less.
    let asked: Vec<&str> = rows.split(" and ").collect();
    let covers =
        |other: &str| other.is_empty() || other.split(" and ").all(|part| asked.contains(&part));
    let serves = |object: &Object| {
        let same = object.table == gone.table;
        let other = arbiter(object).filter(|_| same);
        other.is_some_and(|(c, r)| c == columns && covers(r))
    };
    !new.objects.iter().any(serves)
}

/// Columns and condition of a unique index that statements may name. Keys of the engine are not named by anybody.
fn arbiter(object: &Object) -> Option<(BTreeSet<&str>, &str)> {
    if object.kind != Kind::Index || !object.create.starts_with("create unique index ") {
        return None;
    }
    let table = object.table.as_deref()?;
    let (_, rest) = object.create.split_once(&format!(" on {table} "))?;
    let rest = rest.trim_end().trim_end_matches(';');
    let (columns, rows) = rest.split_once(" where ").unwrap_or((rest, ""));
    let columns = columns.trim_end_matches(" nulls not distinct");
    let columns = columns.trim_start_matches('(').trim_end_matches(')');
    let columns: BTreeSet<&str> = columns.split(", ").collect();
    let own = !columns.iter().any(|column| kept_by_triggers(column));
    own.then_some((columns, rows))
}

/// Policies and triggers that refuse rows to a module that could read or write them before.
fn lost_by_modules(old: &Model, new: &Model) -> Vec<String> {
    let mut found = Vec::new();
    for (id, entity) in new.entities.iter().enumerate() {
        let was = former(entity, old, new).and_then(|was| old.entity(&was.name));
        let Some((was, _)) = was else {
            continue;
        };
        let own = table(entity);
        let policy = |command: &str| format!("{own}.{}_job_{command}", entity.plural);
        for module in &old.modules {
            let before = Rights::of(old, &module.name, was);
            let after = Rights::of(new, &module.name, id);
            if before.reads && !after.reads {
                found.push(policy("select"));
            }
            if before.deletes && !after.deletes {
                found.push(policy("delete"));
            }
            for (command, before, after) in [
                ("insert", before.made, after.made),
                ("update", before.changed, after.changed),
            ] {
                if !after.covers(&before) {
                    found.push(policy(command));
                    found.push(format!("{own}_module_{command}"));
                }
            }
        }
    }
    found
}

/// What a module may do with the rows of an entity.
struct Rights {
    reads: bool,
    deletes: bool,
    made: Reach,
    changed: Reach,
}

enum Reach {
    Nothing,
    These(Vec<String>),
    All,
}

impl Rights {
    fn of(model: &Model, module: &str, id: EntityId) -> Rights {
        let entity = &model.entities[id];
        let found = model.modules.iter().position(|m| m.name == module);
        let Some((index, module)) = found.map(|index| (index, &model.modules[index])) else {
            return Rights {
                reads: false,
                deletes: false,
                made: Reach::Nothing,
                changed: Reach::Nothing,
            };
        };
        let writes = entity.module == Some(index) || module.writes.contains(&id);
        let narrowed = module.narrowed(id);
        let all = |writes: bool| if writes { Reach::All } else { Reach::Nothing };
        let changes = writes && entity.lifecycle != Lifecycle::AppendOnly;
        Rights {
            reads: writes || module.reads.contains(&id),
            deletes: writes && entity.internal && narrowed.is_none(),
            made: match narrowed {
                Some(narrowed) => narrowed.create.clone().map_or(Reach::Nothing, Reach::These),
                None => all(writes),
            },
            changed: match narrowed {
                Some(narrowed) if changes => Reach::These(narrowed.update.clone()),
                _ => all(changes),
            },
        }
    }
}

impl Reach {
    fn covers(&self, other: &Reach) -> bool {
        match (self, other) {
            (Reach::All, _) | (_, Reach::Nothing) => true,
            (Reach::These(own), Reach::These(names)) => names.iter().all(|n| own.contains(n)),
            (_, Reach::These(names)) => names.is_empty(),
            _ => false,
        }
    }
}
