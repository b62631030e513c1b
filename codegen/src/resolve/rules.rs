//! Rules: resolves conditions, roles and relations.

use super::exclusive::exclude;
use crate::diag::{Collector, Diagnostic, Span};
use crate::model::{EntityId, Expr, Field, Model, Ty};
use crate::names;
use crate::phrase::{Form, Rule, foreign};
use crate::spec::{ACTIONS, Spec};
use std::cell::RefCell;
use std::collections::HashSet;

/// What an expression is used for, which decides what it may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An access rule: everything is allowed.
    Access,
    /// Evaluated on the row at one moment: nothing about the caller.
    Moment,
    /// Like `Moment`, for a row that is about to change: related rows may be used, since they can be locked.
    When,
    /// Its result is stored: nothing about the caller, and no `now()`.
    Stored,
}

pub struct Resolver<'a> {
    pub model: &'a Model,
    pub errors: &'a Collector,
    spec: &'a Spec,
    used_conditions: RefCell<HashSet<(EntityId, usize)>>,
    used_roles: RefCell<HashSet<usize>>,
    /// Conditions from this index on are not resolved yet.
    limit: RefCell<Option<(EntityId, usize)>>,
}

impl<'a> Resolver<'a> {
    pub fn new(model: &'a Model, spec: &'a Spec, errors: &'a Collector) -> Resolver<'a> {
        Resolver {
            model,
            errors,
            spec,
            used_conditions: RefCell::default(),
            used_roles: RefCell::default(),
            limit: RefCell::default(),
        }
    }

    /// A condition: it may only name the ones before it.
    pub fn condition(&self, entity: EntityId, index: usize, rule: &Rule) -> Option<Expr> {
        *self.limit.borrow_mut() = Some((entity, index));
        let expr = self.rule(entity, rule, Kind::Access);
        *self.limit.borrow_mut() = None;
        expr
    }

    /// All errors are added to the collector.
    pub fn rule(&self, entity: EntityId, rule: &Rule, kind: Kind) -> Option<Expr> {
        let span = rule.span;
        match &rule.form {
            Form::All(parts) => self.parts(entity, parts, kind, "and").map(Expr::All),
            Form::Any(parts) => self.parts(entity, parts, kind, "or").map(Expr::Any),
            Form::Not(inner) => {
                if kind == Kind::Access {
                    self.refuse_unseen(entity, inner);
                }
                Some(Expr::Not(Box::new(self.rule(entity, inner, kind)?)))
            }
            Form::Compare { left, op, right } => self.compare(entity, left, *op, right, kind),
            Form::In { value, list } => self.is_in(entity, value, list, kind),
            Form::Name(name) => self.name(entity, name, span, kind),
            actor if kind != Kind::Access => {
                let what = match actor {
                    Form::Of { .. } => "another row",
                    _ => "the caller",
                };
                self.errors.push(
                    Diagnostic::at(
                        span,
                        format!("this looks at {what}; here only the row itself counts"),
                    )
                    .help("compare fields of the row; who may is said in `access` and `by`"),
                );
                None
            }
            Form::Anyone => Some(Expr::Anyone),
            Form::SignedIn => Some(Expr::SignedIn),
            Form::Nobody => Some(Expr::Nobody),
            Form::Of { what, relation } => self.of(entity, what, relation),
            Form::MeIs(relation) => self.me_is(entity, relation),
            Form::MeHolds { role, of } => self.me_holds(entity, role, of.as_ref(), span),
            Form::MeIn { has, me, filter } => {
                self.me_in(entity, has, me.as_ref(), filter.as_deref())
            }
            Form::MeOutranks { who, of } => self.me_outranks(entity, who, of.as_ref()),
        }
    }

    fn parts(&self, entity: EntityId, parts: &[Rule], kind: Kind, word: &str) -> Option<Vec<Expr>> {
        for part in parts {
            let constant = match part.form {
                Form::Anyone => "anyone",
                Form::Nobody => "nobody",
                _ => continue,
            };
            let help = match (constant, word) {
                ("anyone", "or") => "keep only `anyone`",
                ("nobody", "and") => "keep only `nobody`",
                _ => "leave it out",
            };
            self.errors.push(
                Diagnostic::at(
                    part.span,
                    format!("`{constant}` in an `{word}` makes a part of it without effect"),
                )
                .help(help),
            );
        }
        let resolved: Vec<_> = parts
            .iter()
            .map(|part| self.rule(entity, part, kind))
            .collect();
        let resolved: Vec<Expr> = resolved.into_iter().collect::<Option<_>>()?;
        for (n, expr) in resolved.iter().enumerate() {
            if resolved[..n].contains(expr) {
                self.errors.push(
                    Diagnostic::at(parts[n].span, "this condition is here twice")
                        .help("keep one of the two"),
                );
            } else if word == "and"
                && let Some(other) = resolved[..n].iter().position(|o| exclude(o, expr))
            {
                self.errors.push(
                    Diagnostic::at(parts[n].span, "this never holds together with the other")
                        .also(parts[other].span, "the other")
                        .help("write `or` between them, or keep one of the two"),
                );
            }
        }
        Some(resolved)
    }

    /// A condition or a boolean field by itself.
    fn name(&self, entity: EntityId, name: &str, span: Span, kind: Kind) -> Option<Expr> {
        let conditions = self.conditions(entity);
        let condition = conditions.iter().position(|c| *c == name);
        match (self.model.entities[entity].field(name), condition) {
            (Some(field), None) => self.flag(field, span),
            (None, Some(index)) => self.condition_named(entity, index, name, span, kind),
            (Some(_), Some(index)) => {
                self.condition_is_used(entity, index);
                self.errors.push(
                    Diagnostic::at(span, format!("`{name}` is a field and a condition"))
                        .help("rename the condition"),
                );
                None
            }
            (None, None) => {
                let help = self.instead_of_condition(entity, name);
                self.may_mean_condition(entity, name);
                self.errors
                    .push(Diagnostic::at(span, format!("unknown condition `{name}`")).help(help));
                None
            }
        }
    }

    fn flag(&self, field: &Field, span: Span) -> Option<Expr> {
        let name = &field.name;
        if matches!(field.ty, Ty::Bool) {
            return Some(Expr::Flag(name.clone()));
        }
        let null = if field.optional {
            format!(" or `{name} != null`")
        } else {
            String::new()
        };
        self.errors.push(
            Diagnostic::at(span, format!("`{name}` is not true or false"))
                .help(format!("compare it: `{name} == …`{null}")),
        );
        None
    }

    fn condition_named(
        &self,
        entity: EntityId,
        index: usize,
        name: &str,
        span: Span,
        kind: Kind,
    ) -> Option<Expr> {
        // Where it is named in the wrong place, that is the mistake to tell, and not that nothing uses it.
        self.condition_is_used(entity, index);
        if kind != Kind::Access {
            self.errors.push(
                Diagnostic::at(
                    span,
                    format!("`{name}` is an access condition; here only the row itself counts"),
                )
                .help("compare fields of the row"),
            );
            return None;
        }
        let limit = *self.limit.borrow();
        if let Some((_, current)) = limit.filter(|(e, at)| *e == entity && index >= *at) {
            if let Some(circle) = self.circle(entity, index, current) {
                let words: Vec<String> = circle.iter().map(|c| format!("`{c}`")).collect();
                self.errors.push(
                    Diagnostic::at(
                        span,
                        format!(
                            "conditions that name each other in a circle: {}",
                            words.join(" → ")
                        ),
                    )
                    .help("write out in one of them what it needs of the other"),
                );
                return None;
            }
            self.errors.push(
                Diagnostic::at(span, format!("`{name}` is not known yet"))
                    .help(format!("move the line of `{name}` above this one")),
            );
            return None;
        }
        Some(Expr::Condition(index))
    }

    /// The path from a condition through those that it uses back to itself.
    fn circle(&self, entity: EntityId, from: usize, to: usize) -> Option<Vec<&'a str>> {
        let access = self.spec.entities[entity].access.as_ref()?;
        let name = |index: usize| access.conditions[index].0.it.as_str();
        let mut ways = vec![vec![from]];
        let mut seen = HashSet::new();
        while let Some(way) = ways.pop() {
            let last = *way.last()?;
            if last == to {
                return Some([to].iter().chain(&way).map(|index| name(*index)).collect());
            }
            if !seen.insert(last) {
                continue;
            }
            let mut named = Vec::new();
            names_in(&access.conditions[last].1, &mut named);
            for (index, (condition, _)) in access.conditions.iter().enumerate() {
                if named.contains(&condition.it.as_str()) {
                    ways.push(way.iter().copied().chain([index]).collect());
                }
            }
        }
        None
    }

