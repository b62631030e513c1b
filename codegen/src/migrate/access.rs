//! Changes of access: the actions of each entity that more, fewer or other callers may perform after the migration.
//!
//! Compares the rules of two models as logical formulas over the same questions (such as "the caller is its owner"). A
//! question that refers to another entity is compared in the same way with the rules of that entity. Knows no SQL.

mod grants;
mod meanings;

use super::hints::former;
use crate::emit::openapi::words::explain;
use crate::model::{
    Change, Entity, EntityId, Expr, Field, Literal, Memo, Model, OfWhat, Relation, Transition,
    Value,
};
use std::fmt;

/// One line of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessChange {
    /// `event: update`, `user: read of email`
    pub what: String,
    pub effect: Effect,
    pub before: String,
    pub after: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Same,
    Wider,
    Narrower,
    /// Some callers may who couldn't before, and others can't any more.
    Other,
}

impl fmt::Display for AccessChange {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let effect = match self.effect {
            Effect::Same => "means the same",
            Effect::Wider => "widened",
            Effect::Narrower => "narrowed",
            Effect::Other => "changed",
        };
        let Self {
            what,
            before,
            after,
            ..
        } = self;
        write!(f, "{what} {effect}: was {before}; now {after}")
    }
}

pub fn changes(old: &Model, new: &Model) -> Vec<AccessChange> {
    let known = Memo::default();
    let mut found = Vec::new();
    for (id, entity) in new.entities.iter().enumerate() {
        let was = former(entity, old, new).and_then(|was| old.entity(&was.name));
        let before = was.map_or_else(Vec::new, |(_, was)| actions(was));
        let after = actions(entity);
        let mut names: Vec<&String> = after.iter().map(|(name, _)| name).collect();
        names.extend(before.iter().map(|(name, _)| name));
        let mut lines: Vec<(String, Expr, Expr)> = Vec::new();
        for (n, name) in names.iter().enumerate() {
            if !names[..n].contains(name) {
                lines.push(((*name).clone(), rule(&before, name), rule(&after, name)));
            }
        }
        lines.extend(was.map_or_else(Vec::new, |(_, was)| fields(was, entity)));
        for (what, before, after) in lines {
            let before = Side {
                model: old,
                id: was.map_or(0, |(was, _)| was),
                rule: &before,
                known: &known,
            };
            let after = Side {
                model: new,
                id,
                rule: &after,
                known: &known,
            };
            found.extend(change(format!("{}: {what}", entity.name), before, after));
        }
    }
    found.extend(grants::changes(old, new, &known));
    found.extend(meanings::changes(old, new, &known));
    found
}

/// Actions and transitions that have a route, each with the rule that says who may perform it.
fn actions(entity: &Entity) -> Vec<(String, Expr)> {
    let access = &entity.access;
    let mut found = vec![("read", &access.read)];
    if entity.writable() {
        found.extend([
            ("create", &access.create),
            ("update", &access.update),
            ("delete", &access.delete),
            ("restore", &access.restore),
            ("suspend", &access.suspend),
        ]);
    }
    let found = found
        .into_iter()
        .filter_map(|(name, rule)| Some((name.to_owned(), rule.clone()?)));
    let verbs = entity.transitions.iter();
    found
        .chain(verbs.map(|verb| (verb.name.clone(), possible(verb))))
        .collect()
}

/// The whole condition of a transition: who may perform it (`by`), from which states, and `when`.
fn possible(verb: &Transition) -> Expr {
    let starts = match &verb.change {
        // One condition per state, so that an added state counts as wider access.
        Change::State { field, from, .. } => Some(Expr::Any(
            from.iter()
                .map(|state| Expr::In {
                    value: Value::Column(field.clone()),
                    list: vec![Literal::Text(state.clone())],
                })
                .collect(),
        )),
        Change::Set { .. } => None,
    };
    let parts = [verb.by.clone()].into_iter().chain(starts);
    Expr::All(parts.chain(verb.when.clone()).collect())
}

fn rule(rules: &[(String, Expr)], name: &str) -> Expr {
    let found = rules.iter().find(|(known, _)| known == name);
    found.map_or(Expr::Nobody, |(_, rule)| rule.clone())
}

