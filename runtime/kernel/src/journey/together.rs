//! Nested objects in a body, which are created with it: `ticket_types` in `POST /events`.
//!
//! They become what their own route would create for the same caller, one after the other, in the transaction of the
//! outer object, but the database gets them in one statement. Nested objects can't have nested objects themselves.

use super::{
    Action, Way, findings, hook,
    refused::{self, Attempt},
    require_with_roles,
};
use crate::{
    caller::Caller,
    cx::Cx,
    engine::{Endpoint, Engine},
    error::{Error, Result},
    input::{FieldError, Input, Invalid, Mode, Node},
    problem::Item,
    resource::{Decode, Resource, Together},
};
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Row, postgres::PgArguments};
use std::{borrow::Cow, collections::HashMap, fmt::Write, sync::Arc};
use uuid::Uuid;

/// A body, split into its own properties and its nested lists.
pub(super) struct Parts<'a> {
    /// The body without its nested lists.
    pub own: Cow<'a, [u8]>,
    lists: Vec<List>,
    wrong: Vec<FieldError>,
}

/// One nested list of a body.
struct List {
    of: &'static Together,
    objects: Vec<Object>,
}

/// The properties of one nested object, as they were sent.
struct Object {
    place: usize,
    entries: Vec<(String, Node)>,
}

impl<'a> Parts<'a> {
    /// A list that can't be read is left in the body: the decoder reports why.
    pub fn of(resource: &Resource, body: &'a [u8]) -> Self {
        let mut parts = Self {
            own: Cow::Borrowed(body),
            lists: Vec::new(),
            wrong: Vec::new(),
        };
        if resource.together.is_empty() {
            return parts;
        }
        let Ok(Node::Object(mut own)) = Node::parse(body) else {
            return parts;
        };
        for of in resource.together {
            let Some(at) = own.iter().position(|(key, _)| key == of.name) else {
                continue;
            };
            match own.remove(at).1 {
                Node::Null => parts.refuse(format!("/{}", of.name), "null", "must not be null"),
                Node::List(items) => parts.add(of, items),
                other => parts.refuse(
                    format!("/{}", of.name),
                    "type",
                    format!("must be a list of objects, not {}", other.kind()),
                ),
            }
        }
        parts.own = Cow::Owned(text(own));
        parts
    }

    fn add(&mut self, of: &'static Together, items: Vec<Node>) {
        let pointer = format!("/{}", of.name);
        if items.len() > of.max {
            let detail = format!("must have at most {} items", of.max);
            return self.refuse(pointer, "length", detail);
        }
        let mut objects = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            match item {
                Node::Object(entries) => {
                    for column in [Some(of.column), of.type_column].into_iter().flatten() {
                        if entries.iter().any(|(key, _)| key == column) {
                            let detail = "is not sent here: it is the object around this one";
                            self.refuse(format!("{pointer}/{place}/{column}"), "unknown", detail);
                        }
                    }
                    objects.push(Object { place, entries });
                }
                other => {
                    let detail = format!("must be an object, not {}", other.kind());
                    self.refuse(format!("{pointer}/{place}"), "type", detail);
                }
            }
        }
        self.lists.push(List { of, objects });
    }

    fn refuse(&mut self, pointer: String, code: &'static str, detail: impl Into<String>) {
        self.wrong.push(FieldError {
            pointer,
            code,
            detail: detail.into(),
        });
    }

    pub fn is_empty(&self) -> bool {
        self.lists.iter().all(|list| list.objects.is_empty())
    }

    /// The input of the outer object, if nothing is wrong anywhere; otherwise all errors.
    pub fn check(
        &self,
        endpoint: &Endpoint,
        own: Result<Box<dyn Input>, Invalid>,
    ) -> Result<Box<dyn Input>> {
        let (input, mut wrong) = match own {
            Ok(input) => (Some(input), Vec::new()),
            Err(Invalid::Fields(wrong)) => (None, wrong),
            Err(syntax) => return Err(syntax.into()),
        };
        wrong.extend(self.wrong.iter().cloned());
        for list in &self.lists {
            let decode = decoder(&endpoint.engine, list.of)?;
            for object in &list.objects {
                let n = object.place;
                let sent = list.within(endpoint.resource(), object, Uuid::nil());
                match decode(&sent, Mode::Create) {
                    Ok(_) => {}
                    Err(Invalid::Fields(faults)) => {
                        let named = faults.into_iter().map(|fault| FieldError {
                            pointer: format!("/{}/{n}{}", list.of.name, fault.pointer),
                            ..fault
                        });
                        // Properties set by the server have a better error message above.
                        wrong.extend(named.filter(|fault| !list.is_reference(&fault.pointer, n)));
                    }
                    Err(syntax) => return Err(syntax.into()),
                }
            }
        }
        match input {
            Some(input) if wrong.is_empty() => Ok(input),
            _ => Err(Invalid::Fields(wrong).into()),
        }
    }

    /// Adds all other errors of the nested objects.
    pub async fn complete(
        &self,
        cx: &mut Cx,
        endpoint: &Endpoint,
        caller: &Caller,
        mut error: Error,
    ) -> Result<Error> {
        if !findings::is_about_values(&error) {
            return Ok(error);
        }
        for list in &self.lists {
            let child = child(&endpoint.engine, list.of)?;
            for object in &list.objects {
                let body = text(object.entries.clone());
                let attempt = Attempt {
                    endpoint: &child,
                    caller,
                    action: Action::Create,
                    id: None,
                    body: &body,
                };
                let within = format!("/{}/{}", list.of.name, object.place);
                let found = findings::all(cx, &attempt, None, &error, &within).await?;
                let placed = found.into_iter().map(|item| at(list, object.place, item));
                error = placed.fold(error, Error::with_finding);
            }
        }
        Ok(error)
    }
}

