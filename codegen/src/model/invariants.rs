//! Invariants over all rows of an entity, and over each row by itself.

use super::Expr;
use serde::{Deserialize, Serialize};

/// Rows that are equal in `columns` never overlap in `[from, to)`; `to` null = open end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exclude {
    pub columns: Vec<String>,
    pub from: String,
    pub to: String,
    /// The condition on the rows; `None`: all live rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Expr>,
}

impl Exclude {
    /// What tells it apart from others of the entity, of which its constraint's name is made.
    pub fn named(&self) -> Vec<String> {
        let columns = self.columns.iter();
        columns.chain([&self.from]).cloned().collect()
    }
    /// All columns whose values are tried against those of other rows.
    pub fn tried(&self) -> Vec<String> {
        let columns = self.columns.iter();
        columns.chain([&self.from, &self.to]).cloned().collect()
    }
    pub fn place(&self) -> String {
        self.named().join(",")
    }
}

/// `event, user where state != cancelled`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UniqueWhere {
    pub columns: Vec<String>,
    pub filter: Expr,
}

/// At least one active row that fulfils `filter` must remain for each row of the relation `per` that is not archived;
/// without `per`, at least one in the whole table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Keep {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
    pub filter: Option<Expr>,
    /// What callers are told.
    pub doc: Option<String>,
}

/// An invariant of every row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub expr: Expr,
    /// What callers are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
}
