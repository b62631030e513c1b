//! Bodies built from rows: those that would create such a row, or leave it unchanged.

use super::operations::{Kind, Operation, body_keys, entity};
use crate::{rules::world::Row, support::model};
use codegen::model::{Entity, Field, Literal, Ty};
use kernel::resource::Resource;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A body with which the operation does not change the row, if the operation has a body.
pub fn body(operation: &Operation, row: &Row) -> Option<Value> {
    match operation.kind {
        Kind::Create => Some(create(operation.resource, row)),
        Kind::Replace => Some(of(operation.resource, "Replace", row)),
        Kind::Merge => Some(json!({})),
        // With blanks around it, as from copying.
        _ if operation.wants_reason() => Some(json!({"reason": " because\n"})),
        _ => None,
    }
}

/// The body that creates a row like this one.
pub fn create(resource: &Resource, row: &Row) -> Value {
    of(resource, "Create", row)
}

fn of(resource: &Resource, kind: &str, row: &Row) -> Value {
    let entity = entity(model(), resource);
    let mut body = Map::new();
    for key in body_keys(kind, resource.name) {
        let field = entity.field(key);
        // Fields with a `set` rule are left at their default, so that only the row's rule decides.
        if field.is_some_and(may_be_left_out) {
            continue;
        }
        match (row.get(key), field) {
            (None | Some(Value::Null), _) => {}
            (Some(value), Some(field)) if field.ty == Ty::Point => {
                body.insert(key.to_owned(), point(value));
            }
            (Some(value), _) => {
                body.insert(key.to_owned(), value.clone());
            }
        }
    }
    Value::Object(body)
}

fn may_be_left_out(field: &Field) -> bool {
    field.write.is_some() && (field.optional || field.default.is_some())
}

/// The row that such a body would create for this caller, as far as rules depend on it.
pub fn made(entity: &Entity, row: &Row, me: Option<Uuid>) -> Row {
    let mut made = row.clone();
    made.insert("id".into(), json!(Uuid::now_v7()));
    made.insert("status".into(), json!("active"));
    for field in &entity.fields {
        let states = matches!(field.ty, Ty::States { .. });
        if field.system || states || may_be_left_out(field) {
            made.insert(field.name.clone(), default(field));
        }
    }
    for relation in &entity.belongs {
        if relation.set_me {
            made.insert(relation.id_column(), json!(me));
        } else if relation.system || relation.set_session {
            made.insert(relation.id_column(), Value::Null);
        }
    }
    for derived in &entity.derived {
        made.insert(derived.name.clone(), json!(0));
    }
    made
}

fn default(field: &Field) -> Value {
    match &field.default {
        Some(Literal::Bool(value)) => json!(value),
        Some(Literal::Int(value)) => json!(value),
        Some(Literal::Text(value)) => json!(value),
        _ => Value::Null,
    }
}

/// Parses a point in extended WKB in hexadecimal, little-endian, with the reference system: x and y are the last two
/// doubles.
fn point(value: &Value) -> Value {
    let text = value.as_str().expect("a point in hexadecimal");
    let double = |at: usize| {
        let byte =
            |i: usize| u8::from_str_radix(&text[at + i * 2..at + i * 2 + 2], 16).expect("hex");
        f64::from_le_bytes(std::array::from_fn(byte))
    };
    json!({"lng": double(18), "lat": double(34)})
}
