//! Who may do what: grants, denials and hooks of one entity.

use super::lines::Lines;
use super::places::{Part, Places};
use super::rules::{Kind, Resolver};
use crate::diag::Diagnostic;
use crate::model::{Access, EntityId, Expr, Hook, Lifecycle};
use crate::names;

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
            // An action without a rule is `nobody` anyway.
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
        r.refuse_unseen_denial(id, &action.it, rule);
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
            "restore" => Hook::Restore,
            verb if verbs.contains(&verb) => Hook::Transition(verb.to_owned()),
            other => {
                let known = ["create", "update", "archive", "restore"]
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

/// The actions that can happen to a row besides its transitions.
const EMITTED: [&str; 6] = [
    "create",
    "update",
    "archive",
    "restore",
    "suspend",
    "unsuspend",
];

pub fn emits(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Vec<String> {
    let transitions = lines.spec.transitions.iter();
    let verbs: Vec<&str> = transitions.map(|(name, _)| name.it.as_str()).collect();
    let known = || EMITTED.iter().copied().chain(verbs.iter().copied());
    let mut emits = Vec::new();
    for word in &lines.spec.emit {
        places.put(id, Part::Emit, &word.it, word.span);
        if known().any(|action| action == word.it) {
            emits.push(word.it.clone());
            continue;
        }
        let help = match word.it.as_str() {
            "delete" => "write `archive`".to_owned(),
            other => names::suggest(other, known(), "actions"),
        };
        r.errors.push(
            Diagnostic::at(
                word.span,
                format!("there is no action `{}` to tell of", word.it),
            )
            .help(help),
        );
    }
    emits
}
