//! Cuts the steps into files, so that no file holds a lock while it reads a whole table.
//!
//! The first file does everything that is quick, in one transaction; the second validates constraints that so far only
//! applied to new rows; then each new index is built concurrently, outside of any transaction; the last file drops the
//! indexes that were replaced.

use super::change::{Renames, TableChange, table_changes};
use super::columns::{Placeholder, default_for_rows};
use super::diff::{Direction, diff};
use super::op::{How, Op};
use super::recount::After;
use super::text::{last_name, mentions};
use crate::objects::{Kind, Object, Schema};

#[derive(Clone, Debug)]
pub struct Stage {
    pub part: Part,
    pub up: Vec<Op>,
    pub down: Vec<Op>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Main,
    Validate,
    /// Name of the index.
    Index(String),
    /// Drops the indexes that new ones have replaced.
    Retire,
}

impl Stage {
    /// Whether the file runs in a transaction: an index cannot be built concurrently inside of one.
    pub fn transaction(&self) -> bool {
        !matches!(self.part, Part::Index(_))
    }
}

/// Empty when there is no difference.
pub fn stages(
    old: &Schema,
    new: &Schema,
    renames: &Renames,
    placeholder: &Placeholder,
    after: &After,
) -> Vec<Stage> {
    if old == new && after.up.is_empty() && after.down.is_empty() {
        return Vec::new();
    }
    let whole = diff(old, new, renames, &Direction::Up);
    let later = later_indexes(old, &whole);
    let strict = stricter_columns(old, new, renames);
    let retired = retired_indexes(&whole, &later, &table_changes(old, new, renames));
    let between = without(new, &later, &retired, &strict);

    let mut up = diff(old, &between, renames, &Direction::Up);
    up.extend(strict.iter().map(Stricter::check));
    up.extend(after.up.iter().cloned());
    let mut down: Vec<Op> = strict.iter().map(Stricter::uncheck).collect();
    down.extend(diff(
        &between,
        old,
        &renames.reversed(),
        &Direction::Down(placeholder),
    ));
    down.extend(after.down.iter().cloned());

    let validate = validation(&up, &strict);
    let main = Stage {
        part: Part::Main,
        up,
        down,
    };
    let mut stages = vec![main, validate];
    stages.extend(later.into_iter().map(beside_the_traffic));
    stages.push(retirement(retired));
    stages.retain(|stage| !stage.up.is_empty());
    stages
}

/// A column that becomes `not null`.
struct Stricter {
    table: String,
    name: String,
    default: Option<String>,
}

impl Stricter {
    fn check(&self) -> Op {
        Op::AddNotNullCheck {
            table: self.table.clone(),
            name: self.name.clone(),
        }
    }

    fn uncheck(&self) -> Op {
        Op::DropNotNullCheck {
            table: self.table.clone(),
            name: self.name.clone(),
        }
    }

    /// The validated check spares PostgreSQL a second scan of the table for `not null`.
    fn validate(&self) -> [Op; 3] {
        let (table, name) = (self.table.clone(), self.name.clone());
        [
            Op::ValidateNotNullCheck {
                table: table.clone(),
                name: name.clone(),
            },
            Op::SetNotNull { table, name },
            self.uncheck(),
        ]
    }

    fn loosen(&self) -> [Op; 2] {
        let (table, name) = (self.table.clone(), self.name.clone());
        [self.check(), Op::DropNotNull { table, name }]
    }
}

fn stricter_columns(old: &Schema, new: &Schema, renames: &Renames) -> Vec<Stricter> {
    let mut found = Vec::new();
    for change in table_changes(old, new, renames) {
        for (before, after) in &change.kept {
            if !before.not_null && after.not_null && after.generated.is_none() {
                found.push(Stricter {
                    table: change.new.name.clone(),
                    name: after.name.clone(),
                    default: default_for_rows(after).cloned(),
                });
            }
        }
    }
    found
}

