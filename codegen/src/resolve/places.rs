//! The positions of the parts of the model in the spec, for the checks that come later.

use crate::diag::Span;
use crate::model::EntityId;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The entity itself; the name is empty.
    Entity,
    Field,
    /// The default of the field of this name.
    Default,
    Relation,
    /// `<field or relation> <modifier>`
    Modifier,
    Has,
    Derived,
    Check,
    Keep,
    /// The name is that of the columns, joined with `,`.
    Unique,
    Index,
    Exclude,
    Transition,
    First,
    Offer,
    Condition,
    /// The name is that of the action.
    Access,
    /// `deny`; the name is that of the action.
    Deny,
    Hook,
    Emit,
    /// A key of the entity: `page`, `creator` …
    Key,
}

/// Spans by entity, part and name.
#[derive(Debug, Default)]
pub struct Places {
    places: HashMap<(EntityId, Part, String), Span>,
    app: HashMap<String, Span>,
}

impl Places {
    pub fn put(&mut self, entity: EntityId, part: Part, name: &str, span: Span) {
        self.places.insert((entity, part, name.to_owned()), span);
    }
    /// The position of a part, or of the entity if the part has none.
    pub fn of(&self, entity: EntityId, part: Part, name: &str) -> Span {
        self.find(entity, part, name)
            .or_else(|| self.find(entity, Part::Entity, ""))
            .unwrap_or(Span {
                file: 0,
                start: 0,
                end: 0,
            })
    }
    pub fn find(&self, entity: EntityId, part: Part, name: &str) -> Option<Span> {
        self.places.get(&(entity, part, name.to_owned())).copied()
    }
    pub fn put_app(&mut self, key: &str, span: Span) {
        self.app.insert(key.to_owned(), span);
    }
    pub fn find_app(&self, key: &str) -> Option<Span> {
        self.app.get(key).copied()
    }
    /// The position of a key of app.yaml.
    pub fn of_app(&self, key: &str) -> Span {
        self.app.get(key).copied().unwrap_or(Span {
            file: 0,
            start: 0,
            end: 0,
        })
    }
}
