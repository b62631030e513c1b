//! The columns of an entity by name, with what they can be compared to.

use crate::model::{DerivedKind, Entity, EntityId, Lifecycle, Model, Ty};

/// The kind of a value, which decides what it can be compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Class {
    Number,
    Text,
    /// One of these values.
    Choice(Vec<String>),
    Bool,
    Time,
    Date,
    /// An id of one of these entities; empty: of any entity.
    Id(Vec<EntityId>),
    /// A type that can't be compared, with its name for messages.
    Opaque(&'static str),
}

impl Class {
    pub fn name(&self) -> &'static str {
        match self {
            Class::Number => "a number",
            Class::Text => "a text",
            Class::Choice(_) => "one of a few values",
            Class::Bool => "true or false",
            Class::Time => "a time",
            Class::Date => "a date",
            Class::Id(_) => "an id",
            Class::Opaque(name) => name,
        }
    }
    pub fn is_ordered(&self) -> bool {
        matches!(
            self,
            Class::Number | Class::Text | Class::Time | Class::Date
        )
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The column's name in the table.
    pub name: String,
    pub class: Class,
    pub nullable: bool,
}

/// A column by the name of a field, relation, derived counter or built-in column.
pub fn find(model: &Model, entity: EntityId, name: &str) -> Option<Column> {
    let id = entity;
    let entity = &model.entities[entity];
    let column = |name: &str, class, nullable| {
        Some(Column {
            name: name.to_owned(),
            class,
            nullable,
        })
    };
    if let Some(field) = entity.field(name) {
        return column(name, class(&field.ty), field.optional);
    }
    for relation in &entity.belongs {
        let id_column = relation.id_column();
        if name == relation.name || name == id_column {
            let id = Class::Id(relation.targets.clone());
            return column(&id_column, id, relation.optional);
        }
        if relation.type_column().as_deref() == Some(name) {
            let targets = relation
                .targets
                .iter()
                .map(|t| model.entities[*t].name.clone())
                .collect();
            return column(name, Class::Choice(targets), relation.optional);
        }
    }
    if let Some(derived) = entity.derived.iter().find(|d| d.name == name) {
        return match derived.kind {
            DerivedKind::Count { .. } | DerivedKind::Sum { .. } => {
                column(name, Class::Number, false)
            }
            DerivedKind::Avg { .. } => column(name, Class::Number, true),
            DerivedKind::Flag { .. } => None,
        };
    }
    builtin(id, entity, name)
}

/// Names to suggest when one is unknown.
pub fn known(entity: &Entity) -> Vec<&str> {
    let fields = entity.fields.iter().map(|f| f.name.as_str());
    let relations = entity.belongs.iter().map(|r| r.name.as_str());
    let derived = entity
        .derived
        .iter()
        .filter(|d| !matches!(d.kind, DerivedKind::Flag { .. }))
        .map(|d| d.name.as_str());
    fields
        .chain(relations)
        .chain(derived)
        .chain(["created_at"])
        .collect()
}

pub fn class(ty: &Ty) -> Class {
    match ty {
        Ty::Int { .. } | Ty::Bigint { .. } | Ty::Decimal { .. } | Ty::Money { .. } => Class::Number,
        Ty::Text { .. } | Ty::Url | Ty::Email | Ty::Phone | Ty::Slug { .. } => Class::Text,
        Ty::Social { .. } | Ty::LocalTime | Ty::Code { .. } | Ty::Handle { .. } => Class::Text,
        Ty::Currency | Ty::Country | Ty::Locale | Ty::Timezone => Class::Text,
        Ty::Enum { values } | Ty::States { values } => Class::Choice(values.clone()),
        Ty::Bool => Class::Bool,
        Ty::Time => Class::Time,
        Ty::Date => Class::Date,
        Ty::Uuid => Class::Id(Vec::new()),
        Ty::Json => Class::Opaque("JSON"),
        Ty::Point => Class::Opaque("a point"),
        Ty::Object { .. } => Class::Opaque("an object"),
        Ty::TextList { .. } => Class::Opaque("a list"),
    }
}

fn builtin(id: EntityId, entity: &Entity, name: &str) -> Option<Column> {
    let class = match (name, entity.lifecycle) {
        ("id", _) => Class::Id(vec![id]),
        ("created_at", _) => Class::Time,
        ("updated_at", Lifecycle::SoftDelete | Lifecycle::Mutable) => Class::Time,
        ("version", Lifecycle::SoftDelete | Lifecycle::Mutable) => Class::Number,
        ("status", Lifecycle::SoftDelete) => Class::Choice(
            ["active", "suspended", "archived"]
                .map(str::to_owned)
                .to_vec(),
        ),
        _ => return None,
    };
    Some(Column {
        name: name.to_owned(),
        class,
        nullable: false,
    })
}
