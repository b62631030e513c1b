//! The spec as written: one tree per file, each value a parsed phrase, nothing looked up.

mod app;
mod entity;
mod keys;
pub mod yaml;

pub use app::{APP_KEYS, AppSpec, MODULE_KEYS, ModuleSpec, WRITE_KEYS, WriteSpec};
pub use entity::{ACTIONS, Body, ENTITY_KEYS, EntitySpec, MIXIN_KEYS};

use crate::diag::{Collector, Diagnostic, Diagnostics, Sources};
use std::path::Path;

pub const APP_FILE: &str = "spec/app.yaml";
pub const ENTITY_FOLDER: &str = "spec/entities";

#[derive(Debug)]
pub struct Spec {
    pub app: AppSpec,
    /// In file-name order.
    pub entities: Vec<EntitySpec>,
}

/// Reads `spec/app.yaml` and `spec/entities/*.yaml`, in file-name order.
pub fn files(root: &Path) -> Result<Sources, Diagnostics> {
    let errors = Collector::default();
    let mut sources = Sources::default();
    let mut paths = vec![APP_FILE.to_owned()];
    match std::fs::read_dir(root.join(ENTITY_FOLDER)) {
        Ok(folder) => {
            let mut names: Vec<String> = folder
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort_unstable();
            for name in names {
                let path = format!("{ENTITY_FOLDER}/{name}");
                if name.ends_with(".yaml") {
                    paths.push(path);
                } else {
                    errors.push(
                        Diagnostic::without_place(format!("{path} is not read")).help(
                            "entity files are called `<entity>.yaml`; move everything else away",
                        ),
                    );
                }
            }
        }
        Err(error) => errors.push(
            Diagnostic::without_place(format!("{ENTITY_FOLDER} can't be read: {error}"))
                .help("run in the workspace root, or name it: `cargo gen --root <folder>`"),
        ),
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

/// The first source is `app.yaml`, each other an entity.
pub fn parse(sources: &Sources) -> Result<Spec, Diagnostics> {
    let errors = Collector::default();
    let mut app = None;
    let mut entities = Vec::new();
    for (file, source) in sources.files.iter().enumerate() {
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
            let stem = source
                .path
                .rsplit('/')
                .next()
                .unwrap_or("")
                .trim_end_matches(".yaml");
            entities.extend(entity::read(stem, &tree, &errors));
        }
    }
    if app.is_none() && errors.count() == 0 {
        errors.push(Diagnostic::without_place(format!(
            "{APP_FILE} says nothing"
        )));
    }
    errors.finish(sources)?;
    match app {
        Some(app) => Ok(Spec { app, entities }),
        None => Err(Diagnostics {
            sources: sources.clone(),
            list: Vec::new(),
        }),
    }
}
