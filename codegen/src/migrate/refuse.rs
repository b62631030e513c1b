//! Changes that the spec must confirm or complete first, each with the line to write.
//!
//! Knows which data would be lost and what can't be done; doesn't know how the remaining changes are made.

use super::change::{Renames, TableChange, table_changes, tables};
use super::class::widens;
use super::columns::{default_for_rows, is_archiving};
use super::hints::{Hints, former, states};
use super::meaning;
use super::phrase::phrase;
use super::reworded;
use super::text::{bare_table, statements};
use crate::model::{Entity, Lifecycle, Model, RenamedValue};
use crate::objects::{Column, Object, Schema};

/// One change that is refused, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the entity in whose file the correction belongs; `None` for `app.yaml` and for the migrations
    /// themselves.
    pub entity: Option<String>,
    pub field: Option<String>,
    pub message: String,
    pub help: String,
}

/// Both models, from which messages quote the spec.
pub struct Models<'a> {
    pub old: &'a Model,
    pub new: &'a Model,
}

pub fn refusals(
    old: &Schema,
    new: &Schema,
    renames: &Renames,
    hints: &Hints,
    models: Option<&Models>,
) -> Vec<Refusal> {
    let changes = table_changes(old, new, renames);
    let mut found = Vec::new();
    for table in tables(old).filter(|t| !changes.iter().any(|c| c.old.name == t.name)) {
        if !hints.dropped_tables.contains(&table.name)
            && !hints.counted_tables.contains(&table.name)
        {
            found.push(dropped_table(table, new, &changes, hints));
        }
    }
    for change in &changes {
        let at = Place {
            change,
            hints,
            models,
        };
        at.dropped(&mut found);
        at.added(&mut found);
        at.altered(&mut found);
        at.inline(&mut found);
    }
    found.extend(models.into_iter().flat_map(meaning::lost));
    found.extend(models.into_iter().flat_map(two_of_one));
    found.extend(models.into_iter().flat_map(nothing_to_drop));
    found
}

/// Refuses `b was a` where the old model has both `a` and `b`: afterwards nobody could tell their rows apart.
fn two_of_one(models: &Models) -> Vec<Refusal> {
    let both = reworded::both_there(models.old, models.new);
    both.map(|(entity, value)| {
        let RenamedValue { field, from, to } = value;
        Refusal {
            entity: Some(entity.name.clone()),
            field: Some(field.clone()),
            message: format!("`{from}` and `{to}` were both values of `{field}`, so `{to}` is no new name"),
            help: format!(
                "give the rows with `{from}` another value in a migration by hand, and take `was {from}` away"
            ),
        }
    })
    .collect()
}

/// Refuses entries of `dropped` that name something that isn't lost.
fn nothing_to_drop(models: &Models) -> Vec<Refusal> {
    let Models { old, new } = models;
    let lost = |word: &str| match word.split_once('.') {
        None => old.entity(word).is_some() && new.entity(word).is_none(),
        Some((entity, column)) => {
            let now = new.entity(entity).map(|(_, entity)| entity);
            let was = now.and_then(|entity| former(entity, old, new));
            was.is_some_and(|was| {
                let relations = was.belongs.iter().flat_map(|r| {
                    let columns = r.type_column().into_iter().chain([r.id_column()]);
                    columns.chain([r.name.clone()]).collect::<Vec<_>>()
                });
                let soft = was.lifecycle == Lifecycle::SoftDelete;
                let renamed = now.and_then(|now| now.field(column)?.was.as_deref());
                was.field(column).is_some()
                    || renamed.is_some_and(|name| was.field(name).is_some())
                    || was.derived.iter().any(|d| d.name == column)
                    || (soft && column == "status")
                    || relations.into_iter().any(|name| name == column)
            })
        }
    };
    let wrong = new
        .dropped
        .iter()
        .filter(|word| states(old, new, word) && !lost(word));
    wrong
        .map(|word| Refusal {
            entity: None,
            field: Some(format!("dropped.{word}")),
            message: format!("nothing called `{word}` is lost"),
            help: "`dropped` names an entity that is gone, or `entity.field` of one that is there; leave it out otherwise".to_owned(),
        })
        .collect()
}

fn dropped_table(table: &Object, new: &Schema, changes: &[TableChange], hints: &Hints) -> Refusal {
    let name = hints.entity(&table.name).to_owned();
    let alike = tables(new).find(|t| {
        let fresh = !changes.iter().any(|c| c.new.name == t.name);
        let shared = t
            .columns
            .iter()
            .filter(|c| table.columns.iter().any(|o| o.name == c.name))
            .count();
        fresh && shared * 3 >= table.columns.len() * 2
    });
    let lose = match hints.spent.contains(&name) {
        true => format!(
            "`dropped: [{name}]` in spec/app.yaml spoke of an earlier loss: take it out, run `cargo gen`, and write it again"
        ),
        false => format!(
            "to lose the table with all its rows, write in spec/app.yaml: `dropped: [{name}]`"
        ),
    };
    let help = match alike {
        Some(t) => {
            let to = hints.entity(&t.name);
            format!(
                "if `{to}` is the same under a new name, write in spec/entities/{to}.yaml: `was: {name}`; {lose}"
            )
        }
        None => lose,
    };
    Refusal {
        entity: None,
        field: None,
        message: format!(
            "the entity `{name}` is gone from the spec, and its rows would go with it"
        ),
        help,
    }
}

