//! Finds everything else that is wrong with a body that is refused anyway, so that all errors are reported at once.
//!
//! A decoder finds every value that is invalid by itself, the database only the first rule that is broken. Here the
//! rules between values and the references are checked as well. It runs once the refusal is certain, in a transaction
//! in which the caller is known to be allowed the action, so a request that succeeds pays nothing for it. Whether a
//! unique value is taken is not checked, because only an actual attempt may reveal that.

use super::{
    future,
    refused::{Attempt, references},
};
use crate::{
    cx::Cx,
    error::{Error, Result},
    input::Mode,
    problem::Item,
    problems,
    resource::{Answer, Decode},
};
use serde_json::{Map, Value};

/// Adds further errors. `shown` is the object to be changed, as the caller sees it.
pub(super) async fn complete(
    cx: &mut Cx,
    attempt: &Attempt<'_>,
    shown: Option<&[u8]>,
    error: Error,
) -> Result<Error> {
    if !is_about_values(&error) {
        return Ok(error);
    }
    let found = all(cx, attempt, shown, &error, "").await?;
    Ok(found.into_iter().fold(error, Error::with_finding))
}

/// Broken rules and references of the object at the pointer `within` of the body that `error` is about.
pub(super) async fn all(
    cx: &mut Cx,
    attempt: &Attempt<'_>,
    shown: Option<&[u8]>,
    error: &Error,
    within: &str,
) -> Result<Vec<Item>> {
    let Ok(body) = serde_json::from_slice::<Map<String, Value>>(attempt.body) else {
        return Ok(Vec::new());
    };
    let unsound = members(error, within);
    let mut found = broken_rules(cx, attempt, shown, &body, &unsound).await?;
    found.extend(future::past(cx, attempt.endpoint.resource(), shown, &body, &unsound).await?);
    if let Some(unusable) = references::unusable(cx, attempt).await? {
        // An error of this property has been reported already.
        let is_new = |item: &&Item| {
            let member = item
                .pointer
                .as_deref()
                .and_then(|pointer| pointer.strip_prefix('/'));
            member.is_none_or(|member| !unsound.iter().any(|known| known == member))
        };
        found.extend(unusable.problem().errors.iter().filter(is_new).cloned());
    }
    Ok(found)
}

/// Required keys that a PATCH leaves out of objects that are null so far: merged with nothing, they are incomplete. The
/// decoder accepts them, since it does not know what they are merged with.
pub(super) fn incomplete(decode: Decode, body: &[u8], shown: &[u8]) -> Vec<Item> {
    let Err(invalid) = decode(body, Mode::Replace) else {
        return Vec::new();
    };
    let shown: Map<String, Value> = serde_json::from_slice(shown).unwrap_or_default();
    let is_new = |item: &&Item| {
        let pointer = item.pointer.as_deref().unwrap_or_default();
        let segments = pointer.strip_prefix('/').and_then(|p| p.split_once('/'));
        item.code == "required"
            && segments.is_some_and(|(object, _)| shown.get(object).is_some_and(Value::is_null))
    };
    let error = Error::from(invalid);
    error
        .problem()
        .errors
        .iter()
        .filter(is_new)
        .cloned()
        .collect()
}

/// 422, and 409 for a value that is taken. Other errors are reported alone.
pub(super) fn is_about_values(error: &Error) -> bool {
    let kind = error.kind();
    let names_a_value = |item: &Item| item.pointer.is_some() || item.parameter.is_some();
    [
        &problems::INVALID,
        &problems::REFERENCE,
        &problems::CONFLICT,
    ]
    .iter()
    .any(|known| known.slug == kind.slug)
        && error.problem().errors.iter().all(names_a_value)
        && !error.problem().errors.is_empty()
}

/// The top-level properties with errors: `social_links` for `/social_links/website`.
fn members(error: &Error, within: &str) -> Vec<String> {
    let items = error.problem().errors.iter();
    let pointers = items.filter_map(|item| item.pointer.as_deref());
    pointers
        .filter_map(|pointer| pointer.strip_prefix(within)?.strip_prefix('/'))
        .filter_map(|rest| rest.split('/').next())
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// The rules between values of the resulting row, as far as all of their values are known.
async fn broken_rules(
    cx: &mut Cx,
    attempt: &Attempt<'_>,
    shown: Option<&[u8]>,
    body: &Map<String, Value>,
    unsound: &[String],
) -> Result<Vec<Item>> {
    let resource = attempt.endpoint.resource();
    let rules = || {
        let all = resource.constraints.iter();
        all.filter(|constraint| matches!(constraint.answer, Answer::Invalid | Answer::Counted))
            // Values come from the decoder, which converts them to the stored form that the body may not have.
            .filter(|constraint| !constraint.name.ends_with("_format"))
    };
    if rules().next().is_none() {
        return Ok(Vec::new());
    }
    let mut row = match shown {
        Some(shown) => serde_json::from_slice(shown).unwrap_or_default(),
        None => Map::new(),
    };
    row.extend(body.clone());
    row.retain(|name, _| !unsound.contains(name));
    let names: Vec<&str> = rules().map(|constraint| constraint.name).collect();
    let broken: Vec<String> = sqlx::query_scalar("select sec.broken_checks($1, $2, $3, $4, $5)")
        .bind(resource.plural)
        .bind(Value::Object(row))
        .bind(unsound)
        // What the body leaves out is null in a new row; of an existing row the caller may not see every value.
        .bind(shown.is_none())
        .bind(names)
        .fetch_all(cx.conn())
        .await?;
    let told = rules().filter(|constraint| broken.iter().any(|name| name == constraint.name));
    Ok(told
        .map(|constraint| Item::body(constraint.pointer, "invalid", constraint.detail))
        .collect())
}
