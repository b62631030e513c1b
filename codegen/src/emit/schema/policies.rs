//! Row-level security for requests: one permissive policy per command.
//!
//! Where many rows are read, settings are wrapped in sub-queries, so that they are read once per statement and not
//! once per row. Where one row is written they are read directly, since a sub-query would cost more than it saves.

use super::{
    jobs,
    names::{self, Roles},
    object::{policy, quote},
    parents::readable_parents,
    predicate::{Sql, all, atom, not},
    rules::{Context, Scope, literal, optional, predicate},
    visible::visible,
};
use crate::model::{
    Assigned, Change, Entity, EntityId, Lifecycle, Literal, Model, Transition, open,
};
use crate::objects::Object;

/// Action, status before, status after.
pub const STATUS_ACTIONS: [(&str, &str, &str); 4] = [
    ("archive", "active", "archived"),
    ("restore", "archived", "active"),
    ("suspend", "active", "suspended"),
    ("unsuspend", "suspended", "active"),
];

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let mut found = if model.entities[id].internal {
        Vec::new()
    } else {
        requests(model, id)
    };
    found.extend(jobs::policies(model, id));
    found
}

pub(super) struct Action {
    pub name: String,
    /// The condition on the status before the action.
    pub before: Sql,
    pub rule: Sql,
    /// The condition on the row after the action. For `update` it is the rule again, since any field may have changed.
    /// Other actions change one column, which the guard ensures: their rule applies to the row before, and what it
    /// says about that column (`state == unbanned`) need not hold afterwards.
    after: Sql,
}

/// The actions on an existing row.
pub(super) fn actions(model: &Model, scope: Scope<'_>) -> Vec<Action> {
    let entity = &model.entities[scope.entity];
    let access = &entity.access;
    let soft = entity.lifecycle == Lifecycle::SoftDelete;
    let is = |status: &str| {
        if soft {
            atom(format!("{} = {}", scope.column("status"), quote(status)))
        } else {
            Sql::True
        }
    };
    let mut found = Vec::new();
    if let Some(rule) = &access.update {
        let rule = predicate(model, scope, rule);
        found.push(Action {
            name: "update".into(),
            before: is("active"),
            after: rule.clone(),
            rule,
        });
    }
    for (action, before, after) in status_actions(entity) {
        let rule = match action {
            "archive" => access.delete.as_ref(),
            "restore" => access.restore.as_ref(),
            _ => access.suspend.as_ref(),
        };
        if rule.is_some() {
            found.push(Action {
                name: action.into(),
                before: is(before),
                rule: optional(model, scope, rule),
                // A row that was suspended when it was archived is suspended again.
                after: match action {
                    "restore" => not(is("archived")),
                    _ => is(after),
                },
            });
        }
    }
    for transition in &entity.transitions {
        let rule = predicate(model, scope, &transition.by);
        found.push(Action {
            name: transition.name.clone(),
            before: is("active"),
            rule,
            after: all([is("active"), becomes(entity, scope, transition)]),
        });
    }
    found
}

fn requests(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let (role, table) = (Roles(&model.app).app(), names::table(entity));
    let scope = Scope {
        entity: id,
        alias: &entity.plural,
        context: Context::Policy,
    };
    let row = Scope {
        context: Context::Row,
        ..scope
    };
    let name = |command: &str| format!("{}_{command}", entity.plural);
    let seen = visible(model, scope).block(4);
    let mut found = vec![policy(
        &table,
        &name("select"),
        "select",
        &role,
        Some(seen),
        None,
    )];
    if !entity.writable() {
        return found;
    }
    if entity.access.create.is_some() {
        let check = insert(model, row).block(4);
        found.push(policy(
            &table,
            &name("insert"),
            "insert",
            &role,
            None,
            Some(check),
        ));
    }
    let actions = actions(model, row);
    if !actions.is_empty() && entity.lifecycle != Lifecycle::AppendOnly {
        let using = by_action(&actions, |a| all([a.before.clone(), a.rule.clone()]));
        let check = by_action(&actions, |a| a.after.clone());
        found.push(policy(
            &table,
            &name("update"),
            "update",
            &role,
            Some(using),
            Some(check),
        ));
    }
    found
}

/// The condition for an insert: the `create` rule, the caller's own id where the server sets it, and parents that the
/// caller may read.
fn insert(model: &Model, scope: Scope<'_>) -> Sql {
    let entity = &model.entities[scope.entity];
    // Nobody is signed in: the column stays empty.
    let anonymous = (entity.access.create.as_ref())
        .is_some_and(|create| open::to_anyone(model, scope.entity, create));
    let own = entity.belongs.iter().filter(|r| r.of_caller()).map(|r| {
        let column = scope.column(&r.id_column());
        atom(if !r.set_me {
            format!("{column} is not distinct from sec.session()")
        } else if r.optional && anonymous {
            format!("{column} is not distinct from sec.uid()")
        } else {
            format!("{column} = sec.uid()")
        })
    });
    let rule = optional(model, scope, entity.access.create.as_ref());
    all([rule]
        .into_iter()
        .chain(own)
        .chain([readable_parents(model, scope)]))
}

/// The condition on the state after a transition, if it is a column that the request role may read.
fn becomes(entity: &Entity, scope: Scope<'_>, transition: &Transition) -> Sql {
    let state = match &transition.change {
        Change::State { field, to, .. } if !entity.is_private(field) => {
            atom(format!("{} = {}", scope.column(field), quote(to)))
        }
        _ => Sql::True,
    };
    let open = transition
        .sets()
        .filter(|set| !entity.is_private(&set.column));
    let sets = open.map(|set| match &set.value {
        Assigned::Value(Literal::Now | Literal::Today) => Sql::True,
        Assigned::Me => atom(format!("{} = sec.uid()", scope.column(&set.column))),
        Assigned::Value(value) => atom(format!(
            "{} is not distinct from {}",
            scope.column(&set.column),
            literal(value)
        )),
    });
    all(std::iter::once(state).chain(sets))
}

fn status_actions(
    entity: &Entity,
) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    STATUS_ACTIONS
        .into_iter()
        .filter(|_| entity.lifecycle == Lifecycle::SoftDelete)
}

fn by_action(actions: &[Action], condition: impl Fn(&Action) -> Sql) -> String {
    let mut text = "case sec.action()\n".to_owned();
    for action in actions {
        text.push_str(&format!(
            "      when {} then {}\n",
            quote(&action.name),
            condition(action).block(8)
        ));
    }
    text.push_str("      else false\n    end");
    text
}
