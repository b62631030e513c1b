//! `openapi`: the complete document, without a database and without settings.

use anyhow::{Context, Result};

/// The text that `GET /openapi.json` answers, but with line breaks, for diffs and for client generators.
pub fn text() -> Result<String> {
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    let document = document.context("the generated document")?;
    Ok(format!("{document:#}"))
}
