//! What a filter asks of each row, read and typed.

use super::{time::Day, value::Value};
use crate::resource::Filter;

/// Where an entity keeps its places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Places {
    pub column: &'static str,
    /// Public rows with a place of their own.
    pub own: &'static str,
    /// Those without, at the place of something else; empty where there is no such thing.
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
    /// Empty is not equal to anything, so it is among those found.
    Not {
        sql: &'static str,
        value: Value,
    },
    Null {
        sql: &'static str,
        is_null: bool,
    },
    /// Times on a day, or all others and none.
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
    /// Whether a look at each row decides it.
    pub fn is_plain(&self) -> bool {
        !matches!(
            self,
            Self::Search { .. } | Self::Near(_) | Self::Within { .. }
        )
    }
}
