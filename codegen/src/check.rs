//! What a spec may not say although every name in it is known. One small function per rule.
//!
//! Reads the model and the places; changes nothing.

mod access;
mod app;
mod cycles;
mod entities;
mod fields;
mod guarded;
mod lists;
mod relations;
mod required;
mod together;
mod transitions;
mod walk;

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
    app::check(&cx);
    for id in 0..cx.model.entities.len() {
        let of = Of {
            cx: &cx,
            id,
            entity: &cx.model.entities[id],
        };
        entities::check(&of);
        fields::check(&of);
        guarded::check(&of);
        relations::check(&of);
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

/// What is wrong with a line, at which of its modifiers.
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

/// The checks of one entity.
struct Of<'a> {
    cx: &'a Cx<'a>,
    id: EntityId,
    entity: &'a Entity,
}

impl Of<'_> {
    /// At the place of a part.
    fn refuse(&self, part: Part, name: &str, message: impl Into<String>, help: impl Into<String>) {
        self.cx
            .refuse(self.cx.places.of(self.id, part, name), message, help);
    }
    /// At a modifier of a field, relation or derived value; without a word at its name.
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
    /// A module of the application writes it, its own or one that says so.
    fn written_by_module(&self) -> bool {
        self.entity.module.is_some()
            || self
                .cx
                .model
                .modules
                .iter()
                .any(|m| m.writes.contains(&self.id))
    }
    /// Of assignments: a creator's role is written by the database.
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
