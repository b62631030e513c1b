//! Generates the next migration: the difference between the last one and the current spec.
//!
//! ```text
//! history   the migrations written before, and whether their files were changed
//! change    which tables and columns of both schemas correspond, renames included
//! beside    statements about a table other than `create table`: comments, storage options
//! refuse    changes that the spec must confirm or complete first
//! stage     the steps (diff, depend, columns), cut into files
//! class     how each step affects programs that use the database meanwhile
//! access    how each change of a rule affects what callers may do
//! asked     what programs written by hand name: conditions, jobs, columns of unique rules
//! effects   transitions with another effect, which the triggers refuse to the running version
//! recount   derived columns that must be recomputed
//! file      the text of the files
//! list      all migrations in order, as the server runs them
//! ```
//!
//! Compares SQL objects by kind and name. Reads the models only for what SQL cannot express: stated renames and stated
//! losses. Never connects to a database.

mod access;
mod asked;
mod beside;
mod change;
mod class;
mod columns;
mod ddl;
mod depend;
mod diff;
mod effects;
mod file;
mod hints;
mod history;
pub mod list;
mod meaning;
mod op;
mod phrase;
mod placeholder;
mod recount;
mod refuse;
mod reworded;
mod rows;
mod slug;
mod stage;
#[cfg(test)]
mod tests;
mod text;
mod unaware;

pub use access::{AccessChange, Effect};
pub use class::Class;
pub use file::Step;
pub use history::{Entry, FOLDER, Past, RECORD, Record};
pub use refuse::Refusal;

use crate::model::Model;
use crate::objects::{Column, Schema};

/// The files that `cargo gen` adds to `migrations/`, and the record that the next run compares with.
#[derive(Clone, Debug)]
pub struct Next {
    /// Pairs of a path, relative to the root, and the file's text.
    pub files: Vec<(String, String)>,
    pub plan: Plan,
}

/// The migrations that would be written, for `cargo gen plan`.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub migrations: Vec<Planned>,
    /// Changes of access rules: which callers may do more, less or something else after the migration.
    pub access: Vec<AccessChange>,
}

#[derive(Clone, Debug)]
pub struct Planned {
    pub entry: Entry,
    pub up: String,
    pub down: String,
    pub steps: Vec<Step>,
}

pub fn next(past: &Past, model: &Model, schema: &Schema) -> Result<Next, Vec<Refusal>> {
    let mut entries = past.checked()?;
    let plan = plan(past, &entries, model, schema)?;
    let mut files = Vec::new();
    for planned in &plan.migrations {
        files.push((
            format!("{FOLDER}/{}", planned.entry.up_file()),
            planned.up.clone(),
        ));
        files.push((
            format!("{FOLDER}/{}", planned.entry.down_file()),
            planned.down.clone(),
        ));
        entries.push(planned.entry.clone());
    }
    let text = |name: &str| {
        let new = files
            .iter()
            .find(|(path, _)| path.strip_prefix("migrations/") == Some(name))
            .map(|(_, text)| text);
        new.or_else(|| past.files.get(name))
            .cloned()
            .unwrap_or_default()
    };
    let list = list::list(&entries, &text);
    let record = Record {
        migrations: entries,
        schema: schema.clone(),
        model: model.clone(),
    };
    let mut record = serde_json::to_string_pretty(&record).expect("plain data");
    record.push('\n');
    files.push((list::PATH.to_owned(), list));
    files.push((RECORD.to_owned(), record));
    Ok(Next { files, plan })
}

fn plan(
    past: &Past,
    entries: &[Entry],
    model: &Model,
    schema: &Schema,
) -> Result<Plan, Vec<Refusal>> {
    let nothing = Schema::default();
    let (old, hints) = match &past.record {
        Some(record) => (&record.schema, hints::hints(&record.model, model)),
        None => (&nothing, hints::hints(model, model)),
    };
    let old_model = past.record.as_ref().map(|r| &r.model);
    let models = old_model.map(|old| refuse::Models { old, new: model });
    let refusals = refuse::refusals(old, schema, &hints.renames, &hints, models.as_ref());
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let placeholder =
        |table: &str, column: &Column| placeholder::placeholder(old_model, old, table, column);
    let judge = class::Judge::new(old, schema, &hints.renames, &hints);
    let mut plan = Plan {
        access: old_model.map_or_else(Vec::new, |old| {
            let old = reworded::forward(old, model);
            let mut changes = access::changes(&old, model);
            changes.extend(effects::changes(&old, model));
            changes
        }),
        ..Plan::default()
    };
    let first = entries.is_empty();
    let after = old_model.map_or_else(Default::default, |old| {
        recount::after(old, model, &hints.renames)
    });
    let stages = stage::stages(old, schema, &hints.renames, &placeholder, &after);
    for (version, stage) in (history::next_version(entries)..).zip(&stages) {
        let slug = match first {
            true => "foundation".to_owned(),
            false => slug::slug(&stages[0].up, &stage.part, &hints),
        };
        let name = format!("{version:04}_{slug}");
        let steps = file::steps(&stage.up, &judge);
        let up = match first {
            true => file::foundation(&name, &steps),
            false => file::up(&name, &steps, stage.transaction()),
        };
        let down = file::down(&name, &file::steps(&stage.down, &judge));
        plan.migrations.push(Planned {
            entry: Entry::new(version, &slug, &up, &down),
            up,
            down,
            steps,
        });
    }
    Ok(plan)
}

impl Plan {
    pub fn worst(&self) -> Class {
        let all = self
            .migrations
            .iter()
            .flat_map(|m| &m.steps)
            .flat_map(|s| &s.classes);
        all.copied().max().unwrap_or(Class::Safe)
    }

    /// Every file of the migration with its steps, their classes and statements.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if self.migrations.is_empty() {
            text.push_str("Nothing to migrate.\n");
        }
        for planned in &self.migrations {
            text.push_str(&format!("{FOLDER}/{}\n", planned.entry.up_file()));
            for step in &planned.steps {
                text.push_str(&format!("  {}\n", file::line(step)));
            }
        }
        if !self.access.is_empty() {
            text.push_str("Access\n");
        }
        for change in &self.access {
            text.push_str(&format!("  {change}\n"));
        }
        if !self.migrations.is_empty() {
            text.push_str(&format!("Worst: {}.\n", self.worst()));
        }
        text
    }
}
