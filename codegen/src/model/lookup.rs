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
