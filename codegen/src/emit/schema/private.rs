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
use crate::model::{Entity, EntityId, Expr, Model};
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
    let (guards, mut picked) = guards(model, id, &private);
    let seen: Vec<String> = (guards.iter().enumerate())
        .map(|(i, guard)| format!("case when may.r{i} then {}::bigint else 0 end", guard.bits))
        .collect();
    picked.push(seen.join(" + "));
    let rules: Vec<String> = (guards.iter().enumerate())
        .map(|(i, guard)| format!("({}) as r{i}", guard.rule.block(6)))
        .collect();
    let function = Function {
        kind: Kind::TableFunction,
        name: &format!("app.{}_private", entity.name),
        arguments: "p_id uuid",
        returns: &format!("table({})", returned(model, id, &private)),
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

/// The bit of a private column in [`SEEN`].
pub fn seen_bit(entity: &Entity, name: &str) -> u64 {
    let row = row::row(entity);
    let mut order = row.iter().filter(|column| column.read_rule().is_some());
    let place = order.position(|column| column.name() == name);
    1 << place.expect("a private column is in the row")
}

/// The columns of the result with their types.
fn returned(model: &Model, id: EntityId, private: &[(String, &Expr)]) -> String {
    let all = columns(model, id);
    let sql_type = |name: &str| {
        let ty = all
            .iter()
            .find(|c| c.name == name)
            .map_or("text", |c| c.sql_type.as_str());
        if ty.starts_with("geography") {
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
    returned.join(", ")
}

/// A read rule of one or more columns.
struct Guard {
    rule: Sql,
    /// The bits of its columns.
    bits: u64,
}

/// The different rules, and the expressions that select the columns by them: column `r0` of `may` is the first rule.
fn guards(model: &Model, id: EntityId, private: &[(String, &Expr)]) -> (Vec<Guard>, Vec<String>) {
    let scope = Scope {
        entity: id,
        alias: "t",
        context: Context::Definer,
    };
    let entity = &model.entities[id];
    let (mut guards, mut picked): (Vec<Guard>, Vec<String>) = (Vec::new(), Vec::new());
    for (name, rule) in private {
        let rule = predicate(model, scope, rule);
        let known = guards.iter().position(|guard| guard.rule == rule);
        let number = known.unwrap_or_else(|| {
            guards.push(Guard { rule, bits: 0 });
            guards.len() - 1
        });
        guards[number].bits |= seen_bit(entity, name);
        picked.push(format!("case when may.r{number} then t.{name} end"));
    }
    (guards, picked)
}

/// The column as one that a function returns: PostgreSQL accepts words like `position` there only in quotes.
fn argument(column: &str) -> String {
    if is_sql_column_only(column) {
        format!("\"{column}\"")
    } else {
        column.to_owned()
    }
}