/// New indexes on tables with rows, which are built in files of their own. Unique indexes are excluded if a foreign
/// key of the first file needs them, or if they replace another, since duplicates could be inserted between the two.
fn later_indexes(old: &Schema, ops: &[Op]) -> Vec<Object> {
    let dropped = |object: &Object| {
        ops.iter().any(|op| matches!(op, Op::Drop { object: o } if o.kind == Kind::Index && o.name == object.name))
    };
    let created_table = |table: &str| {
        ops.iter().any(|op| matches!(op, Op::Create { object, .. } if object.kind == Kind::Table && object.name == table))
    };
    let needed = |index: &Object| {
        ops.iter().any(|op| match op {
            Op::Create { object, .. } => {
                object.kind == Kind::ForeignKey
                    && index
                        .table
                        .as_ref()
                        .is_some_and(|t| mentions(&object.create, &format!("references {t}")))
            }
            _ => false,
        })
    };
    let unique = |object: &Object| mentions(&object.create, "unique");
    ops.iter()
        .filter_map(|op| match op {
            Op::Create { object, .. } if object.kind == Kind::Index => Some(object),
            _ => None,
        })
        .filter(|o| {
            o.table.as_deref().is_some_and(|t| !created_table(t)) && !old.objects.is_empty()
        })
        .filter(|o| !unique(o) || (!dropped(o) && !needed(o)))
        .cloned()
        .collect()
}

/// Old indexes on tables that get new ones. They are kept until the new ones are built, because reads between the
/// first file and the last would otherwise scan the whole table. Unique indexes are rules, and are dropped at once.
fn retired_indexes(ops: &[Op], later: &[Object], tables: &[TableChange]) -> Vec<Object> {
    let replaced = |index: &Object| later.iter().any(|o| o.table == index.table);
    let name_is_free = |index: &Object| !later.iter().any(|o| o.name == index.name);
    // If columns of the table are dropped, renamed or retyped, the index may not be able to stay.
    let same_columns = |index: &Object| {
        tables.iter().any(|change| {
            Some(&change.old.name) == index.table.as_ref()
                && change.old.name == change.new.name
                && change.renamed.is_empty()
                && change.lost().next().is_none()
                && change
                    .kept
                    .iter()
                    .all(|(before, after)| before.sql_type == after.sql_type)
        })
    };
    ops.iter()
        .filter_map(|op| match op {
            Op::Drop { object } if object.kind == Kind::Index => Some(object),
            _ => None,
        })
        .filter(|o| !mentions(&o.create, "unique"))
        .filter(|o| replaced(o) && name_is_free(o) && same_columns(o))
        .cloned()
        .collect()
}

fn beside_the_traffic(index: Object) -> Stage {
    Stage {
        part: Part::Index(last_name(&index.name).to_owned()),
        down: vec![Op::Drop {
            object: index.clone(),
        }],
        up: vec![Op::Create {
            object: index,
            how: How::Concurrently,
        }],
    }
}

fn retirement(retired: Vec<Object>) -> Stage {
    let again = |object: &Object| Op::Create {
        object: object.clone(),
        how: How::Plain,
    };
    Stage {
        part: Part::Retire,
        down: retired.iter().map(again).collect(),
        up: (retired.into_iter())
            .map(|object| Op::Drop { object })
            .collect(),
    }
}

/// The schema between the first file and the rest.
fn without(new: &Schema, later: &[Object], retired: &[Object], strict: &[Stricter]) -> Schema {
    let mut between = new.clone();
    between
        .objects
        .retain(|o| o.kind != Kind::Index || !later.iter().any(|i| i.name == o.name));
    between.objects.extend(retired.iter().cloned());
    for object in between.objects.iter_mut().filter(|o| o.kind == Kind::Table) {
        for column in &mut object.columns {
            if strict
                .iter()
                .any(|s| s.table == object.name && s.name == column.name)
            {
                column.not_null = false;
            }
        }
    }
    between
}

fn validation(up: &[Op], strict: &[Stricter]) -> Stage {
    let mut filled: Vec<(&str, Vec<(String, String)>)> = Vec::new();
    for s in strict {
        let Some(value) = &s.default else { continue };
        let column = (s.name.clone(), value.clone());
        match filled.iter_mut().find(|(table, _)| *table == s.table) {
            Some((_, columns)) => columns.push(column),
            None => filled.push((&s.table, vec![column])),
        }
    }
    let mut ops: Vec<Op> = (filled.into_iter())
        .map(|(table, columns)| Op::Backfill {
            table: table.to_owned(),
            columns,
        })
        .collect();
    ops.extend(up.iter().filter_map(|op| match op {
        Op::Create {
            object,
            how: How::NotValid,
        } => Some(Op::Validate {
            table: object.table.clone().unwrap_or_default(),
            constraint: last_name(&object.name).to_owned(),
        }),
        _ => None,
    }));
    ops.extend(strict.iter().flat_map(Stricter::validate));
    Stage {
        part: Part::Validate,
        up: ops,
        down: strict.iter().flat_map(Stricter::loosen).collect(),
    }
}
