//! The whole API: generated and hand-written routes, and the document that describes both.

use crate::{App, hooks, modules, parameters};
use axum::Router;
use generated::hooks::{AppHooks, resources};
use kernel::member::proven_by;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// All routes, without middleware layers.
pub fn router(app: &App) -> Router {
    let hooks: Arc<dyn AppHooks> = Arc::new(app.clone());
    let generated = kernel::mount::router(app.db.clone(), resources(hooks), &app.cursor_key);
    let own = parameters::refused(app.modules.routes(&generated));
    generated.merge(proven_by(&app.db, own))
}

/// The API document: that of the generated routes, with the changes that modules and hooks make to it.
pub fn document() -> &'static str {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    DOCUMENT.get_or_init(|| amended().to_string())
}

pub(crate) fn amended() -> Value {
    crate::problems::declare();
    let mut document = serde_json::from_str(include_str!("../../../generated/openapi.json"))
        .expect("the generated document is JSON");
    modules::amend(&mut document);
    hooks::amend(&mut document);
    document
}

/// The API document of the hand-written routes.
pub fn hand_written() -> utoipa::openapi::OpenApi {
    modules::document()
}
