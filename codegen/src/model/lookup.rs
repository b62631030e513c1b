//! What entities and relations answer about themselves.

use super::*;

impl Relation {
    /// The server knows its value from who asks: no body has it.
    pub fn of_caller(&self) -> bool {
        self.set_me || self.set_session
    }
    pub fn id_column(&self) -> String {
        format!("{}_id", self.name)
    }
    /// Whether the person it refers to archived the row themselves.
    pub fn ended_column(&self) -> String {
        format!("{ENDED_BY}{}", self.name)
    }
    pub fn type_column(&self) -> Option<String> {
        self.polymorphic.then(|| format!("{}_type", self.name))
    }
    /// The row is archived together with what it refers to.
    pub fn cascades(&self) -> bool {
        matches!(
            self.on_archive,
            OnArchive::Cascade | OnArchive::CascadeAlways
        )
    }
}

impl Entity {
    pub fn relation(&self, name: &str) -> Option<&Relation> {
        self.belongs.iter().find(|r| r.name == name)
    }
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }
    /// Which rows a list of `unique` is about, where that is not all live ones.
    pub fn unique_where(&self, columns: &[String]) -> Option<&Expr> {
        let found = self.unique_where.iter().find(|u| u.columns == columns);
        found.map(|u| &u.filter)
    }
    /// Routes that change rows exist.
    pub fn writable(&self) -> bool {
        !self.internal && self.module.is_none()
    }
    pub fn states_field(&self) -> Option<&Field> {
        self.fields
            .iter()
            .find(|f| matches!(f.ty, Ty::States { .. }))
    }
}

impl Transition {
    /// Everything that it sets, but the state.
    pub fn sets(&self) -> impl Iterator<Item = &Set> {
        let first = match &self.change {
            Change::Set(set) => Some(set),
            Change::State { .. } => None,
        };
        first.into_iter().chain(&self.sets)
    }
    /// The columns that it changes.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let state = match &self.change {
            Change::State { field, .. } => Some(field.as_str()),
            Change::Set(_) => None,
        };
        (state.into_iter()).chain(self.sets().map(|set| set.column.as_str()))
    }
}
