//! The parts of rules about the caller and other rows: roles, relations and memberships.

use super::relations::identity_relations;
use super::rules::{Kind, Resolver};
use crate::diag::{Diagnostic, Span};
use crate::model::{EntityId, Expr, OfWhat};
use crate::names;
use crate::phrase::{Rule, Word};

impl Resolver<'_> {
    pub(super) fn of(&self, entity: EntityId, what: &Word, relation: &Word) -> Option<Expr> {
        let Some(index) = self.relation(entity, relation) else {
            // It may be the condition of any entity that the relation was meant to lead to.
            for other in 0..self.model.entities.len() {
                let known = self.conditions(other);
                let named = known.iter().position(|name| *name == what.it);
                named
                    .into_iter()
                    .for_each(|index| self.condition_is_used(other, index));
            }
            return None;
        };
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
                        self.condition_is_used(*target, index);
                        OfWhat::Condition(index)
                    }
                    None => continue,
                },
            };
            found.push((*target, what));
        }
        if found.is_empty() {
            let names: Vec<&str> = targets
                .iter()
                .map(|t| self.model.entities[*t].name.as_str())
                .collect();
            let mut known: Vec<&str> = targets.iter().flat_map(|t| self.conditions(*t)).collect();
            known.extend(["read", "update", "delete"]);
            (targets.iter()).for_each(|target| self.may_mean_condition(*target, &what.it));
            self.errors.push(
                Diagnostic::at(
                    what.span,
                    format!("{} has no condition `{}`", names::quoted(&names), what.it),
                )
                .help(names::suggest(&what.it, known, "conditions")),
            );
            return None;
        }
        Some(Expr::Of {
            relation: index,
            what: found,
        })
    }

    pub(super) fn me_is(&self, entity: EntityId, relation: &Word) -> Option<Expr> {
        Some(match self.person(entity, relation, "me is")? {
            None => Expr::MeIsThis,
            Some(relation) => Expr::MeIs { relation },
        })
    }

    pub(super) fn me_outranks(
        &self,
        entity: EntityId,
        who: &Word,
        of: Option<&Word>,
    ) -> Option<Expr> {
        let relation = self.person(entity, who, "me outranks")?;
        let of = match of {
            Some(of) => Some(self.scope(entity, of)?),
            None => None,
        };
        Some(Expr::MeOutranks { relation, of })
    }

    /// A relation to an entity that roles are held of.
    fn scope(&self, entity: EntityId, relation: &Word) -> Option<usize> {
        let index = self.relation(entity, relation)?;
        let targets = &self.model.entities[entity].belongs[index].targets;
        let is_scope = |target| self.model.roles.iter().any(|r| r.scopes.contains(target));
        if targets.iter().any(is_scope) {
            return Some(index);
        }
        self.errors.push(
            Diagnostic::at(
                relation.span,
                format!("no role is held of what `{}` leads to", relation.it),
            )
            .help("leave `of` out: then all roles of that person count"),
        );
        None
    }

    /// A relation to the identity entity; `None` for `this` if the row itself is of that entity.
    fn person(&self, entity: EntityId, relation: &Word, atom: &str) -> Option<Option<usize>> {
        let identity = &self.model.entities[self.model.identity].name;
        if relation.it == "this" {
            if entity == self.model.identity {
                return Some(None);
            }
            let message = match atom {
                "me is" => format!("only a `{identity}` can be the caller"),
                _ => format!("only a `{identity}` holds roles"),
            };
            self.errors.push(
                Diagnostic::at(relation.span, message).help(format!("write `{atom} <relation>`")),
            );
            return None;
        }
        let index = self.relation(entity, relation)?;
        let found = &self.model.entities[entity].belongs[index];
        if found.polymorphic || found.targets != [self.model.identity] {
            self.errors.push(
                Diagnostic::at(
                    relation.span,
                    format!("`{}` does not lead to `{identity}`", relation.it),
                )
                .help(names::suggest(
                    &relation.it,
                    identity_relations(self.model, entity),
                    &format!("relations to `{identity}`"),
                )),
            );
            return None;
        }
        Some(Some(index))
    }

    pub fn role(&self, role: &Word) -> Option<usize> {
        let found = self.model.roles.iter().position(|r| r.name == role.it);
        match found {
            Some(index) => {
                self.role_is_used(index);
            }
            None => {
                self.may_mean_role(&role.it);
                self.errors.push(
                    Diagnostic::at(role.span, format!("unknown role `{}`", role.it)).help(
                        names::suggest(
                            &role.it,
                            self.model.roles.iter().map(|r| r.name.as_str()),
                            "roles",
                        ),
                    ),
                )
            }
        }
        found
    }

    pub(super) fn me_holds(
        &self,
        entity: EntityId,
        role: &Word,
        of: Option<&Word>,
        span: Span,
    ) -> Option<Expr> {
        let index = self.role(role)?;
        let scopes = &self.model.roles[index].scopes;
        let scope_names: Vec<&str> = scopes
            .iter()
            .map(|s| self.model.entities[*s].name.as_str())
            .collect();
        let Some(of) = of else {
            if scopes.is_empty() {
                return Some(Expr::MeHolds { role: index });
            }
            self.errors.push(
                Diagnostic::at(
                    span,
                    format!("`{}` is held of something: of what?", role.it),
                )
                .help(format!(
                    "write `me holds {} of <relation>`, one that leads to {}",
                    role.it,
                    names::quoted(&scope_names)
                )),
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
        let (relation, held, what) = if of.it == "this" {
            let what = "this entity".to_owned();
            (None, scopes.contains(&entity), what)
        } else {
            let relation = self.relation(entity, of)?;
            let targets = &self.model.entities[entity].belongs[relation].targets;
            let held = targets.iter().any(|t| scopes.contains(t));
            (Some(relation), held, format!("what `{}` leads to", of.it))
        };
        if !held {
            self.errors.push(
                Diagnostic::at(of.span, format!("`{}` is never held of {what}", role.it))
                    .help(format!("it is held of {}", names::quoted(&scope_names))),
            );
            return None;
        }
        Some(Expr::MeHoldsOf {
            role: index,
            relation,
        })
    }

    pub(super) fn me_in(
        &self,
        entity: EntityId,
        has: &Word,
        me: Option<&Word>,
        filter: Option<&Rule>,
    ) -> Option<Expr> {
        let this = &self.model.entities[entity];
        let Some(index) = this.has.iter().position(|h| h.name == has.it) else {
            let is_relation = this.belongs.iter().any(|of| of.name == has.it);
            let known = this.has.iter().map(|h| h.name.as_str());
            let help = match is_relation {
                true => format!(
                    "`{}` is a relation of the row itself: write `me is {}`",
                    has.it, has.it
                ),
                false => names::suggest(&has.it, known, "names in `has`"),
            };
            self.errors.push(
                Diagnostic::at(has.span, format!("`{}` has no `{}`", this.name, has.it)).help(help),
            );
            return None;
        };
        let (child, via) = (this.has[index].child, this.has[index].via.as_str());
        let candidates: Vec<&str> = identity_relations(self.model, child)
            .filter(|r| *r != via)
            .collect();
        let me = self.caller_among(&candidates, child, has, me)?;
        let filter = match filter {
            Some(rule) => Some(Box::new(self.rule(child, rule, Kind::Moment)?)),
            None => None,
        };
        Some(Expr::MeIn {
            has: index,
            me,
            filter,
        })
    }

    /// The relation of the child that refers to the caller: the one named, or the only one there is.
    fn caller_among(
        &self,
        candidates: &[&str],
        child: EntityId,
        has: &Word,
        me: Option<&Word>,
    ) -> Option<String> {
        let child_name = &self.model.entities[child].name;
        match (me, candidates) {
            (Some(me), known) if known.contains(&me.it.as_str()) => Some(me.it.clone()),
            (Some(me), known) => {
                self.errors.push(
                    Diagnostic::at(
                        me.span,
                        format!("`{}` of `{child_name}` is not the caller", me.it),
                    )
                    .help(names::suggest(
                        &me.it,
                        known.iter().copied(),
                        "relations that can be the caller",
                    )),
                );
                None
            }
            (None, [only]) => Some((*only).to_owned()),
            (None, []) => {
                self.errors.push(
                    Diagnostic::at(
                        has.span,
                        format!("`{child_name}` has no relation that can be the caller"),
                    )
                    .help(format!(
                        "it needs one to `{}`",
                        self.model.entities[self.model.identity].name
                    )),
                );
                None
            }
            (None, [first, ..]) => {
                self.errors.push(
                    Diagnostic::at(
                        has.span,
                        format!(
                            "which of `{child_name}` is the caller: {}?",
                            names::quoted(candidates)
                        ),
                    )
                    .help(format!("write `me in {} as {first}`", has.it)),
                );
                None
            }
        }
    }

    fn relation(&self, entity: EntityId, word: &Word) -> Option<usize> {
        let this = &self.model.entities[entity];
        let found = this.belongs.iter().position(|r| r.name == word.it);
        if found.is_none() {
            self.errors.push(
                Diagnostic::at(
                    word.span,
                    format!("`{}` has no relation `{}`", this.name, word.it),
                )
                .help(names::suggest(
                    &word.it,
                    this.belongs.iter().map(|r| r.name.as_str()),
                    "relations",
                )),
            );
        }
        found
    }
}
