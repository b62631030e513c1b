//! Who may do what: grants, denials, transitions and hooks of one entity.

use super::fields::literal_fits;
use super::lines::Lines;
use super::places::{Part, Places};
use super::rules::{Kind, Resolver};
use crate::diag::Diagnostic;
use crate::model::{
    Access, Change, EntityId, Expr, Field, Hook, Lifecycle, Literal, Transition, Ty,
};
use crate::names;
use crate::phrase::{ChangePhrase, TransitionPhrase, Word};

pub fn access(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Access {
    let mut access = Access {
        read: None,
        create: None,
        update: None,
        delete: None,
        restore: None,
        suspend: None,
    };
    let Some(spec) = &lines.spec.access else {
        return access;
    };
    for (action, rule) in &spec.grants {
        places.put(id, Part::Access, &action.it, action.span);
        if let (Some(slot), Some(expr)) = (access.slot(&action.it), r.rule(id, rule, Kind::Access))
        {
            // `nobody` is what an action without a rule is anyway.
            *slot = (expr != Expr::Nobody).then_some(expr);
        }
    }
    let soft = r.model.entities[id].lifecycle == Lifecycle::SoftDelete;
    let restore_given = spec.grants.iter().any(|(action, _)| action.it == "restore");
    if soft && !restore_given {
        access.restore.clone_from(&access.delete);
    }
    for (action, rule) in &spec.denies {
        places.put(id, Part::Deny, &action.it, action.span);
        let Some(deny) = r.rule(id, rule, Kind::Access) else {
            continue;
        };
        let actions: &[&str] = if action.it == "delete" && soft && !restore_given {
            &["delete", "restore"]
        } else {
            &[action.it.as_str()]
        };
        for action_name in actions {
            let Some(slot) = access.slot(action_name) else {
                continue;
            };
            match slot.take() {
                Some(grant) => {
                    *slot = Some(Expr::All(vec![grant, Expr::Not(Box::new(deny.clone()))]))
                }
                None => r.errors.push(
                    Diagnostic::at(
                        action.span,
                        format!("nobody is granted `{action_name}`, so there is nothing to deny"),
                    )
                    .help("remove the line, or grant the action first"),
                ),
            }
        }
    }
    access
}

impl Access {
    fn slot(&mut self, action: &str) -> Option<&mut Option<Expr>> {
        Some(match action {
            "read" => &mut self.read,
            "create" => &mut self.create,
            "update" => &mut self.update,
            "delete" => &mut self.delete,
            "restore" => &mut self.restore,
            "suspend" => &mut self.suspend,
            _ => return None,
        })
    }
}

pub fn hooks(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Vec<Hook> {
    let verbs: Vec<&str> = lines
        .spec
        .transitions
        .iter()
        .map(|(name, _)| name.it.as_str())
        .collect();
    let mut hooks = Vec::new();
    for word in &lines.spec.hooks {
        places.put(id, Part::Hook, &word.it, word.span);
        hooks.push(match word.it.as_str() {
            "create" => Hook::Create,
            "update" => Hook::Update,
            "archive" => Hook::Archive,
            verb if verbs.contains(&verb) => Hook::Transition(verb.to_owned()),
            other => {
                let known = ["create", "update", "archive"]
                    .into_iter()
                    .chain(verbs.iter().copied());
                let help = match other {
                    "delete" => "write `archive`".to_owned(),
                    _ => names::suggest(other, known, "actions"),
                };
                r.errors.push(
                    Diagnostic::at(
                        word.span,
                        format!("there is no action `{other}` to hook into"),
                    )
                    .help(help),
                );
                continue;
            }
        });
    }
    hooks
}

pub fn transition(
    r: &Resolver,
    id: EntityId,
    name: &Word,
    phrase: &TransitionPhrase,
) -> Option<Transition> {
    let this = &r.model.entities[id];
    let change = match &phrase.change {
        ChangePhrase::State { from, to } => {
            let Some(Field {
                name: field,
                ty: Ty::States { values },
                ..
            }) = this.states_field()
            else {
                r.errors.push(
                    Diagnostic::at(
                        name.span,
                        format!("`{}` has no states to go through", this.name),
                    )
                    .help("add a field like `state: states(draft, published) = draft`"),
                );
                return None;
            };
            for word in from.iter().chain([to]) {
                if !values.contains(&word.it) {
                    r.errors.push(
                        Diagnostic::at(word.span, format!("`{}` is none of the states", word.it))
                            .help(names::suggest(
                                &word.it,
                                values.iter().map(String::as_str),
                                "states",
                            )),
                    );
                    return None;
                }
            }
            let from = from.iter().map(|w| w.it.clone()).collect();
            Change::State {
                field: field.clone(),
                from,
                to: to.it.clone(),
            }
        }
        ChangePhrase::Set { field, value } => {
            let Some(found) = this.field(&field.it) else {
                r.errors.push(
                    Diagnostic::at(
                        field.span,
                        format!("`{}` has no field `{}`", this.name, field.it),
                    )
                    .help(names::suggest(
                        &field.it,
                        this.fields.iter().map(|f| f.name.as_str()),
                        "fields",
                    )),
                );
                return None;
            };
            if matches!(found.ty, Ty::States { .. }) {
                r.errors.push(
                    Diagnostic::at(field.span, "a state is not set, it is gone to")
                        .help("write `draft -> published, by …`"),
                );
                return None;
            }
            if value.it != Literal::Null || !found.optional {
                r.errors.keep(literal_fits(
                    &found.ty,
                    found.optional,
                    &value.it,
                    value.span,
                ))?;
            }
            Change::Set {
                field: field.it.clone(),
                value: value.it.clone(),
            }
        }
    };
    let by = phrase
        .by
        .as_ref()
        .and_then(|rule| r.rule(id, rule, Kind::Access));
    let when = phrase
        .when
        .as_ref()
        .map(|rule| r.rule(id, rule, Kind::Moment));
    Some(Transition {
        name: name.it.clone(),
        change,
        by: by?,
        when: when.flatten(),
        reason: phrase.reason,
    })
}
