//! Rules whose words stay the same, but mean something else: counters that count other rows, `me outranks` where the
//! rule changes that says who may give roles, references on whose archiving or end other rows depend, rows that must
//! remain, values that move to new rows, revoked sessions.

use super::{AccessChange, DEPTH_MAX, Effect, Side, effect, explain, former, rule};
use crate::check::walk;
use crate::model::{
    DerivedKind, Entity, Expr, Field, Keep, Memo, Model, OnArchive, OnEnd, Relation,
};
use std::collections::BTreeSet;

pub fn changes(old: &Model, new: &Model, known: &Memo) -> Vec<AccessChange> {
    let mut found = Vec::new();
    found.extend(outranks(old, new, known));
    found.extend(sessions(old, new));
    for entity in &new.entities {
        let Some(was) = former(entity, old, new) else {
            continue;
        };
        found.extend(counters((old, was), (new, entity)));
        found.extend(leads_to((old, was), (new, entity)));
        found.extend(gone_along(was, entity));
        found.extend(protected(was, entity));
    }
    found
}

/// Whoever may give every role that a member holds outranks that member.
fn outranks(old: &Model, new: &Model, known: &Memo) -> Option<AccessChange> {
    let asks = |expr: &Expr| {
        let mut asks = false;
        walk::each(expr, &mut |part| {
            asks |= matches!(part, Expr::MeOutranks { .. });
        });
        asks
    };
    let mut rules = new.entities.iter().flat_map(walk::rules);
    if !rules.any(asks) {
        return None;
    }
    let giving = |model: &Model| {
        let rules = super::actions(&model.entities[model.assignments]);
        rule(&rules, "create")
    };
    let (before, after) = (giving(old), giving(new));
    let before = Side {
        model: old,
        id: old.assignments,
        rule: &before,
        known,
    };
    let after = Side {
        model: new,
        id: new.assignments,
        rule: &after,
        known,
    };
    let effect = effect(before, after, DEPTH_MAX);
    (effect != Effect::Same).then(|| AccessChange {
        what: "`me outranks`, by who may give a role,".to_owned(),
        effect,
        before: before.told(),
        after: after.told(),
    })
}

/// Counters that some rule reads.
fn counters((old, was): (&Model, &Entity), (new, entity): (&Model, &Entity)) -> Vec<AccessChange> {
    let read = columns_of_rules(entity);
    let mut found = Vec::new();
    for counter in &entity.derived {
        let mut before = was.derived.iter();
        let Some(before) = before.find(|d| d.name == counter.name) else {
            continue;
        };
        let (before, after) = (
            counted(old, was, &before.kind),
            counted(new, entity, &counter.kind),
        );
        if before != after && read.contains(&counter.name) {
            found.push(AccessChange {
                what: format!("{}: {}, which rules read,", entity.name, counter.name),
                effect: Effect::Other,
                before,
                after,
            });
        }
    }
    found
}

fn columns_of_rules(entity: &Entity) -> BTreeSet<String> {
    let whens = entity.transitions.iter().filter_map(|t| t.when.as_ref());
    let all = walk::rules(entity).chain(whens);
    all.flat_map(Expr::columns).collect()
}

fn counted(model: &Model, entity: &Entity, kind: &DerivedKind) -> String {
    let (word, has, field, filter) = match kind {
        DerivedKind::Count { has, filter } => ("count", has, None, filter),
        DerivedKind::Sum { has, field, filter } => ("sum", has, Some(field), filter),
        DerivedKind::Avg { has, field, filter } => ("avg", has, Some(field), filter),
        DerivedKind::Flag { .. } => return String::new(),
    };
    let has = &entity.has[*has];
    let of = field.map_or_else(|| has.name.clone(), |field| format!("{}.{field}", has.name));
    let rows = filter.as_ref().map_or_else(String::new, |filter| {
        let told = explain(model, has.child, filter).inline();
        format!(" where {told}")
    });
    format!("{word}({of}{rows})")
}

/// Which rows those who choose a reference may choose: of which entities, and with which values in common.
fn leads_to((old, was): (&Model, &Entity), (new, entity): (&Model, &Entity)) -> Vec<AccessChange> {
    let kinds = |model: &Model, relation: &Relation| -> BTreeSet<String> {
        let targets = relation.targets.iter();
        targets.map(|id| model.entities[*id].name.clone()).collect()
    };
    // Names of today, so that an entity under a new name is the same one.
    let today = |name: String| {
        let mut renamed = new
            .entities
            .iter()
            .filter(|e| old.entity(&e.name).is_none());
        let found = renamed.find(|e| e.was.as_deref() == Some(name.as_str()));
        found.map_or(name, |entity| entity.name.clone())
    };
    let mut found = Vec::new();
    for relation in &entity.belongs {
        let before = was
            .relation(&relation.name)
            .or_else(|| was.relation(relation.was.as_deref()?));
        let Some(before) = before else { continue };
        let what = format!("{}: what {} may lead to", entity.name, relation.name);
        let earlier = kinds(old, before).into_iter().map(today).collect();
        found.extend(super::grants::sets(
            what.clone(),
            &earlier,
            &kinds(new, relation),
        ));
        let in_common = |relation: &Relation| match relation.same.as_slice() {
            [] => "any".to_owned(),
            same => format!("one with the same {}", same.join(" and ")),
        };
        let fewer = |a: &Relation, b: &Relation| b.same.iter().all(|name| a.same.contains(name));
        let effect = match (fewer(before, relation), fewer(relation, before)) {
            (true, true) => continue,
            (true, false) => Effect::Wider,
            (false, true) => Effect::Narrower,
            (false, false) => Effect::Other,
        };
        found.push(AccessChange {
            what,
            effect,
            before: in_common(before),
            after: in_common(relation),
        });
    }
    found
}

