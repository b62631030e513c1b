//! Access rules in words, and their result for each kind of caller.
//!
//! Reads the same expressions that become database policies, so the document can't promise anything else. Knows no
//! JSON.

use crate::model::{ENDED_BY, Entity, EntityId, Expr, Has, Literal, Model, OfWhat, Op, Value};

/// A rule in words, with the named conditions that it uses.
pub struct Words {
    pub rule: String,
    /// Name and meaning of each condition, once, in the order of first use.
    pub conditions: Vec<(String, String)>,
}

impl Words {
    /// The rule and its conditions on one line, for a note on a field.
    pub fn inline(&self) -> String {
        let meanings: Vec<String> = self
            .conditions
            .iter()
            .map(|(name, text)| format!("`{name}`: {text}"))
            .collect();
        if meanings.is_empty() {
            self.rule.clone()
        } else {
            format!("{}, with {}", self.rule, meanings.join("; "))
        }
    }
}

/// A kind of caller who has nothing else that rules could ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    Anonymous,
    SignedIn,
    /// Index into `Model::roles`.
    Role(usize),
}

/// Whether a kind of caller may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    Yes,
    No,
    /// It depends on the row and on the caller's relation to it.
    Depends,
}

impl May {
    pub fn as_str(self) -> &'static str {
        match self {
            May::Yes => "yes",
            May::No => "no",
            May::Depends => "depends",
        }
    }

    /// The result if two rules must both hold.
    pub fn and(self, other: Self) -> Self {
        strictest([self, other].into_iter())
    }
}

/// All kinds of caller with the name the document uses.
pub fn callers(model: &Model) -> Vec<(String, Caller)> {
    let mut all = vec![
        ("anonymous".to_owned(), Caller::Anonymous),
        ("signed in".to_owned(), Caller::SignedIn),
    ];
    all.extend(
        model
            .roles
            .iter()
            .enumerate()
            .map(|(i, role)| (role.name.clone(), Caller::Role(i))),
    );
    all
}

pub fn explain(model: &Model, entity: EntityId, rule: &Expr) -> Words {
    let mut teller = Teller {
        model,
        conditions: Vec::new(),
    };
    let rule = teller.tell(entity, rule, false);
    Words {
        rule,
        conditions: teller.conditions,
    }
}

pub fn may(model: &Model, id: EntityId, rule: &Expr, caller: Caller) -> May {
    let entity = &model.entities[id];
    let again = |rule: &Expr| may(model, id, rule, caller);
    match rule {
        Expr::Anyone => May::Yes,
        Expr::Nobody => May::No,
        Expr::SignedIn if caller == Caller::Anonymous => May::No,
        Expr::SignedIn => May::Yes,
        Expr::All(parts) => strictest(parts.iter().map(again)),
        Expr::Any(parts) => not(strictest(parts.iter().map(|part| not(again(part))))),
        // Facts about an anonymous caller are unknown, and the negation of something unknown doesn't hold either, so
        // `not` never yields a certain yes.
        Expr::Not(inner) if caller == Caller::Anonymous => match again(inner) {
            May::Yes => May::No,
            _ => May::Depends,
        },
        Expr::Not(inner) => not(again(inner)),
        Expr::Condition(i) => may_named(model, id, &OfWhat::Condition(*i), caller),
        Expr::Of { relation, what } => {
            let targets = &entity.belongs[*relation].targets;
            let all_targets = what.is_empty();
            let reachable = targets.iter().any(|target| {
                let what = what
                    .iter()
                    .find(|(id, _)| id == target)
                    .map(|(_, what)| what);
                match what {
                    None => all_targets,
                    Some(what) => may_named(model, *target, what, caller) != May::No,
                }
            });
            if reachable { May::Depends } else { May::No }
        }
        Expr::MeIs { .. } | Expr::MeIsThis | Expr::MeIn { .. } | Expr::MeOutranks { .. }
            if caller == Caller::Anonymous =>
        {
            May::No
        }
        Expr::MeHolds { role } if caller == Caller::Role(*role) => May::Yes,
        Expr::MeHolds { .. } => May::No,
        Expr::MeHoldsOf { role, .. } if caller != Caller::Role(*role) => May::No,
        _ => May::Depends,
    }
}

struct Teller<'a> {
    model: &'a Model,
    conditions: Vec<(String, String)>,
}

