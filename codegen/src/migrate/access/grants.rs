//! Changes that affect access without being rules: which roles count, what modules may do, which role the creator of a
//! row gets, which values the audit log shows.

use super::{AccessChange, DEPTH_MAX, Effect, Side, effect, former};
use crate::model::{Entity, Expr, Field, Memo, Model, Module};
use std::collections::BTreeSet;

pub fn changes(old: &Model, new: &Model, known: &Memo) -> Vec<AccessChange> {
    let mut found: Vec<AccessChange> = counted(old, new, known).into_iter().collect();
    for module in &new.modules {
        let was = old.modules.iter().find(|was| was.name == module.name);
        for (what, of) in MODULES {
            let before = was.map_or_else(BTreeSet::new, |was| of(old, was));
            found.extend(sets(
                format!("module {}: {what}", module.name),
                &before,
                &of(new, module),
            ));
        }
    }
    for entity in &new.entities {
        let Some(was) = former(entity, old, new) else {
            continue;
        };
        let founder = |model: &Model, entity: &Entity| {
            let role = entity.creator.map(|role| model.roles[role].name.clone());
            role.into_iter().collect()
        };
        found.extend(sets(
            format!("{}: role of whoever creates one", entity.name),
            &founder(old, was),
            &founder(new, entity),
        ));
        found.extend(sets(
            format!("{}: values in the audit log", entity.name),
            &logged(was, entity),
            &logged(entity, was),
        ));
    }
    found
}

type Of = fn(&Model, &Module) -> BTreeSet<String>;

const MODULES: [(&str, Of); 3] = [
    ("reads", |model, module| {
        let reads = module.reads.iter();
        reads.map(|id| model.entities[*id].name.clone()).collect()
    }),
    ("writes", |model, module| {
        (module.writes.iter())
            .flat_map(|id| written(model, module, *id))
            .collect()
    }),
    ("jobs that requests may ask for", |_, module| {
        module.requested.iter().cloned().collect()
    }),
];

pub(super) fn sets(
    what: String,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) -> Option<AccessChange> {
    // A module that writes all of an entity covers each of its columns.
    let covers = |set: &BTreeSet<String>, word: &String| {
        let of = word.split([' ', '.']).nth(1).unwrap_or_default();
        set.contains(word) || set.contains(&format!("all of {of}"))
    };
    let more = after.iter().any(|word| !covers(before, word));
    let less = before.iter().any(|word| !covers(after, word));
    let effect = match (more, less) {
        (false, false) => return None,
        (true, false) => Effect::Wider,
        (false, true) => Effect::Narrower,
        (true, true) => Effect::Other,
    };
    let told = |set: &BTreeSet<String>| match set.is_empty() {
        true => "nothing".to_owned(),
        false => Vec::from_iter(set.iter().map(String::as_str)).join(", "),
    };
    Some(AccessChange {
        what,
        effect,
        before: told(before),
        after: told(after),
    })
}

/// Fields and relations of both entities whose values the audit log shows: those with a `read` rule are masked like redacted ones.
/// Fields that were added or removed don't change that.
fn logged(entity: &Entity, other: &Entity) -> BTreeSet<String> {
    let shown = |field: &&Field| !field.redact && field.read.is_none();
    let fields = entity.fields.iter().filter(shown);
    let names = fields.map(|field| field.name.clone());
    let relations = entity.belongs.iter().filter(|r| r.read.is_none());
    let related = relations.map(|relation| relation.name.clone());
    let names = names.filter(|name| other.field(name).is_some());
    names
        .chain(related.filter(|name| other.relation(name).is_some()))
        .collect()
}

/// The condition for a role assignment to count.
fn counted(old: &Model, new: &Model, known: &Memo) -> Option<AccessChange> {
    let anyone = Expr::Anyone;
    fn side<'a>(model: &'a Model, anyone: &'a Expr, known: &'a Memo) -> Side<'a> {
        Side {
            model,
            id: model.assignments,
            rule: model.counted.as_ref().unwrap_or(anyone),
            known,
        }
    }
    let (before, after) = (side(old, &anyone, known), side(new, &anyone, known));
    let effect = effect(before, after, DEPTH_MAX);
    let told = |side: Side| match side.rule {
        Expr::Anyone => "all".to_owned(),
        _ => side.told(),
    };
    (effect != Effect::Same).then(|| AccessChange {
        what: "roles that count".to_owned(),
        effect,
        before: told(before),
        after: told(after),
    })
}

fn written(model: &Model, module: &Module, id: usize) -> Vec<String> {
    let name = &model.entities[id].name;
    let Some(narrowed) = module.narrowed(id) else {
        return vec![format!("all of {name}")];
    };
    let of = |word: &str, columns: &[String]| -> Vec<String> {
        let named = columns.iter();
        named
            .map(|column| format!("{word} {name}.{column}"))
            .collect()
    };
    let made = narrowed.create.as_deref().unwrap_or_default();
    [of("create", made), of("update", &narrowed.update)].concat()
}
