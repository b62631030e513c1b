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
            if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(*schema) {
                let tells = ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some([*name]))
                    .build();
                object.properties.insert("object".to_owned(), tells.into());
                if let Some(example) = object.example.as_mut().and_then(|one| one.as_object_mut()) {
                    example.insert("object".to_owned(), json!(name));
                }
            }
        }
    }
}
