//! Checks `was`: a former name is one that nothing has now, and that one thing takes over.
//!
//! Otherwise the word has no effect, and somebody who exchanges two names finds the rows under the wrong ones.

use super::{Of, Wrong, wrong};
use crate::{names, resolve::Part};

pub fn check(of: &Of) {
    entity(of);
    let fields = of.entity.fields.iter();
    let fields: Vec<Named> = fields
        .map(|f| (f.name.as_str(), f.was.as_deref()))
        .collect();
    let relations = of.entity.belongs.iter();
    let relations: Vec<Named> = (relations.map(|r| (r.name.as_str(), r.was.as_deref()))).collect();
    for (part, kind, named) in [
        (Part::Field, "field", fields),
        (Part::Relation, "relation", relations),
    ] {
        for (n, (name, was)) in named.iter().enumerate() {
            let found = was
                .and_then(|was| taken(was, kind, &named, &named[..n]).or_else(|| dropped(of, was)));
            if let Some(found) = found {
                of.refuse_modifier(part, name, found);
            }
        }
    }
}

/// A name, and the former name.
type Named<'a> = (&'a str, Option<&'a str>);

fn entity(of: &Of) {
    let Some(was) = of.entity.was.as_deref() else {
        return;
    };
    let entities = of.cx.model.entities.iter();
    let named: Vec<Named> = (entities.map(|e| (e.name.as_str(), e.was.as_deref()))).collect();
    if let Some(found) = taken(was, "entity", &named, &named[..of.id]) {
        of.refuse(Part::Key, "was", found.message, found.help);
    }
}

fn taken(was: &str, kind: &str, all: &[Named], before: &[Named]) -> Option<Wrong> {
    if !names::is_name(was) {
        let help = "names are small letters, digits and `_`";
        return wrong("was", format!("`{was}` can't have been a name"), help);
    }
    if let Some((_, moved)) = all.iter().find(|(name, _)| *name == was) {
        return wrong(
            "was",
            format!(
                "`{was}` is still a{} {kind}",
                if kind == "entity" { "n" } else { "" }
            ),
            match moved {
                // Two that exchange their names, or a row of names that move on by one.
                Some(_) => format!(
                    "a name is free only after a migration: give what has been called `{was}` its new name first, run \
                     `cargo gen`, and write this `was` then"
                ),
                None => "write the former name, or remove `was`".to_owned(),
            },
        );
    }
    let first = before.iter().find(|(_, other)| *other == Some(was));
    first.and_then(|(first, _)| {
        wrong(
            "was",
            format!("`{first}` was `{was}` too"),
            "its rows can go to one of the two: remove the other `was`",
        )
    })
}

fn dropped(of: &Of, was: &str) -> Option<Wrong> {
    let dropped = of.entity.dropped.iter().any(|name| name == was);
    dropped.then_some(()).and_then(|()| {
        wrong(
            "was",
            format!("`{was}` is dropped too"),
            format!("remove `{was}: drop` to keep the values, or this `was` to lose them"),
        )
    })
}
