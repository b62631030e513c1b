//! The spec as written: one tree per file, each value a parsed phrase, nothing looked up.

mod app;
mod entity;
mod keys;
mod sql;
pub mod yaml;

pub use app::{APP_KEYS, AppSpec, MODULE_KEYS, ModuleSpec, WRITE_KEYS, WriteSpec};
pub use sql::SqlFile;

pub use entity::{ACTIONS, Body, ENTITY_KEYS, EntitySpec, MIXIN_KEYS};

use crate::diag::{Collector, Diagnostic, Diagnostics, Sources};
use std::path::Path;

pub const APP_FILE: &str = "spec/app.yaml";
pub const ENTITY_FOLDER: &str = "spec/entities";
pub const SQL_FOLDER: &str = "spec/sql";

#[derive(Debug)]
pub struct Spec {
    pub app: AppSpec,
    /// In file-name order.
    pub entities: Vec<EntitySpec>,
    /// In file-name order.
    pub sql: Vec<SqlFile>,
}

/// Reads `spec/app.yaml`, `spec/entities/*.yaml` and `spec/sql/*.sql`, each in file-name order.
pub fn files(root: &Path) -> Result<Sources, Diagnostics> {
    let errors = Collector::default();
    let mut sources = Sources::default();
    let mut paths = vec![APP_FILE.to_owned()];
    match folder(root, ENTITY_FOLDER, ".yaml", &errors) {
        Ok(found) => paths.extend(found),
        Err(error) => errors.push(
            Diagnostic::without_place(format!("{ENTITY_FOLDER} can't be read: {error}"))
                .help("run in the workspace root, or name it: `cargo gen --root <folder>`"),
        ),
    }
    // Most applications have none.
    match folder(root, SQL_FOLDER, ".sql", &errors) {
        Ok(found) => paths.extend(found),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => errors.push(Diagnostic::without_place(format!(
            "{SQL_FOLDER} can't be read: {error}"
        ))),
    }
    for path in paths {
        match std::fs::read(root.join(&path)) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => {
                    sources.add(path, text);
                }
                Err(_) => errors.push(
                    Diagnostic::without_place(format!("{path} is not UTF-8"))
                        .help("save it as UTF-8 text"),
                ),
            },
            Err(error) => errors.push(
                Diagnostic::without_place(format!("{path} can't be read: {error}")).help(
                    "the spec is `spec/app.yaml` and one `spec/entities/<entity>.yaml` per entity",
                ),
            ),
        }
    }
    errors.finish(&sources)?;
    Ok(sources)
}

/// Paths of the files there, sorted. Others than these are mistakes.
fn folder(
    root: &Path,
    folder: &str,
    ending: &str,
    errors: &Collector,
) -> std::io::Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(root.join(folder))?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    let (read, others): (Vec<_>, Vec<_>) = names
        .into_iter()
        .map(|name| format!("{folder}/{name}"))
        .partition(|path| path.ends_with(ending));
    for path in others {
        let what = match ending {
            ".sql" => "<module>",
            _ => "<entity>",
        };
        errors.push(
            Diagnostic::without_place(format!("{path} is not read")).help(format!(
                "files there are called `{what}{ending}`; move everything else away"
            )),
        );
    }
    Ok(read)
}

/// The first source is `app.yaml`, each other an entity or the SQL of a module.
pub fn parse(sources: &Sources) -> Result<Spec, Diagnostics> {
    let errors = Collector::default();
    let mut app = None;
    let mut entities = Vec::new();
    let mut sql = Vec::new();
    for (file, source) in sources.files.iter().enumerate() {
        let stem = source.path.rsplit('/').next().unwrap_or("");
        if let Some(module) = sql::module(stem) {
            let name = app.as_ref().map_or("", |app: &AppSpec| app.app.it.as_str());
            sql.push(sql::read(file, module, &source.text, name, &errors));
            continue;
        }
        // What is no clean tree is not read any further: the rest would be noise.
        let before = errors.count();
        let Some(tree) =
            yaml::parse(file, &source.text, &errors).filter(|_| errors.count() == before)
        else {
            continue;
        };
        if file == 0 {
            app = app::read(&tree, &errors);
        } else {
            entities.extend(entity::read(stem.trim_end_matches(".yaml"), &tree, &errors));
        }
    }
    if app.is_none() && errors.count() == 0 {
        errors.push(Diagnostic::without_place(format!(
            "{APP_FILE} says nothing"
        )));
    }
    errors.finish(sources)?;
    match app {
        Some(app) => Ok(Spec { app, entities, sql }),
        None => Err(Diagnostics {
            sources: sources.clone(),
            list: Vec::new(),
        }),
    }
}
