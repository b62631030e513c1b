//! Completes national telephone numbers in a body: they get the country code of the country of the object, or else of
//! the caller.
//!
//! The country is looked up, in one statement, only if the body holds such a number. A number that can't be completed
//! is left as it is, and the validation of its field refuses it together with the other errors of the body. Lists of
//! child objects that are created along with the object are not changed.

use crate::{
    caller::Caller,
    cx::{Question, Work},
    engine::Endpoint,
    error::{Error, Result},
    input::{Format, Node, is_national, of_country, refuse_cards},
    resource::National,
};
use bytes::Bytes;
use sqlx::{Arguments, Row, postgres::PgArguments};
use uuid::Uuid;

/// Returns the body with complete numbers. `id` is the id of the object, `None` if it is about to be created.
pub(super) async fn complete(
    endpoint: &Endpoint,
    caller: &Caller,
    id: Option<Uuid>,
    text: Bytes,
) -> Result<Bytes> {
    let Some(national) = &endpoint.resource().sql.national else {
        return Ok(text);
    };
    let Ok(Node::Object(mut entries)) = Node::parse(&text) else {
        return Ok(text);
    };
    let mut any = false;
    numbers(national, &mut entries, |_| any = true);
    if !any || refuse_cards(&text).is_err() {
        return Ok(text);
    }
    let question = question(national, caller, id, &entries)?;
    let mut reader = endpoint.engine.db.read(caller, Work::One).await?;
    let row = reader.fetch(question).await?.pop();
    drop(reader);
    let country: Option<String> = match row {
        Some(row) => row.try_get("country")?,
        None => None,
    };
    let Some(country) = country else {
        return Ok(text);
    };
    numbers(national, &mut entries, |number| {
        if let Some(complete) = of_country(number, &country) {
            *number = complete;
        }
    });
    let mut out = String::with_capacity(text.len() + 8);
    Node::Object(entries).write(&mut out);
    Ok(out.into())
}

/// Calls `with` for each text of the body that may be a national telephone number.
fn numbers(national: &National, entries: &mut [(String, Node)], mut with: impl FnMut(&mut String)) {
    for field in national.fields {
        let (name, inside) = match field.split_once('.') {
            Some((name, inside)) => (name, Some(inside)),
            None => (*field, None),
        };
        let node = match (value(entries, name), inside) {
            (Some(Node::Object(fields)), Some(inside)) => value(fields, inside),
            (node, None) => node,
            _ => None,
        };
        if let Some(Node::Text(text)) = node
            && is_national(text)
        {
            with(text);
        }
    }
}

fn value<'a>(entries: &'a mut [(String, Node)], name: &str) -> Option<&'a mut Node> {
    let mut entries = entries.iter_mut();
    entries.find_map(|(given, node)| (given == name).then_some(node))
}

fn question(
    national: &National,
    caller: &Caller,
    id: Option<Uuid>,
    entries: &[(String, Node)],
) -> Result<Question> {
    let given = entries.iter().find_map(|(name, node)| match node {
        Node::Text(text) if name == national.by => Some(text.as_str()),
        _ => None,
    });
    // A malformed value leads to no country here, and is refused by validation later, together with the number.
    let given = given.and_then(|text| match national.by_id {
        true => Uuid::try_parse(text).ok().map(|id| id.to_string()),
        false => Format::Country.read(text),
    });
    let mut arguments = PgArguments::default();
    arguments.add(given).map_err(Error::internal)?;
    arguments.add(id).map_err(Error::internal)?;
    arguments
        .add(caller.actor.user())
        .map_err(Error::internal)?;
    Ok(Question {
        text: national.country.into(),
        arguments,
        keep: true,
    })
}
