//! Matches every table and column of the old schema to the new one.
//!
//! Knows stated renames; decides nothing about order, locks or refusals.

use std::collections::{BTreeMap, BTreeSet};

use super::beside;
use super::text::rename;
use crate::objects::{Column, Kind, Object, Schema};

/// Objects that are renamed rather than dropped and created.
#[derive(Clone, Debug, Default)]
pub struct Renames {
    /// Old and new name of a table: `app.events` → `app.happenings`.
    pub tables: Vec<(String, String)>,
    pub columns: Vec<RenamedColumn>,
    pub words: Vec<RenamedWord>,
    pub fills: Vec<FirstValue>,
    /// Relations that led to one of several, and lead to one of them from now on.
    pub narrowed: Vec<Narrowed>,
}

#[derive(Clone, Debug)]
pub struct RenamedColumn {
    /// The new table.
    pub table: String,
    pub from: String,
    pub to: String,
}

/// A renamed value of a column, which rows hold.
#[derive(Clone, Debug)]
pub struct RenamedWord {
    /// New names of the table and the column.
    pub table: String,
    pub column: String,
    pub from: String,
    pub to: String,
}

/// The value that existing rows get in a new column.
#[derive(Clone, Debug)]
pub struct FirstValue {
    /// The new table.
    pub table: String,
    pub column: String,
    /// An SQL expression.
    pub value: String,
}

#[derive(Clone, Debug)]
pub struct Narrowed {
    /// The new table.
    pub table: String,
    /// Old names of the columns.
    pub type_column: String,
    pub id_column: String,
    /// What `type_column` holds where the row leads to the target that is left.
    pub target: String,
}

impl Narrowed {
    /// The value of `type_column` in a down migration.
    fn value(&self) -> String {
        let Narrowed {
            id_column, target, ..
        } = self;
        format!("case when {id_column} is not null then '{target}' end")
    }
}

impl Renames {
    /// The renames of the down migration.
    pub fn reversed(&self) -> Renames {
        let back = |table: &str| {
            let found = self.tables.iter().find(|(_, new)| new == table);
            found.map_or(table, |(old, _)| old).to_owned()
        };
        let old_column = |table: &str, column: &str| {
            let mut columns = self.columns.iter();
            let found = columns.find(|c| c.table == table && c.to == column);
            found.map_or(column, |c| &c.from).to_owned()
        };
        Renames {
            tables: self
                .tables
                .iter()
                .map(|(old, new)| (new.clone(), old.clone()))
                .collect(),
            columns: (self.columns.iter())
                .map(|c| RenamedColumn {
                    table: back(&c.table),
                    from: c.to.clone(),
                    to: c.from.clone(),
                })
                .collect(),
            fills: (self.narrowed.iter())
                .map(|n| FirstValue {
                    table: back(&n.table),
                    column: n.type_column.clone(),
                    value: n.value(),
                })
                .collect(),
            narrowed: Vec::new(),
            words: (self.words.iter())
                .map(|w| RenamedWord {
                    table: back(&w.table),
                    column: old_column(&w.table, &w.column),
                    from: w.to.clone(),
                    to: w.from.clone(),
                })
                .collect(),
        }
    }
}

/// A table that exists in both schemas.
#[derive(Clone, Debug)]
pub struct TableChange<'a> {
    pub old: &'a Object,
    pub new: &'a Object,
    /// Old name, new name.
    pub renamed: Vec<(String, String)>,
    pub added: Vec<&'a Column>,
    pub removed: Vec<&'a Column>,
    /// Columns of both schemas whose generating expression changed: they are dropped and added again.
    pub regenerated: Vec<(&'a Column, &'a Column)>,
    /// All other columns of both schemas, changed or not.
    pub kept: Vec<(&'a Column, &'a Column)>,
    /// Statements other than `create table` to run: those that undo removed statements, and new ones.
    pub run: Vec<String>,
    /// Whether the table is logged (written to the write-ahead log) after the change. `None` if that does not change.
    pub logged: Option<bool>,
    /// Values for existing rows in added columns.
    pub fills: Vec<FirstValue>,
    /// Relations of the table that lead to one of several no longer.
    pub narrowed: Vec<Narrowed>,
}

pub fn tables(schema: &Schema) -> impl Iterator<Item = &Object> {
    schema.objects.iter().filter(|o| o.kind == Kind::Table)
}

