//! Actions whose rule reads a column that not everyone may read: a statement of a request cannot evaluate
//! such a rule (a policy can), so it asks a function.

use super::{
    names::{self, Roles},
    object::{Function, on_table, quote},
    private::private_columns,
    rules::{Context, Scope, compile, predicate},
};
use crate::model::{Entity, EntityId, Expr, Model, Value};
use crate::objects::{Kind, Object};

/// The rule of an action, for the select list of a statement over `alias` and `me`.
pub fn allowed(model: &Model, id: EntityId, action: &str, rule: &Expr, alias: &str) -> String {
    let entity = &model.entities[id];
    if reads_private(entity, rule) {
        format!(
            "{} = any (app.{}_may({alias}.id))",
            quote(action),
            entity.name
        )
    } else {
        compile(model, id, rule, alias, Context::Me)
    }
}

/// `app.community_member_may(p_id)`: those of these actions that the caller may do.
pub fn function(model: &Model, id: EntityId) -> Option<Object> {
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let scope = Scope {
        entity: id,
        alias: "t",
        context: Context::Definer,
    };
    let cases: Vec<String> = (actions(entity).into_iter())
        .filter(|(_, rule)| reads_private(entity, rule))
        .map(|(action, rule)| {
            format!(
                "case when {} then {} end",
                predicate(model, scope, rule).block(8),
                quote(action)
            )
        })
        .collect();
    if cases.is_empty() || !entity.writable() {
        return None;
    }
    let function = Function {
        kind: Kind::TableFunction,
        name: &format!("app.{}_may", entity.name),
        arguments: "p_id uuid",
        returns: "text[]",
        attributes: "language plpgsql stable parallel safe",
        definer: Some(roles.authz()),
        callers: vec![roles.app()],
        doc: "Actions that the caller may do, of those whose rule reads a column that not everyone may.",
        body: format!(
            "begin\n  return (\n    select array_remove(array[\n      {}\n    ], null)\n    from {table} t where t.id = p_id\n  );\nend",
            cases.join(",\n      ")
        ),
    };
    Some(on_table(&table, function.object(roles)))
}

fn actions(entity: &Entity) -> Vec<(&str, &Expr)> {
    let access = &entity.access;
    let rules = [
        ("update", &access.update),
        ("delete", &access.delete),
        ("restore", &access.restore),
        ("suspend", &access.suspend),
    ];
    let rules = rules
        .into_iter()
        .filter_map(|(name, rule)| Some((name, rule.as_ref()?)));
    rules
        .chain(entity.transitions.iter().map(|t| (t.name.as_str(), &t.by)))
        .collect()
}

pub(super) fn reads_private(entity: &Entity, rule: &Expr) -> bool {
    let private: Vec<String> = private_columns(entity)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    reads(entity, rule, &private)
}

fn reads(entity: &Entity, expr: &Expr, columns: &[String]) -> bool {
    let relation = |index: usize| columns.contains(&entity.belongs[index].id_column());
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().any(|p| reads(entity, p, columns)),
        Expr::Not(part) => reads(entity, part, columns),
        Expr::Condition(index) => reads(entity, &entity.conditions[*index].expr, columns),
        Expr::Of { relation: r, .. } | Expr::MeIs { relation: r } => relation(*r),
        Expr::MeHoldsOf { relation: r, .. } => r.is_some_and(relation),
        Expr::MeOutranks { relation: r, of } => r.is_some_and(relation) || of.is_some_and(relation),
        Expr::Compare { left, right, .. } => names_one(left, columns) || names_one(right, columns),
        Expr::In { value, .. } | Expr::IsNull(value) => names_one(value, columns),
        Expr::Flag(name) => columns.contains(name),
        _ => false,
    }
}

fn names_one(value: &Value, columns: &[String]) -> bool {
    match value {
        Value::Column(name) => columns.contains(name),
        Value::Add(a, b) | Value::Sub(a, b) => names_one(a, columns) || names_one(b, columns),
        Value::Literal(_) => false,
    }
}
