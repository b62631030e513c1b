//! Transitions: verbs that change the state of a row, and the other columns that they set.

use super::{Expr, Literal};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The verb: route segment and action name.
    pub name: String,
    pub change: Change,
    /// Assignments besides the change of state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<Set>,
    pub by: Expr,
    pub when: Option<Expr>,
    /// The caller must give a reason (1..500 characters), which goes to the audit log.
    pub reason: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// `field` is the states field.
    State {
        field: String,
        from: Vec<String>,
        to: String,
    },
    Set(Set),
}

/// A column that a transition sets, and to what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Set {
    pub column: String,
    pub value: Assigned,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assigned {
    /// The caller who makes the transition.
    Me,
    Value(Literal),
}
