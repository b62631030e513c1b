//! References in a refused body that lead to nothing that the caller can use.

use super::Attempt;
use crate::{
    cx::Cx,
    error::{Error, Result},
    problem::Item,
    problems,
    resource::{Answer, Expand, Resource},
};
use serde_json::{Map, Value};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

const UNUSABLE: &str = "does not refer to anything you can use here";

/// References in the body to rows that the caller can't see, or that are suspended: some callers can see suspended
/// rows, but nobody can refer to them.
pub(in crate::journey) async fn unusable(
    cx: &mut Cx,
    attempt: &Attempt<'_>,
) -> Result<Option<Error>> {
    let resource = attempt.endpoint.resource();
    let Ok(body) = serde_json::from_slice::<Map<String, Value>>(attempt.body) else {
        return Ok(None);
    };
    let mut error = Error::new(&problems::REFERENCE);
    for expand in resource.expands.iter().filter(|one| one.is_reference()) {
        let Some((target, id)) = reference(expand, &body) else {
            continue;
        };
        let Some(mounted) = attempt.endpoint.engine.entity(target) else {
            continue;
        };
        let found = sqlx::query(mounted.resource.sql.by_ids)
            .bind(vec![id])
            .fetch_optional(cx.conn())
            .await?;
        if !is_usable(found)? {
            error = error.item(Item::body(
                format!("/{}", expand.column),
                "reference",
                UNUSABLE,
            ));
        }
    }
    Ok((!error.problem().errors.is_empty()).then_some(error))
}

/// References in the body to entities that are never shown, which therefore can't be looked up.
pub(super) fn unnamed(resource: &Resource, body: &[u8]) -> Error {
    let body = serde_json::from_slice::<Map<String, Value>>(body).unwrap_or_default();
    let mut pointers: Vec<&'static str> = Vec::new();
    for constraint in resource.constraints {
        let column = constraint.pointer.trim_start_matches('/');
        let is_shown = resource
            .expands
            .iter()
            .any(|expand| expand.is_reference() && expand.column == column);
        let is_sent = body.get(column).is_some_and(|value| !value.is_null());
        if constraint.answer == Answer::Reference
            && is_sent
            && !is_shown
            && !pointers.contains(&constraint.pointer)
        {
            pointers.push(constraint.pointer);
        }
    }
    pointers
        .into_iter()
        .fold(Error::new(&problems::REFERENCE), |error, pointer| {
            error.item(Item::body(pointer, "reference", UNUSABLE))
        })
}

fn is_usable(found: Option<PgRow>) -> Result<bool> {
    let Some(row) = found else { return Ok(false) };
    match row.try_get::<&str, _>("status") {
        // No status is selected: rows of this entity can't be suspended.
        Err(sqlx::Error::ColumnNotFound(_)) => Ok(true),
        status => Ok(status? == "active"),
    }
}

fn reference<'a>(expand: &Expand, body: &'a Map<String, Value>) -> Option<(&'a str, Uuid)>
where
    'static: 'a,
{
    let id = body.get(expand.column)?.as_str()?.parse().ok()?;
    let target = match expand.type_column {
        Some(column) => body.get(column)?.as_str()?,
        None => expand.targets.first()?,
    };
    Some((target, id))
}
