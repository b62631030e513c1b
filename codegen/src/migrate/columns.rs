//! The steps inside one table that exists in both schemas: columns dropped, added, altered.
//!
//! Looks at one table at a time.

use super::change::{Narrowed, TableChange};
use super::diff::Direction;
use super::op::{Fill, Op};
use super::text::{base_name, last_name, mentions};
use crate::emit::schema::{LIVE_KEY, OPEN_KEY};
use crate::objects::{Column, Object};

/// Returns the value for rows whose real value was lost: table, column → SQL.
pub type Placeholder<'a> = dyn Fn(&str, &Column) -> String + 'a;

/// Drops generated columns first, because they depend on others, and removes defaults that use functions which are
/// dropped.
pub fn drop(change: &TableChange, functions: &[&Object], direction: &Direction, ops: &mut Vec<Op>) {
    let table = &change.new.name;
    let mut lost: Vec<&Column> = change.lost().collect();
    lost.sort_by_key(|c| c.generated.is_none());
    if matches!(direction, Direction::Up) && lost.iter().any(|c| is_archiving(c)) {
        ops.push(nothing_comes_back(table));
    }
    let narrowed = change.narrowed.iter();
    ops.extend(
        narrowed
            .filter(|n| lost.iter().any(|column| column.name == n.type_column))
            .map(nothing_leads_elsewhere),
    );
    ops.extend(lost.into_iter().map(|c| Op::DropColumn {
        table: table.clone(),
        column: c.clone(),
    }));
    for (old, new) in change
        .kept
        .iter()
        .filter(|(old, _)| default_uses(old, functions))
    {
        debug_assert!(old.generated.is_none());
        ops.push(Op::SetDefault {
            table: table.clone(),
            name: new.name.clone(),
            default: None,
        });
    }
}

/// Whether this is the status column, which says whether a row is archived.
pub fn is_archiving(column: &Column) -> bool {
    column.name == "status" && column.default.as_deref() == Some("'active'")
}

pub fn alter(
    change: &TableChange,
    functions: &[&Object],
    direction: &Direction,
    ops: &mut Vec<Op>,
) {
    let table = &change.new.name;
    let plain = change.added.iter().copied();
    for column in plain.clone().filter(|c| c.generated.is_none()) {
        if let Some(fill) = change.fills.iter().find(|fill| fill.column == column.name) {
            ops.extend(added_and_filled(table, column, &fill.value));
            continue;
        }
        ops.push(add(table, column, direction));
        if [LIVE_KEY, OPEN_KEY].contains(&column.name.as_str()) {
            let value = "case when status <> 'archived' then true end".to_owned();
            ops.push(Op::Keep {
                table: table.clone(),
                name: column.name.clone(),
                value,
            });
        }
    }
    for (old, new) in &change.kept {
        // A default that was removed because its function is dropped is set again, like a new one.
        let unset;
        let old = if default_uses(old, functions) {
            unset = Column {
                default: None,
                ..(*old).clone()
            };
            &unset
        } else {
            old
        };
        alter_column(table, old, new, direction, ops);
    }
    for (old, new) in change
        .regenerated
        .iter()
        .filter(|(_, new)| new.generated.is_none())
    {
        debug_assert_ne!(old.generated, new.generated);
        ops.push(add(table, new, direction));
    }
    let regenerated = change.regenerated.iter().map(|(_, new)| *new);
    for column in plain.chain(regenerated).filter(|c| c.generated.is_some()) {
        ops.push(Op::AddColumn {
            table: table.clone(),
            column: column.clone(),
            fill: Fill::Default,
        });
    }
    if let Some(logged) = change.logged {
        ops.push(Op::SetLogged {
            table: table.clone(),
            logged,
        });
    }
    for sql in &change.run {
        ops.push(Op::Run {
            table: table.clone(),
            sql: sql.clone(),
        });
    }
}

