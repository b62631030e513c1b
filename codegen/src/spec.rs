//! The parsed spec: one tree per file, in which each value is a parsed phrase. Names are not resolved yet.

mod app;
mod entity;
mod keys;
mod layout;
mod messages;
mod misplaced;
mod sql;
pub mod yaml;

pub use app::{APP_KEYS, AppSpec, MODULE_KEYS, ModuleSpec, WRITE_KEYS, WriteSpec};
pub use messages::{Message, MessageType, Piece, Wording};
pub use sql::SqlFile;

pub use entity::{ACTIONS, Body, ENTITY_KEYS, EntitySpec, MIXIN_KEYS};

use crate::diag::{Collector, Diagnostic, Diagnostics, Sources};
use std::path::Path;

pub const APP_FILE: &str = "spec/app.yaml";
pub const ENTITY_FOLDER: &str = "spec/entities";
pub const SQL_FOLDER: &str = "spec/sql";
pub const MESSAGE_FOLDER: &str = "spec/messages";

#[derive(Debug)]
pub struct Spec {
    pub app: AppSpec,
    /// In file-name order.
    pub entities: Vec<EntitySpec>,
    /// In file-name order.
    pub sql: Vec<SqlFile>,
    /// In file-name order.
    pub messages: Vec<MessageType>,
}

/// Reads `spec/app.yaml`, `spec/entities/*.yaml`, `spec/sql/*.sql` and `spec/messages/*.yaml`, each in file-name order.
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
    // Most applications don't have these folders.
    for (name, ending) in [(SQL_FOLDER, ".sql"), (MESSAGE_FOLDER, ".yaml")] {
        match folder(root, name, ending, &errors) {
            Ok(found) => paths.extend(found),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => errors.push(Diagnostic::without_place(format!(
                "{name} can't be read: {error}"
            ))),
        }
    }
    astray(root, &errors);
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

/// Parses all sources. The first one is `app.yaml`; each other one is an entity, the SQL of a module or a type of
/// messages.
pub fn parse(sources: &Sources) -> Result<Spec, Diagnostics> {
    let errors = Collector::default();
    let mut app = None;
    let mut entities = Vec::new();
    let mut sql = Vec::new();
    let mut messages = Vec::new();
    for (file, source) in sources.files.iter().enumerate() {
        let stem = source.path.rsplit('/').next().unwrap_or("");
        if let Some(module) = sql::module(stem) {
            let name = app.as_ref().map_or("", |app: &AppSpec| app.app.it.as_str());
            sql.push(sql::read(file, module, &source.text, name, &errors));
            continue;
        }
        // If the YAML has errors, its contents are not examined, since further errors would only follow from the
        // first.
        let before = errors.count();
        let Some(tree) =
            yaml::parse(file, &source.text, &errors).filter(|_| errors.count() == before)
        else {
            continue;
        };
        let stem_of_yaml = stem.trim_end_matches(".yaml");
        if file == 0 {
            app = app::read(&tree, &errors);
        } else if source.path.starts_with(MESSAGE_FOLDER) {
            messages.extend(messages::read(stem_of_yaml, &tree, &errors));
        } else {
            entities.extend(entity::read(stem_of_yaml, &tree, &errors));
        }
    }
    messages::check(&messages, &errors);
    misplaced::mend(sources, &errors);
    if app.is_none() && errors.count() == 0 {
        errors.push(Diagnostic::without_place(format!(
            "{APP_FILE} says nothing"
        )));
    }
    errors.finish(sources)?;
    match app {
        Some(app) => Ok(Spec {
            app,
            entities,
            sql,
            messages,
        }),
        None => Err(Diagnostics {
            sources: sources.clone(),
            list: Vec::new(),
        }),
    }
}

/// Refuses YAML files and folders directly in `spec/` that nothing reads, such as an entity or `spec/entity/`.
fn astray(root: &Path, errors: &Collector) {
    let known = [APP_FILE, ENTITY_FOLDER, SQL_FOLDER, MESSAGE_FOLDER];
    let entries = std::fs::read_dir(root.join("spec")).into_iter().flatten();
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| format!("spec/{}", entry.file_name().to_string_lossy()))
        .filter(|path| !known.contains(&path.as_str()))
        .filter(|path| {
            let is_yaml = [".yaml", ".yml"]
                .iter()
                .any(|ending| path.ends_with(ending));
            is_yaml || root.join(path).is_dir()
        })
        .collect();
    names.sort_unstable();
    for path in names {
        errors.push(
            Diagnostic::without_place(format!("{path} is not read")).help(
                "the spec is `spec/app.yaml`, and files in `spec/entities/`, `spec/messages/` and `spec/sql/`",
            ),
        );
    }
}

/// Paths of the files in a folder, sorted. Files with another ending are errors.
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
            _ if folder == MESSAGE_FOLDER => "<type>",
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
