//! `sec.seen_<entity>[_<condition>](id)`: functions that return what the policies say about one row.
//!
//! For code that bypasses row-level security, and for policies that would otherwise nest. For many rows there is a set
//! instead: [`super::mine`].

use super::{
    mine,
    names::{self, Roles},
    object::{Function, on_table},
    predicate::{Sql, all, atom},
    rules::{Context, Scope, optional},
    visible::visible,
    ways,
};
use crate::model::{Entity, EntityId, Expr, Lifecycle, Model, OfWhat};
use crate::objects::{Kind, Object};
use std::collections::BTreeSet;

/// The row's status if the caller sees it, else null. The status of rows without one is active.
pub(super) fn status(model: &Model, id: EntityId, value: &str) -> String {
    format!("{}({value})", name(model, "seen", id, &OfWhat::Read))
}

/// The condition that the caller sees the row and `what` holds for it.
pub(super) fn holds(model: &Model, id: EntityId, what: &OfWhat, value: &str) -> Sql {
    let call = format!("{}({value})", name(model, "seen", id, what));
    atom(if *what == OfWhat::Read {
        format!("{call} is not null")
    } else {
        call
    })
}

/// The condition that an anonymous caller sees the row and `what` holds for it, whoever the caller is.
pub(super) fn holds_for_anyone(model: &Model, id: EntityId, what: &OfWhat, value: &str) -> Sql {
    atom(format!("{}({value})", name(model, "open", id, what)))
}

/// Whether a question about a row of this entity leads to further tables, or to a column that the request role may not
/// read, so that a policy can't evaluate it. As sub-queries in policies, further tables would multiply: the policies
/// of each table are inlined into its query, and the planner considers all of them.
pub(super) fn is_deep(model: &Model, id: EntityId, what: &OfWhat) -> bool {
    if reads_private_columns(model, id, what) {
        return true;
    }
    let mut found = Vec::new();
    let access = &model.entities[id].access;
    let seen_by = [
        &access.read,
        &access.update,
        &access.delete,
        &access.restore,
        &access.suspend,
    ];
    seen_by
        .into_iter()
        .flatten()
        .chain(rule(model, id, what))
        .for_each(|r| targets(model, id, r, &mut found));
    !found.is_empty()
}

pub(super) fn reads_private_columns(model: &Model, id: EntityId, what: &OfWhat) -> bool {
    rule(model, id, what).is_some_and(|rule| model.entities[id].reads_private(rule))
}

/// The functions that these objects call, directly or indirectly.
pub fn functions(model: &Model, objects: &[Object]) -> Vec<Object> {
    let mut rest: Vec<Object> = questions(model)
        .iter()
        .flat_map(|(id, what)| {
            let set = mine::function(model, *id, what);
            let functions = [function(model, *id, what), open_function(model, *id, what)];
            set.into_iter().chain(functions)
        })
        .collect();
    let mut called: BTreeSet<String> = objects.iter().flat_map(|o| calls(&o.create)).collect();
    called.extend(ways::called(model));
    let mut found: Vec<Object> = Vec::new();
    loop {
        let is_called = |o: &Object| called.contains(o.name.split('(').next().unwrap_or_default());
        let (now, later): (Vec<Object>, Vec<Object>) = rest.into_iter().partition(is_called);
        if now.is_empty() {
            found.sort_by(|a, b| a.name.cmp(&b.name));
            return found;
        }
        called.extend(now.iter().flat_map(|o| calls(&o.create)));
        found.extend(now);
        rest = later;
    }
}

/// `sec.seen_event_admin`, `sec.mine_event_admin`
pub(super) fn name(model: &Model, kind: &str, id: EntityId, what: &OfWhat) -> String {
    let entity = &model.entities[id];
    let what = match what {
        OfWhat::Read => return names::fit(format!("sec.{kind}_{}", entity.name)),
        OfWhat::Condition(index) => &entity.conditions[*index].name,
        OfWhat::Update => "update",
        OfWhat::Delete => "delete",
    };
    // Avoids a clash of `member` of a community with the entity `community_member`.
    let joined = format!("{}_{what}", entity.name);
    let between = match model.entity(&joined) {
        Some(_) => "__",
        None => "_",
    };
    names::fit(format!("sec.{kind}_{}{between}{what}", entity.name))
}

