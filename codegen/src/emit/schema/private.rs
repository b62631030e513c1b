//! Columns with a read rule: the request role has no privilege on them, and a function returns them to callers who may
//! read them.

use super::{
    columns::columns,
    names::{self, Roles},
    object::{Function, on_table},
    predicate::Sql,
    rules::{Context, Scope, predicate},
};
use crate::emit::columns as row;
use crate::model::{EntityId, Model};
use crate::names::is_sql_column_only;
use crate::objects::{Kind, Object};

/// Which of the columns the caller may read, one bit for each in the order of the row. The name is free because no
/// field begins with `_`.
pub const SEEN: &str = "_seen";

/// `app.event_private(p_id)`: one row with the columns that the caller may read and null for the others, and a bit for
/// each that they may read.
pub fn function(model: &Model, id: EntityId) -> Option<Object> {
    let entity = &model.entities[id];
    let private = entity.private_columns();
    if private.is_empty() || entity.internal {
        return None;
    }
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let scope = Scope {
        entity: id,
        alias: "t",
        context: Context::Definer,
    };
    let all = columns(model, id);
    let sql_type = |name: &str| {
        let ty = all
            .iter()
            .find(|c| c.name == name)
            .map_or("text", |c| c.sql_type.as_str());
        if ["citext", "geography"].iter().any(|t| ty.starts_with(t)) {
            format!("public.{ty}")
        } else {
            ty.to_owned()
        }
    };
    let returned: Vec<String> = private
        .iter()
        .map(|(name, _)| format!("{} {}", argument(name), sql_type(name)))
        .chain([format!("{SEEN} bigint")])
        .collect();
    let order: Vec<String> = row::row(entity)
        .iter()
        .filter(|column| column.read_rule().is_some())
        .map(row::Column::name)
        .collect();
    let bit = |name: &str| -> u64 {
        let place = order.iter().position(|other| other == name);
        1 << place.expect("a private column is in the row")
    };
    let (mut rules, mut picked): (Vec<Sql>, Vec<String>) = (Vec::new(), Vec::new());
    let mut bits: Vec<u64> = Vec::new();
    for (name, rule) in &private {
        let rule = predicate(model, scope, rule);
        let number = rules.iter().position(|r| *r == rule).unwrap_or_else(|| {
            rules.push(rule);
            bits.push(0);
            rules.len() - 1
        });
        bits[number] |= bit(name);
        picked.push(format!("case when may.r{number} then t.{name} end"));
    }
    let seen: Vec<String> = (bits.iter().enumerate())
        .map(|(i, bits)| format!("case when may.r{i} then {bits}::bigint else 0 end"))
        .collect();
    picked.push(seen.join(" + "));
    let rules: Vec<String> = rules
        .iter()
        .enumerate()
        .map(|(i, r)| format!("({}) as r{i}", r.block(6)))
        .collect();
    let function = Function {
        kind: Kind::TableFunction,
        name: &format!("app.{}_private", entity.name),
        arguments: "p_id uuid",
        returns: &format!("table({})", returned.join(", ")),
        attributes: "language plpgsql stable parallel safe rows 1",
        definer: Some(roles.authz()),
        callers: vec![roles.app()],
        doc: "Private columns, null unless the caller may read them, and a bit set of those that the caller may read.\nPL/pgSQL, because it keeps its plan.",
        // `offset 0` prevents inlining, so each rule is evaluated once for all its columns.
        body: format!(
            "begin\n  return query select\n    {}\n  from {table} t, lateral (\n    select\n      {}\n    offset 0\n  ) may\n  where t.id = p_id;\nend",
            picked.join(",\n    "),
            rules.join(",\n      "),
        ),
    };
    Some(on_table(&table, function.object(roles)))
}

/// The column as one that a function returns: PostgreSQL accepts words like `position` there only in quotes.
fn argument(column: &str) -> String {
    if is_sql_column_only(column) {
        format!("\"{column}\"")
    } else {
        column.to_owned()
    }
}
