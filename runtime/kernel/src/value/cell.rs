//! One column of a row: decoded into a Rust value, or written as JSON directly.
//!
//! Writing goes through function pointers in a table per entity, so the loop over a row is compiled once.

use super::{Json, Point, time::write_time};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgRow, PgValueRef};
use sqlx::{Decode, Postgres, Row, ValueRef};
use std::io::Write;
use uuid::Uuid;

/// A type that a column of an entity can have.
pub trait Cell: Sized {
    fn read(value: PgValueRef<'_>) -> Result<Self, BoxDynError>;
    /// `value` is never null.
    fn write(value: PgValueRef<'_>, out: &mut Vec<u8>) -> Result<(), BoxDynError>;
}

/// How a column is written, by position.
pub struct Column {
    /// With quotes and colon: `"title":`
    pub key: &'static str,
    pub write: fn(PgValueRef<'_>, &mut Vec<u8>) -> Result<(), BoxDynError>,
    /// Left out if the caller may not see the column. A column that the caller may see and that is empty is written as
    /// null.
    pub private: bool,
}

/// Reads the column at a position.
pub fn column<T: Cell>(row: &PgRow, i: usize) -> Result<T, sqlx::Error> {
    T::read(row.try_get_raw(i)?).map_err(|source| at(i, source))
}

/// Writes a row as members of a JSON object, each preceded by a comma, because the caller has written the first member
/// already. Of an entity with private columns, the column behind its own is a bit set of those that the caller may
/// see. One more column, if there is one, is `allowed_actions`.
pub fn encode_row(row: &PgRow, columns: &[Column], out: &mut Vec<u8>) -> Result<(), sqlx::Error> {
    let mut end = columns.len();
    let mut seen = 0;
    if columns.iter().any(|column| column.private) {
        seen = row.try_get::<Option<i64>, _>(end)?.unwrap_or(0);
        end += 1;
    }
    for (i, column) in columns.iter().enumerate() {
        if column.private {
            let is_seen = seen & 1 == 1;
            seen >>= 1;
            if !is_seen {
                continue;
            }
        }
        write_cell(row, i, column, out)?;
    }
    if row.len() > end {
        let actions = Column {
            key: "\"allowed_actions\":",
            write: Vec::<String>::write,
            private: false,
        };
        write_cell(row, end, &actions, out)?;
    }
    Ok(())
}

/// A text column as a JSON text.
pub fn write_text(value: PgValueRef<'_>, out: &mut Vec<u8>) -> Result<(), BoxDynError> {
    Ok(serde_json::to_writer(out, decode::<&str>(value)?)?)
}

fn write_cell(
    row: &PgRow,
    i: usize,
    column: &Column,
    out: &mut Vec<u8>,
) -> Result<(), sqlx::Error> {
    let value = row.try_get_raw(i)?;
    out.push(b',');
    out.extend_from_slice(column.key.as_bytes());
    if value.is_null() {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    (column.write)(value, out).map_err(|source| at(i, source))
}

fn at(i: usize, source: BoxDynError) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: i.to_string(),
        source,
    }
}

fn decode<'r, T: Decode<'r, Postgres>>(value: PgValueRef<'r>) -> Result<T, BoxDynError> {
    T::decode(value)
}

impl<T: Cell> Cell for Option<T> {
    fn read(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.is_null() {
            Ok(None)
        } else {
            T::read(value).map(Some)
        }
    }
    fn write(value: PgValueRef<'_>, out: &mut Vec<u8>) -> Result<(), BoxDynError> {
        T::write(value, out)
    }
}

/// Types that sqlx reads; `$write` gets the value and the output.
macro_rules! cells {
    ($($ty:ty = $write:expr;)*) => {$(
        impl Cell for $ty {
            fn read(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
                decode(value)
            }
            fn write(value: PgValueRef<'_>, out: &mut Vec<u8>) -> Result<(), BoxDynError> {
                let write: fn($ty, &mut Vec<u8>) -> Result<(), BoxDynError> = $write;
                write(decode(value)?, out)
            }
        }
    )*};
}

cells! {
    Uuid = |value, out| quoted(out, |out| {
        out.extend_from_slice(value.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
    });
    DateTime<Utc> = |value, out| quoted(out, |out| write_time(value, out));
    NaiveDate = |value, out| Ok(write!(out, "\"{value}\"")?);
    bool = |value, out| Ok(write!(out, "{value}")?);
    i32 = |value, out| Ok(write!(out, "{value}")?);
    i64 = |value, out| Ok(write!(out, "{value}")?);
    f64 = |value, out| Ok(serde_json::to_writer(out, &value)?);
    Vec<String> = |value, out| Ok(serde_json::to_writer(out, &value)?);
    Json = |value, out| { out.extend_from_slice(value.0.as_bytes()); Ok(()) };
    Point = |value, out| Ok(serde_json::to_writer(out, &value)?);
}

impl Cell for String {
    fn read(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        decode(value)
    }
    fn write(value: PgValueRef<'_>, out: &mut Vec<u8>) -> Result<(), BoxDynError> {
        write_text(value, out)
    }
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), BoxDynError> {
    out.push(b'"');
    write(out);
    out.push(b'"');
    Ok(())
}
