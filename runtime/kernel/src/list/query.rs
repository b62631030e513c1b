//! Parses the query string of a list by what the resource allows, and reports all mistakes at once.

pub use super::condition::{Condition, Near, Places};

use super::{
    cursor,
    encoding::{NOT_UTF8, is_replaced, is_utf8, trimmed},
    place,
    time::Day,
    value::Value,
    values,
};
use crate::{
    error::Result,
    problem::{Item, refuse},
    resource::{ACTIONS, Expand, Filter, Kind, Resource, Sort},
};
use std::borrow::Cow;

const LIMIT_MAX: u32 = 100;
/// The most values of one `.in`.
const IN_MAX: usize = 100;

/// Every entity can be sorted by it: ids ascend with the time of creation, and are indexed anyway.
const BY_ID: &str = "id";

/// Every list can be restricted to given ids, or to all others.
const ID: Filter = Filter::new("id", "t.id", Kind::Uuid);

#[derive(Debug)]
pub struct Query {
    pub conditions: Vec<Condition>,
    pub order: Order,
    pub limit: u32,
    pub cursor: Option<String>,
    pub count: bool,
    pub expand: Vec<&'static Expand>,
    /// The filters as given, in a fixed order; a cursor is bound to them.
    pub given: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// The default order: descending ids, so the newest first.
    Id(Direction),
    By(&'static Sort, Direction),
    /// The nearest first.
    Distance(Places),
}

impl Order {
    pub fn direction(self) -> Direction {
        match self {
            Self::Id(direction) | Self::By(_, direction) => direction,
            Self::Distance(_) => Direction::Ascending,
        }
    }

    /// The text that a cursor is bound to.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Id(Direction::Descending) => "".into(),
            Self::Id(Direction::Ascending) => BY_ID.into(),
            Self::By(sort, Direction::Ascending) => sort.name.into(),
            Self::By(sort, Direction::Descending) => format!("-{}", sort.name).into(),
            Self::Distance(_) => "near".into(),
        }
    }
}

impl Query {
    pub fn read(resource: &'static Resource, text: &str) -> Result<Self> {
        let (query, wrong) = Self::look(resource, text);
        refuse(wrong)?;
        Ok(query)
    }

    /// What could be parsed, and the errors of the rest, for callers that have more to check.
    pub fn look(resource: &'static Resource, text: &str) -> (Self, Vec<Item>) {
        let mut reader = Reader::new(resource, text);
        let mut query = Self::all(resource);
        let pairs = std::mem::take(&mut reader.pairs);
        let mut sort = None;
        for (name, value) in &pairs {
            match name.as_ref() {
                "limit" => query.limit = reader.limit(value).unwrap_or(query.limit),
                "sort" => sort = reader.sort(value),
                "cursor" => query.cursor = reader.cursor(value),
                "count" => query.count = reader.exact(value),
                "expand" => query.expand = reader.expand(value),
                _ => {
                    query
                        .conditions
                        .extend(reader.condition(name, value, &pairs));
                    query.given.push((name.to_string(), value.to_string()));
                }
            }
        }
        query.given.sort_unstable();
        let nearest = query
            .conditions
            .iter()
            .find_map(|condition| match condition {
                Condition::Near(near) => Some(Order::Distance(near.places)),
                _ => None,
            });
        if let Some(order) = sort.or(nearest) {
            query.order = order;
        }
        (query, reader.errors)
    }

    /// The query string of a list without filters and sorts.
    pub fn read_page(resource: &'static Resource, text: &str) -> Result<Self> {
        let mut reader = Reader::new(resource, text);
        let mut query = Self::all(resource);
        for (name, value) in &std::mem::take(&mut reader.pairs) {
            match name.as_ref() {
                "limit" => query.limit = reader.limit(value).unwrap_or(query.limit),
                "cursor" => query.cursor = reader.cursor(value),
                _ => reader.unknown(name),
            }
        }
        reader.finish(query)
    }

    fn all(resource: &'static Resource) -> Self {
        Self {
            conditions: Vec::new(),
            order: Order::Id(Direction::Descending),
            limit: resource.page,
            cursor: None,
            count: false,
            expand: Vec::new(),
            given: Vec::new(),
        }
    }

    /// Whether the query may be slow, and so uses the connections that are reserved for searches.
    pub fn searches(&self) -> bool {
        self.count || !self.conditions.iter().all(Condition::is_plain)
    }

    /// The query string for a single object: only `expand`.
    pub fn read_expand(resource: &'static Resource, text: &str) -> Result<Vec<&'static Expand>> {
        let mut reader = Reader::new(resource, text);
        let mut expand = Vec::new();
        for (name, value) in std::mem::take(&mut reader.pairs) {
            match name.as_ref() {
                "expand" => expand = reader.expand(&value),
                _ => reader.unknown(&name),
            }
        }
        reader.finish(expand)
    }
}

/// For routes without parameters.
pub fn refuse_any(text: Option<&str>) -> Result<()> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    let unknown = url::form_urlencoded::parse(text.as_bytes()).map(|(name, _)| unknown(name));
    refuse(unknown.collect())
}

