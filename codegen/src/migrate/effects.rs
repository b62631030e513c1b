//! What the triggers of the new schema demand of a statement that the running version makes without knowing of it.
//!
//! The guard of a table refuses a transition that doesn't set exactly what the spec says, and a transition without the
//! reason that it asks for. The version that is still running sets what the spec said before. A new `keep` is a refusal
//! that it doesn't know, and so are a time that has to be in the future and a quota. A transition that is gone is refused,
//! and a slug that no trigger makes any more is missing. Compares two models; knows no SQL
//! beyond the names of triggers and their functions.

use std::collections::BTreeSet;

use super::access::{AccessChange, Effect};
use super::hints::{former, table};
use crate::emit::schema::names;
use crate::model::{
    Assigned, Change, Entity, Field, Future, Keep, Literal, Model, Set, Transition, Ty,
};

/// Names of trigger functions, triggers and policies that refuse statements of the running version, and of triggers
/// without which they fail. Expects the old model with the new names
/// of renamed values, as [`changes`] does.
pub fn refusing(old: &Model, new: &Model) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (was, entity) in both(old, new) {
        if transitions(was, entity).any(|(before, after)| refuses(entity, before, after)) {
            found.insert(format!("{}_guard", table(entity)));
        }
        let known = |keep: &Keep| {
            (was.keeps.iter()).any(|k| (&k.per, &k.filter) == (&keep.per, &keep.filter))
        };
        found.extend(new_limits(was, entity));
        found.extend(lost_transitions(was, entity));
        found.extend(lost_slugs(was, entity));
        if narrower_quota(was, entity) {
            found.insert(format!("{}.{}", table(entity), names::quota(entity)));
        }
        let added = entity.keeps.iter().filter(|keep| !known(keep));
        for keep in added {
            found.insert(format!("{}_keep", table(entity)));
            if keep.per.is_none() {
                let identity = &new.entities[new.identity];
                found.insert(format!("{}_keep_holders", table(identity)));
            }
        }
    }
    found
}

/// A line of the plan for each transition that has another effect or asks for a reason from now on, for each time that
/// has to be in the future from now on or no longer has to, and for each other quota.
pub fn changes(old: &Model, new: &Model) -> Vec<AccessChange> {
    let mut found = Vec::new();
    for (was, entity) in both(old, new) {
        if was.quota != entity.quota {
            found.push(AccessChange {
                what: format!("{}: rows that one member creates", entity.name),
                effect: match narrower_quota(was, entity) {
                    true => Effect::Narrower,
                    false => Effect::Wider,
                },
                before: a_day(was.quota),
                after: a_day(entity.quota),
            });
        }
        for (before, after) in kept_fields(was, entity) {
            if before.future != after.future {
                found.push(AccessChange {
                    what: format!("{}: values of {}", entity.name, after.name),
                    effect: match (before.future, after.future) {
                        (None, _) | (Some(Future::OnCreate), Some(_)) => Effect::Narrower,
                        _ => Effect::Wider,
                    },
                    before: limit(before.future).to_owned(),
                    after: limit(after.future).to_owned(),
                });
            }
        }
        for (before, after) in transitions(was, entity) {
            if refuses(entity, before, after) {
                found.push(AccessChange {
                    what: format!("{}: effect of {}", entity.name, after.name),
                    effect: Effect::Other,
                    before: told(&Demand::of(entity, before)),
                    after: told(&Demand::of(entity, after)),
                });
            }
        }
    }
    found
}

/// Triggers of `future` that the table gets, for fields that the running version gives past times to.
fn new_limits(was: &Entity, entity: &Entity) -> Vec<String> {
    let mut found = Vec::new();
    if !entity.writable() {
        return found;
    }
    for (before, field) in kept_fields(was, entity) {
        let mut limit = |name: String| found.push(format!("{}.{name}", table(entity)));
        if field.future.is_some() && before.future.is_none() {
            limit(names::future_when_created(entity, &field.name));
        }
        if field.future == Some(Future::Always) && before.future != field.future {
            limit(names::future(entity, &field.name));
        }
    }
    found
}

/// The guard and the policy of updates, if they no longer know a transition that the running version makes.
fn lost_transitions(was: &Entity, entity: &Entity) -> Vec<String> {
    let stays = |name: &str| entity.transitions.iter().any(|after| after.name == name);
    if was.transitions.iter().all(|before| stays(&before.name)) {
        return Vec::new();
    }
    let own = table(entity);
    vec![
        format!("{own}_guard"),
        format!("{own}.{}_update", entity.plural),
    ]
}

