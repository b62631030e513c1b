//! Lists of hand-written routes: the same query string, pages and cursors as those of generated lists.
//!
//! The statement is fixed and written by hand, and filters are parameters that may be null. So these lists support
//! equality, words and a bounding box, and one sort order.

use super::{
    cursor::CursorKey,
    query::{Condition, Query},
    time::Day,
    value::Value,
};
pub use super::{query::refuse_any, text::is_half};
use crate::{
    caller::Caller,
    error::{Error, Result},
    member::Member,
    problem::{Item, refuse},
    problems,
    resource::{Expand, Filter, Kind, Lifecycle, Resource, Rules, Sql},
    rule::Rule,
};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use std::borrow::Cow;
use uuid::Uuid;

/// What a list accepts besides `limit` and `cursor`. One `static` per route.
pub struct List(Resource);

/// A parameter that is compared for equality.
pub const fn parameter(name: &'static str, kind: Kind) -> Filter {
    Filter::new(name, name, kind)
}

impl List {
    /// The page size is `page` unless `limit` says otherwise.
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
            acts: false,
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
            fixed: &[],
            moving: &[],
            hooks: &[],
        })
    }

    /// The list also takes `expand`, as the list of the entity that it shows; the handler passes on [`Asked::expand`].
    #[must_use]
    pub const fn expanding(mut self, of: &'static Resource) -> Self {
        self.0.acts = of.acts;
        self.expanding_some(of.expands)
    }

    /// The list takes `expand` with these names.
    #[must_use]
    pub const fn expanding_some(mut self, expands: &'static [Expand]) -> Self {
        self.0.expands = expands;
        self
    }

    /// Parses the query string and reports everything that is wrong with it at once.
    pub fn read(
        &'static self,
        text: Option<&str>,
        cursors: &CursorKey,
        reader: &Member,
    ) -> Result<Asked> {
        self.read_as(text, cursors, reader.caller())
    }

    /// Like [`List::read`], for public lists and for lists read with a token that identifies the member: the caller is
    /// not verified yet.
    pub fn read_as(
        &'static self,
        text: Option<&str>,
        cursors: &CursorKey,
        reader: &Caller,
    ) -> Result<Asked> {
        self.look(text, cursors, reader).sound()
    }

    /// Reads as much as can be read. For lists that check their parameters further: add problems with
    /// [`Asked::refuse`], and [`Asked::sound`] reports all of them at once.
    pub fn look(&'static self, text: Option<&str>, cursors: &CursorKey, reader: &Caller) -> Asked {
        let (query, wrong) = Query::look(&self.0, text.unwrap_or_default());
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
        let mut asked = Asked {
            limit: query.limit as usize,
            after: query.cursor.as_deref().map(|cursor| scope().open(cursor)),
            values: Vec::new(),
            days: Vec::new(),
            sides: None,
            expand: query.expand.iter().map(|expand| expand.name).collect(),
            scope: scope(),
            wrong,
        };
        for condition in query.conditions {
            asked.take(condition);
        }
        self.refuse_formats(&mut asked);
        asked
    }

    /// A value that no row can have is refused instead of giving an empty list, because it is a mistake in the
    /// request.
    fn refuse_formats(&self, asked: &mut Asked) {
        for filter in self.0.filters {
            if let Kind::Formatted(format) = filter.kind
                && let Some(text) = asked.text(filter.param)
                && !format.accepts(&text)
            {
                asked.refuse(filter.param, "format", format!("It {}.", format.wants()));
            }
        }
    }
}

fn nothing(_: &PgRow, _: &mut Vec<u8>) -> Result<(), sqlx::Error> {
    Ok(())
}

