//! Which answer the rules as data lead to: the documented order of refusals, worked out without the database.

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

/// The statuses that fit, for an operation on this row with an `If-Match` that no version has. Of a list and of
/// a POST on a collection the row is what the body is made of.
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
        _ if !decide(operation.rule(), row, oracle) => denied,
        // Only the version stands in the way.
        _ => &[412],
    }
}

/// Could it be allowed for any row at all?
pub fn is_impossible(rule: &Rule, person: &Persona, oracle: &Oracle) -> bool {
    let facts = person.me.is_some().then_some(&oracle.facts);
    possible(rule, &person.actor(), facts) == Possible::Never
}

/// Archived rows are there for restoring alone. Who may restore a row and does not see it while it is suspended is told there
/// that it is: it comes back suspended.
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

/// `None`: not allowed.
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
    // As the row is there already, whatever is unique is taken.
    decide(resource.rules.create, &made, oracle).then_some(&[201, 409])
}
