//! The expected answer according to the rules as data, in the documented order of refusals, computed without the
//! database.

use super::{
    bodies,
    operations::{Kind, Operation, body_keys, entity},
    people::Persona,
};
use crate::{
    rules::{
        oracle::{Oracle, status, text},
        world::Row,
    },
    support::{model, resources},
};
use kernel::{
    resource::{Lifecycle, Resource},
    rule::{
        Rule,
        decide::{World as _, decide},
        possible::{Possible, possible},
    },
};

/// The possible statuses of an operation on this row with an outdated `If-Match`. For creating, the body is built from
/// the row.
pub fn expected(
    operation: &Operation,
    row: &Row,
    person: &Persona,
    oracle: &Oracle,
) -> &'static [u16] {
    let denied: &[u16] = if person.me.is_none() { &[401] } else { &[403] };
    let never = |rule: &Rule| is_impossible(rule, person, oracle);
    if never(operation.rule()) {
        return denied;
    }
    let resource = operation.resource;
    match operation.kind {
        Kind::List | Kind::Archived => &[200],
        Kind::Create => created(resource, row, person, oracle).unwrap_or(denied),
        Kind::Nested(child) => {
            let child = resources()[child.entity];
            if person.me.is_none() && never(child.rules.read) {
                denied
            } else if !oracle.visible(resource, row) {
                &[404]
            } else if never(child.rules.read) {
                denied
            } else {
                &[200]
            }
        }
        _ if !seen(operation, row, oracle) => &[404],
        Kind::Get => &[200],
        _ if is_held_back(operation, row, oracle) => &[412],
        _ if !decide(operation.rule(), row, oracle) => denied,
        // Only the version does not match.
        _ => &[412],
    }
}

/// Whether the caller may not do it, but could in another state of the row: all parts of the rule hold except some that
/// only look at values of the row.
pub fn is_held_back(operation: &Operation, row: &Row, oracle: &Oracle) -> bool {
    let right = match operation.kind {
        Kind::Archive => "delete",
        Kind::Merge | Kind::Replace => "update",
        Kind::Restore => "restore",
        _ => return false,
    };
    let is_told = operation
        .resource
        .sql
        .probe
        .contains(&format!("then '{right} when "));
    let Rule::All(parts) = operation.rule() else {
        return false;
    };
    is_told
        && !decide(operation.rule(), row, oracle)
        && parts
            .iter()
            .all(|part| is_about_the_row(part) || decide(part, row, oracle))
}

fn is_about_the_row(rule: &Rule) -> bool {
    match rule {
        Rule::Compare(..) | Rule::OneOf(..) | Rule::IsNull(_) | Rule::Flag(_) => true,
        Rule::Not(inner) => is_about_the_row(inner),
        Rule::All(parts) | Rule::Any(parts) => parts.iter().all(is_about_the_row),
        _ => false,
    }
}

/// Whether the rule can't hold for any row.
pub fn is_impossible(rule: &Rule, person: &Persona, oracle: &Oracle) -> bool {
    let facts = person.me.is_some().then_some(&oracle.facts);
    possible(rule, &person.actor(), facts) == Possible::Never
}

/// Archived rows are only visible for restoring. A caller who may restore a row, but does not see it while it is
/// suspended, can call `restore` on it, which leaves it suspended.
fn seen(operation: &Operation, row: &Row, oracle: &Oracle) -> bool {
    let resource = operation.resource;
    if resource.lifecycle == Lifecycle::SoftDelete && status(row) == "archived" {
        let rules = &resource.rules;
        return matches!(operation.kind, Kind::Restore)
            && [rules.delete, rules.restore]
                .iter()
                .any(|rule| decide(rule, row, oracle));
    }
    let comes_back = matches!(operation.kind, Kind::Restore)
        && resource.lifecycle == Lifecycle::SoftDelete
        && status(row) == "suspended"
        && decide(resource.rules.restore, row, oracle);
    comes_back || oracle.visible(resource, row)
}

/// The statuses of creating a copy of the row. `None`: not allowed.
fn created(
    resource: &Resource,
    row: &Row,
    person: &Persona,
    oracle: &Oracle,
) -> Option<&'static [u16]> {
    let entity = entity(model(), resource);
    let made = bodies::made(entity, row, person.me);
    let keys = body_keys("Create", resource.name);
    for relation in &entity.belongs {
        let column = relation.id_column();
        let (true, Some(id)) = (keys.contains(&column.as_str()), text(&made, &column)) else {
            continue;
        };
        let target = match relation.type_column() {
            Some(column) => text(&made, &column).expect("a type").to_owned(),
            None => model().entities[relation.targets[0]].name.clone(),
        };
        if oracle
            .readable(&target, id.parse().expect("an id"))
            .is_none()
        {
            return Some(&[422]);
        }
    }
    // The row exists already, so its unique values may be taken.
    decide(resource.rules.create, &made, oracle).then_some(&[201, 409])
}
