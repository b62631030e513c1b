//! The steps inside one table that exists in both schemas: columns dropped, added, altered.
//!
//! Looks at one table at a time.

use super::change::{Narrowed, TableChange};
use super::class::widens;
use super::diff::Direction;
use super::op::{Fill, How, Op};
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

/// `standing`: the foreign keys of the table that are neither dropped nor created.
pub fn alter(
    change: &TableChange,
    functions: &[&Object],
    standing: &[&Object],
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
    let mut required = Vec::new();
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
        if !old.not_null && new.not_null {
            required.push(*new);
        }
    }
    require(change, &required, standing, direction, ops);
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
        let otherwise = match direction {
            Direction::Down(_) if holds_all(&old.sql_type, &new.sql_type) => None,
            Direction::Down(placeholder) if new.not_null => Some(placeholder(&table, new)),
            Direction::Down(_) => Some("null".to_owned()),
            Direction::Up => None,
        };
        ops.push(Op::Retype {
            table: table.clone(),
            old: old.clone(),
            new: new.clone(),
            otherwise,
        });
    } else if old.default != new.default {
        ops.push(Op::SetDefault {
            table: table.clone(),
            name: name.clone(),
            default: new.default.clone(),
        });
    }
    if old.not_null && !new.not_null {
        ops.push(Op::DropNotNull { table, name });
    }
}

/// Whether every value of the one type can be cast to the other.
fn holds_all(from: &str, to: &str) -> bool {
    to == "text" || widens(from, to)
}

/// Fills columns that become required, all at once: a row that is written has to fulfil the checks of all of them.
fn require(
    change: &TableChange,
    required: &[&Column],
    standing: &[&Object],
    direction: &Direction,
    ops: &mut Vec<Op>,
) {
    let table = &change.new.name;
    let value = |column: &Column| match direction {
        Direction::Down(placeholder) => Some(placeholder(table, column)),
        Direction::Up => default_for_rows(column).cloned(),
    };
    let columns: Vec<(String, String)> = (required.iter())
        .filter(|column| column.generated.is_none())
        .filter_map(|column| Some((column.name.clone(), value(column)?)))
        .collect();
    let broken: Vec<&Object> = (standing.iter().copied())
        .filter(|key| {
            matches!(direction, Direction::Down(_)) && is_about(key, change.new, &columns)
        })
        .collect();
    if !broken.is_empty() {
        ops.push(fill_references(table, columns, &broken));
        ops.extend(broken.into_iter().map(validate_if_possible));
    } else if !columns.is_empty() {
        ops.push(Op::Backfill {
            table: table.clone(),
            columns,
        });
    }
    ops.extend(required.iter().map(|column| Op::SetNotNull {
        table: table.clone(),
        name: column.name.clone(),
    }));
}

/// Whether one of the columns is a part of the foreign key, or generates one.
fn is_about(key: &Object, table: &Object, columns: &[(String, String)]) -> bool {
    columns.iter().any(|(name, _)| {
        let made = |column: &&Column| {
            let expr = column.generated.as_deref();
            expr.is_some_and(|expr| mentions(expr, name))
        };
        let mut generated = table.columns.iter().filter(made);
        mentions(&key.create, name) || generated.any(|column| mentions(&key.create, &column.name))
    })
}

/// Fills references that become required in a rollback. To which rows they should lead can't be invented, so they lead
/// to none. Their foreign keys are created again without looking at the rows.
fn fill_references(table: &str, columns: Vec<(String, String)>, keys: &[&Object]) -> Op {
    let nulls: Vec<String> = (columns.iter())
        .map(|(name, _)| format!("{name} is null"))
        .collect();
    let drop: Vec<String> = (keys.iter())
        .map(|key| {
            format!(
                "alter table {table} drop constraint {};",
                last_name(&key.name)
            )
        })
        .collect();
    let fill = Op::Backfill {
        table: table.to_owned(),
        columns,
    };
    let create: Vec<String> = (keys.iter())
        .map(|key| {
            let (object, how) = ((*key).clone(), How::NotValid);
            Op::Create { object, how }.sql()
        })
        .collect();
    let sql = format!(
        "do $$ begin\nif exists (select from {table} where {}) then\n{}\n{}\n{}\nend if;\nend $$;",
        nulls.join(" or "),
        drop.join("\n"),
        fill.sql(),
        create.join("\n"),
    );
    Op::Run {
        table: table.to_owned(),
        sql,
    }
}

fn default_uses(column: &Column, functions: &[&Object]) -> bool {
    let uses = |expr: &String| functions.iter().any(|f| mentions(expr, base_name(&f.name)));
    column.default.as_ref().is_some_and(uses)
}
