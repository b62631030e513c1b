//! One object of many that answers can show with the row they belong to.

use super::Expr;
use serde::{Deserialize, Serialize};

/// `cover: media by position where type == image`: the first active child by `by`, with the smallest id if several are
/// equal, of those that the caller may read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct First {
    pub name: String,
    /// Index into `Entity::has`.
    pub has: usize,
    /// A required field of the child.
    pub by: String,
    /// About the child, at the moment of reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Expr>,
    /// What clients are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
}