/// Rules for reading and updating the fields and relations of a row: field, rule before, rule after. They only matter
/// to callers who may read or update the row itself.
fn fields(was: &Entity, entity: &Entity) -> Vec<(String, Expr, Expr)> {
    let open = |rule: &Option<Expr>| rule.clone().unwrap_or(Expr::Anyone);
    let written = |field: &Field| match field.system || field.fixed {
        true => Expr::Nobody,
        false => open(&field.write),
    };
    let mut found = Vec::new();
    for field in &entity.fields {
        let named = |name: &str| was.field(name);
        let Some(before) = named(&field.name).or_else(|| named(field.was.as_deref()?)) else {
            continue;
        };
        let name = &field.name;
        found.push((
            format!("read of {name}"),
            open(&before.read),
            open(&field.read),
        ));
        found.push((format!("update of {name}"), written(before), written(field)));
    }
    for relation in &entity.belongs {
        let named = |name: &str| was.relation(name);
        let before = named(&relation.name).or_else(|| named(relation.was.as_deref()?));
        if let Some(before) = before {
            let what = format!("read of {}", relation.name);
            found.push((what, open(&before.read), open(&relation.read)));
            for (what, chosen) in CHOSEN {
                let rule = |relation| match chosen(relation) {
                    true => Expr::Anyone,
                    false => Expr::Nobody,
                };
                let what = format!("{what} of {}", relation.name);
                found.push((what, rule(before), rule(relation)));
            }
        }
    }
    found
}

type Chosen = fn(&Relation) -> bool;

/// Whether the caller who creates or updates a row chooses the row that its relation refers to.
const CHOSEN: [(&str, Chosen); 2] = [
    ("choice", |r| !r.of_caller() && !r.system),
    ("change", |r| r.movable && !r.of_caller() && !r.system),
];

/// A rule together with the model and the entity that it belongs to.
#[derive(Clone, Copy)]
struct Side<'a> {
    model: &'a Model,
    id: EntityId,
    rule: &'a Expr,
    /// Effects found so far in this comparison of two models, since many rules may refer to the same other rule.
    known: &'a Memo,
}

impl Side<'_> {
    fn told(&self) -> String {
        explain(self.model, self.id, self.rule).inline()
    }
}

fn change(what: String, before: Side, after: Side) -> Option<AccessChange> {
    let effect = effect(before, after, DEPTH_MAX);
    (effect != Effect::Same).then(|| AccessChange {
        what,
        effect,
        before: before.told(),
        after: after.told(),
    })
}

/// The number of references to other entities (`of` within `of`) that are followed; beyond it, rules are compared as
/// text.
const DEPTH_MAX: usize = 4;

/// The number of questions up to which all combinations of answers are tried.
const QUESTIONS_MAX: usize = 14;

fn effect(before: Side, after: Side, depth: usize) -> Effect {
    if before.told() == after.told() {
        return Effect::Same;
    }
    let mut questions = Questions::default();
    let old = questions.tree(before, false);
    let new = questions.tree(after, true);
    if questions.asked.len() > QUESTIONS_MAX {
        return Effect::Other;
    }
    let implied = questions.implied(depth);
    let (mut wider, mut narrower) = (false, false);
    for world in 0..1_u32 << questions.asked.len() {
        let holds = |n: usize| world >> n & 1 == 1;
        if implied
            .iter()
            .any(|(one, other)| holds(*one) && !holds(*other))
        {
            continue;
        }
        match (old.holds(&holds), new.holds(&holds)) {
            (false, true) => wider = true,
            (true, false) => narrower = true,
            _ => {}
        }
    }
    match (wider, narrower) {
        (false, false) => Effect::Same,
        (true, false) => Effect::Wider,
        (false, true) => Effect::Narrower,
        (true, true) => Effect::Other,
    }
}

/// A logical formula over numbered questions.
enum Tree {
    Always(bool),
    Question(usize),
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
}

impl Tree {
    fn holds(&self, world: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Tree::Always(holds) => *holds,
            Tree::Question(n) => world(*n),
            Tree::All(parts) => parts.iter().all(|part| part.holds(world)),
            Tree::Any(parts) => parts.iter().any(|part| part.holds(world)),
            Tree::Not(part) => !part.holds(world),
        }
    }
}

#[derive(Default)]
struct Questions<'a> {
    asked: Vec<Question<'a>>,
}

struct Question<'a> {
    /// The question with all conditions that it refers to written out: equal text means the same question.
    whole: String,
    /// The question as the spec words it, without the conditions that it refers to.
    short: String,
    asked_by: Side<'a>,
    is_new: bool,
}