/// A query string that was read.
pub struct Asked {
    limit: usize,
    after: Option<Result<(Option<String>, Uuid)>>,
    values: Vec<(&'static str, Value)>,
    days: Vec<(&'static str, Day)>,
    sides: Option<[f64; 4]>,
    expand: Vec<&'static str>,
    scope: super::cursor::Scope,
    wrong: Vec<Item>,
}

/// One page, as it is answered.
pub struct Page<T> {
    pub data: Vec<T>,
    /// Null: there is no more.
    pub next_cursor: Option<String>,
}

impl Asked {
    fn take(&mut self, condition: Condition) {
        match condition {
            Condition::Compare {
                sql,
                op: "=",
                value,
            } => self.values.push((sql, value)),
            Condition::Search { function, text } => {
                self.values.push((function, Value::Text(text)));
            }
            Condition::On {
                sql,
                day,
                is_on: true,
            } => self.days.push((sql, day)),
            Condition::Within {
                west,
                south,
                east,
                north,
                ..
            } => self.sides = Some([west, south, east, north]),
            Condition::Compare { sql, .. }
            | Condition::In { sql, .. }
            | Condition::Not { sql, .. }
            | Condition::Null { sql, .. }
            | Condition::On { sql, .. } => self.not_compared(sql),
            Condition::Near(_) => {
                let detail = "This list has no `near`; give a box with `bbox`.";
                self.refuse("near", "unknown", detail);
            }
        }
    }

    fn not_compared(&mut self, parameter: &'static str) {
        let detail = "This list only compares its parameters for equality.";
        self.wrong.push(Item::query(parameter, "unknown", detail));
    }

    /// Adds a problem, unless there is one with this parameter already.
    pub fn refuse(
        &mut self,
        parameter: &'static str,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) {
        let known = |item: &Item| item.parameter.as_deref() == Some(parameter);
        if !self.wrong.iter().any(known) {
            self.wrong.push(Item::query(parameter, code, detail));
        }
    }

    /// The id in a required parameter. If it is missing, the id is nil, and [`Asked::sound`] refuses the request.
    pub fn required_id(&mut self, parameter: &'static str, detail: &'static str) -> Uuid {
        let id = self.id(parameter);
        if id.is_none() {
            self.refuse(parameter, "required", detail);
        }
        id.unwrap_or_default()
    }

    /// Fails with all problems that were found (422). An invalid cursor is only reported if there is no other problem.
    pub fn sound(mut self) -> Result<Self> {
        refuse(std::mem::take(&mut self.wrong))?;
        match self.after {
            Some(Err(refusal)) => Err(refusal),
            _ => Ok(self),
        }
    }

    /// Whether a page after the first is requested, which lists with a single page refuse.
    pub fn goes_on(&self) -> bool {
        self.after.is_some()
    }

    /// The number of rows to read: one more than the page has, which shows whether there is another page.
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

    /// The relations that the objects of the answer are to be shown with.
    pub fn expand(&self) -> &[&'static str] {
        &self.expand
    }

    /// West, south, east and north of `bbox`.
    pub fn sides(&self) -> Option<[f64; 4]> {
        self.sides
    }

    /// The beginning of a period: a date means the beginning of that day.
    pub fn begin(&self, name: &str) -> Option<DateTime<Utc>> {
        self.time(name).or(self.day(name).map(|day| day.start))
    }

    /// The end of a period: a date means the end of that day.
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

    /// The key of the last row of the previous page, as it was passed to [`Asked::page`].
    pub fn after<K: std::str::FromStr>(&self) -> Result<Option<(K, Uuid)>> {
        // An invalid cursor was refused before.
        let Some(Ok((key, id))) = &self.after else {
            return Ok(None);
        };
        let key = key.as_deref().and_then(|key| key.parse().ok());
        let key = key.ok_or_else(|| Error::new(&problems::CURSOR))?;
        Ok(Some((key, *id)))
    }

    /// The cursor behind a row, for callers that cut the page themselves.
    pub fn cursor(&self, key: &str, id: Uuid) -> String {
        self.scope.clone().seal(Some(key), id)
    }

    /// Cuts the rows to the page. `key` returns the sort key and the id of a row; the id is nil if the key is unique.
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