struct Place<'a> {
    change: &'a TableChange<'a>,
    hints: &'a Hints,
    models: Option<&'a Models<'a>>,
}

impl Place<'_> {
    fn dropped(&self, found: &mut Vec<Refusal>) {
        let table = &self.change.new.name;
        let real = |c: &&Column| {
            c.generated.is_none()
                && !self.hints.derived(&self.change.old.name, &c.name)
                && !self.hints.loss_stated(table, &c.name)
        };
        let removed: Vec<&Column> = self.change.removed.iter().copied().filter(real).collect();
        for column in &removed {
            // The type column of a polymorphic reference is dropped together with its id column, and one message
            // covers both.
            let pair = column
                .name
                .strip_suffix("_type")
                .map(|stem| format!("{stem}_id"));
            if pair.is_some_and(|id| removed.iter().any(|c| c.name == id)) {
                continue;
            }
            found.push(self.dropped_column(column));
        }
        for (column, _) in self.change.regenerated.iter().filter(|(old, _)| real(old)) {
            found.push(self.refuse(
                column,
                format!(
                    "`{}` is computed from now on, and what was written in it would be lost",
                    column.name
                ),
                format!(
                    "write in spec/app.yaml: `dropped: [{}.{}]`",
                    self.entity(),
                    column.name
                ),
            ));
        }
    }

    fn dropped_column(&self, column: &Column) -> Refusal {
        if is_archiving(column) {
            let entity = self.entity();
            return Refusal {
                entity: Some(entity.to_owned()),
                field: None,
                message: format!(
                    "`{entity}` is not archived any more, and rows that are archived or suspended would be there again"
                ),
                help: format!(
                    "restore or delete those rows, and write `status: drop` under `fields:` of `{entity}`; \
                     the migration fails while one is left"
                ),
            };
        }
        if let Some(relation) = self.leads_to_one(column) {
            let entity = self.entity();
            return self.refuse(
                column,
                format!("`{relation}` of `{entity}` led to one of several, and which one it was would be lost"),
                format!(
                    "see to it that all rows lead to the one that is left, and write in spec/app.yaml: \
                     `dropped: [{entity}.{}]`; the migration fails while one row leads elsewhere",
                    column.name
                ),
            );
        }
        let old = self.old_word(&column.name);
        let alike = self
            .change
            .added
            .iter()
            .find(|c| c.generated.is_none() && c.sql_type == column.sql_type);
        let lose = format!("to lose the values, write `{old}: drop`");
        let help = match alike {
            Some(new) => {
                let word = self.new_word(&new.name);
                let line = self.phrase_of(&word).unwrap_or_else(|| "…".to_owned());
                format!(
                    "if `{word}` is the same under a new name, write `{word}: {line}, was {old}`; {lose}"
                )
            }
            None => {
                format!("{lose}; to rename it, write `, was {old}` behind the field it has become")
            }
        };
        self.refuse(
            column,
            format!(
                "`{old}` is gone from `{}`, and its values would go with it",
                self.entity()
            ),
            help,
        )
    }

    /// The name of the relation if `host_type` is dropped while `host` stays: `one of team | club` has become `team`.
    fn leads_to_one(&self, column: &Column) -> Option<String> {
        let name = column.name.strip_suffix("_type")?;
        let (_, entity) = self.models?.new.entity(self.entity())?;
        let relation = entity.relation(name).filter(|r| !r.polymorphic)?;
        Some(relation.name.clone())
    }

    fn added(&self, found: &mut Vec<Refusal>) {
        for column in self
            .change
            .added
            .iter()
            .filter(|c| c.not_null && default_for_rows(c).is_none() && c.generated.is_none())
        {
            // The message about the id column of a polymorphic reference covers its type column as well.
            if column.name.ends_with("_type") && self.hints.relations.contains(&self.key(column)) {
                continue;
            }
            let word = self.new_word(&column.name);
            found.push(self.refuse(
                column,
                format!("`{word}` is new in `{}` and never null, and the rows that exist have no value for it", self.entity()),
                self.mend_missing(column, &word),
            ));
        }
    }

    fn altered(&self, found: &mut Vec<Refusal>) {
        for (old, new) in &self.change.kept {
            let stated = self.hints.loss_stated(&self.change.new.name, &new.name);
            if old.sql_type != new.sql_type && !widens(&old.sql_type, &new.sql_type) && !stated {
                found.push(self.retyped(old, new));
            }
            // A nullable column may become required without a refusal: its nulls may be filled by hand or by the
            // application, and the later validation fails while there are any.
        }
    }

    /// Refuses a change of the constraints inside `create table`, which the migration can't alter. They have never
    /// changed.
    fn inline(&self, found: &mut Vec<Refusal>) {
        let of = |table: &Object, text: &str| -> Vec<String> {
            let first = statements(text)
                .first()
                .copied()
                .unwrap_or_default()
                .to_owned();
            let own = format!("{}_pkey", bare_table(&table.name));
            let lines = first
                .lines()
                .map(|l| l.trim().trim_end_matches(',').replace(&own, "pkey"));
            lines
                .filter(|l| l.starts_with("constraint ") || l.starts_with("primary key"))
                .collect()
        };
        let (old, new) = (self.change.old, self.change.new);
        if of(old, &old.create) != of(new, &new.create) {
            found.push(Refusal {
                entity: Some(self.entity().to_owned()),
                field: None,
                message: format!(
                    "what `create table {}` says beside its columns has changed",
                    new.name
                ),
                help:
                    "make it an object of its own in codegen/src/emit/schema, or leave it as it was"
                        .to_owned(),
            });
        }
    }

    fn retyped(&self, old: &Column, new: &Column) -> Refusal {
        let word = self.new_word(&new.name);
        let entity = self.entity();
        self.refuse(
            new,
            format!("`{word}` of `{entity}` changes from {} to {}, and not every value survives that", old.sql_type, new.sql_type),
            format!(
                "add a field with the new type beside it, move the values, and write `{word}: drop` a release later; \
                 or, if what a cast to {} takes from them may be lost, write in spec/app.yaml: \
                 `dropped: [{entity}.{}]`; the migration fails while a value can't be cast",
                new.sql_type, new.name
            ),
        )
    }

    fn mend_missing(&self, column: &Column, word: &str) -> String {
        let later = "fill it, and take the `?` away in a later migration";
        if self.hints.relations.contains(&self.key(column)) {
            return format!("write a `?` behind the target of `{word}`, {later}");
        }
        match self.phrase_of(word) {
            // One default for all rows would violate uniqueness, and would give all rows the same slug.
            Some(line) if self.is_unique(word) || line.starts_with("slug from") => {
                let (ty, rest) = line.split_once(", ").unwrap_or((line.as_str(), ""));
                let rest = if rest.is_empty() {
                    String::new()
                } else {
                    format!(", {rest}")
                };
                format!("write `{word}: {ty}?{rest}`, {later}; each row needs a value of its own")
            }
            Some(line) => {
                let (ty, rest) = line
                    .split_once(", ")
                    .map_or((line.as_str(), String::new()), |(a, b)| {
                        (a, format!(", {b}"))
                    });
                format!(
                    "write `{word}: {ty} = <value>{rest}` to give them one, or `{word}: {ty}?{rest}`, {later}"
                )
            }
            None => {
                format!("give `{word}` a default (`= <value>`), or let it be null (`?`), {later}")
            }
        }
    }

    fn is_unique(&self, word: &str) -> bool {
        let entity = self
            .models
            .and_then(|models| models.new.entity(self.entity()));
        entity.is_some_and(|(_, entity)| {
            entity.field(word).is_some_and(|field| field.unique)
                || entity
                    .unique
                    .iter()
                    .any(|set| set.iter().any(|column| column == word))
        })
    }

    fn refuse(&self, column: &Column, message: String, help: String) -> Refusal {
        Refusal {
            entity: Some(self.entity().to_owned()),
            field: Some(self.new_word(&column.name)),
            message,
            help,
        }
    }

    fn entity(&self) -> &str {
        self.hints.entity(&self.change.new.name)
    }

    fn key(&self, column: &Column) -> (String, String) {
        (self.change.new.name.clone(), column.name.clone())
    }

    /// The field's phrase in the new spec; `None` for relations and other columns.
    fn phrase_of(&self, word: &str) -> Option<String> {
        let models = self.models?;
        let (_, entity) = models.new.entity(self.entity())?;
        Some(phrase(models.new, entity.field(word)?))
    }

    /// The spec's name for the column: that of the field, or of the relation that the column belongs to.
    fn new_word(&self, column: &str) -> String {
        word(
            self.models
                .and_then(|m| m.new.entity(self.entity()))
                .map(|(_, e)| e),
            column,
        )
    }

    fn old_word(&self, column: &str) -> String {
        let old = self.hints.entity(&self.change.old.name);
        word(
            self.models.and_then(|m| m.old.entity(old)).map(|(_, e)| e),
            column,
        )
    }
}

fn word(entity: Option<&Entity>, column: &str) -> String {
    let relation = |e: &Entity| {
        let own = |r: &&crate::model::Relation| {
            r.id_column() == column || r.type_column().as_deref() == Some(column)
        };
        e.belongs.iter().find(own).map(|r| r.name.clone())
    };
    entity
        .and_then(relation)
        .unwrap_or_else(|| column.to_owned())
}
