//! `expand=host`, `expand=cover`, `expand=allowed_actions`: adds to the objects of an answer, with one statement per type
//! of related object, one per first of several and one for the actions, regardless of the number of rows.
//!
//! Objects that the caller may not read appear as null, exactly like missing ones.

use crate::{
    actor::Actor,
    cx::{Question, Reader},
    engine::Engine,
    error::{Error, Result},
    resource::{Expand, Expanded, Resource},
};
use sqlx::{
    Arguments, Row,
    postgres::{PgArguments, PgRow},
};
use std::{borrow::Cow, collections::HashMap, ops::Range};
use uuid::Uuid;

/// Related objects as JSON. The key of an object that a row refers to is its entity and id; that of the first of several
/// is the name in `expand` and the id of the row.
#[derive(Default)]
pub struct Related {
    json: Vec<u8>,
    places: HashMap<(&'static str, Uuid), Range<usize>>,
    firsts: HashMap<(&'static str, Uuid), Range<usize>>,
    actions: HashMap<Uuid, Range<usize>>,
}

impl Related {
    pub async fn load(
        engine: &Engine,
        reader: &mut Reader,
        (resource, actor): (&'static Resource, &Actor),
        expand: &[&'static Expand],
        rows: &[PgRow],
    ) -> Result<Self> {
        let mut wanted: HashMap<&'static str, Vec<Uuid>> = HashMap::new();
        let mut related = Self::default();
        for expand in expand {
            match expand.what {
                Expanded::First(pick) => {
                    let first = (*expand, pick);
                    related.load_firsts(engine, reader, first, rows).await?;
                }
                Expanded::Actions => {
                    let text = resource.get_several_text(actor);
                    related.load_actions(reader, text, rows).await?;
                }
                Expanded::Reference => {
                    for row in rows {
                        if let Some((target, id)) = reference(expand, row)? {
                            wanted.entry(target).or_default().push(id);
                        }
                    }
                }
            }
        }
        for (target, mut ids) in wanted {
            let Some(mounted) = engine.entity(target) else {
                continue;
            };
            ids.sort_unstable();
            ids.dedup();
            let text = mounted.resource.sql.by_ids.into();
            for row in reader.fetch(by_ids(text, ids)?).await? {
                let place = related.add(mounted.resource, &row)?;
                let id = row.try_get("id")?;
                related.places.insert((target, id), place);
            }
        }
        Ok(related)
    }

    async fn load_firsts(
        &mut self,
        engine: &Engine,
        reader: &mut Reader,
        (expand, pick): (&'static Expand, &'static str),
        rows: &[PgRow],
    ) -> Result<()> {
        let target = expand.targets.first();
        let Some(mounted) = target.and_then(|target| engine.entity(target)) else {
            return Ok(());
        };
        let text = mounted.resource.by_picked_text(pick);
        for row in reader.fetch(by_ids(text.into(), ids(rows)?)?).await? {
            let place = self.add(mounted.resource, &row)?;
            let of = row.try_get(expand.column)?;
            self.firsts.insert((expand.name, of), place);
        }
        Ok(())
    }

    async fn load_actions(
        &mut self,
        reader: &mut Reader,
        text: String,
        rows: &[PgRow],
    ) -> Result<()> {
        for row in reader.fetch(by_ids(text.into(), ids(rows)?)?).await? {
            let actions: Vec<String> = row.try_get("allowed_actions")?;
            let start = self.json.len();
            serde_json::to_writer(&mut self.json, &actions).map_err(Error::internal)?;
            let place = start..self.json.len();
            self.actions.insert(row.try_get("id")?, place);
        }
        Ok(())
    }

    fn add(&mut self, resource: &Resource, row: &PgRow) -> Result<Range<usize>> {
        let start = self.json.len();
        resource.write(row, &mut self.json)?;
        Ok(start..self.json.len())
    }

    /// Adds the expanded members to the object at the end of `out`.
    pub fn write(&self, expand: &[&'static Expand], row: &PgRow, out: &mut Vec<u8>) -> Result<()> {
        if expand.is_empty() {
            return Ok(());
        }
        out.pop();
        for expand in expand {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(expand.name.as_bytes());
            out.extend_from_slice(b"\":");
            let id = || row.try_get("id");
            let (place, none): (_, &[u8]) = match expand.what {
                Expanded::Reference => {
                    let key = reference(expand, row)?;
                    (key.and_then(|key| self.places.get(&key)), b"null")
                }
                Expanded::First(_) => (self.firsts.get(&(expand.name, id()?)), b"null"),
                Expanded::Actions => (self.actions.get(&id()?), b"[]"),
            };
            out.extend_from_slice(place.map_or(none, |place| &self.json[place.clone()]));
        }
        out.push(b'}');
        Ok(())
    }
}

fn ids(rows: &[PgRow]) -> Result<Vec<Uuid>, sqlx::Error> {
    rows.iter().map(|row| row.try_get("id")).collect()
}

fn by_ids(text: Cow<'static, str>, ids: Vec<Uuid>) -> Result<Question> {
    let mut arguments = PgArguments::default();
    arguments.add(ids).map_err(Error::internal)?;
    Ok(Question {
        text,
        arguments,
        keep: true,
    })
}

/// The entity and id of the object that a row refers to.
fn reference(
    expand: &'static Expand,
    row: &PgRow,
) -> Result<Option<(&'static str, Uuid)>, sqlx::Error> {
    let Some(id) = row.try_get::<Option<Uuid>, _>(expand.column)? else {
        return Ok(None);
    };
    let target = match expand.type_column {
        None => expand.targets.first().copied(),
        Some(column) => {
            let name: Option<&str> = row.try_get(column)?;
            expand
                .targets
                .iter()
                .copied()
                .find(|target| Some(*target) == name)
        }
    };
    Ok(target.map(|target| (target, id)))
}
