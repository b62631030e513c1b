//! Creates the nested objects of a body that has been checked: their inputs and hooks, one statement for each list, and
//! the objects as the answer contains them.

use super::{
    super::{
        Action, Way, hook,
        refused::{self, Attempt},
        require_with_roles,
    },
    List, Parts, at, child, decoder, text,
};
use crate::{
    caller::Caller,
    cx::Cx,
    engine::Endpoint,
    error::{Error, Result},
    input::{Input, Mode},
    resource::Resource,
};
use serde_json::value::RawValue;
use sqlx::{
    AssertSqlSafe, Row,
    postgres::{PgArguments, PgRow},
};
use std::{collections::HashMap, fmt::Write};
use uuid::Uuid;

/// How the nested objects are sent to the database. One by one only to find out which of them is refused.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::journey) enum Pace {
    AtOnce,
    OneByOne,
}

/// Why they were not created.
pub(in crate::journey) enum Stop {
    /// The final error.
    Refused(Error),
    /// The statement with all of them failed: try one by one to see which.
    OneByOne,
    /// Their creator may not read them: try without returning them.
    Unseen,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// Creates the objects of all nested lists, in the transaction that has created `id`.
pub(in crate::journey) struct Making<'a> {
    pub endpoint: &'a Endpoint,
    pub caller: &'a Caller,
    pub id: Uuid,
    pub way: Way,
    pub pace: Pace,
}

/// The created objects, by the name of the list.
pub(in crate::journey) type Made = Vec<(&'static str, Vec<Box<RawValue>>)>;

impl Making<'_> {
    /// Ends the transaction, which a failed statement has aborted.
    pub async fn all(&self, mut cx: Cx, parts: &Parts<'_>) -> Result<(Cx, Made), Stop> {
        let mut made = Vec::new();
        for list in &parts.lists {
            let objects;
            (cx, objects) = self.list(cx, list).await?;
            if self.way == Way::Seen {
                made.push((list.of.name, objects));
            }
        }
        Ok((cx, made))
    }

    async fn list(&self, cx: Cx, list: &List) -> Result<(Cx, Vec<Box<RawValue>>), Stop> {
        if list.objects.is_empty() {
            return Ok((cx, Vec::new()));
        }
        let child = child(&self.endpoint.engine, list.of)?;
        let (cx, inputs) = self.inputs(cx, &child, list).await?;
        let (mut cx, rows) = self.insert(cx, &child, list, &inputs).await?;
        let objects = match self.way {
            Way::Seen => written(&mut cx, child.resource(), rows).await?,
            Way::Unseen => Vec::new(),
        };
        Ok((cx, objects))
    }

    /// Reads the objects and calls their hooks.
    async fn inputs(
        &self,
        mut cx: Cx,
        child: &Endpoint,
        list: &List,
    ) -> Result<(Cx, Vec<Box<dyn Input>>), Stop> {
        let decode = decoder(&self.endpoint.engine, list.of)?;
        let mut inputs = Vec::with_capacity(list.objects.len());
        for (n, object) in list.objects.iter().enumerate() {
            let sent = list.within(self.endpoint.resource(), object, self.id);
            let mut input = decode(&sent, Mode::Create).map_err(Error::from)?;
            let given = Some(&mut *input);
            if let Err(error) = hook(child, Action::Create, &mut cx, None, given).await {
                drop(cx);
                return Err(self.refused_by_hook(child, list, n, error).await.into());
            }
            inputs.push(input);
        }
        Ok((cx, inputs))
    }

    async fn insert(
        &self,
        mut cx: Cx,
        child: &Endpoint,
        list: &List,
        inputs: &[Box<dyn Input>],
    ) -> Result<(Cx, Vec<PgRow>), Stop> {
        let at_once = match self.pace {
            Pace::AtOnce => inputs.len(),
            Pace::OneByOne => 1,
        };
        let mut rows = Vec::new();
        for (n, some) in inputs.chunks(at_once).enumerate() {
            let sql = statement(child.resource(), some.len(), self.way)?;
            let mut arguments = PgArguments::default();
            for input in some {
                input.bind(&mut arguments).map_err(Error::internal)?;
            }
            let made = sqlx::query_with(AssertSqlSafe(sql), arguments);
            match made.fetch_all(cx.conn()).await {
                Ok(found) => rows.extend(found),
                Err(error) => {
                    drop(cx);
                    return Err(self.refused(child, list, n, some.len(), error).await);
                }
            }
        }
        Ok((cx, rows))
    }

    /// A hook's reason is only told to those who may do this at all.
    async fn refused_by_hook(
        &self,
        child: &Endpoint,
        list: &List,
        n: usize,
        error: Error,
    ) -> Error {
        if error.is_refusal() {
            let begun = child.engine.db.begin_write(self.caller, "create").await;
            let allowed = match begun {
                Ok(mut cx) => {
                    let rule = child.resource().rules.create;
                    require_with_roles(rule, self.caller, &mut cx).await
                }
                Err(error) => Err(error),
            };
            if let Err(denied) = allowed {
                return denied;
            }
        }
        error.map_items(|item| at(list, n, item))
    }

    async fn refused(
        &self,
        child: &Endpoint,
        list: &List,
        first: usize,
        count: usize,
        error: sqlx::Error,
    ) -> Stop {
        let body = text(list.objects[first].entries.clone());
        let attempt = Attempt {
            endpoint: child,
            caller: self.caller,
            action: Action::Create,
            id: None,
            // The body lacks the reference to the parent, which this transaction would have created.
            body: &body,
        };
        if refused::may_be_unseen(&attempt, self.way, &error) {
            return Stop::Unseen;
        }
        if count > 1 && refused::is_about_a_row(&error) {
            return Stop::OneByOne;
        }
        let error = refused::explain(&attempt, error).await;
        error.map_items(|item| at(list, first, item)).into()
    }
}