impl List {
    /// The body that the route of the nested object would get.
    fn within(&self, parent: &Resource, object: &Object, id: Uuid) -> Vec<u8> {
        let own = |key: &str| key == self.of.column || Some(key) == self.of.type_column;
        let mut entries: Vec<_> = object
            .entries
            .iter()
            .filter(|(key, _)| !own(key))
            .cloned()
            .collect();
        entries.push((self.of.column.to_owned(), Node::Text(id.to_string())));
        if let Some(column) = self.of.type_column {
            entries.push((column.to_owned(), Node::Text(parent.name.to_owned())));
        }
        text(entries)
    }

    fn is_reference(&self, pointer: &str, n: usize) -> bool {
        let at = |column: &str| pointer == format!("/{}/{n}/{column}", self.of.name);
        at(self.of.column) || self.of.type_column.is_some_and(at)
    }
}

fn text(entries: Vec<(String, Node)>) -> Vec<u8> {
    let mut out = String::new();
    Node::Object(entries).write(&mut out);
    out.into_bytes()
}

fn child(engine: &Arc<Engine>, of: &Together) -> Result<Endpoint> {
    let mounted = engine.entity(of.entity);
    Ok(Endpoint {
        engine: engine.clone(),
        mounted: mounted
            .ok_or_else(|| Error::internal(format!("{} is not mounted", of.entity)))?
            .clone(),
    })
}

fn decoder(engine: &Engine, of: &Together) -> Result<Decode> {
    let mounted = engine.entity(of.entity);
    let decode = mounted.and_then(|mounted| mounted.resource.create);
    decode.ok_or_else(|| Error::internal(format!("no way to create {}", of.entity)))
}

/// How the nested objects are sent to the database. One by one only to find out which of them is refused.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pace {
    AtOnce,
    OneByOne,
}

/// Why they were not created.
pub(super) enum Stop {
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
pub(super) struct Making<'a> {
    pub endpoint: &'a Endpoint,
    pub caller: &'a Caller,
    pub id: Uuid,
    pub way: Way,
    pub pace: Pace,
}

/// The created objects, by the name of the list.
pub(super) type Made = Vec<(&'static str, Vec<Box<RawValue>>)>;

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

    async fn list(&self, mut cx: Cx, list: &List) -> Result<(Cx, Vec<Box<RawValue>>), Stop> {
        if list.objects.is_empty() {
            return Ok((cx, Vec::new()));
        }
        let engine = &self.endpoint.engine;
        let decode = decoder(engine, list.of)?;
        let child = child(engine, list.of)?;
        let mut inputs = Vec::with_capacity(list.objects.len());
        for (n, object) in list.objects.iter().enumerate() {
            let sent = list.within(self.endpoint.resource(), object, self.id);
            let mut input = decode(&sent, Mode::Create).map_err(Error::from)?;
            let given = Some(&mut *input);
            if let Err(error) = hook(&child, Action::Create, &mut cx, None, given).await {
                drop(cx);
                return Err(self.refused_by_hook(&child, list, n, error).await.into());
            }
            inputs.push(input);
        }
        let mut ids = Vec::new();
        let mut rows = Vec::new();
        let pace = match self.pace {
            Pace::AtOnce => inputs.len(),
            Pace::OneByOne => 1,
        };
        for (n, some) in inputs.chunks(pace).enumerate() {
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
                    return Err(self.refused(&child, list, n, some.len(), error).await);
                }
            }
        }
        if self.way == Way::Unseen {
            return Ok((cx, Vec::new()));
        }
        for row in &rows {
            ids.push(row.try_get::<Uuid, _>("id")?);
        }
        if child.resource().guarded {
            let again = sqlx::query(child.resource().sql.by_ids).bind(&ids);
            rows = again.fetch_all(cx.conn()).await?;
        }
        let mut shown: HashMap<Uuid, Box<RawValue>> = HashMap::new();
        for row in &rows {
            let mut json = Vec::new();
            child.resource().write(row, &mut json)?;
            let json = String::from_utf8(json).map_err(Error::internal)?;
            let json = RawValue::from_string(json).map_err(Error::internal)?;
            shown.insert(row.try_get("id")?, json);
        }
        let objects = ids.iter().filter_map(|id| shown.remove(id)).collect();
        Ok((cx, objects))
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

/// The pointer in the whole body.
fn at(list: &List, n: usize, mut item: Item) -> Item {
    if let Some(pointer) = item.pointer {
        item.pointer = Some(format!("/{}/{n}{pointer}", list.of.name).into());
    }
    item
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
