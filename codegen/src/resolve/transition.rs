//! A transition: what it changes, who may, and when.

use super::literals::literal_fits;
use super::rules::{Kind, Resolver};
use crate::diag::Diagnostic;
use crate::model::{Change, Entity, EntityId, Field, Literal, Transition, Ty};
use crate::names;
use crate::phrase::{At, ChangePhrase, TransitionPhrase, Word};

pub fn transition(
    r: &Resolver,
    id: EntityId,
    name: &Word,
    phrase: &TransitionPhrase,
) -> Option<Transition> {
    let this = &r.model.entities[id];
    let change = match &phrase.change {
        ChangePhrase::State { from, to } => state(r, this, name, from, to)?,
        ChangePhrase::Set { field, value } => set(r, this, field, value)?,
    };
    let by = phrase
        .by
        .as_ref()
        .and_then(|rule| r.rule(id, rule, Kind::Access));
    let when = phrase
        .when
        .as_ref()
        .map(|rule| r.rule(id, rule, Kind::Moment));
    Some(Transition {
        name: name.it.clone(),
        change,
        by: by?,
        when: when.flatten(),
        reason: phrase.reason,
    })
}

/// `draft -> published`
fn state(r: &Resolver, this: &Entity, name: &Word, from: &[Word], to: &Word) -> Option<Change> {
    let Some(Field {
        name: field,
        ty: Ty::States { values },
        ..
    }) = this.states_field()
    else {
        r.errors.push(
            Diagnostic::at(
                name.span,
                format!("`{}` has no states to go through", this.name),
            )
            .help("add a field like `state: states(draft, published) = draft`"),
        );
        return None;
    };
    for word in from.iter().chain([to]) {
        if !values.contains(&word.it) {
            let known = values.iter().map(String::as_str);
            r.errors.push(
                Diagnostic::at(word.span, format!("`{}` is none of the states", word.it))
                    .help(names::suggest(&word.it, known, "states")),
            );
            return None;
        }
    }
    Some(Change::State {
        field: field.clone(),
        from: from.iter().map(|w| w.it.clone()).collect(),
        to: to.it.clone(),
    })
}

/// `set featured = true`
fn set(r: &Resolver, this: &Entity, field: &Word, value: &At<Literal>) -> Option<Change> {
    let Some(found) = this.field(&field.it) else {
        let known = this.fields.iter().map(|f| f.name.as_str());
        r.errors.push(
            Diagnostic::at(
                field.span,
                format!("`{}` has no field `{}`", this.name, field.it),
            )
            .help(names::suggest(&field.it, known, "fields")),
        );
        return None;
    };
    if matches!(found.ty, Ty::States { .. }) {
        r.errors.push(
            Diagnostic::at(field.span, "a state is not set, it is gone to")
                .help("write `draft -> published, by …`"),
        );
        return None;
    }
    if value.it != Literal::Null || !found.optional {
        let fits = literal_fits(&found.ty, found.optional, &value.it, value.span);
        r.errors.keep(fits)?;
    }
    Some(Change::Set {
        field: field.it.clone(),
        value: value.it.clone(),
    })
}