/// The objects of these rows as JSON, in the order of the rows. Guarded ones are read again.
async fn written(
    cx: &mut Cx,
    resource: &Resource,
    mut rows: Vec<PgRow>,
) -> Result<Vec<Box<RawValue>>> {
    let mut ids = Vec::with_capacity(rows.len());
    for row in &rows {
        ids.push(row.try_get::<Uuid, _>("id")?);
    }
    if resource.guarded {
        let again = sqlx::query(resource.sql.by_ids).bind(&ids);
        rows = again.fetch_all(cx.conn()).await?;
    }
    let mut shown: HashMap<Uuid, Box<RawValue>> = HashMap::new();
    for row in &rows {
        let mut json = Vec::new();
        resource.write(row, &mut json)?;
        let json = String::from_utf8(json).map_err(Error::internal)?;
        let json = RawValue::from_string(json).map_err(Error::internal)?;
        shown.insert(row.try_get("id")?, json);
    }
    Ok(ids.iter().filter_map(|id| shown.remove(id)).collect())
}

/// The statement that creates one object, changed to create several: the same columns, with an array of values for
/// each.
fn statement(resource: &Resource, count: usize, way: Way) -> Result<String> {
    let whole = resource.sql.create;
    let parts = whole.split_once("returning ");
    let parts = parts.and_then(|(start, returning)| {
        let (insert, values) = start.split_once("select")?;
        Some((insert, values.trim(), returning))
    });
    let Some((insert, values, returning)) = parts else {
        return Err(Error::internal("a create of another shape"));
    };
    let width = values.matches('$').count();
    let mut text = format!("{insert}values ");
    for row in 0..count {
        text.push_str(if row > 0 { ", (" } else { "(" });
        for (n, part) in values.split('$').enumerate() {
            if n == 0 {
                text.push_str(part);
                continue;
            }
            let end = part.find(|c: char| !c.is_ascii_digit());
            let (number, rest) = part.split_at(end.unwrap_or(part.len()));
            let number: usize = number.parse().map_err(Error::internal)?;
            let _ = write!(text, "${}{rest}", row * width + number);
        }
        text.push(')');
    }
    if way == Way::Seen {
        text.push_str(" returning ");
        text.push_str(returning);
    }
    Ok(text)
}
