//! Questions about entities and relations that the model answers.

use super::*;

/// The prefix of a relation's internal column, which no body and no answer contains.
pub const ENDED_BY: &str = "ended_by_";

impl Model {
    pub fn entity(&self, name: &str) -> Option<(EntityId, &Entity)> {
        self.entities
            .iter()
            .enumerate()
            .find(|(_, e)| e.name == name)
    }
    /// The owner of an assignment or session: the reference to `identity` with the same name as that entity, or else
    /// the first one.
    pub fn holder<'a>(&self, entity: &'a Entity) -> Option<&'a Relation> {
        let name = &self.entities.get(self.identity)?.name;
        let mut to_identity =
            (entity.belongs.iter()).filter(|r| !r.polymorphic && r.targets == [self.identity]);
        let first = to_identity.clone().next();
        to_identity.find(|r| r.name == *name).or(first)
    }
    /// Whether there is a list of these children under their parent, which requires that the parent has routes. There is
    /// none for a reference with a `read` rule, because the list would reveal its value.
    pub fn is_listed(&self, has: &Has) -> bool {
        let child = &self.entities[has.child];
        let via = child.relation(&has.via);
        !child.internal && via.is_some_and(|via| via.read.is_none())
    }
}

impl Relation {
    /// The server sets the value from the caller; no body contains it.
    pub fn of_caller(&self) -> bool {
        self.set_me || self.set_session
    }
    pub fn id_column(&self) -> String {
        format!("{}_id", self.name)
    }
    /// Whether the user that it refers to archived the row themselves.
    pub fn ended_column(&self) -> String {
        format!("{ENDED_BY}{}", self.name)
    }
    pub fn type_column(&self) -> Option<String> {
        self.polymorphic.then(|| format!("{}_type", self.name))
    }
    /// Whether archiving the row that it refers to cascades to this one.
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
    /// The condition of an entry of `unique`; `None` for all live rows.
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
    /// The assignments of the transition, except that of the state.
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

impl Model {
    /// The value of the assignments' column `role` that stands for a role.
    pub fn role_value(&self, role: &Role) -> String {
        let values = match self.entities[self.assignments].field("role").map(|f| &f.ty) {
            Some(Ty::Enum { values }) => values.as_slice(),
            _ => &[],
        };
        let snake = crate::names::snake(&role.name);
        if !values.contains(&role.name) && values.contains(&snake) {
            return snake;
        }
        role.name.clone()
    }
}
