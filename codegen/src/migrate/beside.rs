//! Statements in the text of a table other than `create table`: comments, fill factors, the write-ahead log.
//!
//! New statements are run; for statements that are gone, the ones that undo them. Knows the syntax of these
//! statements, but not why the schema has them.

use super::change::TableChange;
use super::text::{last_name, mentions, statements};
use crate::objects::Object;

/// The statements to run for this change, in this order: those that undo removed statements, then the new ones.
pub fn statements_to_run(change: &TableChange) -> Vec<String> {
    // A shortcut for unchanged tables, the majority: their texts need not be parsed.
    if change.old.create == change.new.create && change.regenerated.is_empty() {
        return Vec::new();
    }
    let old = change.translate(&change.old.create);
    let (before, after) = (beside(&old), beside(&change.new.create));
    let again: Vec<&str> = change
        .regenerated
        .iter()
        .map(|(_, new)| new.name.as_str())
        .collect();
    let undone = (before.iter())
        .filter(|s| !after.contains(s))
        .filter_map(|s| contrary(s))
        .filter(|c| !after.iter().any(|s| s.starts_with(&c.says)) && c.applies(change.new))
        .map(|c| c.sql);
    // A column that is dropped and added again loses its comment, so its comment is set again.
    let new = (after.iter())
        .filter(|s| !before.contains(s) || again.iter().any(|name| mentions(s, name)))
        .map(|s| (*s).to_owned());
    undone.chain(new).collect()
}

/// Whether the table is logged (written to the write-ahead log) after the change. `None` if that does not change.
pub fn logged_from_now_on(old: &Object, new: &Object) -> Option<bool> {
    let (before, after) = (is_logged(&old.create), is_logged(&new.create));
    (before != after).then_some(after)
}

/// The statement that undoes another one.
pub struct Contrary {
    /// The prefix that all statements about the same property have. If the new text has a statement with this prefix,
    /// it replaces the old value, and undoing is not needed.
    says: String,
    /// The column that the statement is about. `None` if it is about the table.
    column: Option<String>,
    sql: String,
}

impl Contrary {
    fn applies(&self, table: &Object) -> bool {
        let there = |name: &String| table.columns.iter().any(|c| c.name == *name);
        self.column.as_ref().is_none_or(there)
    }
}

/// The statement that undoes this one. `None` for statements that every table has: its owner and row-level security.
pub fn contrary(statement: &str) -> Option<Contrary> {
    if let Some(rest) = statement.strip_prefix("comment on ") {
        let (what, _) = rest.split_once(" is ")?;
        let column = what.strip_prefix("column ").map(last_name);
        return Some(Contrary {
            says: format!("comment on {what} is "),
            column: column.map(str::to_owned),
            sql: format!("comment on {what} is null;"),
        });
    }
    let (table, option) = statement.split_once(" set (")?;
    let (option, _) = option.split_once(" = ")?;
    Some(Contrary {
        says: format!("{table} set ({option} = "),
        column: None,
        sql: format!("{table} reset ({option});"),
    })
}

/// All statements in the text of a table except `create table` and the one that makes it unlogged, which has a
/// migration step of its own.
pub fn beside(create: &str) -> Vec<&str> {
    let all = statements(create).into_iter().skip(1);
    all.filter(|s| !leaves_log(s)).collect()
}

fn is_logged(create: &str) -> bool {
    !create.starts_with("create unlogged ") && !statements(create).into_iter().any(leaves_log)
}

fn leaves_log(statement: &str) -> bool {
    statement.starts_with("alter table ") && statement.ends_with(" set unlogged;")
}
