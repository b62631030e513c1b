//! `first` and `offers`: what answers show beside the row must be something that its readers may know.

use super::{Of, transitions};
use crate::emit::columns;
use crate::model::{Expr, First, Offer, Relation, Ty};
use crate::names;
use crate::resolve::Part;

pub fn check(of: &Of) {
    for first in &of.entity.firsts {
        let refused = name_taken(of, first)
            .or_else(|| not_shown(of, first))
            .or_else(|| no_order(of, first))
            .or_else(|| no_index(of, first));
        if let Some((message, help)) = refused {
            of.refuse(Part::First, &first.name, message, help);
        }
    }
    for offer in &of.entity.offers {
        if let Some((message, help)) = not_offered(of, offer) {
            of.refuse(Part::Offer, &offer.name, message, help);
        }
    }
}

type Refused = Option<(String, String)>;

/// It is a property of answers beside those of the row.
fn name_taken(of: &Of, first: &First) -> Refused {
    let entity = of.entity;
    let columns = columns::row(entity);
    let relations = entity.belongs.iter().map(|relation| relation.name.clone());
    let together = (entity.has.iter()).filter(|has| has.create_with.is_some());
    let mut taken = (columns.iter().map(columns::Column::name))
        .chain(relations)
        .chain(together.map(|has| has.name.clone()));
    let is_taken = names::is_builtin_column(&first.name) || taken.any(|name| name == first.name);
    is_taken.then(|| {
        (
            format!("an answer has `{}` for something else", first.name),
            "choose another name".to_owned(),
        )
    })
}

fn not_shown(of: &Of, first: &First) -> Refused {
    let has = &of.entity.has[first.has];
    let child = &of.cx.model.entities[has.child];
    let via = child.relation(&has.via)?;
    let private = |column: &String| child.is_private(column);
    if of.entity.internal || child.internal {
        let internal = if child.internal { child } else { of.entity };
        let message = format!(
            "`{}` is internal, so no answer shows `{}`",
            internal.name, first.name
        );
        return Some((message, "remove the line".to_owned()));
    }
    let filter = first.filter.iter().flat_map(Expr::columns);
    let told = [&first.by]
        .into_iter()
        .find(|by| private(by))
        .cloned()
        .or_else(|| filter.into_iter().find(private))
        .or_else(|| via.read.is_some().then(|| via.name.clone()));
    let column = told?;
    Some((
        format!(
            "`{}` would tell everybody what the `read` rule of `{column}` in `{}` hides",
            first.name, child.name
        ),
        "use what everybody sees who reads the child".to_owned(),
    ))
}

/// Texts have an order of their own, and a null would be a first without a value.
fn no_order(of: &Of, first: &First) -> Refused {
    let child = &of.cx.model.entities[of.entity.has[first.has].child];
    let field = child.field(&first.by)?;
    let is_ordered = matches!(
        field.ty,
        Ty::Int { .. }
            | Ty::Bigint { .. }
            | Ty::Decimal { .. }
            | Ty::Money { .. }
            | Ty::Time
            | Ty::Date
    );
    (!is_ordered || field.optional).then(|| {
        (
            format!("`{}` does not order every `{}`", first.by, child.name),
            "name a required field of the child that is a number, a time or a date".to_owned(),
        )
    })
}

/// Without an index, all children of each row would be read to find the first.
fn no_index(of: &Of, first: &First) -> Refused {
    let has = &of.entity.has[first.has];
    let child = &of.cx.model.entities[has.child];
    let via = child.relation(&has.via)?;
    let wanted = order(via, &first.by);
    let has_it = child.index.iter().any(|index| index.starts_with(&wanted));
    (!has_it).then(|| {
        (
            format!(
                "no index of `{}` finds the first by `{}`",
                child.name, first.by
            ),
            format!(
                "add `index: [[{}, {}]]` to `{}`",
                via.name, first.by, child.name
            ),
        )
    })
}

fn order(via: &Relation, by: &str) -> Vec<String> {
    let columns = via.type_column().into_iter().chain([via.id_column()]);
    columns.chain([by.to_owned()]).collect()
}

fn not_offered(of: &Of, offer: &Offer) -> Refused {
    let entity = of.entity;
    if entity.internal {
        let message = "an internal entity has no answers that could offer anything".to_owned();
        return Some((message, "remove `offers:`".to_owned()));
    }
    let is_verb = (entity.transitions.iter()).any(|transition| transition.name == offer.name);
    if is_verb || transitions::TAKEN.contains(&offer.name.as_str()) {
        return Some((
            format!("`{}` is an action that the entity has anyway", offer.name),
            "choose another verb".to_owned(),
        ));
    }
    // As for `when` of transitions: of the row itself, callers may learn whether a condition holds.
    let mut related = offer.when.iter().flat_map(Expr::related);
    let column = related.find_map(|(relation, column)| {
        let target = *entity.relation(relation)?.targets.first()?;
        let there = &of.cx.model.entities[target];
        there
            .is_private(column)
            .then(|| format!("`{column}` of `{}`", there.name))
    })?;
    Some((
        format!("the offer would tell of {column}, which only some may read"),
        "compare what everybody sees who reads the row".to_owned(),
    ))
}
