//! Names a migration after what it changes.

use super::hints::Hints;
use super::op::{Op, table_of};
use super::stage::Part;
use super::text::bare_table;
use crate::objects::{Kind, Object};

pub fn slug(ops: &[Op], part: &Part, hints: &Hints) -> String {
    let main = main_slug(ops, hints);
    match part {
        Part::Main => main,
        Part::Validate => format!("{main}_validate"),
        Part::Index(name) => shorten(format!("index_{name}")),
        Part::Retire => "drop_replaced_indexes".to_owned(),
    }
}

fn main_slug(ops: &[Op], hints: &Hints) -> String {
    let entity = |table: &str| {
        hints
            .entities
            .get(table)
            .cloned()
            .unwrap_or_else(|| bare_table(table).to_owned())
    };
    // Tables of counters are created and dropped because of what is counted, so they don't name a migration.
    let follows = |op: &Op| {
        let whole = |object: &Object| {
            object.kind == Kind::Table && hints.counted_tables.contains(&object.name)
        };
        matches!(op, Op::Create { object, .. } | Op::Drop { object } if whole(object))
    };
    let said = ops.iter().filter(|op| !follows(op));
    let mut said: Vec<String> = said.filter_map(|op| headline(op, &entity)).collect();
    said.dedup();
    let mut touched: Vec<String> = ops.iter().filter_map(Op::table).map(&entity).collect();
    touched.sort();
    touched.dedup();
    shorten(match (said.as_slice(), touched.as_slice()) {
        ([one], _) => one.clone(),
        (_, [one]) => format!("alter_{one}"),
        _ => "alter_schema".to_owned(),
    })
}

/// The name of a migration that consists of this step. `None` for steps that only follow from others.
fn headline(op: &Op, entity: &dyn Fn(&str) -> String) -> Option<String> {
    let verb = match op {
        Op::Create { object, .. } if object.kind == Kind::Table => {
            format!("create_{}", entity(table_of(object)?))
        }
        Op::Drop { object } if object.kind == Kind::Table => {
            format!("drop_{}", entity(table_of(object)?))
        }
        Op::RenameTable { old, to } => format!("rename_{}_to_{}", entity(&old.name), entity(to)),
        Op::RenameColumn { table, from, to } => {
            format!("rename_{}_{}_to_{}", entity(table), stem(from), stem(to))
        }
        Op::AddColumn { table, column, .. } if column.generated.is_none() => {
            format!("add_{}_{}", entity(table), stem(&column.name))
        }
        Op::DropColumn { table, column } if column.generated.is_none() => {
            format!("drop_{}_{}", entity(table), stem(&column.name))
        }
        // The type of a polymorphic reference is renamed because its target was, which names the migration already.
        Op::ReplaceWord {
            table, name, to, ..
        } if !name.ends_with("_type") => format!("rename_{}_{}_{to}", entity(table), stem(name)),
        Op::Retype { table, new, .. } => format!("alter_{}_{}", entity(table), new.name),
        Op::SetDefault { table, name, .. }
        | Op::AddNotNullCheck { table, name }
        | Op::DropNotNull { table, name } => {
            format!("alter_{}_{name}", entity(table))
        }
        _ => return None,
    };
    Some(verb)
}

/// The name of a reference without the suffix of its columns, the same for both columns of a polymorphic one.
fn stem(column: &str) -> &str {
    column
        .strip_suffix("_id")
        .or_else(|| column.strip_suffix("_type"))
        .unwrap_or(column)
}

fn shorten(slug: String) -> String {
    slug.chars()
        .take(60)
        .collect::<String>()
        .trim_end_matches('_')
        .to_owned()
}
