//! What answers show beside the row: the first of its children, and which operations written by hand are offered.

use super::lines::Lines;
use super::places::{Part, Places};
use super::rules::{Kind, Resolver};
use crate::diag::Diagnostic;
use crate::model::{EntityId, First, Offer};
use crate::names;
use crate::phrase::FirstPhrase;

pub fn firsts(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Vec<First> {
    let mut firsts = Vec::new();
    for (name, phrase) in &lines.spec.first {
        places.put(id, Part::First, &name.it, name.span);
        firsts.extend(first(r, id, &name.it, phrase));
    }
    firsts
}

pub fn offers(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (name, phrase) in &lines.spec.offers {
        places.put(id, Part::Offer, &name.it, name.span);
        let by = r.rule(id, &phrase.by, Kind::Access);
        let when = phrase.when.as_ref();
        let when = when.map(|rule| r.rule(id, rule, Kind::When));
        if let (Some(by), None | Some(Some(_))) = (by, &when) {
            offers.push(Offer {
                name: name.it.clone(),
                by,
                when: when.flatten(),
            });
        }
    }
    offers
}

fn first(r: &Resolver, id: EntityId, name: &str, phrase: &FirstPhrase) -> Option<First> {
    let this = &r.model.entities[id];
    let has = this.has.iter().position(|has| has.name == phrase.has.it);
    let Some(index) = has else {
        let known = this.has.iter().map(|has| has.name.as_str());
        r.errors.push(
            Diagnostic::at(
                phrase.has.span,
                format!("`{}` has no `{}`", this.name, phrase.has.it),
            )
            .help(names::suggest(&phrase.has.it, known, "names in `has`")),
        );
        return None;
    };
    let child = this.has[index].child;
    let of = &r.model.entities[child];
    if of.field(&phrase.by.it).is_none() {
        let known = of.fields.iter().map(|field| field.name.as_str());
        r.errors.push(
            Diagnostic::at(
                phrase.by.span,
                format!("`{}` has no field `{}`", of.name, phrase.by.it),
            )
            .help(names::suggest(&phrase.by.it, known, "fields")),
        );
        return None;
    }
    let filter = phrase.filter.as_ref();
    let filter = filter.map(|rule| r.rule(child, rule, Kind::Moment));
    if let Some(None) = filter {
        return None;
    }
    Some(First {
        name: name.to_owned(),
        has: index,
        by: phrase.by.it.clone(),
        filter: filter.flatten(),
        doc: phrase.doc.as_ref().map(|doc| doc.it.clone()),
    })
}
