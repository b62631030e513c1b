//! Operations that the application writes by hand, as far as answers tell who is offered them.

use super::Expr;
use serde::{Deserialize, Serialize};

/// `refund: by buyer or host, when state == paid`: a word of `allowed_actions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    pub name: String,
    pub by: Expr,
    /// About the row and rows that it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Expr>,
}
