//! Refuses changes after which no value that exists means anything: a reference that leads to another entity, and a
//! choice of words in a column of numbers, dates or booleans. Each row would violate a constraint, and the migration
//! would fail between its two halves.

use super::hints::{former, states};
use super::refuse::{Models, Refusal};
use crate::model::{Entity, Relation, Ty};

pub fn lost(models: &Models) -> Vec<Refusal> {
    let mut found = Vec::new();
    for entity in &models.new.entities {
        let Some(was) = former(entity, models.old, models.new) else {
            continue;
        };
        found.extend(fields(models, was, entity));
        found.extend(relations(models, was, entity));
    }
    found
}

fn fields(models: &Models, was: &Entity, entity: &Entity) -> Vec<Refusal> {
    let mut found = Vec::new();
    for field in &entity.fields {
        let before = field.was.as_deref().and_then(|name| was.field(name));
        let Some(before) = before.or_else(|| was.field(&field.name)) else {
            continue;
        };
        let takes_words = matches!(field.ty, Ty::Enum { .. } | Ty::States { .. });
        // Other types are refused because their text may differ.
        let holds_no_words = matches!(
            before.ty,
            Ty::Bool
                | Ty::Int { .. }
                | Ty::Bigint { .. }
                | Ty::Money { .. }
                | Ty::Date
                | Ty::Uuid
                | Ty::Json
        );
        let path = format!("{}.{}", entity.name, field.name);
        if takes_words && holds_no_words && !states(models.old, models.new, &path) {
            let name = &field.name;
            found.push(Refusal {
                entity: Some(entity.name.clone()),
                field: Some(name.clone()),
                message: format!("no value of `{name}` that exists is one of these words"),
                help: format!(
                    "give the field another name, move the values, and write `{name}: drop` a release later"
                ),
            });
        }
    }
    found
}

fn relations(models: &Models, was: &Entity, entity: &Entity) -> Vec<Refusal> {
    let mut found = Vec::new();
    for relation in &entity.belongs {
        let before = relation.was.as_deref().and_then(|name| was.relation(name));
        let Some(before) = before.or_else(|| was.relation(&relation.name)) else {
            continue;
        };
        // Rows of `one of` say where they lead, and those that lead elsewhere are found.
        let [target] = before.targets[..] else {
            continue;
        };
        let old = &models.old.entities[target].name;
        if !before.polymorphic && !leads_to(models, relation, old) {
            let name = &relation.name;
            found.push(Refusal {
                entity: Some(entity.name.clone()),
                field: Some(name.clone()),
                message: format!("the rows that exist lead to `{old}`, and `{name}` does so no longer"),
                help: format!(
                    "give the relation another name, and write `{name}: drop`; if `{old}` is the same under a new name, write `was: {old}` in its file"
                ),
            });
        }
    }
    found
}

fn leads_to(models: &Models, relation: &Relation, old: &str) -> bool {
    relation.targets.iter().any(|target| {
        let target = &models.new.entities[*target];
        former(target, models.old, models.new).is_some_and(|was| was.name == old)
    })
}
