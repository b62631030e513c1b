//! Lists: typed filters, allowed sorts, keyset pagination.
//!
//! What a caller may see is not decided here: the policies of the database leave out the rest.

mod condition;
pub mod cursor;
mod encoding;
pub(crate) mod expand;
pub mod own;
mod place;
pub(crate) mod query;
pub(crate) mod text;
mod time;
mod value;
mod values;

use crate::{
    caller::Caller,
    cx::Reader,
    engine::Engine,
    error::{Error, Result},
    problems,
    resource::Resource,
    value::Point,
};
use expand::Related;
use query::{Order, Query};
use sqlx::{Row, postgres::PgRow};
use text::{After, Parent};
use uuid::Uuid;
use value::Value;

/// Which rows a list contains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Rows that the caller may see.
    Seen,
    /// Archived rows that the caller may restore.
    Archived,
}

/// One page of a list, for one caller.
pub(crate) struct Page<'a> {
    pub engine: &'a Engine,
    pub caller: &'a Caller,
    pub resource: &'static Resource,
    pub query: &'a Query,
    pub parent: Parent,
    pub which: Which,
}

/// The rows that were found.
pub(crate) struct Found {
    rows: Vec<PgRow>,
    /// Whether another page follows.
    more: bool,
}

impl Found {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Page<'_> {
    pub async fn fetch(&self, reader: &mut Reader) -> Result<Found> {
        let after = match &self.query.cursor {
            Some(cursor) => Some(self.open(cursor)?),
            None => None,
        };
        let statement = match self.which {
            Which::Seen => text::page(self.resource, self.query, self.parent, after.as_ref()),
            Which::Archived => {
                let before = after.map(|after| match after {
                    After::Id(id) | After::Key(_, id) | After::Place(_, id) => id,
                });
                text::archived(self.resource, self.query.limit, before)
            }
        };
        let mut rows = reader.fetch(statement.map_err(Error::internal)?).await?;
        let limit = self.query.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Found { rows, more })
    }

    /// The body of the answer. Runs one more statement for each type of expanded object, and one for the count.
    pub async fn write(&self, found: &Found, reader: &mut Reader) -> Result<Vec<u8>> {
        let of = (self.resource, &self.caller.actor);
        let expand = &self.query.expand;
        let related = Related::load(self.engine, reader, of, expand, &found.rows).await?;
        let count = self.count(reader).await?;
        let mut out = Vec::with_capacity(256 + found.rows.len() * 512);
        out.extend_from_slice(b"{\"data\":[");
        for (index, row) in found.rows.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.resource.write(row, &mut out)?;
            related.write(&self.query.expand, row, &mut out)?;
        }
        out.extend_from_slice(b"],\"next_cursor\":");
        match found.rows.last().filter(|_| found.more) {
            Some(last) => {
                let place = self.place_of(last, reader).await?;
                out.push(b'"');
                out.extend_from_slice(self.seal(last, place)?.as_bytes());
                out.push(b'"');
            }
            None => out.extend_from_slice(b"null"),
        }
        if let Some(count) = count {
            let (counted, is_exact) = (count.min(text::COUNT_MAX), count <= text::COUNT_MAX);
            let members = format!(",\"count\":{counted},\"count_is_exact\":{is_exact}");
            out.extend_from_slice(members.as_bytes());
        }
        out.push(b'}');
        Ok(out)
    }

    async fn count(&self, reader: &mut Reader) -> Result<Option<i64>> {
        if !self.query.count {
            return Ok(None);
        }
        let statement = text::count(self.resource, self.query, self.parent);
        let statement = statement.map_err(Error::internal)?;
        let rows = reader.fetch(statement).await?;
        let row = rows
            .first()
            .ok_or_else(|| Error::internal("a count is a row"))?;
        Ok(Some(row.try_get(0)?))
    }

    /// What a cursor is bound to, so that it is invalid for any other list.
    fn scope(&self) -> cursor::Scope {
        let mut scope = self.engine.cursors.scope();
        scope.part(self.resource.name.as_bytes());
        if self.which == Which::Archived {
            scope.part(b"archived");
        }
        match self.parent {
            Some((column, id)) => {
                scope.part(column.as_bytes());
                scope.part(id.as_bytes());
            }
            None => scope.part(b""),
        }
        for (name, value) in &self.query.given {
            scope.part(name.as_bytes());
            scope.part(value.as_bytes());
        }
        scope.part(self.query.order.name().as_bytes());
        scope.part(self.caller.actor.user().unwrap_or_default().as_bytes());
        scope
    }

    /// The position of the last row of the page, if the list is ordered by distance.
    async fn place_of(&self, last: &PgRow, reader: &mut Reader) -> Result<Option<Point>> {
        let Order::Distance(places) = self.query.order else {
            return Ok(None);
        };
        if let Some(own) = last.try_get(places.column)? {
            return Ok(Some(own));
        }
        let statement = text::place_beside(places, last.try_get("id")?);
        let statement = statement.map_err(Error::internal)?;
        let rows = reader.fetch(statement).await?;
        // The row has gone since the page was read, so the same request would give another page now.
        let row = rows.first().ok_or_else(|| {
            Error::unavailable()
                .retry_after(1)
                .because("the last place is gone")
        })?;
        Ok(Some(row.try_get(0)?))
    }

    fn seal(&self, last: &PgRow, place: Option<Point>) -> Result<String> {
        let key = match self.query.order {
            Order::Id(_) => None,
            Order::By(sort, _) => Some(Value::of_row(sort.kind, last, sort.name)?.text()),
            // Its position only: the database computes the distance again and gets exactly the same number.
            Order::Distance(_) => place.map(|place| format!("{} {}", place.lng, place.lat)),
        };
        Ok(self.scope().seal(key.as_deref(), last.try_get("id")?))
    }

    fn open(&self, cursor: &str) -> Result<After> {
        let (key, id) = self.scope().open(cursor)?;
        let after = match (self.query.order, key) {
            (Order::Id(_), None) => Some(After::Id(id)),
            (Order::By(sort, _), Some(key)) => {
                let key = value::read_key(sort.kind, key).ok();
                key.map(|key| After::Key(key, id))
            }
            (Order::Distance(_), Some(key)) => place(&key).map(|place| After::Place(place, id)),
            _ => None,
        };
        after.ok_or_else(|| Error::new(&problems::CURSOR))
    }
}

/// Whether the caller can see the object.
pub(crate) async fn is_there(
    reader: &mut Reader,
    resource: &'static Resource,
    id: Uuid,
) -> Result<bool> {
    let statement = text::exists(resource, id).map_err(Error::internal)?;
    Ok(!reader.fetch(statement).await?.is_empty())
}

fn place(text: &str) -> Option<Point> {
    let (lng, lat) = text.split_once(' ')?;
    Some(Point {
        lat: lat.parse().ok()?,
        lng: lng.parse().ok()?,
    })
}
