//! What `expand` may name.
//!
//! Knows no entity, runs nothing.

#[derive(Debug)]
pub struct Expand {
    pub name: &'static str,
    /// `host_id`. Of a first: the column of the other object that refers to this one, such as `entity_id`.
    pub column: &'static str,
    /// `host_type`
    pub type_column: Option<&'static str>,
    /// entity names (equal to the values of the type column)
    pub targets: &'static [&'static str],
    /// A body may use the relation, but it can't be expanded: there is no such `expand`.
    pub hidden: bool,
    pub what: Expanded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expanded {
    /// `expand=host` puts the readable related object under `host` beside `host_id`.
    Reference,
    /// `expand=cover` shows the first readable one of several objects that refer to this one. The query finds the ids
    /// of the first ones, given the ids of several rows in `$1`.
    First(&'static str),
    /// `expand=allowed_actions` adds to objects of a list what an answer with one object always has.
    Actions,
}

/// For entities with [`acts`](super::Resource::acts), beside their `expands`.
pub static ACTIONS: Expand = Expand {
    what: Expanded::Actions,
    ..Expand::to("allowed_actions", "id", &[])
};

impl Expand {
    pub const fn to(
        name: &'static str,
        column: &'static str,
        targets: &'static [&'static str],
    ) -> Self {
        Expand {
            name,
            column,
            type_column: None,
            targets,
            hidden: false,
            what: Expanded::Reference,
        }
    }
    pub const fn to_one_of(
        name: &'static str,
        column: &'static str,
        type_column: &'static str,
        targets: &'static [&'static str],
    ) -> Self {
        Expand {
            type_column: Some(type_column),
            ..Self::to(name, column, targets)
        }
    }
    pub const fn first(
        name: &'static str,
        column: &'static str,
        targets: &'static [&'static str],
        pick: &'static str,
    ) -> Self {
        Expand {
            what: Expanded::First(pick),
            ..Self::to(name, column, targets)
        }
    }
    pub const fn hidden(self) -> Self {
        Expand {
            hidden: true,
            ..self
        }
    }
    /// Whether the object itself has the column.
    pub fn is_reference(&self) -> bool {
        self.what == Expanded::Reference
    }
}
