//! `me outranks`: `sec.outranks(person, scope)`, derived from the rule that says who may give which role.
//!
//! The same rule decides on giving roles and on acting against their holders: a caller outranks a person if the caller
//! could give each role that the person holds. The function bypasses row-level security, so that a role is not
//! overlooked because the caller cannot read it.

use super::{
    columns::{ARCHIVED_WITH, goes_along},
    context::{counted, person},
    names::{self, Roles},
    object::Function,
    rules::{Context, Scope, optional},
    sets,
};
use crate::model::{Expr, Lifecycle, Model};
use crate::objects::{Kind, Object};

pub fn function(model: &Model) -> Option<Object> {
    let mut rules = model.entities.iter().flat_map(sets::expressions);
    if !rules.any(asks) {
        return None;
    }
    let roles = Roles(&model.app);
    let assignments = &model.entities[model.assignments];
    let scope = Scope {
        entity: model.assignments,
        alias: "t",
        context: Context::Definer,
    };
    let given = optional(model, scope, assignments.access.create.as_ref());
    let of_scope = match assignments.relation("scope") {
        Some(scope) => format!(
            " and (p_scope is null or t.{} = p_scope)",
            scope.id_column()
        ),
        None => String::new(),
    };
    let body = format!(
        "begin\n  return coalesce(p_person <> sec.uid(), false) and not exists (\n    \
         select from {} t\n    where t.{} = p_person{of_scope}{}{}\n      and (\n        {}\n      ) is not true\n  );\nend",
        names::table(assignments),
        person(model, assignments).id_column(),
        held(model),
        counted(model, "t"),
        given.block(8),
    );
    let function = Function {
        kind: Kind::TableFunction,
        name: "sec.outranks",
        arguments: "p_person uuid, p_scope uuid",
        returns: "boolean",
        attributes: "language plpgsql stable parallel safe",
        definer: Some(roles.authz()),
        callers: vec![roles.app()],
        doc: "Whether the caller is another person and could give every role that this person holds (in this scope, if any).",
        body,
    };
    Some(function.object(roles))
}

/// Restricts assignments to the roles that the person holds, including those that would be restored along with an
/// archived account.
fn held(model: &Model) -> String {
    let assignments = &model.entities[model.assignments];
    if assignments.lifecycle != Lifecycle::SoftDelete {
        return String::new();
    }
    if goes_along(model, assignments) {
        format!("\n      and (t.status <> 'archived' or t.{ARCHIVED_WITH} = p_person)")
    } else {
        "\n      and t.status <> 'archived'".to_owned()
    }
}

fn asks(expr: &Expr) -> bool {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().any(asks),
        Expr::Not(part) => asks(part),
        Expr::MeOutranks { .. } => true,
        _ => false,
    }
}
