//! Indexes of what lists are filtered by, where anybody may ask for the list and no other index finds the few rows that match.
//!
//! Without one, a value that is rare has the whole table read, in the order of the list. They end in the id, so a value that
//! is not rare is a page of that order. Each costs every write: there is none for what only has a few values, where the page
//! is full before much was read, and none for counters, which would be changed in it all the time.

use super::{names, object::index, uniques};
use crate::model::{Entity, EntityId, Field, Model, Relation, Ty, open};
use crate::objects::Object;

/// As many values share all rows so evenly that a page of each is near.
const FEW_VALUES: usize = 8;

/// A key has room for 2,600 bytes, and a character takes up to four.
const KEY_CHARACTERS_MAX: u32 = 600;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let read = entity.access.read.as_ref();
    if entity.internal || !read.is_some_and(|read| open::to_anyone(model, id, read)) {
        return Vec::new();
    }
    let fields = entity.fields.iter().filter(|f| is_selective(f));
    // Each target has an index of its own, by the column that refers to it; lists are filtered by all of them at once.
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

/// A value leaves few of many rows.
fn is_selective(field: &Field) -> bool {
    // The index of an order finds a value as well: texts are compared in the collation that they are sorted by.
    if !field.filter || field.read.is_some() || field.sort {
        return false;
    }
    match &field.ty {
        Ty::Enum { values } | Ty::States { values } => values.len() > FEW_VALUES,
        Ty::Int { min, max } | Ty::Bigint { min, max } | Ty::Money { min, max } => {
            let span = min.zip(*max).map(|(min, max)| max.saturating_sub(min));
            span.is_none_or(|span| span >= FEW_VALUES as i64)
        }
        Ty::Text { max, .. } | Ty::Code { max, .. } => *max <= KEY_CHARACTERS_MAX,
        // All is sold in a few; an address has an index already.
        Ty::Bool | Ty::Currency | Ty::Slug { .. } => false,
        // Asked for from and until, of which plans that are made once for all values believe that it is a third of the rows:
        // they read the list in its order whatever else there is.
        Ty::Time => false,
        // Longer than a key has room for.
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