impl<'a> Questions<'a> {
    fn tree(&mut self, side: Side<'a>, is_new: bool) -> Tree {
        let part = |rule| Side { rule, ..side };
        match side.rule {
            Expr::Anyone => Tree::Always(true),
            Expr::Nobody => Tree::Always(false),
            Expr::All(parts) => {
                Tree::All(parts.iter().map(|p| self.tree(part(p), is_new)).collect())
            }
            Expr::Any(parts) => {
                Tree::Any(parts.iter().map(|p| self.tree(part(p), is_new)).collect())
            }
            Expr::Not(inner) => Tree::Not(Box::new(self.tree(part(inner), is_new))),
            Expr::Condition(index) => {
                let condition = &side.model.entities[side.id].conditions[*index];
                self.tree(part(&condition.expr), is_new)
            }
            _ => Tree::Question(self.number(side, is_new)),
        }
    }

    fn number(&mut self, side: Side<'a>, is_new: bool) -> usize {
        let whole = side.told();
        if let Some(known) = self.asked.iter().position(|q| q.whole == whole) {
            return known;
        }
        self.asked.push(Question {
            whole,
            short: explain(side.model, side.id, side.rule).rule,
            asked_by: side,
            is_new,
        });
        self.asked.len() - 1
    }

    /// Pairs of questions of which the first implies the second: a caller who is somebody in particular has signed in,
    /// and a condition of another entity that became wider is implied by its narrower form.
    fn implied(&self, depth: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (n, one) in self.asked.iter().enumerate() {
            for (m, other) in self.asked.iter().enumerate() {
                if names_caller(one.asked_by.rule) && *other.asked_by.rule == Expr::SignedIn {
                    found.push((n, m));
                }
                if depth == 0 || one.is_new || !other.is_new || one.short != other.short {
                    continue;
                }
                match effect_of_targets(one.asked_by, other.asked_by, depth - 1) {
                    Effect::Wider => found.push((n, m)),
                    Effect::Narrower => found.push((m, n)),
                    Effect::Same => found.extend([(n, m), (m, n)]),
                    Effect::Other => {}
                }
            }
        }
        found
    }
}

fn names_caller(rule: &Expr) -> bool {
    matches!(
        rule,
        Expr::MeIs { .. }
            | Expr::MeIsThis
            | Expr::MeHolds { .. }
            | Expr::MeHoldsOf { .. }
            | Expr::MeIn { .. }
            | Expr::MeOutranks { .. }
    )
}

/// The effect of changed rules of other entities on `x of relation`, provided that it leads to the same entities
/// before and after.
fn effect_of_targets(before: Side, after: Side, depth: usize) -> Effect {
    let (Expr::Of { what: old, .. }, Expr::Of { what: new, .. }) = (before.rule, after.rule) else {
        return Effect::Other;
    };
    let name = |side: Side, id: EntityId| side.model.entities[id].name.clone();
    let mut effects = Vec::new();
    for (id, what) in old {
        let same = new
            .iter()
            .find(|(other, _)| name(before, *id) == name(after, *other));
        let (Some((other, other_what)), true) = (same, old.len() == new.len()) else {
            return Effect::Other;
        };
        let (nobody, pairs) = (
            Expr::Nobody,
            [(what, other_what), (&OfWhat::Read, &OfWhat::Read)],
        );
        for (what, other_what) in pairs {
            let one = Side {
                id: *id,
                rule: named(before.model, *id, what).unwrap_or(&nobody),
                ..before
            };
            let two = Side {
                id: *other,
                rule: named(after.model, *other, other_what).unwrap_or(&nobody),
                ..after
            };
            let key = (
                "effect",
                depth * 1_000 + number_of(what),
                *other,
                other_what.clone(),
            );
            let find = || effect(one, two, depth);
            effects.push(after.known.once(key, Effect::Other, find));
        }
    }
    effects
        .into_iter()
        .fold(Effect::Same, |all, one| match (all, one) {
            (Effect::Same, one) => one,
            (all, Effect::Same) => all,
            (all, one) if all == one => all,
            _ => Effect::Other,
        })
}

/// A number for each rule of the old entity that can be compared, used in the key of the memo.
fn number_of(what: &OfWhat) -> usize {
    match what {
        OfWhat::Read => 0,
        OfWhat::Update => 1,
        OfWhat::Delete => 2,
        OfWhat::Condition(index) => 3 + index,
    }
}

fn named<'m>(model: &'m Model, id: EntityId, what: &OfWhat) -> Option<&'m Expr> {
    let entity = &model.entities[id];
    match what {
        OfWhat::Read => entity.access.read.as_ref(),
        OfWhat::Update => entity.access.update.as_ref(),
        OfWhat::Delete => entity.access.delete.as_ref(),
        OfWhat::Condition(index) => Some(&entity.conditions[*index].expr),
    }
}