    /// What an unknown name probably meant, for the help.
    fn instead_of_condition(&self, entity: EntityId, name: &str) -> String {
        let this = &self.model.entities[entity];
        if ACTIONS.contains(&name) {
            return "name what they have in common as a condition, and use that in both".to_owned();
        }
        if this.derived.iter().any(|d| d.name == name) {
            return "a derived condition is no column: write it out".to_owned();
        }
        if let Some(role) = self.model.roles.iter().find(|r| r.name == name) {
            let of = if role.scopes.is_empty() {
                ""
            } else {
                " of <relation>"
            };
            return format!("write `me holds {name}{of}`");
        }
        let near = names::closest(name, self.conditions(entity));
        if this.relation(name).is_none()
            && near.is_none()
            && let Some(mend) = foreign::condition(name)
        {
            return mend.to_owned();
        }
        if let Some(relation) = this.relation(name) {
            return if relation.targets == [self.model.identity] {
                format!("write `me is {name}`")
            } else {
                format!("write `<condition> of {name}`")
            };
        }
        let flags = this
            .fields
            .iter()
            .filter(|f| matches!(f.ty, Ty::Bool))
            .map(|f| f.name.as_str());
        let atoms = ["anyone", "signed_in", "nobody"];
        let known = self
            .conditions(entity)
            .into_iter()
            .chain(flags)
            .chain(atoms);
        names::suggest(name, known, "conditions")
    }

