//! The columns of a table, in order: key, status, references, fields, derived, bookkeeping, generated.

use super::{
    apart::is_apart,
    later,
    names::target_column,
    object::quote,
    references::{self, Reference},
    rules::literal,
};
use crate::model::{Derived, DerivedKind, Entity, EntityId, Field, Lifecycle, Model, Relation, Ty};
use crate::objects::Column;

pub fn columns(model: &Model, id: EntityId) -> Vec<Column> {
    let entity = &model.entities[id];
    let mut columns = vec![Column {
        default: Some("sec.uuid_v7()".into()),
        ..column("id", "uuid", true)
    }];
    if entity.lifecycle == Lifecycle::SoftDelete {
        columns.push(Column {
            default: Some("'active'".into()),
            ..column("status", "text", true)
        });
    }
    columns.extend(entity.belongs.iter().flat_map(relation));
    columns.extend(entity.fields.iter().map(field));
    columns.extend(beside(model, id));
    columns.extend(
        archiving(model, entity)
            .into_iter()
            .map(|(name, ty)| column(name, ty, false)),
    );
    columns.extend(ended_columns(entity).map(|name| Column {
        default: Some("false".into()),
        ..column(name, "boolean", true)
    }));
    if entity.lifecycle != Lifecycle::AppendOnly {
        columns.push(Column {
            default: Some("1".into()),
            ..column("version", "bigint", true)
        });
    }
    let now = || Some("now()".to_owned());
    columns.push(Column {
        default: now(),
        ..column("created_at", "timestamptz", true)
    });
    if entity.lifecycle != Lifecycle::AppendOnly {
        columns.push(Column {
            default: now(),
            ..column("updated_at", "timestamptz", true)
        });
    }
    columns.extend(generated(model, id));
    columns
}

/// Derived columns that are stored in the separate table of counters.
pub fn apart(model: &Model, id: EntityId) -> impl Iterator<Item = Column> {
    let entity = &model.entities[id];
    let kept = entity
        .derived
        .iter()
        .filter(move |d| is_apart(model, id, d));
    kept.flat_map(move |d| derived(model, entity, d))
}

/// The columns that a derived value is stored in, without those computed from them (an average is stored as sum and
/// count).
pub fn kept_parts(model: &Model, entity: &Entity, of: &Derived) -> Vec<Column> {
    let columns = derived(model, entity, of).into_iter();
    columns.filter(|c| c.generated.is_none()).collect()
}

/// Columns that only triggers write. Their changes create neither a new version nor an audit entry.
pub fn derived_columns(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    let columns = beside(model, id);
    let names = columns.filter(|c| c.generated.is_none()).map(|c| c.name);
    let archiving = archiving(model, entity).into_iter();
    names
        .chain(archiving.map(|(name, _)| name.to_owned()))
        .chain(ended_columns(entity))
        .collect()
}

/// Columns that record whether a person whom the row is about archived it themselves.
pub fn ended_columns(entity: &Entity) -> impl Iterator<Item = String> + '_ {
    let about = entity.belongs.iter().filter(|r| r.consents);
    about.map(Relation::ended_column)
}

/// True while the row isn't archived, else null. References to live rows refer to this column together with the id. A
/// trigger maintains it.
pub const LIVE_KEY: &str = "live_key";

/// True while the row isn't archived, and until the children of an archived row that may follow later have all done so
/// ([`later`](super::later)); else null. References of these children refer to it instead of [`LIVE_KEY`].
pub const OPEN_KEY: &str = "open_key";

/// True while the references of this row must be to live rows, else null. Together with the reference, it refers to
/// the target's [`LIVE_KEY`].
pub const LIVE_REF: &str = "live_ref";

/// The status that the row had when it was archived, which restoring gives back.
pub const ARCHIVED_FROM: &str = "archived_from";

/// The archived parent with which this row was archived, or would have been, and will be restored. Null for a row that
/// was archived by itself.
pub const ARCHIVED_WITH: &str = "archived_with";

/// Whether rows of this entity may be archived together with a parent.
pub fn goes_along(model: &Model, entity: &Entity) -> bool {
    let soft = |e: &Entity| e.lifecycle == Lifecycle::SoftDelete;
    let cascades =
        |r: &Relation| r.cascades() && r.targets.iter().any(|&t| soft(&model.entities[t]));
    soft(entity) && entity.belongs.iter().any(cascades)
}

pub fn sql_type(ty: &Ty) -> String {
    match ty {
        Ty::Text { .. } | Ty::Url | Ty::Phone | Ty::Slug { .. } | Ty::Currency | Ty::Country => {
            "text".into()
        }
        Ty::Social { .. } | Ty::LocalTime | Ty::Code { .. } | Ty::Handle { .. } => "text".into(),
        Ty::Email | Ty::Locale | Ty::Timezone | Ty::Enum { .. } | Ty::States { .. } => {
            "text".into()
        }
        Ty::Int { .. } => "integer".into(),
        Ty::Bigint { .. } | Ty::Money { .. } => "bigint".into(),
        Ty::Decimal { places } => format!("numeric(20,{places})"),
        Ty::Bool => "boolean".into(),
        Ty::Time => "timestamptz".into(),
        Ty::Date => "date".into(),
        Ty::Uuid => "uuid".into(),
        Ty::Json | Ty::Object { .. } => "jsonb".into(),
        Ty::Point => "geography(Point,4326)".into(),
        Ty::TextList { .. } => "text[]".into(),
    }
}

