//! What a generated entity file imports. Nothing is defined here.

pub use crate::input::{Choice as _, Edit, Patch};
pub use crate::resource::{
    Child, Constraint, Expand, Filter, GuardedColumn, GuardedUpdate, Kind, Lifecycle, Resource,
    Rules, Sort, Sql, Together, Transition, Ways,
};
pub use crate::rule::Op;
pub use crate::rule::Rule::{self, *};
pub use crate::rule::{Of as Related, Outranked, Value as V};
pub use crate::value::{Json, Point};
pub use chrono::{DateTime, NaiveDate, Utc};
pub use futures_util::future::BoxFuture;
pub use uuid::Uuid;
