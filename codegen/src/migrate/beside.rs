//! What the text of a table says beside its columns: comments, room on each page, the write-ahead log.
//!
//! A statement that is new is run, and of one that is gone the contrary. Knows these statements, but not why they are there.

use super::change::TableChange;
use super::text::{last_name, mentions, statements};
use crate::objects::Object;

/// In the order in which they are to be run.
pub fn statements_to_run(change: &TableChange) -> Vec<String> {
    // A shortcut for unchanged tables, which are most of them: their texts need not be parsed.
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
    // A column that was dropped and added again has lost its comment.
    let new = (after.iter())
        .filter(|s| !before.contains(s) || again.iter().any(|name| mentions(s, name)))
        .map(|s| (*s).to_owned());
    undone.chain(new).collect()
}

/// Whether the rows are in the write-ahead log from now on, where that changes.
pub fn logged_from_now_on(old: &Object, new: &Object) -> Option<bool> {
    let (before, after) = (is_logged(&old.create), is_logged(&new.create));
    (before != after).then_some(after)
}

/// A statement that takes back another.
pub struct Contrary {
    /// How every statement begins that would say something else about the same thing, and so take its place.
    says: String,
    /// The column that it is about, if any.
    column: Option<String>,
    sql: String,
}

impl Contrary {
    fn applies(&self, table: &Object) -> bool {
        let there = |name: &String| table.columns.iter().any(|c| c.name == *name);
        self.column.as_ref().is_none_or(there)
    }
}

/// None for what every table has: an owner and row-level security.
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

/// All but `create table` and the log, which has a step of its own.
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
