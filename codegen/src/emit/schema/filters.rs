//! Indexes for the filters of lists that anybody may read, if no other index finds the few matching rows.
//!
//! Without such an index, a filter by a rare value would read the whole table in the order of the list. Each index
//! ends in the id, so that a page of a frequent value can be read in the list's order. Since every write maintains all
//! indexes, there are none for columns with only a few values, where a page is full after few rows, and none for
//! counters, which would change them all the time.

use super::{names, object::index, uniques};
use crate::model::{Entity, EntityId, Field, Model, Relation, Ty, open};
use crate::objects::Object;

/// With up to this many values, each is frequent enough to fill a page quickly without an index.
const FEW_VALUES: usize = 8;

/// The longest text that is indexed: a key may have 2,600 bytes, and a character up to four.
const KEY_CHARACTERS_MAX: u32 = 600;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let read = entity.access.read.as_ref();
    if entity.internal || !read.is_some_and(|read| open::to_anyone(model, id, read)) {
        return Vec::new();
    }
    let fields = entity.fields.iter().filter(|f| is_selective(f));
    // A `one of` relation has one index per target, on the column of that target. Lists filter by the id of any
    // target, which needs an index on the id column.
    let relations = entity.belongs.iter();
    let relations = relations.filter(|r| r.filter && r.polymorphic && r.read.is_none());
    let columns = fields
        .map(|f| (f.name.clone(), f.optional))
        .chain(relations.map(|r: &Relation| (r.id_column(), r.optional)));
    columns
        .filter(|(column, _)| !uniques::finds_live(model, id, column))
        .map(|(column, optional)| by_filter(entity, &column, optional))
        .collect()
}

/// Whether a value of the field matches only few of many rows.
fn is_selective(field: &Field) -> bool {
    // The index for sorting also finds single values, since texts are compared in the collation that they are sorted
    // by.
    if !field.filter || field.read.is_some() || field.sort {
        return false;
    }
    match &field.ty {
        Ty::Enum { values } | Ty::States { values } => values.len() > FEW_VALUES,
        Ty::Int { min, max } | Ty::Bigint { min, max } | Ty::Money { min, max } => {
            let span = min.zip(*max).map(|(min, max)| max.saturating_sub(min));
            span.is_none_or(|span| span >= FEW_VALUES as i64)
        }
        Ty::Text { max, .. } | Ty::Code { max, .. } | Ty::Handle { max, .. } => {
            *max <= KEY_CHARACTERS_MAX
        }
        // Booleans and currencies have few frequent values; a slug has an index already.
        Ty::Bool | Ty::Currency | Ty::Slug { .. } => false,
        // Times are filtered by ranges. Plans that are made once for all values assume that a range matches a third of
        // the rows, and would read the list in its order whatever indexes exist.
        Ty::Time => false,
        // May be longer than a key can be.
        Ty::Url => false,
        Ty::Json | Ty::Object { .. } | Ty::TextList { .. } | Ty::Point => false,
        Ty::Decimal { .. }
        | Ty::Date
        | Ty::LocalTime
        | Ty::Uuid
        | Ty::Email
        | Ty::Phone
        | Ty::Social { .. }
        | Ty::Country
        | Ty::Locale
        | Ty::Timezone => true,
    }
}

fn by_filter(entity: &Entity, column: &str, optional: bool) -> Object {
    let rest = match optional {
        true => format!(" where {column} is not null"),
        false => String::new(),
    };
    let name = names::index(entity, &[column.to_owned()]);
    index(
        &names::table(entity),
        &name,
        false,
        &format!("({column}, id){rest}"),
    )
}
