//! Lists: typed filters, whitelisted orders, pages by key.
//!
//! What a caller may see is not decided here: the database leaves out the rest.

pub mod cursor;
pub(crate) mod expand;
mod place;
pub(crate) mod query;
pub(crate) mod text;
mod value;

use crate::{
    caller::Caller,
    cx::Cx,
    engine::Engine,
    error::{Error, Result},
    problems,
    resource::Resource,
};
use expand::Related;
use query::{Direction, Query};
use sqlx::{Row, postgres::PgRow};
use text::{Parent, Statement};
use value::Value;

/// The page as the body of the answer, and whether it is empty.
pub(crate) async fn run(
    engine: &Engine,
    cx: &mut Cx,
    caller: &Caller,
    resource: &'static Resource,
    query: &Query,
    parent: Parent,
) -> Result<(Vec<u8>, bool)> {
    let after = match &query.cursor {
        Some(cursor) => Some(open(engine, caller, resource, query, parent, cursor)?),
        None => None,
    };
    let statement = text::page(resource, query, parent, after).map_err(Error::internal)?;
    let mut rows = fetch(cx, statement).await?;
    let limit = query.limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);

    let related = Related::load(engine, cx, &query.expand, &rows).await?;
    let mut out = Vec::with_capacity(256 + rows.len() * 512);
    out.extend_from_slice(b"{\"data\":[");
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        (resource.encode)(row, &mut out)?;
        related.write(&query.expand, row, &mut out)?;
    }
    out.extend_from_slice(b"],\"next_cursor\":");
    match rows.last().filter(|_| more) {
        Some(last) => {
            let cursor = seal(engine, caller, resource, query, parent, last)?;
            out.push(b'"');
            out.extend_from_slice(cursor.as_bytes());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    if query.count {
        let statement = text::count(resource, query, parent).map_err(Error::internal)?;
        let row = fetch(cx, statement).await?;
        let count: i64 = row.first().map_or(Ok(0), |row| row.try_get(0))?;
        out.extend_from_slice(b",\"count\":");
        out.extend_from_slice(count.to_string().as_bytes());
    }
    out.push(b'}');
    Ok((out, rows.is_empty()))
}

pub(crate) async fn fetch(cx: &mut Cx, statement: Statement) -> Result<Vec<PgRow>, sqlx::Error> {
    let query = sqlx::query_with(statement.text, statement.arguments);
    query.persistent(!statement.rare).fetch_all(cx.conn()).await
}

fn scope(
    engine: &Engine,
    caller: &Caller,
    resource: &Resource,
    query: &Query,
    parent: Parent,
) -> cursor::Scope {
    let mut scope = engine.cursors.scope();
    scope.part(resource.name.as_bytes());
    match parent {
        Some((column, id)) => {
            scope.part(column.as_bytes());
            scope.part(id.as_bytes());
        }
        None => scope.part(b""),
    }
    for (name, value) in &query.given {
        scope.part(name.as_bytes());
        scope.part(value.as_bytes());
    }
    match query.sort {
        Some((sort, Direction::Ascending)) => scope.part(sort.name.as_bytes()),
        Some((sort, Direction::Descending)) => scope.part(format!("-{}", sort.name).as_bytes()),
        None => scope.part(b""),
    }
    scope.part(caller.actor.user().unwrap_or_default().as_bytes());
    scope
}

fn seal(
    engine: &Engine,
    caller: &Caller,
    resource: &Resource,
    query: &Query,
    parent: Parent,
    last: &PgRow,
) -> Result<String> {
    let key = match query.sort {
        Some((sort, _)) => Some(Value::of_row(sort.kind, last, sort.name)?.text()),
        None => None,
    };
    Ok(scope(engine, caller, resource, query, parent).seal(key.as_deref(), last.try_get("id")?))
}

fn open(
    engine: &Engine,
    caller: &Caller,
    resource: &Resource,
    query: &Query,
    parent: Parent,
    cursor: &str,
) -> Result<(Option<Value>, uuid::Uuid)> {
    let (key, id) = scope(engine, caller, resource, query, parent).open(cursor)?;
    let key = match (query.sort, key) {
        (Some((sort, _)), Some(key)) => {
            let key = value::read_key(sort.kind, key);
            Some(key.map_err(|_| Error::new(&problems::CURSOR))?)
        }
        (None, None) => None,
        _ => return Err(Error::new(&problems::CURSOR)),
    };
    Ok((key, id))
}
