//! Computes the steps from one schema to another, in an order that respects their dependencies.
//!
//! The order: drop what depends on tables (grants, policies, triggers, views, functions, keys, indexes, checks),
//! rename, drop tables, columns and functions, then create in the order of [`Kind`].
//! Knows nothing of classes or refusals, which are derived from the steps afterwards.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Renames, TableChange, table_changes, tables};
use super::columns::{self, Placeholder};
use super::depend::{self, Key, by_key, key};
use super::op::{How, Op};
use super::text::{last_name, rename};
use crate::objects::{Kind, Object, Schema};

/// Whether an up or a down migration is computed; the two treat existing rows differently.
pub enum Direction<'a> {
    /// Existing rows that violate a new rule make a later validation fail.
    Up,
    /// Loss is accepted: lost values are replaced by placeholders, and rows that violate an old rule are reported.
    Down(&'a Placeholder<'a>),
}

pub fn diff(old: &Schema, new: &Schema, renames: &Renames, direction: &Direction) -> Vec<Op> {
    let mut changes = table_changes(old, new, renames);
    let mut kept = renamed_objects(old, new, &changes);
    let dropped = depend::dropped(old, new, &mut changes, &mut kept);
    let plan = Plan {
        old,
        new,
        before: by_key(old),
        changes,
        kept,
        dropped,
        direction,
    };
    let mut ops = Vec::new();
    plan.let_go(&mut ops);
    plan.drop_tables(&mut ops);
    plan.rename(&mut ops);
    plan.drop_columns_and_functions(&mut ops);
    for word in &renames.words {
        ops.push(Op::ReplaceWord {
            table: word.table.clone(),
            name: word.column.clone(),
            from: word.from.clone(),
            to: word.to.clone(),
        });
    }
    plan.create(&mut ops);
    plan.drop_foundations(&mut ops);
    ops
}

struct Plan<'a> {
    old: &'a Schema,
    new: &'a Schema,
    /// The old objects by name.
    before: BTreeMap<Key<'a>, &'a Object>,
    changes: Vec<TableChange<'a>>,
    /// Constraints and indexes that are only renamed: old → new.
    kept: BTreeMap<Key<'a>, &'a Object>,
    /// Old objects that are dropped, whether or not they are created again.
    dropped: BTreeSet<Key<'a>>,
    direction: &'a Direction<'a>,
}

const LET_GO: [Kind; 8] = [
    Kind::Grant,
    Kind::Policy,
    Kind::Trigger,
    Kind::View,
    Kind::TableFunction,
    Kind::ForeignKey,
    Kind::Index,
    Kind::Constraint,
];

impl<'a> Plan<'a> {
    fn let_go(&self, ops: &mut Vec<Op>) {
        for kind in LET_GO {
            for object in self.dropped_of(kind) {
                let goes_with_table = matches!(kind, Kind::Grant | Kind::Index | Kind::Constraint)
                    && object.table.as_deref().is_some_and(|t| self.table_goes(t));
                if !goes_with_table {
                    ops.push(Op::Drop {
                        object: object.clone(),
                    });
                }
            }
        }
    }

    fn drop_tables(&self, ops: &mut Vec<Op>) {
        let gone: Vec<&Object> = tables(self.old)
            .filter(|t| self.table_goes(&t.name))
            .collect();
        ops.extend(gone.into_iter().rev().map(|object| Op::Drop {
            object: object.clone(),
        }));
    }

    fn rename(&self, ops: &mut Vec<Op>) {
        for change in self.changes.iter().filter(|c| c.old.name != c.new.name) {
            ops.push(Op::RenameTable {
                old: change.old.clone(),
                to: change.new.name.clone(),
            });
        }
        for change in &self.changes {
            for (from, to) in &change.renamed {
                let table = change.new.name.clone();
                ops.push(Op::RenameColumn {
                    table,
                    from: from.clone(),
                    to: to.clone(),
                });
            }
        }
        for (old, new) in &self.kept {
            if last_name(old.1) != last_name(&new.name) {
                ops.push(Op::RenameObject {
                    old: self.before[old].clone(),
                    new: (*new).clone(),
                });
            }
        }
    }

    fn drop_columns_and_functions(&self, ops: &mut Vec<Op>) {
        let functions = self.dropped_of(Kind::Function);
        for change in &self.changes {
            columns::drop(change, &functions, self.direction, ops);
        }
        ops.extend(functions.into_iter().map(|object| Op::Drop {
            object: object.clone(),
        }));
    }

    fn create(&self, ops: &mut Vec<Op>) {
        let mut objects: Vec<&Object> = self.new.objects.iter().collect();
        objects.sort_by_key(|o| o.kind);
        let functions = self.dropped_of(Kind::Function);
        let kept: BTreeSet<Key> = self.kept.values().map(|o| key(o)).collect();
        for object in objects {
            if object.kind == Kind::Table {
                match self.changes.iter().find(|c| c.new.name == object.name) {
                    Some(change) => {
                        let standing = self.standing_keys(&change.new.name);
                        columns::alter(change, &functions, &standing, self.direction, ops);
                    }
                    None => ops.push(Op::Create {
                        object: object.clone(),
                        how: How::Plain,
                    }),
                }
            } else if !kept.contains(&key(object)) {
                self.create_object(object, ops);
            }
        }
    }

