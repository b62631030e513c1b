//! `generated/src/objects.rs`: what entities share, namely the status, the roles and the closed objects.

use super::entity::types::{choice, default_of, enum_name_of, field_type, type_checks};
use super::rust::{doc, header, ident, pascal};
use crate::model::{Field, Model, Object, Ty};

/// Path below `generated/`, and the file's text.
pub fn file(model: &Model) -> (String, String) {
    let mut out = header("app.yaml");
    out.push_str("//! What entities share: the status, the roles, the closed objects.\n\n");
    let body: String = model
        .objects
        .iter()
        .map(|object| object_type(model, object))
        .collect();
    let uses = ["DateTime", "NaiveDate", "Uuid", "Json", "Point"]
        .iter()
        .any(|name| body.contains(name));
    out.push_str(if uses {
        "use kernel::prelude::*;\n"
    } else {
        ""
    });
    out.push_str(match model.objects.is_empty() {
        true => "use macros::Choice;\n",
        false => {
            "use kernel::private::serde::{Deserialize, Serialize};\nuse macros::{Choice, Input};\n"
        }
    });
    out.push_str("\n/// Whether a row is there for others: archived is the delete, suspended is a moderator's decision.");
    out.push_str(&choice("Status", &["active", "suspended", "archived"]));
    if !model.roles.is_empty() {
        let roles: Vec<&str> = model.roles.iter().map(|role| role.name.as_str()).collect();
        out.push_str("\n/// What a member may hold, everywhere or of one row.");
        out.push_str(&choice("Role", &roles));
    }
    out.push_str(&body);
    ("src/objects.rs".into(), out)
}

fn object_type(model: &Model, object: &Object) -> String {
    let name = pascal(&object.name);
    let mut out = String::new();
    for field in &object.fields {
        if let Ty::Enum { values } | Ty::States { values } = &field.ty {
            out.push_str(&choice(&enum_name_of(&object.name, &field.name), values));
        }
    }
    let purpose = format!("A closed object: {}.", object.name.replace('_', " "));
    out.push_str(&format!(
        "\n{}#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Input)]\n#[serde(crate = \"kernel::private::serde\")]\n#[input(object)]\n#[rustfmt::skip]\npub struct {name} {{\n",
        doc("///", &purpose)
    ));
    for field in &object.fields {
        out.push_str(&line(model, object, field));
    }
    out + "}\n"
}

fn line(model: &Model, object: &Object, field: &Field) -> String {
    let ty = field_type(model, &field.ty, &enum_name_of(&object.name, &field.name));
    let mut rules = match field.ty {
        // Pages show these links, so they must be https; the table's CHECK requires the same.
        Ty::Url => vec!["format = \"https\"".to_owned()],
        _ => type_checks(&field.ty),
    };
    rules.extend(default_of(field, &enum_name_of(&object.name, &field.name)));
    let rules = if rules.is_empty() {
        String::new()
    } else {
        format!("#[input({})] ", rules.join(", "))
    };
    let (absent, ty) = match field.optional {
        true => (
            "#[serde(default, skip_serializing_if = \"Option::is_none\")] ",
            format!("Option<{ty}>"),
        ),
        false => ("", ty),
    };
    format!("    {rules}{absent}pub {}: {ty},\n", ident(&field.name))
}
