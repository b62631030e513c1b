//! The rows that a caller sees: the SELECT policy of an entity, as a condition.

use super::{
    predicate::{Sql, all, any, atom},
    rules::{Context, Scope, optional},
};
use crate::model::{Expr, Lifecycle, Model, implied};

/// Active rows are visible to those who may `read` them, suspended ones to those who may update or suspend them, and
/// archived ones only while they are being archived, restored or listed for restoring. The creator of a row sees it
/// while creating it.
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
    // These rows are few, so other plans should not contain joins for the rows related to them.
    let context = if scope.context == Context::Policy {
        Context::Few
    } else {
        scope.context
    };
    let rule = |expr: Option<&Expr>| optional(model, Scope { context, ..scope }, expr);
    let moderators = any([rule(access.update.as_ref()), rule(access.suspend.as_ref())]);
    let restorers = rule(access.restore.as_ref());
    let removers = ordered(any([rule(access.delete.as_ref()), restorers.clone()]));
    // A row that was suspended when it was archived is suspended again, even if the caller may restore but not suspend
    // it.
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

/// The role through which a creator sees the row is granted only after the insert, but PostgreSQL refuses to write a
/// row that the writer doesn't see afterwards. The row whose id the transaction has stored as created or changed is
/// therefore visible.
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
