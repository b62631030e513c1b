//! The SQL of a list, composed of static fragments, parameter numbers and one literal number only.
//!
//! Every fragment is `&'static str`, so no text of a request can become part of it. Elsewhere the engine only rewrites
//! whole statements of generated code: `cx` adds the caller, `resource` leaves out columns, `journey::together` creates
//! several objects at once.

mod found;
mod ways;

use super::{
    query::{Condition, Direction, Order, Places, Query},
    value::Value,
};
use crate::{
    cx::Question,
    resource::{Lifecycle, Resource},
    value::Point,
};
pub use found::is_half;
use found::{Around, Wanted};
use sqlx::{Arguments, error::BoxDynError, postgres::PgArguments};
use std::fmt::Write;
use uuid::Uuid;

/// Counting stops after this many rows.
pub const COUNT_MAX: i64 = 10_000;

/// The parent of a nested list: the child's column and the parent's id.
pub type Parent = Option<(&'static str, Uuid)>;

/// The end of the previous page.
#[derive(Clone, Debug, PartialEq)]
pub enum After {
    Id(Uuid),
    Key(Value, Uuid),
    /// In the order of the distance.
    Place(Point, Uuid),
}

/// One page, and one row more to know whether another page follows.
pub fn page(
    resource: &'static Resource,
    query: &Query,
    parent: Parent,
    after: Option<&After>,
) -> Result<Question, BoxDynError> {
    let mut builder = Builder::new(resource.sql.list);
    if let Some(ways) = ways::of(resource, query) {
        builder.page_by_ways(ways, resource, query, parent, after)?;
        if resource.sql.list_end.is_empty() {
            builder.order(query)?;
        }
    } else {
        builder.page_of_rows(resource, query, parent, after)?;
    }
    if !resource.sql.list_end.is_empty() {
        // Limit first: private columns are computed only for the rows of this page.
        builder.push(resource.sql.list_end);
        builder.order(query)?;
    }
    let is_usual = query.limit == resource.page && query.conditions.len() <= 1;
    Ok(builder.finish(is_usual))
}

/// The same for rows that the caller may restore.
pub fn archived(
    resource: &'static Resource,
    limit: u32,
    before: Option<Uuid>,
) -> Result<Question, BoxDynError> {
    let mut builder = Builder::new(resource.sql.list);
    builder.and();
    builder.push("t.id = any(array(select ");
    builder.push("app.archived_");
    builder.push(resource.plural);
    builder.push("(");
    builder.bind(before.unwrap_or(Uuid::max()))?;
    builder.push(", ");
    builder.bind(i32::try_from(limit)? + 1)?;
    builder.push("))) order by t.id desc");
    if !resource.sql.list_end.is_empty() {
        builder.push(resource.sql.list_end);
        builder.push(" order by t.id desc");
    }
    Ok(builder.finish(true))
}

/// The number of rows on all pages, counted up to one more than [`COUNT_MAX`].
pub fn count(
    resource: &'static Resource,
    query: &Query,
    parent: Parent,
) -> Result<Question, BoxDynError> {
    if let Some(ways) = ways::of(resource, query) {
        let mut builder = Builder::new("");
        builder.count_by_ways(ways, resource, query, parent)?;
        return Ok(builder.finish(query.conditions.len() <= 1));
    }
    let mut builder = Builder::new("select count(*) from (select from app.");
    builder.push(resource.plural);
    builder.push(" as t");
    builder.live(resource, query);
    builder.parent(parent)?;
    let wanted = Wanted::count(resource, query, parent);
    builder.conditions(&query.conditions, &wanted)?;
    let _ = write!(builder.text, " limit {}) as counted", COUNT_MAX + 1);
    Ok(builder.finish(query.conditions.len() <= 1))
}

/// The point of the related row, for rows without one of their own.
pub fn place_beside(places: Places, id: Uuid) -> Result<Question, BoxDynError> {
    let mut builder = Builder::new("select e.");
    builder.push(places.column);
    builder.push(" from ");
    builder.push(places.beside);
    builder.push(" as e");
    builder.parent(Some(("e.id", id)))?;
    Ok(builder.finish(false))
}

/// Whether the caller can see the row.
pub fn exists(resource: &'static Resource, id: Uuid) -> Result<Question, BoxDynError> {
    let mut builder = Builder::new("select 1 from app.");
    builder.push(resource.plural);
    builder.push(" as t");
    builder.parent(Some(("t.id", id)))?;
    Ok(builder.finish(true))
}

struct Builder {
    text: String,
    arguments: PgArguments,
    has_where: bool,
    /// The point that a list is ordered around.
    around: Option<Around>,
}

impl Builder {
    /// Everything after the tables: conditions, order and limit of a page.
    fn page_of_rows(
        &mut self,
        resource: &'static Resource,
        query: &Query,
        parent: Parent,
        after: Option<&After>,
    ) -> Result<(), BoxDynError> {
        self.live(resource, query);
        self.parent(parent)?;
        let wanted = Wanted::page(resource, query, parent, after);
        self.conditions(&query.conditions, &wanted)?;
        self.after(query.order, after)?;
        self.order(query)?;
        // A literal instead of a parameter, because the plan depends on it.
        let _ = write!(self.text, " limit {}", query.limit + 1);
        Ok(())
    }

    fn new(start: &'static str) -> Self {
        let mut text = String::with_capacity(start.len() + 200);
        text.push_str(start);
        Self {
            text,
            arguments: PgArguments::default(),
            has_where: false,
            around: None,
        }
    }

    fn push(&mut self, fragment: &'static str) {
        self.text.push_str(fragment);
    }

    fn and(&mut self) {
        self.push(if self.has_where { " and " } else { " where " });
        self.has_where = true;
    }

    /// Adds a parameter and returns its number.
    fn add<'q, T>(&mut self, value: T) -> Result<usize, BoxDynError>
    where
        T: sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.arguments.add(value)?;
        Ok(self.arguments.len())
    }

    fn number(&mut self, parameter: usize) {
        let _ = write!(self.text, "${parameter}");
    }

    fn bind<'q, T>(&mut self, value: T) -> Result<(), BoxDynError>
    where
        T: sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let parameter = self.add(value)?;
        self.number(parameter);
        Ok(())
    }

    fn value(&mut self, value: &Value) -> Result<(), BoxDynError> {
        value.bind(&mut self.arguments)?;
        self.number(self.arguments.len());
        if matches!(value, Value::Decimal(_)) {
            self.push("::text::numeric");
        }
        Ok(())
    }

    /// No list shows archived rows. Stating it here as well lets PostgreSQL use the partial indexes of unique values.
    fn live(&mut self, resource: &Resource, query: &Query) {
        if resource.lifecycle == Lifecycle::SoftDelete && !query.conditions.is_empty() {
            self.and();
            self.push("t.status <> 'archived'");
        }
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

    fn conditions(&mut self, conditions: &[Condition], wanted: &Wanted) -> Result<(), BoxDynError> {
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
                Condition::Not { sql, value } => {
                    self.push(sql);
                    self.push(" is distinct from ");
                    self.value(value)?;
                }
                Condition::Null { sql, is_null } => {
                    self.push(sql);
                    self.push(if *is_null { " is null" } else { " is not null" });
                }
                Condition::On { sql, day, is_on } => {
                    self.push(if *is_on { "(" } else { "((" });
                    self.push(sql);
                    self.push(" >= ");
                    self.bind(day.start)?;
                    self.push(" and ");
                    self.push(sql);
                    self.push(" < ");
                    self.bind(day.end)?;
                    self.push(if *is_on { ")" } else { ") is not true)" });
                }
                Condition::Search { function, text } => self.search(function, text, wanted)?,
                Condition::Near(near) => self.near(near, wanted)?,
                Condition::Within {
                    places,
                    west,
                    south,
                    east,
                    north,
                } => {
                    self.within(*places, [*west, *south, *east, *north], wanted)?;
                }
            }
        }
        Ok(())
    }

    /// Only rows behind the last one of the previous page.
    fn after(&mut self, order: Order, after: Option<&After>) -> Result<(), BoxDynError> {
        let Some(after) = after else { return Ok(()) };
        let than = match order.direction() {
            Direction::Ascending => " > ",
            Direction::Descending => " < ",
        };
        match (order, after) {
            (Order::By(sort, _), After::Key(key, id)) => {
                self.and();
                self.push("(");
                self.push(sort.sql);
                self.push(", ");
                self.push(sort.id());
                self.push(")");
                self.push(than);
                self.push("(");
                self.value(key)?;
                self.push(", ");
                self.bind(*id)?;
                self.push(")");
            }
            (_, After::Id(id)) => {
                self.and();
                self.push("t.id");
                self.push(than);
                self.bind(*id)?;
            }
            // The nearest rows have already been searched behind this place.
            _ => {}
        }
        Ok(())
    }

    fn order(&mut self, query: &Query) -> Result<(), BoxDynError> {
        let direction = match query.order.direction() {
            Direction::Ascending => "",
            Direction::Descending => " desc",
        };
        self.push(" order by ");
        match query.order {
            Order::By(sort, _) => {
                self.push(sort.sql);
                self.push(direction);
                self.push(", ");
            }
            Order::Distance(places) => {
                self.distance(|text| text.place(places));
                self.push(", ");
            }
            Order::Id(_) => {}
        }
        self.push(match query.order {
            Order::By(sort, _) => sort.id(),
            _ => "t.id",
        });
        self.push(direction);
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

    /// `keep`: the same text is certain to recur; others are prepared when they do.
    fn finish(self, keep: bool) -> Question {
        Question {
            text: self.text.into(),
            arguments: self.arguments,
            keep,
        }
    }
}