/// The rule for `what`, apart from seeing the row.
pub(super) fn rule<'m>(model: &'m Model, id: EntityId, what: &OfWhat) -> Option<&'m Expr> {
    let entity = &model.entities[id];
    match what {
        OfWhat::Read => None,
        OfWhat::Condition(index) => Some(&entity.conditions[*index].expr),
        OfWhat::Update => entity.access.update.as_ref(),
        OfWhat::Delete => entity.access.delete.as_ref(),
    }
}

/// The functions of this module and of [`super::mine`] that a text calls.
fn calls(text: &str) -> impl Iterator<Item = String> + '_ {
    let starts = ["sec.seen_", "sec.mine_", "sec.open_"];
    let found = starts.into_iter().flat_map(|s| text.match_indices(s));
    found.map(|(at, _)| {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        text[at..].chars().take_while(|c| word(*c)).collect()
    })
}

/// All questions that could be asked about rows of any entity.
fn questions(model: &Model) -> Vec<(EntityId, OfWhat)> {
    let about = |(id, entity): (EntityId, &Entity)| {
        let conditions = (0..entity.conditions.len()).map(OfWhat::Condition);
        let whats = conditions.chain([OfWhat::Read, OfWhat::Update, OfWhat::Delete]);
        whats.map(|what| (id, what)).collect::<Vec<_>>()
    };
    model.entities.iter().enumerate().flat_map(about).collect()
}

fn function(model: &Model, id: EntityId, what: &OfWhat) -> Object {
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let scope = Scope {
        entity: id,
        alias: "t",
        context: Context::Definer,
    };
    let same_row = atom("t.id = p_id");
    let (returns, doc, answer) = if *what == OfWhat::Read {
        let status = if entity.lifecycle == Lifecycle::SoftDelete {
            "t.status"
        } else {
            "'active'"
        };
        let condition = all([same_row, visible(model, scope)]).block(4);
        let answer = format!("(\n    select {status} from {table} t\n    where {condition}\n  )");
        ("text", "The status of a row that the caller sees.", answer)
    } else {
        let granted = optional(model, scope, rule(model, id, what));
        let visible = visible(model, scope).assuming(&granted);
        let condition = all([same_row, granted, visible]).block(4);
        let answer = format!("exists (\n    select from {table} t\n    where {condition}\n  )");
        (
            "boolean",
            "Whether the caller sees the row, and this condition holds for it.",
            answer,
        )
    };
    let function = Function {
        kind: Kind::TableFunction,
        name: &name(model, "seen", id, what),
        arguments: "p_id uuid",
        returns,
        attributes: "language plpgsql stable parallel safe",
        definer: Some(roles.authz()),
        callers: vec![roles.app()],
        doc: &format!("{doc} PL/pgSQL, because it keeps its plan."),
        body: format!("begin\n  return {answer};\nend"),
    };
    on_table(&table, function.object(roles))
}

/// `sec.open_event_published(id)`
fn open_function(model: &Model, id: EntityId, what: &OfWhat) -> Object {
    let (roles, table) = (Roles(&model.app), names::table(&model.entities[id]));
    let scope = Scope {
        entity: id,
        alias: "t",
        context: Context::Anonymous,
    };
    let granted = match what {
        OfWhat::Read => Sql::True,
        _ => optional(model, scope, rule(model, id, what)),
    };
    let condition = all([atom("t.id = p_id"), visible(model, scope), granted]).block(4);
    let function = Function {
        kind: Kind::TableFunction,
        name: &name(model, "open", id, what),
        arguments: "p_id uuid",
        returns: "boolean",
        attributes: "language plpgsql stable parallel safe",
        definer: Some(roles.authz()),
        callers: vec![roles.app()],
        doc: "Whether every caller sees the row, and this condition holds for it. PL/pgSQL, because it keeps its plan.",
        body: format!(
            "begin\n  return exists (\n    select from {table} t\n    where {condition}\n  );\nend"
        ),
    };
    on_table(&table, function.object(roles))
}

/// The entities that `of` refers to in an expression.
fn targets(model: &Model, id: EntityId, expr: &Expr, found: &mut Vec<EntityId>) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => {
            parts.iter().for_each(|p| targets(model, id, p, found))
        }
        Expr::Not(part) => targets(model, id, part, found),
        Expr::Condition(index) => targets(
            model,
            id,
            &model.entities[id].conditions[*index].expr,
            found,
        ),
        Expr::Of { what, .. } => found.extend(what.iter().map(|(target, _)| *target)),
        _ => {}
    }
}