/// The triggers that made the slugs which the running version leaves to the database.
fn lost_slugs(was: &Entity, entity: &Entity) -> Vec<String> {
    let made = |ty: &Ty| matches!(ty, Ty::Slug { from: Some(_) });
    let lost = kept_fields(was, entity).filter(|(before, after)| {
        made(&before.ty) && !made(&after.ty) && !after.optional && after.default.is_none()
    });
    lost.map(|(before, _)| format!("{}.{}_{}", table(was), was.plural, before.name))
        .collect()
}

/// The version before doesn't know the error of a quota that is new, and promises its clients more than a lower one
/// allows.
fn narrower_quota(was: &Entity, entity: &Entity) -> bool {
    match (was.quota, entity.quota) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(before), Some(after)) => after < before,
    }
}

/// The fields that both versions have, the earlier one first.
fn kept_fields<'m>(
    was: &'m Entity,
    entity: &'m Entity,
) -> impl Iterator<Item = (&'m Field, &'m Field)> {
    entity.fields.iter().filter_map(|field| {
        let former = field
            .was
            .as_deref()
            .and_then(|was_name| was.field(was_name));
        let before = was.field(&field.name).or(former)?;
        Some((before, field))
    })
}

fn both<'m>(old: &'m Model, new: &'m Model) -> impl Iterator<Item = (&'m Entity, &'m Entity)> {
    let pair = |entity| Some((former(entity, old, new)?, entity));
    new.entities.iter().filter_map(pair)
}

fn transitions<'m>(
    was: &'m Entity,
    entity: &'m Entity,
) -> impl Iterator<Item = (&'m Transition, &'m Transition)> {
    entity.transitions.iter().filter_map(|after| {
        let before = was.transitions.iter().find(|t| t.name == after.name)?;
        Some((before, after))
    })
}

/// A reason that is no longer asked for refuses nothing.
fn refuses(entity: &Entity, before: &Transition, after: &Transition) -> bool {
    let (had, has) = (Demand::of(entity, before), Demand::of(entity, after));
    had.sets != has.sets || (has.reason && !had.reason)
}

/// What the guard demands of the statement of a transition.
struct Demand {
    /// Column → value as text, the change of state included.
    sets: BTreeSet<(String, String)>,
    reason: bool,
}

impl Demand {
    /// Columns have their names of the new model.
    fn of(entity: &Entity, transition: &Transition) -> Demand {
        let mut sets: BTreeSet<(String, String)> = transition
            .sets()
            .map(|Set { column, value }| (renamed(entity, column), assigned(value)))
            .collect();
        if let Change::State { field, to, .. } = &transition.change {
            sets.insert((renamed(entity, field), to.clone()));
        }
        Demand {
            sets,
            reason: transition.reason,
        }
    }
}

fn renamed(entity: &Entity, column: &str) -> String {
    if entity.field(column).is_some() {
        return column.to_owned();
    }
    let fields = (entity.fields.iter()).map(|f| (f.was.clone(), f.name.clone()));
    let relations = entity.belongs.iter().map(|r| {
        let was = r.was.as_ref().map(|was| format!("{was}_id"));
        (was, r.id_column())
    });
    let mut names = fields.chain(relations);
    let found = names.find(|(was, _)| was.as_deref() == Some(column));
    found.map_or_else(|| column.to_owned(), |(_, name)| name)
}

fn assigned(value: &Assigned) -> String {
    match value {
        Assigned::Me => "me".to_owned(),
        Assigned::Value(Literal::Null) => "null".to_owned(),
        Assigned::Value(Literal::Bool(value)) => value.to_string(),
        Assigned::Value(Literal::Int(value)) => value.to_string(),
        Assigned::Value(Literal::Decimal(text) | Literal::Text(text)) => text.clone(),
        Assigned::Value(Literal::Now | Literal::Today) => "now()".to_owned(),
    }
}

fn limit(future: Option<Future>) -> &'static str {
    match future {
        None => "any time",
        Some(Future::Always) => "future",
        Some(Future::OnCreate) => "future on create",
    }
}

fn a_day(quota: Option<u32>) -> String {
    quota.map_or_else(|| "any number".to_owned(), |n| format!("{n} a day"))
}

