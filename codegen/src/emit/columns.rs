//! The columns of an entity's row and of its bodies. Their order is the same in structs, statements and bound values.

use crate::model::{Derived, DerivedKind, Entity, Expr, Field, Lifecycle, Model, Relation, Ty};

#[derive(Clone, Copy)]
pub struct Column<'a> {
    pub entity: &'a Entity,
    pub source: Source<'a>,
}

#[derive(Clone, Copy)]
pub enum Source<'a> {
    Id,
    Status,
    Field(&'a Field),
    /// `host_type` of a `one of`.
    TypeOf(&'a Relation),
    IdOf(&'a Relation),
    Derived(&'a Derived),
    Version,
    CreatedAt,
    UpdatedAt,
}

/// Columns of a row as it is read: id, status, fields, relations, derived, version, times.
pub fn row(entity: &Entity) -> Vec<Column<'_>> {
    let kept = entity.lifecycle != Lifecycle::AppendOnly;
    let mut sources = vec![Source::Id];
    sources.extend((entity.lifecycle == Lifecycle::SoftDelete).then_some(Source::Status));
    sources.extend(entity.fields.iter().map(Source::Field));
    sources.extend(entity.belongs.iter().flat_map(of_relation));
    sources.extend(entity.derived.iter().map(Source::Derived));
    sources.extend(kept.then_some(Source::Version));
    sources.push(Source::CreatedAt);
    sources.extend(kept.then_some(Source::UpdatedAt));
    sources
        .into_iter()
        .map(|source| Column { entity, source })
        .collect()
}

/// The columns that the body of a POST may contain.
pub fn create(entity: &Entity) -> Vec<Column<'_>> {
    body(entity, |_| true, |_| true)
}

/// The columns that the body of a PUT or PATCH may contain.
pub fn update(entity: &Entity) -> Vec<Column<'_>> {
    body(entity, |field| !field.fixed, |relation| relation.movable)
}

impl<'a> Column<'a> {
    pub fn name(&self) -> String {
        match self.source {
            Source::Id => "id".into(),
            Source::Status => "status".into(),
            Source::Field(field) => field.name.clone(),
            Source::TypeOf(relation) => format!("{}_type", relation.name),
            Source::IdOf(relation) => relation.id_column(),
            Source::Derived(derived) => derived.name.clone(),
            Source::Version => "version".into(),
            Source::CreatedAt => "created_at".into(),
            Source::UpdatedAt => "updated_at".into(),
        }
    }

    /// The `doc` of the field or relation in the spec.
    pub fn doc(&self) -> Option<&'a str> {
        match self.source {
            Source::Field(field) => field.doc.as_deref(),
            Source::IdOf(relation) => relation.doc.as_deref(),
            _ => None,
        }
    }

    pub fn optional(&self) -> bool {
        match self.source {
            Source::Field(field) => field.optional,
            Source::TypeOf(relation) | Source::IdOf(relation) => relation.optional,
            Source::Derived(derived) => matches!(derived.kind, DerivedKind::Avg { .. }),
            _ => false,
        }
    }

    /// The rule that says which callers get the column; `None` means everybody who may read the row.
    pub fn read_rule(&self) -> Option<&'a Expr> {
        match self.source {
            Source::Field(field) => field.read.as_ref(),
            Source::TypeOf(relation) | Source::IdOf(relation) => relation.read.as_ref(),
            _ => None,
        }
    }

    /// Whether a PUT without the column leaves it unchanged. A client that sends back what it was given must not clear
    /// a value that it was not given or may not set, nor a slug that was made for it.
    pub fn keeps(&self) -> bool {
        let field = match self.source {
            Source::Field(field) => Some(field),
            _ => None,
        };
        self.read_rule().is_some()
            || field
                .is_some_and(|f| f.write.is_some() || matches!(f.ty, Ty::Slug { from: Some(_) }))
    }

    pub fn ty(&self) -> Option<&'a Ty> {
        match self.source {
            Source::Field(field) => Some(&field.ty),
            _ => None,
        }
    }

    /// Whether the column is a sum of decimals.
    pub fn sums_decimals(&self, model: &Model) -> bool {
        let Source::Derived(Derived {
            kind: DerivedKind::Sum { has, field, .. },
            ..
        }) = self.source
        else {
            return false;
        };
        let child = &model.entities[self.entity.has[*has].child];
        child
            .field(field)
            .is_some_and(|f| matches!(f.ty, Ty::Decimal { .. }))
    }
}

/// Whether some column has a read rule.
pub fn guarded(entity: &Entity) -> bool {
    row(entity)
        .iter()
        .any(|column| column.read_rule().is_some())
}

fn body(
    entity: &Entity,
    field: fn(&Field) -> bool,
    relation: fn(&Relation) -> bool,
) -> Vec<Column<'_>> {
    let fields = entity
        .fields
        .iter()
        .filter(|f| !f.system && !matches!(f.ty, Ty::States { .. }) && field(f));
    let relations = entity
        .belongs
        .iter()
        .filter(|r| !r.of_caller() && !r.system && relation(r));
    let sources = fields
        .map(Source::Field)
        .chain(relations.flat_map(of_relation));
    sources.map(|source| Column { entity, source }).collect()
}

fn of_relation(relation: &Relation) -> Vec<Source<'_>> {
    match relation.polymorphic {
        true => vec![Source::TypeOf(relation), Source::IdOf(relation)],
        false => vec![Source::IdOf(relation)],
    }
}

#[cfg(test)]
mod tests {
    use super::{create, update};
    use crate::emit::actions::Action;
    use crate::emit::schema;
    use std::path::Path;

    /// The request role may write exactly the columns that bodies contain, in the product and in the second
    /// application.
    #[test]
    fn bodies_and_grants_hold_the_same_columns() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for root in [root.to_owned(), root.join("tests/library")] {
            let model = crate::load(&root).unwrap();
            for entity in &model.entities {
                let names = |columns: Vec<super::Column>, action: Action| {
                    let mut names: Vec<String> = columns.iter().map(super::Column::name).collect();
                    names.sort();
                    if action.open(entity).is_some() {
                        names
                    } else {
                        Vec::new()
                    }
                };
                let sorted = |mut names: Vec<String>| {
                    names.sort();
                    names
                };
                let (inserts, updates) = (
                    sorted(schema::insertable(entity)),
                    sorted(schema::updatable(entity)),
                );
                assert_eq!(
                    names(create(entity), Action::Create),
                    inserts,
                    "{}",
                    entity.name
                );
                assert_eq!(
                    names(update(entity), Action::Update),
                    updates,
                    "{}",
                    entity.name
                );
            }
        }
    }
}
