//! What is mounted: entities with their hooks, made into routes.
//!
//! Knows the shape of the paths and nothing of what happens behind them.

use crate::{cx::Cx, error::Result, input::Input, resource::Resource};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use uuid::Uuid;

/// One entity and the application's code that belongs to it.
pub struct Mounted {
    pub resource: &'static Resource,
    pub hooks: Option<Arc<dyn Hooks>>,
}

/// Called inside the transaction, before the statement. Refuses by an error; may alter the input.
pub trait Hooks: Send + Sync {
    fn before<'a>(
        &'a self,
        action: &'a str,
        cx: &'a mut Cx,
        id: Option<Uuid>,
        input: Option<&'a mut dyn Input>,
    ) -> BoxFuture<'a, Result<()>>;
}

/// The routes of all entities. `cursor_key` signs the cursors of lists and is the same on all instances.
pub fn router(db: crate::cx::Db, mounted: Vec<Mounted>, cursor_key: &secrecy::SecretString) -> axum::Router {
    let _ = (db, mounted, cursor_key);
    axum::Router::new()
}
