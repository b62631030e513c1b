//! Resolves the parsed spec into the model: looks up every name and types every value.
//!
//! In stages, and a stage only starts when the one before had no errors:
//! names → types and relations → columns, derived values and rules.

mod access;
mod actor;
mod app;
mod columns;
pub mod consent;
mod derived;
mod entity;
mod exclusive;
mod fields;
pub mod forms;
mod lines;
mod literals;
mod negated;
mod places;
mod possible;
mod relations;
mod rules;
mod scopes;
mod shown;
mod transition;
mod values;

pub(crate) use exclusive::exclude;
pub use literals::shown;
pub use places::{Part, Places};
pub use possible::number;

use crate::diag::{Collector, Diagnostics, Sources};
use crate::model::{EntityId, Expr, Literal, Model, Op, Value};
use crate::phrase::{At, Word};
use crate::spec::Spec;
use crate::{diag, names};

pub struct Resolved {
    pub model: Model,
    /// The position of each part of the model in the spec.
    pub places: Places,
}

pub fn resolve(spec: &Spec, sources: &Sources) -> Result<Resolved, Diagnostics> {
    let errors = Collector::default();
    let mut places = Places::default();
    let model = app::names(spec, &mut places, &errors);
    errors.finish(sources)?;

    let errors = Collector::default();
    let mut model = model;
    let lines: Vec<_> = spec
        .entities
        .iter()
        .map(|entity| lines::merge(spec, entity, &errors))
        .collect();
    for (id, lines) in lines.iter().enumerate() {
        fields::resolve(&mut model, id, lines, &mut places, &errors);
        relations::belongs(&mut model, id, lines, &mut places, &errors);
    }
    for (id, lines) in lines.iter().enumerate() {
        relations::has(&mut model, id, lines, &mut places, &errors);
    }
    errors.finish(sources)?;

    let errors = Collector::default();
    for (id, lines) in lines.iter().enumerate() {
        derived::resolve(&mut model, id, lines, &mut places, &errors);
    }
    errors.finish(sources)?;

    let errors = Collector::default();
    let resolver = rules::Resolver::new(&model, spec, &errors);
    let parts: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(id, lines)| entity::rules(&resolver, id, lines, &mut places))
        .collect();
    let counted = counted(&resolver, spec);
    resolver.refuse_unused();
    for (entity, parts) in model.entities.iter_mut().zip(parts) {
        parts.put_into(entity);
    }
    model.counted = counted;
    scopes::fold(&mut model, &mut places, &errors);
    errors.finish(sources)?;
    consent::fold(&mut model);
    Ok(Resolved { model, places })
}

/// The condition for an assignment to count.
fn counted(resolver: &rules::Resolver, spec: &Spec) -> Option<Expr> {
    let rule = spec.app.counted.as_ref()?;
    let found = resolver.rule(resolver.model.assignments, rule, rules::Kind::Stored)?;
    let one_value = matches!(
        &found,
        Expr::Compare {
            left: Value::Column(_),
            op: Op::Eq,
            right: Value::Literal(Literal::Text(_)),
        }
    );
    if !one_value {
        resolver.errors.push(
            diag::Diagnostic::at(rule.span, "which assignments count is said by one state")
                .help("write `where state == accepted`: founders are given rows of it, too"),
        );
    }
    Some(found)
}

/// Looks an entity up; an unknown one is an error at its place.
fn entity_id(model: &Model, word: &Word, errors: &Collector) -> Option<EntityId> {
    let found = model.entity(&word.it).map(|(id, _)| id);
    if found.is_none() {
        let known = model.entities.iter().map(|e| e.name.as_str());
        errors.push(
            diag::Diagnostic::at(word.span, format!("unknown entity `{}`", word.it))
                .help(names::suggest(&word.it, known, "entities")),
        );
    }
    found
}

fn at(word: &Word) -> At<&str> {
    At {
        it: word.it.as_str(),
        span: word.span,
    }
}
