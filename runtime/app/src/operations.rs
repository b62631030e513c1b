//! The operations of an API document, whether utoipa's derives describe them or a module does, as JSON.

use serde_json::{Map, Value};
use utoipa::openapi::{OpenApi, path::Operation};

/// Calls `change` with the id of each operation.
pub fn each(document: &mut OpenApi, mut change: impl FnMut(&str, &mut Operation)) {
    for item in document.paths.paths.values_mut() {
        let all = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in all.into_iter().flatten() {
            let id = operation.operation_id.clone().unwrap_or_default();
            change(&id, operation);
        }
    }
}

/// The same for operations that are described as JSON.
pub fn each_json(document: &mut Value, mut change: impl FnMut(&str, &mut Value)) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(Map::values_mut);
    let operations = items
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut);
    for operation in operations {
        let id = operation["operationId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        change(&id, operation);
    }
}