fn told(demand: &Demand) -> String {
    let sets = demand
        .sets
        .iter()
        .map(|(column, value)| format!("{column} = {value}"));
    let reason = demand.reason.then(|| "reason".to_owned());
    sets.chain(reason).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Expr;

    fn set(column: &str, value: Literal) -> Set {
        Set {
            column: column.to_owned(),
            value: Assigned::Value(value),
        }
    }

    fn go() -> Transition {
        Transition {
            name: "go".to_owned(),
            change: Change::State {
                field: "state".to_owned(),
                from: vec!["a".to_owned()],
                to: "b".to_owned(),
            },
            sets: vec![set("k", Literal::Int(1)), set("n", Literal::Null)],
            by: Expr::SignedIn,
            when: None,
            reason: false,
        }
    }

    /// Each word of a transition is added, removed or changed; those that the guard checks of the statement refuse the
    /// running version.
    #[test]
    fn each_word_that_the_guard_demands_refuses_the_version_before() {
        let model = of_this_project();
        let entity = &model.entities[0];
        let changed = |change: &dyn Fn(&mut Transition)| {
            let mut other = go();
            change(&mut other);
            other
        };
        let to = |state: &str| Change::State {
            field: "state".to_owned(),
            from: vec!["a".to_owned()],
            to: state.to_owned(),
        };
        let refused = [
            changed(&|t| t.change = to("c")),
            changed(&|t| t.change = Change::Set(set("k", Literal::Int(1)))),
            changed(&|t| t.sets[0] = set("k", Literal::Int(2))),
            changed(&|t| t.sets[1] = set("n", Literal::Now)),
            changed(&|t| t.sets[1].value = Assigned::Me),
            changed(&|t| t.sets[0].column = "j".to_owned()),
            changed(&|t| t.sets.push(set("d", Literal::Bool(true)))),
            changed(&|t| drop(t.sets.pop())),
        ];
        for other in &refused {
            assert!(refuses(entity, &go(), other), "{other:?}");
            assert!(refuses(entity, other, &go()), "{other:?}");
        }
        let asks = changed(&|t| t.reason = true);
        assert!(refuses(entity, &go(), &asks));
        assert!(!refuses(entity, &asks, &go()));
        // Rules of who may do it and when are compared elsewhere, and the order of what is set means nothing.
        for other in [
            changed(&|t| t.by = Expr::Anyone),
            changed(&|t| t.when = Some(Expr::Anyone)),
            changed(&|t| t.sets.reverse()),
        ] {
            assert!(!refuses(entity, &go(), &other), "{other:?}");
        }
    }

    fn of_this_project() -> Model {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        crate::load(&root).unwrap_or_else(|said| panic!("{said}"))
    }

    /// Of each transition of the project's own spec.
    #[test]
    fn the_plan_tells_a_changed_effect_and_names_the_guard() {
        let new = of_this_project();
        assert!(refusing(&new, &new).is_empty());
        assert!(changes(&new, &new).is_empty());
        let mut old = new.clone();
        let mut expected = BTreeSet::new();
        for entity in &mut old.entities {
            let guard = format!("{}_guard", table(entity));
            for transition in &mut entity.transitions {
                transition.sets.push(set("other", Literal::Int(1)));
                expected.insert(guard.clone());
            }
        }
        assert!(!expected.is_empty());
        assert_eq!(refusing(&old, &new), expected);
        let told = changes(&old, &new);
        assert!(told.iter().all(|line| line.before.contains("other = 1")));
        assert!(told.iter().all(|line| !line.after.contains("other = 1")));
    }

    #[test]
    fn a_keep_that_is_new_or_changed_refuses_the_version_before() {
        let new = of_this_project();
        let keeping = |e: &&mut Entity| !e.keeps.is_empty();
        let mut without = new.clone();
        let entity = without.entities.iter_mut().find(keeping).expect("a keep");
        let function = format!("{}_keep", table(entity));
        entity.keeps.clear();
        assert!(refusing(&without, &new).contains(&function));
        assert!(!refusing(&new, &without).contains(&function));
        let mut other = new.clone();
        let entity = other.entities.iter_mut().find(keeping).expect("a keep");
        entity.keeps[0].filter = Some(Expr::Anyone);
        assert!(refusing(&other, &new).contains(&function));
        let mut reworded = new.clone();
        let entity = reworded.entities.iter_mut().find(keeping).expect("a keep");
        entity.keeps[0].doc = Some("Another sentence.".to_owned());
        assert!(refusing(&reworded, &new).is_empty());
    }
}