fn unknown(name: Cow<str>) -> Item {
    let detail = "This route has no such parameter.";
    Item::query(name.into_owned(), "unknown", detail)
}

/// Parameters that may be repeated: `x.in=a&x.in=b` means `x.in=a,b`.
fn is_list(resource: &Resource, name: &str) -> bool {
    let is_set = |filter: &Filter| filter.param == name && matches!(filter.kind, Kind::Set(_));
    name == "expand" || name.ends_with(".in") || resource.filters.iter().any(is_set)
}

pub(super) struct Reader<'a> {
    resource: &'static Resource,
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    errors: Vec<Item>,
}

impl<'a> Reader<'a> {
    fn new(resource: &'static Resource, text: &'a str) -> Self {
        let mut reader = Self {
            resource,
            pairs: Vec::new(),
            errors: Vec::new(),
        };
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if reader.refuse_undecodable(&name, &value, text) {
                continue;
            }
            let value = trimmed(value);
            match reader.pairs.iter_mut().find(|(known, _)| *known == name) {
                None => reader.pairs.push((name, value)),
                Some((_, known)) if is_list(resource, &name) => {
                    values::join(known.to_mut(), &value)
                }
                Some(_) => reader.error(&name, "repeated", "Give each parameter once."),
            }
        }
        reader
    }

    fn finish<T>(self, value: T) -> Result<T> {
        refuse(self.errors)?;
        Ok(value)
    }

    pub(super) fn error(
        &mut self,
        parameter: &str,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.errors
            .push(Item::query(parameter.to_owned(), code, detail));
    }

    fn unknown(&mut self, parameter: &str) {
        self.errors.push(unknown(parameter.into()));
    }

    /// Text that is not UTF-8 is refused: it would be searched with replacement characters, and nothing be found. Cursors
    /// have an answer of their own to whatever is none.
    fn refuse_undecodable(&mut self, name: &str, value: &str, query: &str) -> bool {
        let is_refused =
            name != "cursor" && (is_replaced(name) || is_replaced(value)) && !is_utf8(query);
        if is_refused {
            self.error(name, "format", NOT_UTF8);
        }
        is_refused
    }

    fn limit(&mut self, text: &str) -> Option<u32> {
        let limit = text
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit));
        if limit.is_none() {
            self.error(
                "limit",
                "range",
                format!("Use a whole number from 1 to {LIMIT_MAX}."),
            );
        }
        limit
    }

    fn sort(&mut self, text: &str) -> Option<Order> {
        if !self.has_rows() {
            self.error("sort", "unknown", "The order of this list is fixed.");
            return None;
        }
        let (name, direction) = match text.strip_prefix('-') {
            Some(name) => (name, Direction::Descending),
            None => (text, Direction::Ascending),
        };
        if name == BY_ID {
            return Some(Order::Id(direction));
        }
        let sorts = self.resource.sorts;
        let sort = sorts.iter().find(|sort| sort.name == name);
        if sort.is_none() {
            let names = [BY_ID]
                .into_iter()
                .chain(sorts.iter().map(|sort| sort.name));
            let names: Vec<_> = names.collect();
            self.error(
                "sort",
                "choice",
                format!(
                    "Use one of: {}; `-` in front turns the order round.",
                    names.join(", ")
                ),
            );
        }
        Some(Order::By(sort?, direction))
    }

    fn cursor(&mut self, text: &str) -> Option<String> {
        let fits = (1..=cursor::MAX_LENGTH).contains(&text.len());
        if !fits {
            self.error("cursor", "length", "Send `next_cursor` of the page before.");
        }
        fits.then(|| text.to_owned())
    }

    fn exact(&mut self, text: &str) -> bool {
        if !self.has_rows() {
            self.error("count", "unknown", "This list is not counted.");
            return false;
        }
        if text != "exact" {
            self.error("count", "choice", "Use `exact`.");
        }
        text == "exact"
    }

    fn expand(&mut self, text: &str) -> Vec<&'static Expand> {
        let mut found: Vec<&'static Expand> = Vec::new();
        let actions = self.resource.acts.then_some(&ACTIONS);
        let all = self.resource.expands.iter().chain(actions);
        let open: Vec<&'static Expand> = all.filter(|expand| !expand.hidden).collect();
        if open.is_empty() {
            self.unknown("expand");
            return found;
        }
        for name in text.split(',').map(str::trim) {
            match open.iter().find(|expand| expand.name == name) {
                Some(expand) if found.iter().any(|other| other.name == expand.name) => {}
                Some(expand) => found.push(expand),
                None => {
                    let names: Vec<_> = open.iter().map(|expand| expand.name).collect();
                    self.error(
                        "expand",
                        "choice",
                        format!("Use some of: {}.", names.join(", ")),
                    );
                    break;
                }
            }
        }
        found
    }

    fn condition(
        &mut self,
        name: &str,
        text: &str,
        pairs: &[(Cow<str>, Cow<str>)],
    ) -> Option<Condition> {
        if let Some(point) = self
            .resource
            .filters
            .iter()
            .find(|filter| filter.kind == Kind::Point)
        {
            match name {
                "near" => return place::near(self, point, text, pairs),
                "bbox" => return place::bbox(self, point, text),
                "radius_m" if pairs.iter().any(|(other, _)| other == "near") => return None,
                "radius_m" => {
                    self.error("radius_m", "unknown", "Only together with `near`.");
                    return None;
                }
                _ => {}
            }
        }
        let (param, op) = name.rsplit_once('.').unwrap_or((name, ""));
        let is_id = param == BY_ID && matches!(op, "" | "in" | "ne") && self.has_rows();
        let filters = self.resource.filters.iter();
        let mut filters = filters.chain(is_id.then_some(&ID));
        let Some(filter) = filters.find(|filter| filter.param == param) else {
            self.unknown(name);
            return None;
        };
        if !op.is_empty() && !self.has_rows() {
            let detail = "This list only compares its parameters for equality.";
            self.error(name, "unknown", detail);
            return None;
        }
        match (filter.kind, op) {
            (_, "null") if !filter.null.is_empty() => self.null(filter, name, text),
            (Kind::Search, "") => self.search(filter, name, text),
            (Kind::Point | Kind::Search, _) => {
                self.unknown(name);
                None
            }
            _ => self.comparison(filter, name, op, text),
        }
    }

    /// A list of a hand-written route has its own statement.
    fn has_rows(&self) -> bool {
        !self.resource.sql.list.is_empty()
    }

    fn null(&mut self, filter: &Filter, name: &str, text: &str) -> Option<Condition> {
        match self.value(Kind::Bool, name, text)? {
            Value::Bool(is_null) => Some(Condition::Null {
                sql: filter.null,
                is_null,
            }),
            _ => None,
        }
    }

    fn search(&mut self, filter: &Filter, name: &str, text: &str) -> Option<Condition> {
        match Value::read(Kind::Search, text.trim()) {
            Ok(value) => Some(Condition::Search {
                function: filter.sql,
                text: value.text(),
            }),
            Err(detail) => {
                self.error(name, "length", detail);
                None
            }
        }
    }

    fn comparison(
        &mut self,
        filter: &Filter,
        name: &str,
        op: &str,
        text: &str,
    ) -> Option<Condition> {
        let (sql, kind) = (filter.sql, filter.kind);
        let ranges = matches!(
            kind,
            Kind::Int | Kind::Bigint | Kind::Decimal | Kind::Time | Kind::Date
        );
        let op = match op {
            "" => "=",
            "ne" => "<>",
            "in" if matches!(
                kind,
                Kind::Uuid | Kind::Text | Kind::Formatted(_) | Kind::Enum(_)
            ) =>
            {
                return self.list(filter, name, text);
            }
            "gte" if ranges => ">=",
            "lte" if ranges => "<=",
            "gt" if ranges => ">",
            "lt" if ranges => "<",
            _ => {
                self.unknown(name);
                return None;
            }
        };
        if kind == Kind::Time
            && let Some(day) = Day::read(text)
        {
            return Some(on_day(sql, op, day));
        }
        let value = self.value(kind, name, text)?;
        Some(match op {
            "<>" => Condition::Not { sql, value },
            op => Condition::Compare { sql, op, value },
        })
    }

    fn value(&mut self, kind: Kind, name: &str, text: &str) -> Option<Value> {
        let code = match kind {
            Kind::Enum(_) | Kind::Set(_) => "choice",
            _ => "format",
        };
        Value::read(kind, text)
            .map_err(|detail| self.error(name, code, detail))
            .ok()
    }

    fn list(&mut self, filter: &Filter, name: &str, text: &str) -> Option<Condition> {
        let parts = values::split(text);
        if parts.len() > IN_MAX {
            let detail = format!("Use at most {IN_MAX} values; there are {}.", parts.len());
            self.error(name, "length", detail);
            return None;
        }
        let values = parts
            .iter()
            .map(|part| self.value(filter.kind, name, part))
            .collect::<Option<_>>()?;
        Some(Condition::In {
            sql: filter.sql,
            values,
        })
    }
}

/// A date stands for all times of that day: `lte` means until its end, and `gt` from the next day on.
fn on_day(sql: &'static str, op: &'static str, day: Day) -> Condition {
    let (op, bound) = match op {
        ">=" => (">=", day.start),
        "<" => ("<", day.start),
        "<=" => ("<", day.end),
        ">" => (">=", day.end),
        op => {
            let is_on = op == "=";
            return Condition::On { sql, day, is_on };
        }
    };
    let value = Value::Time(bound);
    Condition::Compare { sql, op, value }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
