//! Refuses `not` and `deny` before a condition of another row. Such a condition doesn't hold where the caller can't see
//! the row, or where there is none, so its negation would grant something exactly to those who see less.
//!
//! Negations of everything else are defined: the database knows the row itself, the caller and the caller's roles.

use super::rules::Resolver;
use crate::diag::{Diagnostic, Span};
use crate::model::EntityId;
use crate::phrase::{Form, Rule, Word};
use std::collections::HashSet;

/// A condition of another row, found inside a rule.
struct Asked<'r> {
    what: &'r Word,
    relation: &'r Word,
    span: Span,
}

impl Resolver<'_> {
    /// Reports a condition of another row in `negated`, the rule behind a `not`.
    pub(super) fn refuse_unseen(&self, entity: EntityId, negated: &Rule) {
        self.refuse(
            entity,
            negated,
            "`not` would hold for everybody",
            |opposite| format!("write `{opposite}` for `not …`"),
        );
    }

    /// The same for the rule of `deny <action>`.
    pub(super) fn refuse_unseen_denial(&self, entity: EntityId, action: &str, denied: &Rule) {
        let told = format!("`deny {action}` would not hold for those");
        self.refuse(entity, denied, &told, |opposite| {
            format!("write `{action}: … and {opposite}` instead of the denial")
        });
    }

    fn refuse(&self, entity: EntityId, rule: &Rule, told: &str, mend: impl Fn(&str) -> String) {
        let Some(asked) = self.asked(entity, rule, &mut HashSet::new()) else {
            return;
        };
        let (what, relation) = (&asked.what.it, &asked.relation.it);
        let message = format!("{told} who can't see the row of `{relation}`");
        let opposite = match what.as_str() {
            "read" => None,
            "update" | "delete" => Some(format!("the opposite of its rule `{what}`")),
            _ => Some(format!("`not_{what}: not {what}`")),
        };
        let help = match opposite {
            Some(opposite) => format!(
                "give the entity of `{relation}` a condition with {opposite}, and {}{}",
                mend(&format!("not_{what} of {relation}")),
                self.beside_null(entity, asked.relation)
            ),
            None => {
                "leave it out, and name who may: no rule is about those who can't see a row".into()
            }
        };
        let wrong = Diagnostic::at(rule.span, message).help(help);
        self.errors.push(match asked.span == rule.span {
            true => wrong,
            false => wrong.also(asked.span, "this asks about another row"),
        });
    }

    /// What to add where the relation may be empty.
    fn beside_null(&self, entity: EntityId, relation: &Word) -> String {
        let found = self.model.entities[entity].relation(&relation.it);
        match found.is_some_and(|relation| relation.optional) {
            true => format!(
                "; if rows without `{0}` shall pass, `({0} == null or …)`",
                relation.it
            ),
            false => String::new(),
        }
    }

    /// The first condition of another row in a rule, also in the conditions that it names. What stands behind a further
    /// `not` is reported there.
    fn asked<'r>(
        &'r self,
        entity: EntityId,
        rule: &'r Rule,
        seen: &mut HashSet<&'r str>,
    ) -> Option<Asked<'r>> {
        match &rule.form {
            Form::All(parts) | Form::Any(parts) => {
                parts.iter().find_map(|part| self.asked(entity, part, seen))
            }
            Form::Of { what, relation } => Some(Asked {
                what,
                relation,
                span: rule.span,
            }),
            Form::Name(name) if seen.insert(name) => {
                let condition = self.rule_of_condition(entity, name)?;
                self.asked(entity, condition, seen)
            }
            _ => None,
        }
    }
}
