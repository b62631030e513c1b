//! The actions that callers have on an entity. An action whose rule is `nobody` has no route, just like one without a
//! rule.

use super::columns;
use crate::model::{Entity, Expr, Lifecycle};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Read,
    Create,
    Update,
    Delete,
    Restore,
    Suspend,
}

pub const ALL: [Action; 6] = [
    Action::Read,
    Action::Create,
    Action::Update,
    Action::Delete,
    Action::Restore,
    Action::Suspend,
];

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::Restore => "restore",
            Action::Suspend => "suspend",
        }
    }

    /// The action's rule in the spec, whether or not there is a route.
    pub fn rule(self, entity: &Entity) -> Option<&Expr> {
        let access = &entity.access;
        let rule = match self {
            Action::Read => &access.read,
            Action::Create => &access.create,
            Action::Update => &access.update,
            Action::Delete => &access.delete,
            Action::Restore => &access.restore,
            Action::Suspend => &access.suspend,
        };
        rule.as_ref().filter(|rule| **rule != Expr::Nobody)
    }

    /// The rule of an action that has a route.
    pub fn open(self, entity: &Entity) -> Option<&Expr> {
        let exists = match self {
            Action::Read => !entity.internal,
            Action::Create => entity.writable(),
            Action::Update => {
                entity.writable()
                    && entity.lifecycle != Lifecycle::AppendOnly
                    && !columns::update(entity).is_empty()
            }
            Action::Delete | Action::Restore | Action::Suspend => {
                entity.writable() && entity.lifecycle == Lifecycle::SoftDelete
            }
        };
        self.rule(entity).filter(|_| exists)
    }
}

/// Transitions that have a route.
pub fn transitions(entity: &Entity) -> &[crate::model::Transition] {
    if entity.writable() {
        &entity.transitions
    } else {
        &[]
    }
}
