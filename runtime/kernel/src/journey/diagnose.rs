//! Finds out which refusal to answer with, in the documented order, after a statement changed no row.
//!
//! Runs afterwards and in the same transaction, so a request that succeeds pays nothing for it.

use super::{Action, denied, require_with_roles};
use crate::{
    caller::Caller,
    cx::Cx,
    error::{Error, Result},
    etag::Precondition,
    http::metrics,
    problems,
    resource::Resource,
};
use sqlx::Row;
use uuid::Uuid;

/// What is known about a failed change.
pub(super) struct Trouble<'a> {
    pub resource: &'static Resource,
    pub caller: &'a Caller,
    pub action: Action,
    pub id: Option<Uuid>,
    /// Errors in the request itself.
    pub invalid: Option<Error>,
    pub precondition: &'a Precondition,
    /// Whether `If-Match` is required.
    pub required: bool,
    /// The reason for the refusal, unless an earlier one in the order applies.
    pub otherwise: Option<Error>,
}

/// The row that `Sql::probe` returns.
pub(super) struct Probe {
    version: i64,
    status: String,
    state: Option<String>,
    may: Vec<String>,
}

impl Probe {
    /// The state, in words, in which the caller might do this; None if they may do it now, or in no state. `Sql::probe`
    /// has it for rules that depend on the state of the row.
    fn held_back(&self, action: Action) -> Option<&str> {
        let right = action.right();
        if self.may.iter().any(|may| may == right) {
            return None;
        }
        self.may
            .iter()
            .find_map(|may| may.strip_prefix(right)?.strip_prefix(" when "))
    }
}

pub(super) async fn probe(
    cx: &mut Cx,
    resource: &Resource,
    id: Uuid,
) -> Result<Option<Probe>, sqlx::Error> {
    let row = sqlx::query(resource.sql.probe)
        .bind(id)
        .fetch_optional(cx.conn())
        .await?;
    row.map(|row| {
        Ok(Probe {
            version: row.try_get::<Option<i64>, _>(0)?.unwrap_or(0),
            status: row.try_get(1)?,
            state: row.try_get(2)?,
            may: row.try_get(3)?,
        })
    })
    .transpose()
}

pub(super) async fn diagnose(cx: &mut Cx, trouble: Trouble<'_>) -> Error {
    find(cx, trouble).await.unwrap_or_else(|error| error)
}

pub(super) fn divergence(resource: &Resource, action: Action, cause: &str) -> Error {
    metrics::POLICY_DIVERGENCE.add();
    tracing::error!(
        entity = resource.name,
        action = action.name(),
        cause,
        "policy divergence"
    );
    Error::forbidden().because(format!("policy divergence: {cause}"))
}

async fn find(cx: &mut Cx, trouble: Trouble<'_>) -> Result<Error> {
    let Trouble {
        resource,
        caller,
        action,
        ..
    } = trouble;
    // 7. Could it ever be allowed?
    require_with_roles(action.rule(resource), caller, cx).await?;
    // 8. Errors in the request alone
    if let Some(invalid) = trouble.invalid {
        return Ok(invalid);
    }
    // 9. Hidden, archived and missing objects look the same
    let Some(id) = trouble.id else {
        return Ok(Error::not_found());
    };
    let Some(row) = probe(cx, resource, id).await? else {
        return Ok(Error::not_found());
    };
    let is_archived = row.status == "archived";
    if is_archived && !matches!(action, Action::Restore) {
        return Ok(Error::not_found());
    }
    // 10. Visible but not allowed
    let held_back = row.held_back(action);
    if held_back.is_none() && !row.may.iter().any(|right| right == action.right()) {
        return Ok(denied(caller));
    }
    // 11. Another version
    if trouble.required && *trouble.precondition == Precondition::Missing {
        return Ok(Error::new(&problems::PRECONDITION_REQUIRED));
    }
    if !trouble.precondition.holds(row.version) {
        return Ok(Error::new(&problems::PRECONDITION));
    }
    // A hook says more about the state than the rule does.
    let is_said = |error: &Error| held_back.is_none() || error.status() == 409;
    if let Some(otherwise) = trouble.otherwise.filter(is_said) {
        return Ok(otherwise);
    }
    if let Some(state) = wrong_state(action, &row) {
        return Ok(state);
    }
    if let Some(when) = held_back {
        let detail = format!("This is only possible when {when}.");
        return Ok(Error::new(&problems::STATE).detail(detail));
    }
    // Either the row changed between the statement and the probe, which a retry resolves, or the policy refuses what
    // its copy in the probe allows.
    Ok(Error::unexplained())
}

fn wrong_state(action: Action, row: &Probe) -> Option<Error> {
    if row.status != action.starts_from() {
        let detail = format!(
            "It is {}; this needs it to be {}.",
            row.status,
            action.starts_from()
        );
        return Some(Error::new(&problems::STATE).detail(detail));
    }
    if let (Action::Transition(transition), Some(state)) = (action, &row.state)
        && !transition.from.is_empty()
        && !transition.from.contains(&state.as_str())
    {
        let detail = format!(
            "It is {state}; this starts from {}.",
            transition.from.join(" or ")
        );
        return Some(Error::new(&problems::STATE).detail(detail));
    }
    None
}