/// The tables of both schemas, matched by name or, for a name that was not there before, by a stated rename.
pub fn table_changes<'a>(
    old: &'a Schema,
    new: &'a Schema,
    renames: &Renames,
) -> Vec<TableChange<'a>> {
    let before: BTreeMap<&str, &Object> = tables(old).map(|t| (t.name.as_str(), t)).collect();
    let after: BTreeSet<&str> = tables(new).map(|t| t.name.as_str()).collect();
    let was = |table: &Object| {
        let stated = renames.tables.iter().find(|(_, to)| *to == table.name);
        stated
            .map(|(from, _)| from.as_str())
            .filter(|from| !after.contains(from))
    };
    (tables(new))
        .filter_map(|table| {
            let same = before
                .get(table.name.as_str())
                .or_else(|| before.get(was(table)?))?;
            Some(table_change(same, table, renames))
        })
        .collect()
}

/// Columns that are dropped, for good or to be added again. Other objects that use them must be dropped before.
impl TableChange<'_> {
    pub fn lost(&self) -> impl Iterator<Item = &Column> {
        self.removed
            .iter()
            .copied()
            .chain(self.regenerated.iter().map(|(old, _)| *old))
    }

    pub fn retyped(&self) -> impl Iterator<Item = (&Column, &Column)> {
        self.kept
            .iter()
            .copied()
            .filter(|(old, new)| old.sql_type != new.sql_type)
    }

    /// Rewrites an expression on the old table to the names after the renames.
    pub fn translate(&self, sql: &str) -> String {
        let mut text = if self.old.name == self.new.name {
            sql.to_owned()
        } else {
            rename(sql, &self.old.name, &self.new.name)
        };
        for (from, to) in &self.renamed {
            text = rename(&text, from, to);
        }
        text
    }

    /// Moves a column from `kept` to `regenerated`.
    pub fn regenerate(&mut self, name: &str) {
        if let Some(at) = self.kept.iter().position(|(old, _)| old.name == name) {
            self.regenerated.push(self.kept.remove(at));
        }
    }
}

fn table_change<'a>(old: &'a Object, new: &'a Object, renames: &Renames) -> TableChange<'a> {
    let mut change = TableChange {
        old,
        new,
        renamed: Vec::new(),
        added: Vec::new(),
        removed: Vec::new(),
        regenerated: Vec::new(),
        kept: Vec::new(),
        run: Vec::new(),
        logged: beside::logged_from_now_on(old, new),
        fills: (renames.fills.iter())
            .filter(|fill| fill.table == new.name)
            .cloned()
            .collect(),
        narrowed: (renames.narrowed.iter())
            .filter(|narrowed| narrowed.table == new.name)
            .cloned()
            .collect(),
    };
    let mut left: Vec<&Column> = old.columns.iter().collect();
    let mut pairs = Vec::new();
    for column in &new.columns {
        let was = former_name(column, old, new, renames);
        match left
            .iter()
            .position(|c| c.name == was.unwrap_or(&column.name))
        {
            Some(at) => {
                let before = left.remove(at);
                if before.name != column.name {
                    change
                        .renamed
                        .push((before.name.clone(), column.name.clone()));
                }
                pairs.push((before, column));
            }
            None => change.added.push(column),
        }
    }
    change.removed = left;
    for (before, after) in pairs {
        let text = before.generated.as_ref().map(|expr| change.translate(expr));
        let same_type = before.sql_type == after.sql_type;
        let made = before.generated.is_some() || after.generated.is_some();
        if made && (text != after.generated || !same_type) {
            change.regenerated.push((before, after));
        } else {
            change.kept.push((before, after));
        }
    }
    // A renamed column that is dropped and added again needs no rename.
    let regenerated: BTreeSet<&str> = change
        .regenerated
        .iter()
        .map(|(old, _)| old.name.as_str())
        .collect();
    change
        .renamed
        .retain(|(from, _)| !regenerated.contains(from.as_str()));
    change.run = beside::statements_to_run(&change);
    change
}

/// A stated former name counts only while the old table has a column of that name and none of the new name: a `was`
/// that stays in the spec after the rename has no effect.
fn former_name<'a>(
    column: &'a Column,
    old: &Object,
    new: &Object,
    renames: &'a Renames,
) -> Option<&'a str> {
    let has = |table: &Object, name: &str| table.columns.iter().any(|c| c.name == name);
    let stated = (renames.columns.iter())
        .filter(|renamed| renamed.table == new.name && renamed.to == column.name)
        .map(|renamed| renamed.from.as_str());
    (stated.chain(column.was.as_deref()))
        .find(|was| has(old, was) && !has(old, &column.name) && !has(new, was))
}
