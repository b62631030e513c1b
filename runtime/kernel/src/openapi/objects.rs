//! Lets objects of hand-written routes tell their type, like generated ones.

use serde_json::json;
use utoipa::{
    Modify,
    openapi::{
        OpenApi, RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

/// Names of schemas, and the value of `object` in answers with them: `#[serde(tag = "object", rename = "session")]`
/// writes it, and this describes it in the document, which derives do not do for structs. For
/// `#[openapi(modifiers(&OBJECTS))]`.
pub struct Objects(pub &'static [(&'static str, &'static str)]);

impl Modify for Objects {
    fn modify(&self, document: &mut OpenApi) {
        let Some(components) = &mut document.components else {
            return;
        };
        for (schema, name) in self.0 {
            let told = match components.schemas.get_mut(*schema) {
                Some(RefOr::T(schema)) => tell(schema, name),
                _ => false,
            };
            assert!(told, "`{schema}` is no object that could tell its type");
        }
    }
}

/// Structs with flattened parts are a list of schemas, of which the last one has their own properties.
fn tell(schema: &mut Schema, name: &str) -> bool {
    let object = match schema {
        Schema::Object(object) => object,
        Schema::AllOf(parts) => match parts.items.last_mut() {
            Some(RefOr::T(own)) => return tell(own, name),
            _ => return false,
        },
        _ => return false,
    };
    let tells = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([name]))
        .build();
    object.properties.insert("object".to_owned(), tells.into());
    if let Some(example) = object.example.as_mut().and_then(|one| one.as_object_mut()) {
        example.insert("object".to_owned(), json!(name));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, to_value};

    fn told(schema: Value) -> Value {
        let document = json!({"openapi": "3.1.0", "info": {"title": "", "version": ""}, "paths": {},
            "components": {"schemas": {"Figures": schema}}});
        let mut document: OpenApi = from_value(document).unwrap();
        Objects(&[("Figures", "figures")]).modify(&mut document);
        to_value(document).unwrap()["components"]["schemas"]["Figures"].clone()
    }

    #[test]
    fn objects_with_flattened_parts_tell_their_type() {
        let own = json!({"type": "object", "properties": {"count": {"type": "integer"}}});
        let tells = json!({"type": "string", "enum": ["figures"]});
        assert_eq!(told(own.clone())["properties"]["object"], tells);
        let parts = told(json!({"allOf": [{"$ref": "#/components/schemas/Other"}, own]}));
        assert_eq!(parts["allOf"][1]["properties"]["object"], tells);
        assert_eq!(parts["allOf"][1]["properties"]["count"]["type"], "integer");
    }

    #[test]
    #[should_panic(expected = "could tell its type")]
    fn a_name_without_an_object_is_noticed() {
        told(json!({"type": "array", "items": {"type": "string"}}));
    }
}
