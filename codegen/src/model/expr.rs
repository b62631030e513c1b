//! Resolved rules: conditions over a row and its caller.

use super::{EntityId, Literal};
use serde::{Deserialize, Serialize};

/// One tree type for access rules, field rules, checks and guards. `check` ensures that row expressions (checks,
/// `when`, derived flags, filters of `has`) contain nothing about the caller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expr {
    Anyone,
    SignedIn,
    Nobody,
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    /// A condition of this entity: index into [`super::Entity::conditions`].
    Condition(usize),
    /// The row at the other end of `relation` is readable by the caller and `what` holds for it.
    /// For a polymorphic relation: of whichever target it is, if that target has `what`.
    Of {
        relation: usize,
        what: Vec<(EntityId, OfWhat)>,
    },
    /// `relation` refers to the identity entity and is the caller.
    MeIs {
        relation: usize,
    },
    /// This row of the identity entity is the caller.
    MeIsThis,
    /// A role held everywhere.
    MeHolds {
        role: usize,
    },
    /// A role held for the row that `relation` refers to (`None`: for this row itself).
    MeHoldsOf {
        role: usize,
        relation: Option<usize>,
    },
    /// The caller is the child's identity reference (`me`, a relation name of the child) in a live
    /// row of `has` for which `filter` (over the child's fields) holds.
    MeIn {
        has: usize,
        me: String,
        filter: Option<Box<Expr>>,
    },
    /// The caller may give every role that the user at `relation` holds (`None`: this row of the identity entity),
    /// limited to roles held of the row at `of`, and is not that user.
    MeOutranks {
        relation: Option<usize>,
        of: Option<usize>,
    },
    Compare {
        left: Value,
        op: Op,
        right: Value,
    },
    In {
        value: Value,
        list: Vec<Literal>,
    },
    IsNull(Value),
    /// A boolean field by itself.
    Flag(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfWhat {
    /// Index into the target's conditions.
    Condition(usize),
    Read,
    Update,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A column of this row (fields, built-in columns, derived counters).
    Column(String),
    /// A column of the row that a relation to one entity leads to; only in `when` of transitions.
    Related {
        relation: String,
        column: String,
    },
    Literal(Literal),
    /// `a + b`, `a - b` over numbers
    Add(Box<Value>, Box<Value>),
    Sub(Box<Value>, Box<Value>),
}

impl Expr {
    /// Divides a rule such as `staff and ticket_count == 0` into who may do something, and the state of the row in which
    /// they may. `None` if it is not of this form. Named conditions count as about the caller.
    pub fn who_and_state(&self) -> Option<(Self, Self)> {
        let Self::All(parts) = self else {
            return None;
        };
        let (state, who): (Vec<_>, Vec<_>) =
            parts.iter().cloned().partition(Self::is_about_the_row);
        (!state.is_empty() && !who.is_empty()).then_some((Self::All(who), Self::All(state)))
    }

    fn is_about_the_row(&self) -> bool {
        match self {
            Self::Compare { .. } | Self::In { .. } | Self::IsNull(_) | Self::Flag(_) => true,
            Self::Not(inner) => inner.is_about_the_row(),
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::is_about_the_row),
            _ => false,
        }
    }

    /// The columns of the row that the expression compares, not including those of named conditions and of other rows.
    pub fn columns(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_columns(&mut found);
        found
    }

    /// Relation and column of each value of another row that it compares.
    pub fn related(&self) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        self.collect_related(&mut found);
        found
    }

    fn collect_related<'e>(&'e self, found: &mut Vec<(&'e str, &'e str)>) {
        match self {
            Expr::All(parts) | Expr::Any(parts) => {
                parts.iter().for_each(|part| part.collect_related(found));
            }
            Expr::Not(part) => part.collect_related(found),
            Expr::Compare { left, right, .. } => {
                left.collect_related(found);
                right.collect_related(found);
            }
            Expr::In { value, .. } | Expr::IsNull(value) => value.collect_related(found),
            _ => {}
        }
    }

    fn collect_columns(&self, found: &mut Vec<String>) {
        match self {
            Expr::All(parts) | Expr::Any(parts) => {
                parts.iter().for_each(|part| part.collect_columns(found));
            }
            Expr::Not(part) => part.collect_columns(found),
            Expr::Compare { left, right, .. } => {
                left.collect_columns(found);
                right.collect_columns(found);
            }
            Expr::In { value, .. } | Expr::IsNull(value) => value.collect_columns(found),
            Expr::Flag(name) => found.push(name.clone()),
            _ => {}
        }
    }
}

impl Value {
    fn collect_columns(&self, found: &mut Vec<String>) {
        match self {
            Value::Column(name) => found.push(name.clone()),
            Value::Add(a, b) | Value::Sub(a, b) => {
                a.collect_columns(found);
                b.collect_columns(found);
            }
            Value::Literal(_) | Value::Related { .. } => {}
        }
    }

    fn collect_related<'v>(&'v self, found: &mut Vec<(&'v str, &'v str)>) {
        match self {
            Value::Related { relation, column } => found.push((relation, column)),
            Value::Add(a, b) | Value::Sub(a, b) => {
                a.collect_related(found);
                b.collect_related(found);
            }
            Value::Literal(_) | Value::Column(_) => {}
        }
    }
}
