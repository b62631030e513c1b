//! The condition of a filter on each row, parsed and typed.

use super::{time::Day, value::Value};
use crate::resource::Filter;

/// Where the locations of an entity's rows are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Places {
    pub column: &'static str,
    /// Public rows with a point of their own.
    pub own: &'static str,
    /// Rows without one, at the point of a related row; empty if the entity has no such fallback.
    pub beside: &'static str,
}

impl Places {
    pub fn of(filter: &Filter) -> Self {
        Self {
            column: filter.param,
            own: filter.sql,
            beside: filter.beside,
        }
    }

    pub fn views(self) -> impl Iterator<Item = &'static str> {
        [self.own, self.beside]
            .into_iter()
            .filter(|view| !view.is_empty())
    }
}

/// Within a circle.
#[derive(Debug, PartialEq)]
pub struct Near {
    pub places: Places,
    pub lat: f64,
    pub lng: f64,
    pub radius_m: u32,
}

#[derive(Debug, PartialEq)]
pub enum Condition {
    Compare {
        sql: &'static str,
        op: &'static str,
        value: Value,
    },
    In {
        sql: &'static str,
        values: Vec<Value>,
    },
    /// Null is not equal to any value, so rows with null are included.
    Not {
        sql: &'static str,
        value: Value,
    },
    Null {
        sql: &'static str,
        is_null: bool,
    },
    /// Times on one day, or all other times and null.
    On {
        sql: &'static str,
        day: Day,
        is_on: bool,
    },
    Search {
        function: &'static str,
        text: String,
    },
    Near(Near),
    Within {
        places: Places,
        west: f64,
        south: f64,
        east: f64,
        north: f64,
    },
}

impl Condition {
    /// Whether it has to be evaluated on each row.
    pub fn is_plain(&self) -> bool {
        !matches!(
            self,
            Self::Search { .. } | Self::Near(_) | Self::Within { .. }
        )
    }
}
