//! `belongs` and `has`: both ends of every relation.

use super::entity_id;
use super::lines::Lines;
use super::places::{Part, Places};
use crate::diag::{Collector, Diagnostic};
use crate::model::{EntityId, Has, Model, OnArchive, OnEnd, Relation};
use crate::names;
use crate::phrase::{At, OnEndPhrase, RelationModifier, RelationPhrase, Word};

pub fn belongs(
    model: &mut Model,
    id: EntityId,
    lines: &Lines,
    places: &mut Places,
    errors: &Collector,
) {
    let mut belongs = Vec::new();
    for (name, phrase) in &lines.belongs {
        places.put(id, Part::Relation, &name.it, name.span);
        refuse_rule_word(name, errors);
        let targets: Vec<_> = phrase
            .targets
            .iter()
            .filter_map(|target| entity_id(model, target, errors))
            .collect();
        if targets.len() < phrase.targets.len() {
            continue;
        }
        let mut relation = plain(name, phrase, targets);
        for (n, modifier) in phrase.modifiers.iter().enumerate() {
            refuse_again(&phrase.modifiers[..n], modifier, errors);
            places.put(
                id,
                Part::Modifier,
                &format!("{} {}", name.it, modifier.it.word()),
                modifier.span,
            );
            if let RelationModifier::Same(same) = &modifier.it {
                refuse_unknown_same(lines, name, same, errors);
            }
            modify(&mut relation, &modifier.it);
        }
        belongs.push(relation);
    }
    model.entities[id].belongs = belongs;
}

pub fn has(
    model: &mut Model,
    id: EntityId,
    lines: &Lines,
    places: &mut Places,
    errors: &Collector,
) {
    let mut has = Vec::new();
    for (name, phrase) in &lines.has {
        places.put(id, Part::Has, &name.it, name.span);
        let Some(child) = entity_id(model, &phrase.child, errors) else {
            continue;
        };
        let other = &model.entities[child];
        let back = other
            .belongs
            .iter()
            .filter(|r| r.targets.contains(&id))
            .map(|r| r.name.as_str());
        match other.relation(&phrase.via.it) {
            None => errors.push(
                Diagnostic::at(
                    phrase.via.span,
                    format!("`{}` has no relation `{}`", other.name, phrase.via.it),
                )
                .help(names::suggest(
                    &phrase.via.it,
                    back,
                    "relations back to this entity",
                )),
            ),
            Some(relation) if !relation.targets.contains(&id) => errors.push(
                Diagnostic::at(
                    phrase.via.span,
                    format!(
                        "`{}` of `{}` does not lead to `{}`",
                        phrase.via.it, other.name, model.entities[id].name
                    ),
                )
                .help(names::suggest(
                    &phrase.via.it,
                    back,
                    "relations back to this entity",
                )),
            ),
            Some(_) => has.push(Has {
                name: name.it.clone(),
                child,
                via: phrase.via.it.clone(),
                create_with: phrase.create_with.as_ref().map(|max| {
                    let modifier = format!("{} create with", name.it);
                    places.put(id, Part::Modifier, &modifier, max.span);
                    u32::try_from(max.it).unwrap_or(u32::MAX)
                }),
            }),
        }
    }
    model.entities[id].has = has;
}

/// The relations that refer to exactly one row of the identity entity.
pub fn identity_relations(model: &Model, entity: EntityId) -> impl Iterator<Item = &str> {
    model.entities[entity]
        .belongs
        .iter()
        .filter(|r| !r.polymorphic && r.targets == [model.identity])
        .map(|r| r.name.as_str())
}

/// A relation whose modifiers have not been applied yet.
fn plain(name: &Word, phrase: &RelationPhrase, targets: Vec<EntityId>) -> Relation {
    Relation {
        name: name.it.clone(),
        targets,
        polymorphic: phrase.polymorphic,
        optional: phrase.optional,
        same: Vec::new(),
        on_archive: OnArchive::Restrict,
        on_end: None,
        movable: false,
        set_me: false,
        set_session: false,
        system: false,
        unique: false,
        filter: false,
        hidden: false,
        consents: false,
        read: None,
        was: None,
        doc: None,
    }
}

fn modify(relation: &mut Relation, modifier: &RelationModifier) {
    match modifier {
        RelationModifier::Same(same) => relation.same.push(same.it.clone()),
        RelationModifier::OnArchive(what) => relation.on_archive = *what,
        RelationModifier::Movable => relation.movable = true,
        RelationModifier::OnEnd(OnEndPhrase::Archive) => relation.on_end = Some(OnEnd::Archive),
        RelationModifier::OnEnd(OnEndPhrase::Set(field)) => {
            relation.on_end = Some(OnEnd::Set(field.it.clone()));
        }
        RelationModifier::SetMe => relation.set_me = true,
        RelationModifier::SetSession => relation.set_session = true,
        RelationModifier::System => relation.system = true,
        RelationModifier::Unique => relation.unique = true,
        RelationModifier::Filter => relation.filter = true,
        RelationModifier::Hidden => relation.hidden = true,
        RelationModifier::Was(was) => relation.was = Some(was.it.clone()),
        RelationModifier::Doc(doc) => relation.doc = Some(doc.it.clone()),
        // Resolved in a later stage, in which all entities are known.
        RelationModifier::Read(_) => {}
    }
}

fn refuse_rule_word(name: &Word, errors: &Collector) {
    if names::is_generated_variable(&format!("{}_id", name.it)) {
        errors.push(
            Diagnostic::at(
                name.span,
                format!("the column `{}_id` reads like a parameter or variable of the generated functions", name.it),
            )
            .help("choose another name"),
        );
    }
    if names::is_rule_word(&name.it) {
        errors.push(
            Diagnostic::at(
                name.span,
                format!(
                    "`{}` can't be a relation: it is a word of the rule language",
                    name.it
                ),
            )
            .help("choose another name"),
        );
    }
}

fn refuse_again(
    before: &[At<RelationModifier>],
    modifier: &At<RelationModifier>,
    errors: &Collector,
) {
    let same = |m: &&At<RelationModifier>| match (&m.it, &modifier.it) {
        (RelationModifier::Same(a), RelationModifier::Same(b)) => a.it == b.it,
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    };
    if let Some(first) = before.iter().find(same) {
        errors.push(
            Diagnostic::at(modifier.span, "this modifier is here twice")
                .also(first.span, "first written here")
                .help("keep one of the two"),
        );
    }
}

fn refuse_unknown_same(lines: &Lines, name: &Word, same: &Word, errors: &Collector) {
    let known = lines.belongs.iter().map(|(n, _)| n.it.as_str());
    if !known.clone().any(|n| n == same.it) {
        let others = known.filter(|n| *n != name.it);
        errors.push(
            Diagnostic::at(
                same.span,
                format!("this entity has no relation `{}`", same.it),
            )
            .help(names::suggest(&same.it, others, "relations")),
        );
    }
}
