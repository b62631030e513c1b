//! The whole API: generated and hand-written routes, and the document that describes both.

use crate::{App, audit_logs, me, sessions};
use axum::Router;
use generated::hooks::{AppHooks, resources};
use kernel::cursor::CursorKey;
use secrecy::SecretString;
use std::sync::{Arc, OnceLock};
use utoipa::OpenApi;

/// All routes, without the layers around them. `cursor_key` signs the cursors of lists.
pub fn router(app: &App, cursor_key: &SecretString) -> Router {
    let hooks: Arc<dyn AppHooks> = Arc::new(app.clone());
    let generated = kernel::mount::router(app.db.clone(), resources(hooks), cursor_key);
    generated
        .clone()
        .merge(me::router(generated))
        .merge(sessions::routes::router(app.sessions.clone()))
        .merge(audit_logs::router(
            app.db.clone(),
            CursorKey::new(cursor_key),
        ))
}

/// The generated document with the routes that are made of generated ones.
pub fn document() -> &'static str {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut document = serde_json::from_str(include_str!("../../../generated/openapi.json"))
            .expect("the generated document is JSON");
        me::add_to(&mut document);
        document.to_string()
    })
}

/// What is said about the hand-written routes.
pub fn hand_written() -> utoipa::openapi::OpenApi {
    let mut document = sessions::routes::Document::openapi();
    document.merge(audit_logs::Document::openapi());
    document
}
