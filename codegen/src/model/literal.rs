//! Values that are written in a spec.

use super::Ty;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Decimal(String),
    /// Text, and values of enums and states.
    Text(String),
    /// `now()`
    Now,
    /// `now()` for a date: the day that it is in universal time.
    Today,
}

impl Literal {
    /// The literal as a value of this type: for a date, `now()` is a day.
    pub fn of(self, ty: &Ty) -> Literal {
        match (self, ty) {
            (Literal::Now, Ty::Date) => Literal::Today,
            (literal, _) => literal,
        }
    }
}
