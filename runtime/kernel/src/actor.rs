//! The caller of a request, and the roles that the database returns for the caller.
//!
//! An `Actor` only comes out of a verified token. Roles are never part of it: they are read
//! in the transaction that uses them.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    Anonymous,
    User {
        id: Uuid,
        /// If the token names a session, it is checked against the sessions of the user at every request.
        session: Option<Uuid>,
    },
}

impl Actor {
    pub fn user(&self) -> Option<Uuid> {
        match self {
            Self::Anonymous => None,
            Self::User { id, .. } => Some(*id),
        }
    }

    pub fn session(&self) -> Option<Uuid> {
        match self {
            Self::Anonymous => None,
            Self::User { session, .. } => *session,
        }
    }
}

/// The answer of `sec.facts()`: the caller's id and roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Facts {
    pub user: Option<Uuid>,
    #[serde(default)]
    pub roles: BTreeMap<String, Held>,
}

/// How a role is held.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Held {
    Everywhere(bool),
    Of(BTreeSet<Uuid>),
}

impl Facts {
    pub fn holds(&self, role: &str) -> bool {
        matches!(self.roles.get(role), Some(Held::Everywhere(true)))
    }

    pub fn holds_of(&self, role: &str, scope: Uuid) -> bool {
        matches!(self.roles.get(role), Some(Held::Of(scopes)) if scopes.contains(&scope))
    }

    /// In at least one scope.
    pub fn holds_somewhere(&self, role: &str) -> bool {
        matches!(self.roles.get(role), Some(Held::Of(scopes)) if !scopes.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_read_both_ways_of_holding_a_role() {
        let facts: Facts = serde_json::from_str(
            r#"{"user": "00000000-0000-0000-0000-000000000001",
                "roles": {"orgAdmin": ["00000000-0000-0000-0000-000000000002"], "platformAdmin": true, "none": []}}"#,
        )
        .unwrap();
        assert!(facts.holds("platformAdmin") && !facts.holds("orgAdmin"));
        assert!(
            facts.holds_of("orgAdmin", Uuid::from_u128(2))
                && !facts.holds_of("orgAdmin", Uuid::from_u128(3))
        );
        assert!(facts.holds_somewhere("orgAdmin") && !facts.holds_somewhere("none"));
    }
}
