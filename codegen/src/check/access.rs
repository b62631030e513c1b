//! Access rules of actions that the entity can't have because of its lifecycle or because a module writes it.

use super::{Of, walk};
use crate::model::{Expr, Lifecycle, Ty};
use crate::resolve::Part;

pub fn check(of: &Of) {
    is_there(of);
    changed_rows_are_read(of);
    actions_exist(of);
    roles_are_given(of);
    update_has_an_effect(of);
}

fn is_there(of: &Of) {
    let given = of.cx.places.find(of.id, Part::Key, "access").is_some();
    if !given && !of.entity.internal {
        of.refuse(
            Part::Entity,
            "",
            format!("`{}` does not say who may read or write it", of.entity.name),
            "add `access:` with at least `read:`; nothing is granted by itself",
        );
    }
    if of.entity.internal
        && (walk::grants(of.entity).next().is_some() || !of.entity.conditions.is_empty())
    {
        of.refuse(
            Part::Key,
            "access",
            "`access` has no effect: an internal entity has no routes",
            "leave the key out",
        );
    }
}

/// Callers can only change rows that they may read. (Creating needs no read access, for example a contact form.)
fn changed_rows_are_read(of: &Of) {
    if of.entity.internal || of.entity.access.read.is_some() {
        return;
    }
    let message = |what: &str| {
        format!(
            "`{what}` can't happen: nobody may read `{}`",
            of.entity.name
        )
    };
    let help = "grant `read` to them at least, or remove the line";
    let changes = |action: &str| !["create", "read"].contains(&action);
    for (action, _) in walk::grants(of.entity).filter(|(action, _)| changes(action)) {
        if of.cx.places.find(of.id, Part::Access, action).is_some() {
            return of.refuse(Part::Access, action, message(action), help);
        }
    }
    if let Some(first) = of.entity.transitions.first() {
        of.refuse(Part::Transition, &first.name, message(&first.name), help);
    }
}

fn actions_exist(of: &Of) {
    if of.entity.internal {
        return;
    }
    for (action, _) in walk::grants(of.entity) {
        // The entity may have a `restore` rule only because it has a `delete` rule, without a line of its own.
        if of.cx.places.find(of.id, Part::Access, action).is_none() {
            continue;
        }
        let why = match (action, of.entity.lifecycle) {
            ("create" | "update" | "delete" | "restore" | "suspend", _)
                if of.entity.module.is_some() =>
            {
                "only its module writes this entity"
            }
            ("update" | "delete" | "restore" | "suspend", Lifecycle::AppendOnly) => {
                "rows of this entity never change"
            }
            ("delete" | "restore" | "suspend", Lifecycle::Mutable) => {
                "a `mutable` entity has no status: it is neither archived nor suspended"
            }
            ("restore", _) if of.entity.access.delete.is_none() => {
                "nobody may delete, so there is nothing to restore"
            }
            _ => continue,
        };
        of.refuse(
            Part::Access,
            action,
            format!("`{action}` has no effect: {why}"),
            "remove the line",
        );
    }
}

/// `me outranks` is derived from the rule that says who may give which role, so there must be one.
fn roles_are_given(of: &Of) {
    let model = of.cx.model;
    let assignments = &model.entities[model.assignments];
    if assignments.access.create.is_some() {
        return;
    }
    let conditions = of.entity.conditions.iter();
    let conditions = conditions.map(|c| (Part::Condition, c.name.as_str(), &c.expr));
    let grants = walk::grants(of.entity).map(|(action, rule)| (Part::Access, action, rule));
    let transitions = of.entity.transitions.iter();
    let transitions = transitions.map(|t| (Part::Transition, t.name.as_str(), &t.by));
    for (part, name, rule) in conditions.chain(grants).chain(transitions) {
        let mut asks = false;
        walk::each(rule, &mut |e| asks |= matches!(e, Expr::MeOutranks { .. }));
        if asks {
            of.refuse(
                part,
                name,
                format!(
                    "`me outranks` asks who may give a role, and nobody may create a `{}`",
                    assignments.name
                ),
                format!("grant `create` in {}.yaml", assignments.name),
            );
        }
    }
}

fn update_has_an_effect(of: &Of) {
    if !of.updatable() {
        return;
    }
    let fields = of
        .entity
        .fields
        .iter()
        .any(|f| !f.fixed && !f.system && !matches!(f.ty, Ty::States { .. }));
    let relations = of.entity.belongs.iter().any(|r| r.movable);
    if !fields && !relations {
        of.refuse(
            Part::Access,
            "update",
            "`update` has no effect: every field is fixed or set by the server",
            "remove the line, or the `fixed` of a field",
        );
    }
}