impl Teller<'_> {
    /// The rule in words. `inner`: parts joined by "or" get parentheses.
    fn tell(&mut self, id: EntityId, rule: &Expr, inner: bool) -> String {
        let model = self.model;
        let entity = &model.entities[id];
        match rule {
            Expr::Anyone => "anyone".to_owned(),
            Expr::SignedIn => "anyone signed in".to_owned(),
            Expr::Nobody => "nobody".to_owned(),
            Expr::All(parts) => self.join(id, parts, " and ", inner),
            Expr::Any(parts) => self.join(id, parts, " or ", inner),
            Expr::Not(what) => self.tell_not(id, what),
            Expr::Condition(i) => {
                let condition = &entity.conditions[*i];
                self.note(
                    id,
                    &condition.name,
                    &condition.expr,
                    format!("`{}`", condition.name),
                )
            }
            Expr::Of { relation, what } => self.tell_of(entity, *relation, what),
            Expr::MeIs { relation } => {
                format!("the caller is the `{}`", entity.belongs[*relation].name)
            }
            Expr::MeIsThis => format!("the caller is this {}", spaced(&entity.name)),
            Expr::MeHolds { role } => format!("the caller holds `{}`", model.roles[*role].name),
            Expr::MeHoldsOf { role, relation } => {
                let of = match relation {
                    Some(relation) => format!("the `{}`", entity.belongs[*relation].name),
                    None => format!("this {}", spaced(&entity.name)),
                };
                format!("the caller holds `{}` of {of}", model.roles[*role].name)
            }
            Expr::MeIn { has, me, filter } => {
                self.tell_me_in(&entity.has[*has], me, filter.as_deref())
            }
            Expr::MeOutranks { relation, of } => {
                let who = match relation {
                    Some(relation) => format!("the `{}`", entity.belongs[*relation].name),
                    None => format!("this {}", spaced(&entity.name)),
                };
                let of = of.map_or(String::new(), |of| {
                    format!(" of the `{}`", entity.belongs[of].name)
                });
                format!("the caller is not {who} and could give every role{of} that {who} holds")
            }
            Expr::Compare { left, op, right } => format!(
                "{} {} {}",
                tell_value(left),
                tell_op(*op),
                tell_value(right)
            ),
            Expr::In { value, list } => {
                let list: Vec<String> = list.iter().map(tell_literal).collect();
                format!("{} is one of {}", tell_value(value), list.join(", "))
            }
            Expr::IsNull(value) => format!("{} is empty", tell_value(value)),
            Expr::Flag(name) => match ended_by(name) {
                Some(person) => format!("the `{person}` archived it"),
                None => format!("`{name}` is set"),
            },
        }
    }

    fn tell_not(&mut self, id: EntityId, what: &Expr) -> String {
        match what {
            Expr::IsNull(value) => format!("{} is set", tell_value(value)),
            Expr::Compare {
                left,
                op: Op::Eq,
                right,
            } => format!("{} is not {}", tell_value(left), tell_value(right)),
            Expr::Flag(name) => match ended_by(name) {
                Some(person) => format!("somebody else than the `{person}` archived it"),
                None => format!("`{name}` is not set"),
            },
            other => format!("not ({})", self.tell(id, other, false)),
        }
    }

    fn tell_me_in(&mut self, has: &Has, me: &str, filter: Option<&Expr>) -> String {
        let one = format!(
            "the caller is the `{me}` of one of its {}",
            spaced(&has.name)
        );
        let Some(filter) = filter else {
            return one;
        };
        let filter = self.tell(has.child, filter, false);
        let child = &self.model.entities[has.child];
        format!("{one} ({} where {filter})", article(&spaced(&child.name)))
    }

    fn join(&mut self, id: EntityId, parts: &[Expr], word: &str, inner: bool) -> String {
        let told: Vec<String> = parts
            .iter()
            .map(|part| self.tell(id, part, parts.len() > 1))
            .collect();
        let text = told.join(word);
        if inner && parts.len() > 1 {
            format!("({text})")
        } else {
            text
        }
    }

    fn tell_of(&mut self, entity: &Entity, relation: usize, what: &[(EntityId, OfWhat)]) -> String {
        let relation = &entity.belongs[relation].name;
        let Some((_, first)) = what.first() else {
            return format!("the `{relation}` is readable");
        };
        let word = match first {
            OfWhat::Read => return format!("the caller may read the `{relation}`"),
            OfWhat::Update => return format!("the caller may update the `{relation}`"),
            OfWhat::Delete => return format!("the caller may archive the `{relation}`"),
            OfWhat::Condition(_) => {
                for (target, what) in what {
                    let OfWhat::Condition(i) = what else { continue };
                    let target_entity = &self.model.entities[*target];
                    let condition = &target_entity.conditions[*i];
                    let name = format!(
                        "{} of {}",
                        condition.name,
                        article(&spaced(&target_entity.name))
                    );
                    self.note(*target, &name, &condition.expr, String::new());
                }
                let (target, OfWhat::Condition(i)) = &what[0] else {
                    unreachable!("matched above")
                };
                &self.model.entities[*target].conditions[*i].name
            }
        };
        format!("`{word}` of the `{relation}`")
    }

    /// Records the meaning of a named condition, once, and before the conditions that it uses itself. Returns `word`.
    fn note(&mut self, id: EntityId, name: &str, expr: &Expr, word: String) -> String {
        if !self.conditions.iter().any(|(known, _)| known == name) {
            let at = self.conditions.len();
            self.conditions.push((name.to_owned(), String::new()));
            self.conditions[at].1 = self.tell(id, expr, false);
        }
        word
    }
}

