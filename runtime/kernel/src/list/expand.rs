//! `expand=host`: includes related objects in the answer, with one statement per target type regardless of the number
//! of rows.
//!
//! Objects that the caller may not read appear as null, exactly like missing ones.

use crate::{
    cx::{Question, Reader},
    engine::Engine,
    error::{Error, Result},
    resource::Expand,
};
use sqlx::{
    Arguments, Row,
    postgres::{PgArguments, PgRow},
};
use std::{collections::HashMap, ops::Range};
use uuid::Uuid;

/// Related objects as JSON, by entity and id.
#[derive(Default)]
pub struct Related {
    json: Vec<u8>,
    places: HashMap<(&'static str, Uuid), Range<usize>>,
}

impl Related {
    pub async fn load(
        engine: &Engine,
        reader: &mut Reader,
        expand: &[&'static Expand],
        rows: &[PgRow],
    ) -> Result<Self> {
        let mut wanted: HashMap<&'static str, Vec<Uuid>> = HashMap::new();
        for row in rows {
            for expand in expand {
                if let Some((target, id)) = reference(expand, row)? {
                    wanted.entry(target).or_default().push(id);
                }
            }
        }
        let mut related = Self::default();
        for (target, mut ids) in wanted {
            let Some(mounted) = engine.entity(target) else {
                continue;
            };
            ids.sort_unstable();
            ids.dedup();
            let mut arguments = PgArguments::default();
            arguments.add(ids).map_err(Error::internal)?;
            let question = Question {
                text: mounted.resource.sql.by_ids.into(),
                arguments,
                keep: true,
            };
            for row in reader.fetch(question).await? {
                let start = related.json.len();
                mounted.resource.write(&row, &mut related.json)?;
                related
                    .places
                    .insert((target, row.try_get("id")?), start..related.json.len());
            }
        }
        Ok(related)
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
            let place = reference(expand, row)?.and_then(|key| self.places.get(&key));
            out.extend_from_slice(place.map_or(b"null", |place| &self.json[place.clone()]));
        }
        out.push(b'}');
        Ok(())
    }
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
