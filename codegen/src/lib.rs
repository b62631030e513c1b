//! Reads the spec and writes the backend.
//!
//! Depends on no other crate of this workspace, never connects to a database, and knows no HTTP.

mod check;
mod collisions;
pub mod diag;
pub mod emit;
pub mod explain;
pub mod grammar;
pub mod migrate;
pub mod model;
pub mod names;
pub mod objects;
mod phrase;
mod resolve;
mod spec;
pub mod starter;
pub mod tree;

use diag::{Diagnostic, Diagnostics, Sources};
use migrate::{Next, Past, Plan, Refusal};
use model::Model;
pub use resolve::forms;
use resolve::{Part, Resolved};
use std::path::Path;
use tree::Tree;

/// Reads the spec of a workspace: parses the files and their phrases, resolves names, types and rules, and checks the
/// result.
pub fn load(root: &Path) -> Result<Model, Diagnostics> {
    load_sources(&spec::files(root)?)
}

/// Like [`load`], for texts in memory: `app.yaml` first, then one file per entity.
pub fn load_sources(sources: &Sources) -> Result<Model, Diagnostics> {
    Ok(understand(sources)?.resolved.model)
}

/// Everything that `cargo gen` writes, in memory: `generated/` and the next migration.
pub fn generate(root: &Path) -> Result<Tree, Diagnostics> {
    let sources = spec::files(root)?;
    let Understood {
        resolved,
        schema,
        messages,
    } = understand(&sources)?;
    let next = next(root, &sources, &resolved, &schema)?;
    let mut tree = Tree::default();
    emit::emit(&resolved.model, &schema, &messages, &mut tree);
    for (path, text) in next.files {
        tree.add(path, text);
    }
    Ok(tree)
}

/// The migration that `cargo gen` would write.
pub fn plan(root: &Path) -> Result<Plan, Diagnostics> {
    let sources = spec::files(root)?;
    let Understood {
        resolved, schema, ..
    } = understand(&sources)?;
    Ok(next(root, &sources, &resolved, &schema)?.plan)
}

fn understand(sources: &Sources) -> Result<Understood, Diagnostics> {
    let spec = spec::parse(sources)?;
    let resolved = resolve::resolve(&spec, sources)?;
    check::check(&resolved, sources)?;
    let objects = emit::schema::objects(&resolved.model);
    collisions::check(&resolved, &objects, !spec.messages.is_empty(), sources)?;
    Ok(Understood {
        resolved,
        schema: emit::schema::of_objects(objects),
        messages: spec.messages,
    })
}

/// A spec that has been read and checked without errors.
struct Understood {
    resolved: Resolved,
    schema: objects::Schema,
    messages: Vec<spec::MessageType>,
}

fn next(
    root: &Path,
    sources: &Sources,
    resolved: &Resolved,
    schema: &objects::Schema,
) -> Result<Next, Diagnostics> {
    let placed = |refusals: Vec<Refusal>| {
        let list = refusals
            .into_iter()
            .map(|refusal| at_its_place(resolved, refusal))
            .collect();
        Diagnostics {
            sources: sources.clone(),
            list,
        }
    };
    let past = Past::read(root).map_err(|refusal| placed(vec![refusal]))?;
    migrate::next(&past, &resolved.model, schema).map_err(placed)
}

/// The error for a change that the migration refuses, at the line of the spec that has to be corrected.
fn at_its_place(resolved: &Resolved, refusal: Refusal) -> Diagnostic {
    let entity = refusal
        .entity
        .as_deref()
        .and_then(|name| resolved.model.entity(name));
    let span = entity.map(|(id, _)| {
        let field = refusal.field.as_deref().unwrap_or("");
        let line = [Part::Field, Part::Relation]
            .into_iter()
            .find_map(|part| resolved.places.find(id, part, field));
        line.unwrap_or_else(|| resolved.places.of(id, Part::Entity, ""))
    });
    let of_app = refusal.field.as_deref().filter(|_| entity.is_none());
    let span = span.or_else(|| resolved.places.find_app(of_app?));
    Diagnostic {
        span,
        ..Diagnostic::without_place(refusal.message)
    }
    .help(refusal.help)
}
