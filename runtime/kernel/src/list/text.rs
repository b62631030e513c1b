//! The statement of a list: static fragments, numbered parameters and one number, nothing else.
//!
//! Besides `cx` the only place that makes SQL text at run time. Every fragment is `&'static str`, so no
//! text of a request can get in.

use super::{
    query::{Condition, Direction, Query},
    value::Value,
};
use crate::{
    cx::Question,
    resource::{Resource, Sort},
};
use sqlx::{Arguments, error::BoxDynError, postgres::PgArguments};
use std::fmt::Write;
use uuid::Uuid;

/// Degrees between a parallel and the straight way of half a degree along it, and more: at most 0.0003.
const MARGIN: f64 = 0.001;

pub struct Statement {
    pub text: String,
    pub arguments: PgArguments,
    /// Seldom the same text again: not worth a place in the cache of prepared statements.
    pub rare: bool,
}

impl Statement {
    pub fn question(self) -> Question {
        Question {
            text: self.text.into(),
            arguments: self.arguments,
            keep: !self.rare,
        }
    }
}

/// Where a nested list belongs: the child's column and the parent's id.
pub type Parent = Option<(&'static str, Uuid)>;

/// One page, with one row more to see whether another follows.
pub fn page(
    resource: &'static Resource,
    query: &Query,
    parent: Parent,
    after: Option<(Option<Value>, Uuid)>,
) -> Result<Statement, BoxDynError> {
    let mut builder = Builder::new(resource.sql.list);
    builder.parent(parent)?;
    builder.conditions(&query.conditions)?;
    let direction = query
        .sort
        .map_or(Direction::Descending, |(_, direction)| direction);
    let sort = query.sort.map(|(sort, _)| sort);
    let (than, order) = match direction {
        Direction::Ascending => (" > ", ""),
        Direction::Descending => (" < ", " desc"),
    };
    if let Some((key, id)) = after {
        builder.and();
        match (sort, key) {
            (Some(sort), Some(key)) => {
                builder.push("(");
                builder.push(sort.sql);
                builder.push(", ");
                builder.push(sort.id());
                builder.push(")");
                builder.push(than);
                builder.push("(");
                builder.value(&key)?;
                builder.push(", ");
                builder.bind(id)?;
                builder.push(")");
            }
            _ => {
                builder.push("t.id");
                builder.push(than);
                builder.bind(id)?;
            }
        }
    }
    builder.push(" order by ");
    if let Some(sort) = sort {
        builder.push(sort.sql);
        builder.push(order);
        builder.push(", ");
    }
    builder.push(sort.map_or("t.id", Sort::id));
    builder.push(order);
    // A number in the text, not a parameter: the plan depends on it.
    let _ = write!(builder.text, " limit {}", query.limit + 1);
    let usual = query.limit == resource.page && query.conditions.len() <= 1;
    Ok(builder.finish(!usual))
}

/// All rows of the list, on all pages.
pub fn count(
    resource: &'static Resource,
    query: &Query,
    parent: Parent,
) -> Result<Statement, BoxDynError> {
    let mut builder = Builder::new("select count(*) from app.");
    builder.push(resource.plural);
    builder.push(" as t");
    builder.parent(parent)?;
    builder.conditions(&query.conditions)?;
    Ok(builder.finish(query.conditions.len() > 1))
}

/// Is the row there for this caller?
pub fn exists(resource: &'static Resource, id: Uuid) -> Result<Statement, BoxDynError> {
    let mut builder = Builder::new("select 1 from app.");
    builder.push(resource.plural);
    builder.push(" as t");
    builder.parent(Some(("t.id", id)))?;
    Ok(builder.finish(false))
}

struct Builder {
    text: String,
    arguments: PgArguments,
    has_where: bool,
}

impl Builder {
    fn new(start: &'static str) -> Self {
        let mut text = String::with_capacity(start.len() + 200);
        text.push_str(start);
        Self {
            text,
            arguments: PgArguments::default(),
            has_where: false,
        }
    }

    fn push(&mut self, fragment: &'static str) {
        self.text.push_str(fragment);
    }

    fn and(&mut self) {
        self.push(if self.has_where { " and " } else { " where " });
        self.has_where = true;
    }

    fn bind<'q, T>(&mut self, value: T) -> Result<(), BoxDynError>
    where
        T: sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.arguments.add(value)?;
        self.number();
        Ok(())
    }

    /// `$n` of the parameter added last.
    fn number(&mut self) {
        let _ = write!(self.text, "${}", self.arguments.len());
    }

    fn value(&mut self, value: &Value) -> Result<(), BoxDynError> {
        value.bind(&mut self.arguments)?;
        self.number();
        if matches!(value, Value::Decimal(_)) {
            self.push("::text::numeric");
        }
        Ok(())
    }

    fn parent(&mut self, parent: Parent) -> Result<(), BoxDynError> {
        if let Some((column, id)) = parent {
            self.and();
            self.push(column);
            self.push(" = ");
            self.bind(id)?;
        }
        Ok(())
    }

    fn conditions(&mut self, conditions: &[Condition]) -> Result<(), BoxDynError> {
        for condition in conditions {
            self.and();
            match condition {
                Condition::Compare { sql, op, value } => {
                    self.push(sql);
                    self.push(" ");
                    self.push(op);
                    self.push(" ");
                    self.value(value)?;
                }
                Condition::In { sql, values } => {
                    self.push(sql);
                    self.push(" = any(");
                    self.list(values)?;
                    self.push(")");
                }
                Condition::Search { view, text } => self.search(view, text)?,
                Condition::Near {
                    view,
                    column,
                    lat,
                    lng,
                    radius_m,
                } => {
                    self.public(view);
                    self.push("public.st_dwithin(p.");
                    self.push(column);
                    self.push(", public.st_setsrid(public.st_makepoint(");
                    self.bind(*lng)?;
                    self.push(", ");
                    self.bind(*lat)?;
                    self.push("), 4326)::public.geography, ");
                    self.bind(f64::from(*radius_m))?;
                    self.push("))");
                }
                Condition::Within {
                    view,
                    column,
                    west,
                    south,
                    east,
                    north,
                } => {
                    self.within(view, column, [*west, *south, *east, *north])?;
                }
            }
        }
        Ok(())
    }

    /// Only what is public is searched: its index can be used without asking the policies of each row.
    fn public(&mut self, view: &'static str) {
        self.push("t.id in (select p.id from ");
        self.push(view);
        self.push(" as p where ");
    }

    fn search(&mut self, view: &'static str, text: &str) -> Result<(), BoxDynError> {
        self.public(view);
        self.push("p.search @@ websearch_to_tsquery('simple', ");
        self.bind(text.to_owned())?;
        self.push(") or p.search_text ilike ");
        self.bind(pattern(text))?;
        self.push(")");
        Ok(())
    }

    fn within(
        &mut self,
        view: &'static str,
        column: &'static str,
        edges: [f64; 4],
    ) -> Result<(), BoxDynError> {
        let [west, south, east, north] = edges;
        self.public(view);
        // The index knows great circles, not parallels: edges are cut into short pieces, and the box is made
        // larger by what these still differ. Boxes over the date line or most of the globe go without.
        if west < east && east - west <= 90.0 && north - south <= 90.0 {
            self.push("p.");
            self.push(column);
            self.push(" operator(public.&&) public.st_segmentize(public.st_makeenvelope(");
            let wider = [
                (west - MARGIN).max(-180.0),
                (south - MARGIN).max(-90.0),
                (east + MARGIN).min(180.0),
                (north + MARGIN).min(90.0),
            ];
            for (index, edge) in wider.into_iter().enumerate() {
                if index > 0 {
                    self.push(", ");
                }
                self.bind(edge)?;
            }
            self.push(", 4326), 0.5)::public.geography and ");
        }
        self.push("public.st_y(p.");
        self.push(column);
        self.push("::public.geometry) between ");
        self.bind(south)?;
        self.push(" and ");
        self.bind(north)?;
        self.push(" and (public.st_x(p.");
        self.push(column);
        self.push("::public.geometry) >= ");
        self.bind(west)?;
        self.push(if west <= east { " and" } else { " or" });
        self.push(" public.st_x(p.");
        self.push(column);
        self.push("::public.geometry) <= ");
        self.bind(east)?;
        self.push("))");
        Ok(())
    }

    fn list(&mut self, values: &[Value]) -> Result<(), BoxDynError> {
        let ids: Vec<Uuid> = values
            .iter()
            .filter_map(|value| {
                if let Value::Uuid(id) = value {
                    Some(*id)
                } else {
                    None
                }
            })
            .collect();
        if ids.len() == values.len() {
            self.bind(ids)
        } else {
            self.bind(values.iter().map(Value::text).collect::<Vec<_>>())
        }
    }

    fn finish(self, rare: bool) -> Statement {
        Statement {
            text: self.text,
            arguments: self.arguments,
            rare,
        }
    }
}

/// The text somewhere inside; its own wildcards are plain characters.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_the_caller_are_characters() {
        assert_eq!(pattern("50%_a\\"), "%50\\%\\_a\\\\%");
    }
}
