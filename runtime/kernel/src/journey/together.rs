//! Nested objects in a body, which are created with it: `ticket_types` in `POST /events`.
//!
//! They become what their own route would create for the same caller, one after the other, in the transaction of the
//! outer object, but the database gets them in one statement. Nested objects can't have nested objects themselves.

mod making;

pub(super) use making::{Made, Making, Pace, Stop};

use super::{Action, findings, refused::Attempt};
use crate::{
    caller::Caller,
    cx::Cx,
    engine::{Endpoint, Engine},
    error::{Error, Result},
    input::{FieldError, Input, Invalid, Mode, Node},
    problem::Item,
    resource::{Decode, Resource, Together},
};
use std::{borrow::Cow, sync::Arc};
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

/// The pointer in the whole body.
fn at(list: &List, n: usize, mut item: Item) -> Item {
    if let Some(pointer) = item.pointer {
        item.pointer = Some(format!("/{}/{n}{pointer}", list.of.name).into());
    }
    item
}