/// Whoever may archive or suspend one row decides about others that way.
fn gone_along(was: &Entity, entity: &Entity) -> Vec<AccessChange> {
    let mut found = Vec::new();
    for relation in &entity.belongs {
        let before = was
            .relation(&relation.name)
            .or_else(|| was.relation(relation.was.as_deref()?));
        let (named, own) = (&relation.name, &entity.name);
        if let Some(before) = before {
            found.extend(other(
                format!("{own}: what archiving the {named} does"),
                archived(before),
                archived(relation),
            ));
        }
        // Also of a relation that is new: the rows that refer to something from now on may end with it.
        found.extend(other(
            format!("{own}: what the end of the {named} does"),
            &ended(before),
            &ended(Some(relation)),
        ));
    }
    found
}

fn archived(relation: &Relation) -> &'static str {
    match (&relation.on_end, relation.on_archive) {
        (Some(OnEnd::Archive), _) | (_, OnArchive::CascadeAlways) => {
            "archives this too, in any state"
        }
        (_, OnArchive::Restrict) => "nothing, it is refused",
        (_, OnArchive::Cascade) => "archives this too, in the states that its `delete` rule allows",
        (_, OnArchive::Detach) => "empties the reference",
    }
}

fn ended(relation: Option<&Relation>) -> String {
    match relation.and_then(|relation| relation.on_end.as_ref()) {
        None => "nothing".to_owned(),
        Some(OnEnd::Archive) => "archives this too, in any state".to_owned(),
        Some(OnEnd::Set(field)) => format!("sets {field}"),
    }
}

/// Without the rows that must remain, somebody may take away what was protected; and a new row that takes over a unique
/// value archives the row of somebody else.
fn protected(was: &Entity, entity: &Entity) -> Vec<AccessChange> {
    let own = &entity.name;
    let mut found = Vec::new();
    let stays = |keep: &Keep, keeps: &[Keep]| {
        let mut same = keeps.iter();
        same.any(|k| (&k.per, &k.filter) == (&keep.per, &keep.filter))
    };
    for (keeps, others, effect) in [
        (&was.keeps, &entity.keeps, Effect::Wider),
        (&entity.keeps, &was.keeps, Effect::Narrower),
    ] {
        for keep in keeps.iter().filter(|keep| !stays(keep, others)) {
            let (refused, allowed) = ("refused".to_owned(), "allowed".to_owned());
            let (before, after) = match effect {
                Effect::Wider => (refused, allowed),
                _ => (allowed, refused),
            };
            found.push(AccessChange {
                what: format!("{own}: ending the last of `keep: {}`", keep.name),
                effect,
                before,
                after,
            });
        }
    }
    for field in &entity.fields {
        let Some(before) = was
            .field(&field.name)
            .or_else(|| was.field(field.was.as_deref()?))
        else {
            continue;
        };
        let takes = |field: &Field| match field.moves {
            true => "archives that row",
            false => "refused",
        };
        if before.unique && field.unique && before.moves != field.moves {
            found.push(AccessChange {
                what: format!("{own}: creating with the {} of another row", field.name),
                effect: match field.moves {
                    true => Effect::Wider,
                    false => Effect::Narrower,
                },
                before: takes(before).to_owned(),
                after: takes(field).to_owned(),
            });
        }
    }
    found
}

fn other(what: String, before: &str, after: &str) -> Option<AccessChange> {
    (before != after).then(|| AccessChange {
        what,
        effect: Effect::Other,
        before: before.to_owned(),
        after: after.to_owned(),
    })
}

fn sessions(old: &Model, new: &Model) -> Option<AccessChange> {
    let told = |model: &Model| match model.sessions {
        Some(id) => format!("not after their {} is revoked", model.entities[id].name),
        None => "whatever became of their session".to_owned(),
    };
    let effect = match (old.sessions, new.sessions) {
        (Some(_), None) => Effect::Wider,
        (None, Some(_)) => Effect::Narrower,
        _ => return None,
    };
    Some(AccessChange {
        what: "requests of members".to_owned(),
        effect,
        before: told(old),
        after: told(new),
    })
}
