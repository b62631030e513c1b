//! A transition: what it changes, who may make it, and when.

use super::literals::literal_fits;
use super::rules::{Kind, Resolver};
use crate::diag::Diagnostic;
use crate::model::{
    Assigned, Change, Entity, EntityId, Field, Literal, Relation, Set, Transition, Ty,
};
use crate::names;
use crate::phrase::{ChangePhrase, SetPhrase, TransitionPhrase, Word};

pub fn transition(
    r: &Resolver,
    id: EntityId,
    name: &Word,
    phrase: &TransitionPhrase,
) -> Option<Transition> {
    let this = &r.model.entities[id];
    let change = match &phrase.change {
        ChangePhrase::State { from, to } => state(r, this, name, from, to),
        ChangePhrase::Set(phrase) => set(r, this, phrase).map(Change::Set),
    };
    // All of them are resolved before the first mistake ends it, so that each mistake is reported.
    let sets: Vec<Option<Set>> = (phrase.sets.iter())
        .map(|phrase| set(r, this, phrase))
        .collect();
    let sets: Vec<Set> = sets.into_iter().collect::<Option<_>>()?;
    if let Some(twice) = twice(phrase) {
        let message = format!("`{}` is set twice", twice.it);
        r.errors
            .push(Diagnostic::at(twice.span, message).help("keep one of the two"));
        return None;
    }
    let by = phrase
        .by
        .as_ref()
        .and_then(|rule| r.rule(id, rule, Kind::Access));
    let when = phrase
        .when
        .as_ref()
        .map(|rule| r.rule(id, rule, Kind::When));
    Some(Transition {
        name: name.it.clone(),
        change: change?,
        sets,
        by: by?,
        when: when.flatten(),
        reason: phrase.reason,
    })
}

fn twice(phrase: &TransitionPhrase) -> Option<&Word> {
    let first = match &phrase.change {
        ChangePhrase::Set(set) => Some(set),
        ChangePhrase::State { .. } => None,
    };
    let all: Vec<&Word> = first
        .into_iter()
        .chain(&phrase.sets)
        .map(|s| &s.target)
        .collect();
    let again = |n: usize| all[..n].iter().any(|earlier| earlier.it == all[n].it);
    (0..all.len()).find(|n| again(*n)).map(|n| all[n])
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

/// `set featured = true`, `set claimed_by = me`
fn set(r: &Resolver, this: &Entity, phrase: &SetPhrase) -> Option<Set> {
    let SetPhrase { target, value } = phrase;
    if let Some(relation) = this.relation(&target.it) {
        return of_relation(r, relation, phrase);
    }
    let Some(found) = this.field(&target.it) else {
        let fields = this.fields.iter().map(|f| f.name.as_str());
        let known = fields.chain(this.belongs.iter().map(|b| b.name.as_str()));
        r.errors.push(
            Diagnostic::at(
                target.span,
                format!("`{}` has no field `{}`", this.name, target.it),
            )
            .help(names::suggest(&target.it, known, "fields and relations")),
        );
        return None;
    };
    if matches!(found.ty, Ty::States { .. }) {
        r.errors.push(
            Diagnostic::at(target.span, "a state is not set, it is gone to")
                .help("write `draft -> published, by …`"),
        );
        return None;
    }
    if value.it != Literal::Null || !found.optional {
        let fits = literal_fits(&found.ty, found.optional, &value.it, value.span);
        r.errors.keep(fits)?;
    }
    Some(Set {
        column: target.it.clone(),
        value: Assigned::Value(value.it.clone().of(&found.ty)),
    })
}

/// A relation that becomes the caller, or null.
fn of_relation(r: &Resolver, relation: &Relation, phrase: &SetPhrase) -> Option<Set> {
    let SetPhrase { target, value } = phrase;
    let refuse = |span, message: String, help: String| {
        r.errors.push(Diagnostic::at(span, message).help(help));
        None
    };
    let value = match &value.it {
        Literal::Text(word) if word == "me" => Assigned::Me,
        Literal::Null if relation.optional => Assigned::Value(Literal::Null),
        Literal::Null => {
            return refuse(
                value.span,
                format!("`{}` is never empty", target.it),
                "add `?` after its target".to_owned(),
            );
        }
        _ => {
            return refuse(
                value.span,
                format!("`{}` is a relation: no row is named here", target.it),
                format!(
                    "write `set {0} = me`, or `set {0} = null` where it may be empty",
                    target.it
                ),
            );
        }
    };
    let identity = r.model.identity;
    if value == Assigned::Me && (relation.polymorphic || relation.targets != [identity]) {
        let name = &r.model.entities[identity].name;
        return refuse(
            target.span,
            format!(
                "the caller is a `{name}`, and `{}` leads elsewhere",
                target.it
            ),
            format!("make it `{}: {name}?, system`", target.it),
        );
    }
    if relation.polymorphic {
        return refuse(
            target.span,
            format!("`{}` is one of several: it is not set", target.it),
            "leave this `set` out".to_owned(),
        );
    }
    Some(Set {
        column: relation.id_column(),
        value,
    })
}