    pub(super) fn condition_is_used(&self, entity: EntityId, index: usize) {
        self.used_conditions.borrow_mut().insert((entity, index));
    }

    /// A misspelt name is told where it stands. The condition that it probably means (all, if none is near) is not told
    /// to be unused as well, which would read as if it should be removed.
    pub(super) fn may_mean_condition(&self, entity: EntityId, name: &str) {
        let known = self.conditions(entity);
        let near = names::closest(name, known.iter().copied());
        for (index, condition) in known.iter().enumerate() {
            if near.is_none_or(|near| near == *condition) {
                self.condition_is_used(entity, index);
            }
        }
    }

    /// Like [`may_mean_condition`](Self::may_mean_condition), for roles.
    pub(super) fn may_mean_role(&self, name: &str) {
        let known = || self.model.roles.iter().map(|role| role.name.as_str());
        let near = names::closest(name, known());
        for (index, role) in known().enumerate() {
            if near.is_none_or(|near| near == role) {
                self.role_is_used(index);
            }
        }
    }

    pub(super) fn role_is_used(&self, index: usize) {
        self.used_roles.borrow_mut().insert(index);
    }

    /// The rule of a named condition, as it is written.
    pub(super) fn rule_of_condition(&self, entity: EntityId, name: &str) -> Option<&'a Rule> {
        let access = self.spec.entities[entity].access.as_ref()?;
        let mut conditions = access.conditions.iter();
        let (_, rule) = conditions.find(|(condition, _)| condition.it == name)?;
        Some(rule)
    }

    pub(super) fn conditions(&self, entity: EntityId) -> Vec<&'a str> {
        let access = self.spec.entities[entity].access.as_ref();
        access
            .map(|a| {
                a.conditions
                    .iter()
                    .map(|(name, _)| name.it.as_str())
                    .collect()
            })
            .unwrap_or_default()
    }

    /// After all rules: conditions and roles that nothing names.
    pub fn refuse_unused(&self) {
        for (id, entity) in self.spec.entities.iter().enumerate() {
            let Some(access) = &entity.access else {
                continue;
            };
            for (index, (name, _)) in access.conditions.iter().enumerate() {
                if !self.used_conditions.borrow().contains(&(id, index)) {
                    let verb = entity
                        .transitions
                        .iter()
                        .any(|(verb, _)| verb.it == name.it);
                    let near =
                        foreign::action(&name.it).or_else(|| names::closest(&name.it, ACTIONS));
                    let help = near.map_or_else(
                        || match verb {
                            true => format!("who may do it stands in the line of `{}` under `transitions:`, as `by <rule>`", name.it),
                            false => "use it in a rule, or remove it".to_owned(),
                        },
                        |action| format!("did you mean the action `{action}`? Otherwise use it in a rule, or remove it"),
                    );
                    self.errors.push(
                        Diagnostic::at(
                            name.span,
                            format!("nothing uses the condition `{}`", name.it),
                        )
                        .help(help),
                    );
                }
            }
        }
        for (index, (name, _)) in self.spec.app.roles.iter().enumerate() {
            if !self.used_roles.borrow().contains(&index) {
                self.errors.push(
                    Diagnostic::at(
                        name.span,
                        format!("no rule asks for the role `{}`", name.it),
                    )
                    .help("write `me holds …` somewhere, or remove the role"),
                );
            }
        }
    }
}

/// Collects the names of conditions and boolean fields in a rule.
fn names_in<'r>(rule: &'r Rule, found: &mut Vec<&'r str>) {
    match &rule.form {
        Form::All(parts) | Form::Any(parts) => parts.iter().for_each(|p| names_in(p, found)),
        Form::Not(inner) => names_in(inner, found),
        Form::Name(name) => found.push(name),
        _ => {}
    }
}
