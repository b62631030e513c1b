//! The database as a list of named objects: `emit::schema` creates it and `migrate` compares two of them.
//!
//! Knows SQL text, but not the model.

use serde::{Deserialize, Serialize};

/// Everything the schema consists of, in an order in which it can be created.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    pub objects: Vec<Object>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    pub kind: Kind,
    /// Unique together with `kind`: `app.events`, `app.events.events_select`, `sec.enter(uuid,uuid,text,text)`.
    pub name: String,
    /// The table it belongs to (`app.events`), with which it is dropped. `None`: it belongs to no table.
    pub table: Option<String>,
    /// Complete statements, each ending in `;`. Those of a table are made of `columns`.
    pub create: String,
    /// The statement that drops it; empty if none is needed (grants of a dropped column).
    pub drop: String,
    /// The columns of a table in spec order; empty for other objects.
    pub columns: Vec<Column>,
}

/// In the order of creation; objects are dropped in the reverse order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Role,
    Schema,
    Extension,
    /// Helper functions that tables need (defaults, checks).
    Function,
    Table,
    /// Check, unique and exclusion constraints.
    Constraint,
    Index,
    ForeignKey,
    /// Functions that name tables (definer sets, triggers).
    TableFunction,
    View,
    Trigger,
    Policy,
    Grant,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// `text`, `timestamptz`, `geography(Point,4326)`
    pub sql_type: String,
    pub not_null: bool,
    /// Default expression.
    pub default: Option<String>,
    /// `generated always as (…) stored` expression.
    pub generated: Option<String>,
    /// Former name.
    pub was: Option<String>,
    pub comment: Option<String>,
}
