//! The checks of a spec in which all names are known: what is contradictory, impossible or without effect. One small
//! function per rule.
//!
//! Reads the model and the places; changes nothing.

mod access;
mod app;
mod conditions;
mod contradictions;
mod created;
mod cycles;
mod entities;
mod fields;
mod former;
mod future;
mod guarded;
mod known;
mod lists;
mod relations;
mod required;
mod shown;
mod together;
mod transitions;
pub mod walk;

pub(crate) use fields::is_parameter;

use crate::diag::{Collector, Diagnostic, Diagnostics, Sources, Span};
use crate::model::{Entity, EntityId, Model};
use crate::resolve::{Part, Places, Resolved};

pub fn check(resolved: &Resolved, sources: &Sources) -> Result<(), Diagnostics> {
    let errors = Collector::default();
    let cx = Cx {
        model: &resolved.model,
        places: &resolved.places,
        errors: &errors,
    };
    // Other checks would take long for conditions that are too large.
    for id in 0..cx.model.entities.len() {
        let entity = &cx.model.entities[id];
        let cx = &cx;
        conditions::check(&Of { cx, id, entity });
    }
    if errors.count() > 0 {
        return errors.finish(sources);
    }
    app::check(&cx);
    for id in 0..cx.model.entities.len() {
        let of = Of {
            cx: &cx,
            id,
            entity: &cx.model.entities[id],
        };
        entities::check(&of);
        fields::check(&of);
        former::check(&of);
        future::check(&of);
        guarded::check(&of);
        known::check(&of);
        contradictions::check(&of);
        created::check(&of);
        relations::check(&of);
        shown::check(&of);
        together::check(&of);
        transitions::check(&of);
        access::check(&of);
    }
    cycles::check(&cx);
    required::check(&cx);
    errors.finish(sources)
}

struct Cx<'a> {
    model: &'a Model,
    places: &'a Places,
    errors: &'a Collector,
}

impl Cx<'_> {
    fn refuse(&self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(Diagnostic::at(span, message).help(help));
    }
}

/// A mistake in a line of the spec, and the modifier where it is reported.
struct Wrong {
    word: &'static str,
    message: String,
    help: String,
}

fn wrong(word: &'static str, message: impl Into<String>, help: impl Into<String>) -> Option<Wrong> {
    Some(Wrong {
        word,
        message: message.into(),
        help: help.into(),
    })
}

/// The context of the checks of one entity.
struct Of<'a> {
    cx: &'a Cx<'a>,
    id: EntityId,
    entity: &'a Entity,
}

impl Of<'_> {
    /// Reports an error at the place of a part.
    fn refuse(&self, part: Part, name: &str, message: impl Into<String>, help: impl Into<String>) {
        self.cx
            .refuse(self.cx.places.of(self.id, part, name), message, help);
    }
    /// Reports an error at a modifier of a field, relation or derived value; if the line has no such modifier, at the
    /// name.
    fn refuse_modifier(&self, part: Part, name: &str, wrong: Wrong) {
        let modifier =
            self.cx
                .places
                .find(self.id, Part::Modifier, &format!("{name} {}", wrong.word));
        self.cx.refuse(
            modifier.unwrap_or_else(|| self.cx.places.of(self.id, part, name)),
            wrong.message,
            wrong.help,
        );
    }
    /// Whether a module of the application writes the entity: the module that owns it, or one that names it under
    /// `write`.
    fn written_by_module(&self) -> bool {
        self.entity.module.is_some()
            || self
                .cx
                .model
                .modules
                .iter()
                .any(|m| m.writes.contains(&self.id))
    }
    /// Whether the database writes this field or relation itself: the role and scope of assignments, if an entity has
    /// a `creator`.
    fn written_by_engine(&self, name: &str) -> bool {
        let model = self.cx.model;
        let creators = model.entities.iter().any(|e| e.creator.is_some());
        self.id == model.assignments && creators && ["role", "scope"].contains(&name)
    }
    fn creatable(&self) -> bool {
        self.entity.writable() && self.entity.access.create.is_some()
    }
    fn updatable(&self) -> bool {
        self.entity.writable() && self.entity.access.update.is_some()
    }
}
