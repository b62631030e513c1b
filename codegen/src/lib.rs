//! Reads the spec and writes the backend.
//!
//! Depends on none of our crates, talks to no database, knows no HTTP.

mod check;
pub mod diag;
pub mod emit;
pub mod migrate;
pub mod model;
pub mod names;
pub mod objects;
mod phrase;
mod resolve;
mod spec;

use diag::{Diagnostics, Sources};
use model::Model;
use std::path::Path;

/// Reads the spec of a workspace: files → phrases → names, types and rules → checks.
pub fn load(root: &Path) -> Result<Model, Diagnostics> {
    load_sources(&spec::files(root)?)
}

/// The same for texts in memory: `app.yaml` first, then one entity each.
pub fn load_sources(sources: &Sources) -> Result<Model, Diagnostics> {
    let spec = spec::parse(sources)?;
    let resolved = resolve::resolve(&spec, sources)?;
    check::check(&resolved, sources)?;
    Ok(resolved.model)
}
