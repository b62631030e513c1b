//! What the document says about a column besides its type: units, origin, who changes it.

use super::words::{self, article, spaced};
use crate::{
    emit::columns::{Column, Source},
    model::{Derived, DerivedKind, EntityId, Future, Model, Ty, whereabouts::way},
};

/// Where a column is described. What a value has to satisfy concerns only those who send it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum In {
    Answer,
    Body,
}

/// The sentences about a column.
pub fn notes(model: &Model, id: EntityId, column: Column, place: In) -> Vec<String> {
    let entity = &model.entities[id];
    let mut notes = Vec::new();
    notes.extend(column.doc().map(str::to_owned));
    match column.source {
        // Their schemas explain these.
        Source::Id | Source::Status | Source::Version => {}
        Source::Field(field) => {
            // The introduction explains amounts in `…_cents`.
            if matches!(field.ty, Ty::Money { .. }) && !field.name.ends_with("_cents") {
                notes.push("In minor units (cents) of `currency`.".to_owned());
            }
            if matches!(field.ty, Ty::States { .. }) && !entity.transitions.is_empty() {
                let verbs: Vec<String> = entity
                    .transitions
                    .iter()
                    .map(|t| format!("`{}`", t.name))
                    .collect();
                notes.push(format!("Changed only by {}.", verbs.join(", ")));
            }
            if field.ty == Ty::Phone && !field.system && place == In::Body {
                notes.extend(national(model, id));
            }
            if let (Some(check), In::Body) = (&field.check, place) {
                notes.push(format!(
                    "Condition: {}.",
                    words::explain(model, id, check).inline()
                ));
            }
            // The notes explain the body that creates an object, and the object.
            notes.extend(field.future.map(|future| {
                let told = match future {
                    Future::Always if !field.fixed && entity.access.update.is_some() => {
                        "In the future when it is set or changed."
                    }
                    Future::Always | Future::OnCreate => {
                        "In the future when the object is created."
                    }
                };
                told.to_owned()
            }));
            if field.unique {
                notes.push(format!("Unique among {}.", spaced(&entity.plural)));
            }
        }
        // The note of the id column covers the type column.
        Source::TypeOf(_) => {}
        Source::IdOf(relation) if relation.set_me => notes.push("The signed-in caller.".to_owned()),
        Source::IdOf(relation) if relation.set_session => {
            notes.push("The session in which it was created.".to_owned());
        }
        Source::IdOf(relation) if !relation.polymorphic => {
            let target = &model.entities[relation.targets[0]];
            // The name of a column like `event_id` needs no explanation.
            if relation.name != target.name {
                notes.push(format!("Id of {}.", article(&spaced(&target.name))));
            }
        }
        Source::IdOf(relation) => {
            notes.push(format!(
                "Id of an object of the type in `{}_type`.",
                relation.name
            ));
        }
        Source::Derived(derived) => notes.push(derived_note(model, id, derived)),
        Source::CreatedAt | Source::UpdatedAt => {}
    }
    notes
}

/// The sentence of the API document that says which country a national telephone number in a body is taken to be of.
/// `None` if the country can't be found.
fn national(model: &Model, id: EntityId) -> Option<String> {
    let own = way(model, id).map(|way| format!("the `{}`", way.first_name()));
    let callers = way(model, model.identity);
    let callers = callers.map(|way| format!("the caller's `{}`", way.first_name()));
    let of: Vec<String> = own.into_iter().chain(callers).collect();
    (!of.is_empty()).then(|| {
        format!(
            "Stored with its country code. A number without one is read as a number of the country of {}.",
            of.join(", or else of ")
        )
    })
}

fn derived_note(model: &Model, id: EntityId, derived: &Derived) -> String {
    let entity = &model.entities[id];
    let of = |has: usize| spaced(&entity.has[has].name);
    let (text, has, filter) = match &derived.kind {
        DerivedKind::Count { has, filter } => (format!("Number of {}", of(*has)), *has, filter),
        DerivedKind::Sum { has, field, filter } => (
            format!("Sum of `{field}` of its {}", of(*has)),
            *has,
            filter,
        ),
        DerivedKind::Avg { has, field, filter } => (
            format!(
                "Average `{field}` of its {}, null if there are none",
                of(*has)
            ),
            *has,
            filter,
        ),
        DerivedKind::Flag { expr } => {
            return format!("True if {}.", words::explain(model, id, expr).inline());
        }
    };
    match filter {
        None => format!("{text}."),
        Some(filter) => format!(
            "{text} where {}.",
            words::explain(model, entity.has[has].child, filter).inline()
        ),
    }
}
