//! A repository in memory: a spec that changes, and the migrations that `cargo gen` writes for it.

use codegen::diag::Sources;
use codegen::emit::schema;
use codegen::migrate::{Past, Record, Refusal, next};
use codegen::model::Model;
use kernel::migrate::Migration;
use std::path::PathBuf;

/// File, text in it, and its replacement.
pub type Edit<'a> = (&'a str, &'a str, &'a str);

#[derive(Default)]
pub struct Repository {
    past: Past,
}

impl Repository {
    /// Like `cargo gen`. Returns the number of migrations that were written.
    pub fn generate(&mut self, model: &Model) -> Result<usize, Vec<Refusal>> {
        let next = next(&self.past, model, &schema::schema(model))?;
        for (path, text) in &next.files {
            if let Some(name) = path.strip_prefix("migrations/") {
                self.past.files.insert(name.to_owned(), text.clone());
            } else if path == "generated/model.json" {
                self.past.record = Some(serde_json::from_str::<Record>(text).expect("the record"));
            }
        }
        Ok(next.plan.migrations.len())
    }

    /// The migrations as the generated list gives them to the server.
    pub fn list(&self) -> Vec<Migration> {
        let text = |name: &str| -> &'static str { self.past.files[name].clone().leak() };
        (self.past.entries().iter())
            .map(|entry| Migration {
                version: i64::from(entry.version),
                description: entry.slug.replace('_', " ").leak(),
                transaction: entry.transaction,
                up: text(&entry.up_file()),
                down: text(&entry.down_file()),
                checksum: sha384(text(&entry.up_file())).leak(),
            })
            .collect()
    }
}

/// The whole schema as one script, for an empty database.
pub fn script(model: &Model) -> String {
    schema::render(&schema::schema(model))
}

/// The small world of the generator's own fixtures with replaced texts; a file that doesn't exist is created.
pub fn world(edits: &[Edit]) -> Model {
    try_world(edits).unwrap_or_else(|said| panic!("{said}"))
}

pub fn try_world(edits: &[Edit]) -> Result<Model, codegen::diag::Diagnostics> {
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../codegen/tests/bad/base");
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let mut files = vec![("app".to_owned(), read(base.join("app.yaml")))];
    let folder = std::fs::read_dir(base.join("entities")).expect("the small world");
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.expect("a file").path()).collect();
    paths.sort_unstable();
    for path in paths {
        files.push((
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned(),
            read(path),
        ));
    }
    for (name, from, to) in edits {
        match files.iter_mut().find(|(file, _)| file == name) {
            Some((_, text)) => {
                assert!(text.contains(from), "{name} has no {from:?}");
                *text = text.replace(from, to);
            }
            None => files.push(((*name).to_owned(), (*to).to_owned())),
        }
    }
    let mut sources = Sources::default();
    for (name, text) in files {
        let entity = text
            .lines()
            .find_map(|l| l.strip_prefix("entity: "))
            .unwrap_or(&name)
            .to_owned();
        let path = if name == "app" {
            "spec/app.yaml".to_owned()
        } else {
            format!("spec/entities/{entity}.yaml")
        };
        sources.add(path, text);
    }
    codegen::load_sources(&sources)
}

fn sha384(text: &str) -> String {
    use sqlx::migrate::{Migration, MigrationType};
    use sqlx::{AssertSqlSafe, SqlSafeStr};
    let sql = AssertSqlSafe(text.to_owned()).into_sql_str();
    let migration = Migration::new(1, "".into(), MigrationType::ReversibleUp, sql, false);
    migration
        .checksum
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
