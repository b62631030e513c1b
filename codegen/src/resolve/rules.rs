//! Rules: conditions, roles and relations looked up.

use super::relations::identity_relations;
use crate::diag::{Collector, Diagnostic, Span};
use crate::model::{EntityId, Expr, Model, OfWhat, Ty};
use crate::names;
use crate::phrase::{Form, Rule, Word};
use crate::spec::{ACTIONS, Spec};
use std::cell::RefCell;
use std::collections::HashSet;

/// What an expression is for: how much it may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who may: everything.
    Access,
    /// About the row, asked at one moment: no actor.
    Moment,
    /// About the row, its answer is kept: no actor, no `now()`.
    Stored,
}

pub struct Resolver<'a> {
    pub model: &'a Model,
    pub errors: &'a Collector,
    spec: &'a Spec,
    used_conditions: RefCell<HashSet<(EntityId, usize)>>,
    used_roles: RefCell<HashSet<usize>>,
    /// Conditions from this index on are not known yet.
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

    /// Errors go to the collector, all of them.
    pub fn rule(&self, entity: EntityId, rule: &Rule, kind: Kind) -> Option<Expr> {
        let span = rule.span;
        match &rule.form {
            Form::All(parts) => self.parts(entity, parts, kind, "and").map(Expr::All),
            Form::Any(parts) => self.parts(entity, parts, kind, "or").map(Expr::Any),
            Form::Not(inner) => Some(Expr::Not(Box::new(self.rule(entity, inner, kind)?))),
            Form::Compare { left, op, right } => self.compare(entity, left, *op, right, kind),
            Form::In { value, list } => self.is_in(entity, value, list, kind),
            Form::Name(name) => self.name(entity, name, span, kind),
            actor if kind != Kind::Access => {
                let what = match actor {
                    Form::Of { .. } => "another row",
                    _ => "the caller",
                };
                self.errors.push(
                    Diagnostic::at(span, format!("this looks at {what}; here only the row itself counts"))
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
            Form::MeIn { has, me, filter } => self.me_in(entity, has, me.as_ref(), filter.as_deref()),
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
                Diagnostic::at(part.span, format!("`{constant}` in an `{word}` makes a part of it without effect")).help(help),
            );
        }
        let resolved: Vec<_> = parts.iter().map(|part| self.rule(entity, part, kind)).collect();
        let resolved: Vec<Expr> = resolved.into_iter().collect::<Option<_>>()?;
        for (n, expr) in resolved.iter().enumerate() {
            if resolved[..n].contains(expr) {
                self.errors
                    .push(Diagnostic::at(parts[n].span, "this condition is here twice").help("keep one of the two"));
            }
        }
        Some(resolved)
    }

    /// A condition or a boolean field by itself.
    fn name(&self, entity: EntityId, name: &str, span: Span, kind: Kind) -> Option<Expr> {
        let this = &self.model.entities[entity];
        let conditions = self.conditions(entity);
        if let Some(field) = this.field(name) {
            if let Some(index) = conditions.iter().position(|c| *c == name) {
                self.used_conditions.borrow_mut().insert((entity, index));
                self.errors.push(
                    Diagnostic::at(span, format!("`{name}` is a field and a condition")).help("rename the condition"),
                );
                return None;
            }
            if matches!(field.ty, Ty::Bool) {
                return Some(Expr::Flag(name.to_owned()));
            }
            let null = if field.optional { format!(" or `{name} != null`") } else { String::new() };
            self.errors.push(
                Diagnostic::at(span, format!("`{name}` is not true or false"))
                    .help(format!("compare it: `{name} == …`{null}")),
            );
            return None;
        }
        if let Some(index) = conditions.iter().position(|c| *c == name) {
            if kind != Kind::Access {
                self.errors.push(
                    Diagnostic::at(span, format!("`{name}` is an access condition; here only the row itself counts"))
                        .help("compare fields of the row"),
                );
                return None;
            }
            self.used_conditions.borrow_mut().insert((entity, index));
            if self.limit.borrow().is_some_and(|(e, limit)| e == entity && index >= limit) {
                self.errors.push(
                    Diagnostic::at(span, format!("`{name}` is not known yet"))
                        .help(format!("move the line of `{name}` above this one")),
                );
                return None;
            }
            return Some(Expr::Condition(index));
        }
        let help = if ACTIONS.contains(&name) {
            "name what they have in common as a condition, and use that in both".to_owned()
        } else if this.derived.iter().any(|d| d.name == name) {
            "a derived condition is no column: write it out".to_owned()
        } else if let Some(role) = self.model.roles.iter().find(|r| r.name == name) {
            let of = if role.scopes.is_empty() { "" } else { " of <relation>" };
            format!("write `me holds {name}{of}`")
        } else if let Some(relation) = this.relation(name) {
            let me_is = relation.targets == [self.model.identity];
            if me_is { format!("write `me is {name}`") } else { format!("write `<condition> of {name}`") }
        } else {
            let flags = this.fields.iter().filter(|f| matches!(f.ty, Ty::Bool)).map(|f| f.name.as_str());
            let atoms = ["anyone", "signed_in", "nobody"];
            names::suggest(name, conditions.iter().copied().chain(flags).chain(atoms), "conditions")
        };
        self.errors.push(Diagnostic::at(span, format!("unknown condition `{name}`")).help(help));
        None
    }

    fn of(&self, entity: EntityId, what: &Word, relation: &Word) -> Option<Expr> {
        let index = self.relation(entity, relation)?;
        let targets = &self.model.entities[entity].belongs[index].targets;
        let mut found = Vec::new();
        for target in targets {
            let other = &self.model.entities[*target];
            let what = match what.it.as_str() {
                _ if other.internal => continue,
                "read" => OfWhat::Read,
                "update" => OfWhat::Update,
                "delete" => OfWhat::Delete,
                name => match self.conditions(*target).iter().position(|c| *c == name) {
                    Some(index) => {
                        self.used_conditions.borrow_mut().insert((*target, index));
                        OfWhat::Condition(index)
                    }
                    None => continue,
                },
            };
            found.push((*target, what));
        }
        if found.is_empty() {
            let names: Vec<&str> = targets.iter().map(|t| self.model.entities[*t].name.as_str()).collect();
            let mut known: Vec<&str> = targets.iter().flat_map(|t| self.conditions(*t)).collect();
            known.extend(["read", "update", "delete"]);
            self.errors.push(
                Diagnostic::at(what.span, format!("{} has no condition `{}`", names::quoted(&names), what.it))
                    .help(names::suggest(&what.it, known, "conditions")),
            );
            return None;
        }
        Some(Expr::Of { relation: index, what: found })
    }

    fn me_is(&self, entity: EntityId, relation: &Word) -> Option<Expr> {
        let identity = &self.model.entities[self.model.identity].name;
        if relation.it == "this" {
            if entity == self.model.identity {
                return Some(Expr::MeIsThis);
            }
            self.errors.push(
                Diagnostic::at(relation.span, format!("only a `{identity}` can be the caller"))
                    .help("write `me is <relation>`"),
            );
            return None;
        }
        let index = self.relation(entity, relation)?;
        let found = &self.model.entities[entity].belongs[index];
        if found.polymorphic || found.targets != [self.model.identity] {
            self.errors.push(
                Diagnostic::at(relation.span, format!("`{}` does not lead to `{identity}`", relation.it)).help(
                    names::suggest(
                        &relation.it,
                        identity_relations(self.model, entity),
                        &format!("relations to `{identity}`"),
                    ),
                ),
            );
            return None;
        }
        Some(Expr::MeIs { relation: index })
    }

    pub fn role(&self, role: &Word) -> Option<usize> {
        let found = self.model.roles.iter().position(|r| r.name == role.it);
        match found {
            Some(index) => {
                self.used_roles.borrow_mut().insert(index);
            }
            None => self.errors.push(
                Diagnostic::at(role.span, format!("unknown role `{}`", role.it))
                    .help(names::suggest(&role.it, self.model.roles.iter().map(|r| r.name.as_str()), "roles")),
            ),
        }
        found
    }

    fn me_holds(&self, entity: EntityId, role: &Word, of: Option<&Word>, span: Span) -> Option<Expr> {
        let index = self.role(role)?;
        let scopes = &self.model.roles[index].scopes;
        let scope_names: Vec<&str> = scopes.iter().map(|s| self.model.entities[*s].name.as_str()).collect();
        let Some(of) = of else {
            if scopes.is_empty() {
                return Some(Expr::MeHolds { role: index });
            }
            self.errors.push(
                Diagnostic::at(span, format!("`{}` is held of something: of what?", role.it))
                    .help(format!("write `me holds {} of <relation>`, one that leads to {}", role.it, names::quoted(&scope_names))),
            );
            return None;
        };
        if scopes.is_empty() {
            self.errors.push(
                Diagnostic::at(of.span, format!("`{}` is held everywhere", role.it))
                    .help(format!("write `me holds {}`", role.it)),
            );
            return None;
        }
        let (relation, held) = if of.it == "this" {
            (None, scopes.contains(&entity))
        } else {
            let relation = self.relation(entity, of)?;
            let targets = &self.model.entities[entity].belongs[relation].targets;
            (Some(relation), targets.iter().any(|t| scopes.contains(t)))
        };
        if !held {
            let what = if of.it == "this" { "this entity".to_owned() } else { format!("what `{}` leads to", of.it) };
            self.errors.push(
                Diagnostic::at(of.span, format!("`{}` is never held of {what}", role.it))
                    .help(format!("it is held of {}", names::quoted(&scope_names))),
            );
            return None;
        }
        Some(Expr::MeHoldsOf { role: index, relation })
    }

    fn me_in(&self, entity: EntityId, has: &Word, me: Option<&Word>, filter: Option<&Rule>) -> Option<Expr> {
        let this = &self.model.entities[entity];
        let Some(index) = this.has.iter().position(|h| h.name == has.it) else {
            self.errors.push(
                Diagnostic::at(has.span, format!("`{}` has no `{}`", this.name, has.it))
                    .help(names::suggest(&has.it, this.has.iter().map(|h| h.name.as_str()), "names in `has`")),
            );
            return None;
        };
        let (child, via) = (this.has[index].child, this.has[index].via.as_str());
        let candidates: Vec<&str> = identity_relations(self.model, child).filter(|r| *r != via).collect();
        let child_name = &self.model.entities[child].name;
        let me = match (me, candidates.as_slice()) {
            (Some(me), known) if known.contains(&me.it.as_str()) => me.it.clone(),
            (Some(me), known) => {
                self.errors.push(
                    Diagnostic::at(me.span, format!("`{}` of `{child_name}` is not the caller", me.it))
                        .help(names::suggest(&me.it, known.iter().copied(), "relations that can be the caller")),
                );
                return None;
            }
            (None, [only]) => (*only).to_owned(),
            (None, []) => {
                self.errors.push(
                    Diagnostic::at(has.span, format!("`{child_name}` has no relation that can be the caller"))
                        .help(format!("it needs one to `{}`", self.model.entities[self.model.identity].name)),
                );
                return None;
            }
            (None, [first, ..]) => {
                self.errors.push(
                    Diagnostic::at(has.span, format!("which of `{child_name}` is the caller: {}?", names::quoted(&candidates)))
                        .help(format!("write `me in {} as {first}`", has.it)),
                );
                return None;
            }
        };
        let filter = match filter {
            Some(rule) => Some(Box::new(self.rule(child, rule, Kind::Moment)?)),
            None => None,
        };
        Some(Expr::MeIn { has: index, me, filter })
    }

    fn relation(&self, entity: EntityId, word: &Word) -> Option<usize> {
        let this = &self.model.entities[entity];
        let found = this.belongs.iter().position(|r| r.name == word.it);
        if found.is_none() {
            self.errors.push(
                Diagnostic::at(word.span, format!("`{}` has no relation `{}`", this.name, word.it))
                    .help(names::suggest(&word.it, this.belongs.iter().map(|r| r.name.as_str()), "relations")),
            );
        }
        found
    }

    fn conditions(&self, entity: EntityId) -> Vec<&'a str> {
        let access = self.spec.entities[entity].access.as_ref();
        access.map(|a| a.conditions.iter().map(|(name, _)| name.it.as_str()).collect()).unwrap_or_default()
    }

    /// After all rules: conditions and roles that nothing names.
    pub fn refuse_unused(&self) {
        for (id, entity) in self.spec.entities.iter().enumerate() {
            let Some(access) = &entity.access else { continue };
            for (index, (name, _)) in access.conditions.iter().enumerate() {
                if !self.used_conditions.borrow().contains(&(id, index)) {
                    let help = names::closest(&name.it, ACTIONS).map_or_else(
                        || "use it in a rule, or remove it".to_owned(),
                        |action| format!("did you mean the action `{action}`? Otherwise use it in a rule, or remove it"),
                    );
                    self.errors
                        .push(Diagnostic::at(name.span, format!("nothing uses the condition `{}`", name.it)).help(help));
                }
            }
        }
        for (index, (name, _)) in self.spec.app.roles.iter().enumerate() {
            if !self.used_roles.borrow().contains(&index) {
                self.errors.push(
                    Diagnostic::at(name.span, format!("no rule asks for the role `{}`", name.it))
                        .help("write `me holds …` somewhere, or remove the role"),
                );
            }
        }
    }
}