    /// The foreign keys of a table that are neither dropped nor created.
    fn standing_keys(&self, table: &str) -> Vec<&'a Object> {
        let of_table =
            |o: &&Object| o.kind == Kind::ForeignKey && o.table.as_deref() == Some(table);
        let renamed: BTreeSet<Key> = self.kept.values().map(|o| key(o)).collect();
        let stays = |o: &&Object| {
            let old = self.before.get(&key(o));
            renamed.contains(&key(o)) || old.is_some_and(|old| !self.dropped.contains(&key(old)))
        };
        let objects = self.new.objects.iter();
        objects.filter(of_table).filter(stays).collect()
    }

    fn create_object(&self, object: &Object, ops: &mut Vec<Op>) {
        match self.before.get(&key(object)) {
            Some(old) if !self.dropped.contains(&key(old)) => {
                if old.create != object.create {
                    ops.push(Op::Replace {
                        old: (*old).clone(),
                        new: object.clone(),
                    });
                }
            }
            _ => self.create_new(object, ops),
        }
    }

    fn create_new(&self, object: &Object, ops: &mut Vec<Op>) {
        let has_rows = object
            .table
            .as_deref()
            .is_some_and(|t| self.changes.iter().any(|c| c.new.name == t));
        let can_wait = has_rows && waits(object);
        let how = if can_wait { How::NotValid } else { How::Plain };
        ops.push(Op::Create {
            object: object.clone(),
            how,
        });
        if can_wait && matches!(self.direction, Direction::Down(_)) {
            ops.push(columns::validate_if_possible(object));
        }
    }

    fn drop_foundations(&self, ops: &mut Vec<Op>) {
        for kind in [Kind::Extension, Kind::Schema, Kind::Role] {
            ops.extend(self.dropped_of(kind).into_iter().map(|object| Op::Drop {
                object: object.clone(),
            }));
        }
    }

    /// The dropped objects of this kind, in reverse order of their creation.
    fn dropped_of(&self, kind: Kind) -> Vec<&'a Object> {
        self.old
            .objects
            .iter()
            .rev()
            .filter(|o| o.kind == kind && self.dropped.contains(&key(o)))
            .collect()
    }

    fn table_goes(&self, table: &str) -> bool {
        !self.changes.iter().any(|c| c.old.name == table)
    }
}

/// Whether the object can be added for new rows only, and validated later: checks and foreign keys.
pub fn waits(object: &Object) -> bool {
    let first = super::text::statements(&object.create)
        .first()
        .copied()
        .unwrap_or_default()
        .to_lowercase();
    match object.kind {
        Kind::ForeignKey => true,
        Kind::Constraint => first.contains(" check ") || first.contains(" check("),
        _ => false,
    }
}

/// Finds the constraints and indexes whose definition stays the same apart from renamed tables and columns.
fn renamed_objects<'a>(
    old: &'a Schema,
    new: &'a Schema,
    changes: &[TableChange],
) -> BTreeMap<Key<'a>, &'a Object> {
    let renamable =
        |o: &&Object| matches!(o.kind, Kind::Constraint | Kind::Index | Kind::ForeignKey);
    let (before, after) = (by_key(old), by_key(new));
    let moved = |o: &&Object, other: &BTreeMap<Key, &Object>| {
        other
            .get(&key(o))
            .is_none_or(|there| there.create != o.create && touched(o, changes))
    };
    let mut fresh: Vec<&Object> = new
        .objects
        .iter()
        .filter(renamable)
        .filter(|o| moved(o, &before))
        .collect();
    let mut kept = BTreeMap::new();
    for object in old
        .objects
        .iter()
        .filter(renamable)
        .filter(|o| moved(o, &after))
    {
        let Some(own) = changes
            .iter()
            .find(|c| object.table.as_deref() == Some(&c.old.name))
        else {
            continue;
        };
        let text = nameless(&translate(object, own, changes), &object.name);
        let same = |o: &&Object| {
            o.kind == object.kind
                && o.table.as_deref() == Some(&own.new.name)
                && nameless(&o.create, &o.name) == text
        };
        if let Some(at) = fresh.iter().position(same) {
            kept.insert(key(object), fresh.remove(at));
        }
    }
    kept
}

/// Whether the object mentions a table that was renamed or has renamed columns: its text may then differ although
/// nothing else does.
fn touched(object: &Object, changes: &[TableChange]) -> bool {
    changes.iter().any(|c| {
        (c.old.name != c.new.name || !c.renamed.is_empty())
            && [&c.old.name, &c.new.name]
                .iter()
                .any(|t| super::text::mentions(&object.create, t))
    })
}

fn translate(object: &Object, own: &TableChange, changes: &[TableChange]) -> String {
    let mut text = own.translate(&object.create);
    for change in changes.iter().filter(|c| c.old.name != own.old.name) {
        let Some(at) = text.find(&format!("references {}", change.old.name)) else {
            continue;
        };
        let (head, tail) = text.split_at(at);
        text = format!("{head}{}", change.translate(tail));
    }
    text
}

fn nameless(create: &str, name: &str) -> String {
    rename(create, last_name(name), "name")
}
