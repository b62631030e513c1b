//! Lists of hand-written routes: the same query string, pages and cursors as those of generated ones.
//!
//! The statement is written by hand and fixed: what is asked for comes as parameters that may be null. So these lists
//! compare for equality, look for words and inside of a box, in one order.

pub use super::text::is_half;
use super::{
    cursor::CursorKey,
    query::{Condition, Direction, Order, Query},
    time::Day,
    value::Value,
};
use crate::{
    caller::Caller,
    error::{Error, Result},
    member::Member,
    problem::{Item, Problem},
    problems,
    resource::{Filter, Kind, Lifecycle, Resource, Rules, Sql},
    rule::Rule,
};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use uuid::Uuid;

/// What a list takes beside `limit` and `cursor`. One `static` per route.
pub struct List(Resource);

/// A parameter that compares for equality.
pub const fn parameter(name: &'static str, kind: Kind) -> Filter {
    Filter::new(name, name, kind)
}

impl List {
    /// `page` objects are on a page unless `limit` says otherwise.
    pub const fn new(name: &'static str, page: u32, parameters: &'static [Filter]) -> Self {
        const NOBODY: &Rule = &Rule::Nobody;
        Self(Resource {
            name,
            plural: name,
            path: name,
            lifecycle: Lifecycle::AppendOnly,
            guarded: false,
            created_unseen: false,
            hides: false,
            page,
            sql: Sql::NONE,
            rules: Rules {
                read: NOBODY,
                create: NOBODY,
                update: NOBODY,
                delete: NOBODY,
                restore: NOBODY,
                suspend: NOBODY,
            },
            filters: parameters,
            within: &[],
            public_to_all: false,
            sorts: &[],
            expands: &[],
            children: &[],
            together: &[],
            transitions: &[],
            constraints: &[],
            encode: nothing,
            create: None,
            update: None,
            private: &[],
            fixed: &[],
            moving: &[],
            hooks: &[],
        })
    }

    /// Everything that is wrong with a query string at once.
    pub fn read(
        &'static self,
        text: Option<&str>,
        cursors: &CursorKey,
        reader: &Member,
    ) -> Result<Asked> {
        self.read_as(text, cursors, reader.caller())
    }

    /// The same for lists that are for everybody, or asked as whoever a token says: nobody is proven yet.
    pub fn read_as(
        &'static self,
        text: Option<&str>,
        cursors: &CursorKey,
        reader: &Caller,
    ) -> Result<Asked> {
        let query = Query::read(&self.0, text.unwrap_or_default())?;
        let (mut values, mut days, mut sides) = (Vec::new(), Vec::new(), None);
        let mut wrong: Vec<&str> = Vec::new();
        if !matches!(query.order, Order::Id(Direction::Descending)) {
            wrong.push("sort");
        }
        if query.count {
            wrong.push("count");
        }
        for condition in query.conditions {
            match condition {
                Condition::Compare {
                    sql,
                    op: "=",
                    value,
                } => values.push((sql, value)),
                Condition::Search { function, text } => values.push((function, Value::Text(text))),
                Condition::On {
                    sql,
                    day,
                    is_on: true,
                } => days.push((sql, day)),
                Condition::Within {
                    west,
                    south,
                    east,
                    north,
                    ..
                } => sides = Some([west, south, east, north]),
                Condition::Compare { sql, .. }
                | Condition::In { sql, .. }
                | Condition::Not { sql, .. }
                | Condition::Null { sql, .. }
                | Condition::On { sql, .. } => wrong.push(sql),
                Condition::Near(_) => wrong.push("near"),
            }
        }
        if !wrong.is_empty() {
            let mut problem = Problem::new(&problems::INVALID);
            let item = |name: &str| {
                let detail = "This list only compares its parameters for equality.";
                Item::query(name.to_owned(), "unknown", detail)
            };
            problem.errors = wrong.into_iter().map(item).collect();
            return Err(problem.into());
        }
        // A cursor belongs to its list, its filters and its reader.
        let scope = || {
            let mut scope = cursors.scope();
            scope.part(self.0.name.as_bytes());
            scope.part(reader.actor.user().unwrap_or_default().as_bytes());
            for (name, value) in &query.given {
                scope.part(name.as_bytes());
                scope.part(value.as_bytes());
            }
            scope
        };
        let after = match &query.cursor {
            None => None,
            Some(cursor) => Some(scope().open(cursor)?),
        };
        Ok(Asked {
            limit: query.limit as usize,
            after,
            values,
            days,
            sides,
            scope: scope(),
        })
    }
}

fn nothing(_: &PgRow, _: &mut Vec<u8>) -> Result<(), sqlx::Error> {
    Ok(())
}

/// A query string that was read.
pub struct Asked {
    limit: usize,
    after: Option<(Option<String>, Uuid)>,
    values: Vec<(&'static str, Value)>,
    days: Vec<(&'static str, Day)>,
    sides: Option<[f64; 4]>,
    scope: super::cursor::Scope,
}

/// One page, as it is answered.
pub struct Page<T> {
    pub data: Vec<T>,
    /// Null: there is no more.
    pub next_cursor: Option<String>,
}

impl Asked {
    /// How many rows to ask for: one more than the page has, which says whether there is another.
    pub fn rows(&self) -> i64 {
        self.limit as i64 + 1
    }

    /// The value of a parameter as text; null for one that was not given.
    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(Value::text)
    }

    pub fn id(&self, name: &str) -> Option<Uuid> {
        match self.value(name) {
            Some(Value::Uuid(id)) => Some(*id),
            _ => None,
        }
    }

    /// West, south, east and north of `bbox`.
    pub fn sides(&self) -> Option<[f64; 4]> {
        self.sides
    }

    /// A time from which on something is asked for: a day from its beginning.
    pub fn begin(&self, name: &str) -> Option<DateTime<Utc>> {
        self.time(name).or(self.day(name).map(|day| day.start))
    }

    /// A time up to which something is asked for: a day to its end.
    pub fn end(&self, name: &str) -> Option<DateTime<Utc>> {
        self.time(name).or(self.day(name).map(|day| day.end))
    }

    fn time(&self, name: &str) -> Option<DateTime<Utc>> {
        match self.value(name) {
            Some(Value::Time(time)) => Some(*time),
            _ => None,
        }
    }

    fn day(&self, name: &str) -> Option<Day> {
        let mut days = self.days.iter();
        days.find(|(known, _)| *known == name).map(|(_, day)| *day)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        let mut values = self.values.iter();
        values
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// The key of the row that the page before ended with, as [`Asked::page`] was given it.
    pub fn after<K: std::str::FromStr>(&self) -> Result<Option<(K, Uuid)>> {
        let Some((key, id)) = &self.after else {
            return Ok(None);
        };
        let key = key.as_deref().and_then(|key| key.parse().ok());
        let key = key.ok_or_else(|| Error::new(&problems::CURSOR))?;
        Ok(Some((key, *id)))
    }

    /// The cursor behind a row, for whoever cuts the page.
    pub fn cursor(&self, key: &str, id: Uuid) -> String {
        self.scope.clone().seal(Some(key), id)
    }

    /// Cuts the rows to the page. `key` is what the list is ordered by, and the row's id, or nil where the key is unique.
    pub fn page<T>(self, mut rows: Vec<T>, key: impl Fn(&T) -> (String, Uuid)) -> Page<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| more).map(key);
        Page {
            data: rows,
            next_cursor: last.map(|(key, id)| self.scope.seal(Some(&key), id)),
        }
    }
}