/// Validates a constraint in a rollback. If existing rows violate it by now, the rollback must still succeed: the
/// constraint then applies to new rows only, and a warning names it.
pub fn validate_if_possible(object: &Object) -> Op {
    let table = object.table.clone().unwrap_or_default();
    let name = last_name(&object.name);
    let sql = format!(
        "do $$ begin\n  alter table {table} validate constraint {name};\n\
         exception when check_violation or foreign_key_violation then\n  \
         raise warning '{name} does not hold for every row of {table}: left not valid';\nend $$;"
    );
    Op::Run { table, sql }
}

/// The default, if it is a value for rows that exist: nobody calls while a migration runs, so who calls, and with which
/// session, would be null for them.
pub fn default_for_rows(column: &Column) -> Option<&String> {
    let of_the_caller = |sql: &str| ["sec.uid", "sec.session"].iter().any(|f| mentions(sql, f));
    column.default.as_ref().filter(|sql| !of_the_caller(sql))
}

/// Makes the migration fail while rows are archived or suspended: without the status column they would be visible
/// again.
fn nothing_comes_back(table: &str) -> Op {
    let sql = format!(
        "do $$ begin\n  if exists (select from {table} where status <> 'active') then\n    \
         raise exception 'rows of {table} are archived or suspended and would be there again: restore or delete them first';\n  \
         end if;\nend $$;"
    );
    Op::Run {
        table: table.to_owned(),
        sql,
    }
}

/// Makes the migration fail while a row leads to another than the target that is left: which one it was would be lost
/// with the column, before a foreign key finds it.
fn nothing_leads_elsewhere(narrowed: &Narrowed) -> Op {
    let Narrowed {
        table,
        type_column,
        target,
        ..
    } = narrowed;
    let sql = format!(
        "do $$ begin\n  if exists (select from {table} where {type_column} <> '{target}') then\n    \
         raise exception 'rows of {table} have another {type_column} than {target}: change or delete them first';\n  \
         end if;\nend $$;"
    );
    Op::Run {
        table: table.clone(),
        sql,
    }
}

fn add(table: &str, column: &Column, direction: &Direction) -> Op {
    let fill = match direction {
        Direction::Down(placeholder) if column.not_null && default_for_rows(column).is_none() => {
            Fill::Placeholder(placeholder(table, column))
        }
        _ => Fill::Default,
    };
    Op::AddColumn {
        table: table.to_owned(),
        column: column.clone(),
        fill,
    }
}

/// Adds the column as nullable, so that existing rows can be filled before it becomes required.
fn added_and_filled(table: &str, column: &Column, value: &str) -> Vec<Op> {
    let (table, name) = (table.to_owned(), column.name.clone());
    let mut ops = vec![
        Op::AddColumn {
            table: table.clone(),
            column: Column {
                not_null: false,
                ..column.clone()
            },
            fill: Fill::Default,
        },
        Op::Keep {
            table: table.clone(),
            name: name.clone(),
            value: value.to_owned(),
        },
    ];
    ops.extend(column.not_null.then_some(Op::SetNotNull { table, name }));
    ops
}

fn alter_column(table: &str, old: &Column, new: &Column, direction: &Direction, ops: &mut Vec<Op>) {
    let (table, name) = (table.to_owned(), new.name.clone());
    if old.sql_type != new.sql_type {
        ops.push(Op::Retype {
            table: table.clone(),
            old: old.clone(),
            new: new.clone(),
        });
    } else if old.default != new.default {
        ops.push(Op::SetDefault {
            table: table.clone(),
            name: name.clone(),
            default: new.default.clone(),
        });
    }
    match (old.not_null, new.not_null) {
        (true, false) => ops.push(Op::DropNotNull { table, name }),
        (false, true) => {
            let value = match direction {
                Direction::Down(placeholder) => Some(placeholder(&table, new)),
                Direction::Up => default_for_rows(new).cloned(),
            };
            if let Some(value) = value.filter(|_| new.generated.is_none()) {
                ops.push(Op::Backfill {
                    table: table.clone(),
                    columns: vec![(name.clone(), value)],
                });
            }
            ops.push(Op::SetNotNull { table, name });
        }
        _ => {}
    }
}

fn default_uses(column: &Column, functions: &[&Object]) -> bool {
    let uses = |expr: &String| functions.iter().any(|f| mentions(expr, base_name(&f.name)));
    column.default.as_ref().is_some_and(uses)
}
