//! `generated/src/lib.rs`: the modules.

use super::rust::doc;
use crate::model::Model;

/// Path below `generated/` and text.
pub fn file(model: &Model) -> (String, String) {
    let mut modules: Vec<&str> = model
        .entities
        .iter()
        .map(|entity| entity.name.as_str())
        .collect();
    modules.extend(["hooks", "migrations", "objects"]);
    modules.sort_unstable();
    let modules: String = modules
        .iter()
        .map(|name| format!("pub mod {name};\n"))
        .collect();
    let mut out = super::rust::header("app.yaml");
    out.push_str(&doc("//!", &format!("{}: {}", model.title, model.doc)));
    out.push_str("//!\n//! One module per entity: its types, its statements, its rules. No logic: that is in `kernel`.\n\n");
    ("src/lib.rs".into(), out + &modules)
}