pub(super) fn column(
    name: impl Into<String>,
    sql_type: impl Into<String>,
    not_null: bool,
) -> Column {
    Column {
        name: name.into(),
        sql_type: sql_type.into(),
        not_null,
        default: None,
        generated: None,
        was: None,
        comment: None,
    }
}

/// Derived columns that are stored in the row.
fn beside(model: &Model, id: EntityId) -> impl Iterator<Item = Column> {
    let entity = &model.entities[id];
    let kept = entity
        .derived
        .iter()
        .filter(move |d| !is_apart(model, id, d));
    kept.flat_map(move |d| derived(model, entity, d))
}

/// Columns that record how a row was archived.
fn archiving(model: &Model, entity: &Entity) -> Vec<(&'static str, &'static str)> {
    if entity.lifecycle != Lifecycle::SoftDelete {
        return Vec::new();
    }
    let with = goes_along(model, entity).then_some((ARCHIVED_WITH, "uuid"));
    std::iter::once((ARCHIVED_FROM, "text"))
        .chain(with)
        .collect()
}

fn relation(relation: &Relation) -> Vec<Column> {
    let was = |suffix: &str| relation.was.as_ref().map(|w| format!("{w}_{suffix}"));
    let mut columns = Vec::new();
    if let Some(name) = relation.type_column() {
        columns.push(Column {
            was: was("type"),
            ..column(name, "text", !relation.optional)
        });
    }
    columns.push(Column {
        was: was("id"),
        default: match relation {
            r if r.set_me => Some("sec.uid()".into()),
            r if r.set_session => Some("sec.session()".into()),
            _ => None,
        },
        comment: relation.doc.clone(),
        ..column(relation.id_column(), "uuid", !relation.optional)
    });
    columns
}

fn field(field: &Field) -> Column {
    let first_state = match &field.ty {
        Ty::States { values } => values.first().map(|v| quote(v)),
        _ => None,
    };
    Column {
        was: field.was.clone(),
        default: field.default.as_ref().map(literal).or(first_state),
        comment: field.doc.clone(),
        ..column(&field.name, sql_type(&field.ty), !field.optional)
    }
}

fn derived(model: &Model, entity: &Entity, derived: &Derived) -> Vec<Column> {
    let name = &derived.name;
    let zero = |name: String, ty: &str| Column {
        default: Some("0".into()),
        ..column(name, ty, true)
    };
    match &derived.kind {
        DerivedKind::Count { .. } => vec![zero(name.clone(), "bigint")],
        DerivedKind::Sum { has, field, .. } => {
            vec![zero(name.clone(), &sum_type(model, entity, *has, field))]
        }
        DerivedKind::Avg { has, field, .. } => {
            let mean = format!("round({name}_sum::numeric / nullif({name}_count, 0), 1)");
            vec![
                zero(format!("{name}_sum"), &sum_type(model, entity, *has, field)),
                zero(format!("{name}_count"), "bigint"),
                Column {
                    generated: Some(mean),
                    ..column(name, "numeric(20,1)", false)
                },
            ]
        }
        DerivedKind::Flag { .. } => Vec::new(),
    }
}

/// The type of a sum, wide enough for many values.
fn sum_type(model: &Model, entity: &Entity, has: usize, field: &str) -> String {
    match model.entities[entity.has[has].child]
        .field(field)
        .map(|f| &f.ty)
    {
        Some(Ty::Decimal { places }) => format!("numeric(30,{places})"),
        _ => "bigint".into(),
    }
}

/// Generated columns: the targets of `one of` relations, and `live_ref` for references that must be to live rows only
/// while this row is live. `live_key`, to which children refer, is maintained by a trigger instead: if it were a
/// generated column, every update would lock the row against children that refer to it, and two members who like one
/// event at the same time would deadlock.
fn generated(model: &Model, id: EntityId) -> Vec<Column> {
    let made = |name: String, sql_type: &str, expr: String| Column {
        generated: Some(expr),
        ..column(name, sql_type, false)
    };
    let mut columns = Vec::new();
    if references::has_live_children(model, id) {
        columns.push(Column {
            default: Some("true".into()),
            ..column(LIVE_KEY, "boolean", false)
        });
    }
    if later::has_any(model, id) {
        columns.push(Column {
            default: Some("true".into()),
            ..column(OPEN_KEY, "boolean", false)
        });
    }
    let entity = &model.entities[id];
    for Reference {
        relation, target, ..
    } in references::of(model, entity)
    {
        let target = &model.entities[target];
        let id_column = relation.id_column();
        let is_target = relation
            .type_column()
            .map(|c| format!("{c} = {}", quote(&target.name)));
        if let Some(is_target) = &is_target {
            let expr = format!("case when {is_target} then {id_column} end");
            columns.push(made(target_column(relation, target), "uuid", expr));
        }
    }
    if references::has_live_parents(model, id) {
        let expr = match entity.lifecycle {
            Lifecycle::SoftDelete => "case when status <> 'archived' then true end",
            // An entity without a status: its references are always to live rows, since they are set to null
            // otherwise.
            _ => "true",
        };
        columns.push(made(LIVE_REF.into(), "boolean", expr.into()));
    }
    columns
}
