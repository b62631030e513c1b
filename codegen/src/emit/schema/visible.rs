//! Which rows a caller sees: the SELECT policy of an entity, as a condition.

use super::{
    predicate::{Sql, all, any, atom},
    rules::{Context, Scope, optional},
};
use crate::model::{Expr, Lifecycle, Model, implied};

/// Active rows by `read`; suspended ones for those who may change or suspend them; archived ones only
/// while they are being archived or restored, or listed for that. The creator of a row sees it while creating it.
pub(super) fn visible(model: &Model, scope: Scope<'_>) -> Sql {
    let entity = &model.entities[scope.entity];
    let access = &entity.access;
    let rule = |expr: Option<&Expr>| optional(model, scope, expr);
    let ordered = |condition: Sql| match scope.context {
        Context::Policy => condition.cheap_first(),
        _ => condition.free_first(),
    };
    let read = ordered(any([
        rule(access.read.as_ref()),
        just_written(model, scope),
    ]));
    if entity.lifecycle != Lifecycle::SoftDelete {
        return read;
    }
    let is = |status: &str| atom(format!("{} = '{status}'", scope.column("status")));
    let active = all([is("active"), read]);
    if scope.context == Context::Anonymous {
        return active;
    }
    // Such rows are few: no reason to have every plan look for all that they are related to.
    let context = if scope.context == Context::Policy {
        Context::Few
    } else {
        scope.context
    };
    let rule = |expr: Option<&Expr>| optional(model, Scope { context, ..scope }, expr);
    let moderators = any([rule(access.update.as_ref()), rule(access.suspend.as_ref())]);
    let restorers = rule(access.restore.as_ref());
    let removers = ordered(any([rule(access.delete.as_ref()), restorers.clone()]));
    // What was suspended comes back suspended, also for those who may restore and no more.
    let comes_back = match any([moderators.clone(), restorers.clone()]) == moderators {
        true => Sql::False,
        false => all([atom("sec.action() = 'restore'"), restorers]),
    };
    any([
        active,
        all([is("suspended"), ordered(any([moderators, comes_back]))]),
        all([is("archived"), atom("sec.show_archived()"), removers]),
    ])
}

/// The role that makes its creator see the row is granted only after the row is there; and PostgreSQL lets nobody
/// write what they would not see then, unless it is the row that the server has named.
fn just_written(model: &Model, scope: Scope<'_>) -> Sql {
    let entity = &model.entities[scope.entity];
    if scope.context != Context::Policy {
        return Sql::False;
    }
    let is = |function: &str| atom(format!("{} = (select {function}())", scope.column("id")));
    let created = entity.creator.map(|_| is("sec.created"));
    let changed = implied::hides(model, scope.entity).then(|| is("sec.changed"));
    any(created.into_iter().chain(changed))
}