/// `ticket_type` → `ticket type`
pub fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

/// `event` → `an event`; no `an` before `u`, which sounds like a consonant in "user" and the like.
pub fn article(noun: &str) -> String {
    let an = noun.starts_with(['a', 'e', 'i', 'o']);
    format!("{} {noun}", if an { "an" } else { "a" })
}

/// Like [`may`], for a rule by its name. The result is remembered, because many rules lead to the same rule of another
/// entity.
fn may_named(model: &Model, id: EntityId, what: &OfWhat, caller: Caller) -> May {
    let variant = match caller {
        Caller::Anonymous => 0,
        Caller::SignedIn => 1,
        Caller::Role(role) => 2 + role,
    };
    let find = || match target_rule(model, id, what) {
        Some(rule) => may(model, id, rule, caller),
        None => May::No,
    };
    let key = ("may", variant, id, what.clone());
    model.memo.once(key, May::Depends, find)
}

fn strictest(all: impl Iterator<Item = May>) -> May {
    all.fold(May::Yes, |so_far, one| match (so_far, one) {
        (May::No, _) | (_, May::No) => May::No,
        (May::Yes, May::Yes) => May::Yes,
        _ => May::Depends,
    })
}

fn not(may: May) -> May {
    match may {
        May::Yes => May::No,
        May::No => May::Yes,
        May::Depends => May::Depends,
    }
}

fn target_rule<'a>(model: &'a Model, target: EntityId, what: &OfWhat) -> Option<&'a Expr> {
    let entity = &model.entities[target];
    match what {
        OfWhat::Condition(i) => Some(&entity.conditions[*i].expr),
        OfWhat::Read => entity.access.read.as_ref(),
        OfWhat::Update => entity.access.update.as_ref(),
        OfWhat::Delete => entity.access.delete.as_ref(),
    }
}

/// The relation of a flag that records who ended a row. Such a flag is a column of the database, but no property of
/// the API.
fn ended_by(flag: &str) -> Option<&str> {
    flag.strip_prefix(ENDED_BY)
}

fn tell_op(op: Op) -> &'static str {
    match op {
        Op::Eq => "is",
        Op::Ne => "is not",
        Op::Lt => "<",
        Op::Le => "≤",
        Op::Gt => ">",
        Op::Ge => "≥",
    }
}

fn tell_value(value: &Value) -> String {
    match value {
        Value::Column(name) => format!("`{name}`"),
        Value::Related { relation, column } => format!("`{column}` of `{relation}`"),
        Value::Literal(literal) => tell_literal(literal),
        Value::Add(a, b) => format!("{} + {}", tell_value(a), tell_value(b)),
        Value::Sub(a, b) => format!("{} − {}", tell_value(a), tell_value(b)),
    }
}

fn tell_literal(literal: &Literal) -> String {
    match literal {
        Literal::Null => "empty".to_owned(),
        Literal::Bool(value) => format!("`{value}`"),
        Literal::Int(value) => format!("`{value}`"),
        Literal::Decimal(value) => format!("`{value}`"),
        Literal::Text(value) => format!("`{value}`"),
        Literal::Now => "now".to_owned(),
        Literal::Today => "today".to_owned(),
    }
}
