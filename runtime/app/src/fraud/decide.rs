//! Routes by which administrators decide about a fraud flag.

use super::Fraud;
use crate::{
    generated_routes::{self, Asking},
    module::{Module, administrator, id},
};
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use generated::{fraud_flag::FRAUD_FLAG, hooks::RESOURCES};
use kernel::{Error, Member, Result, http::Sent, problems};
use macros::Input;
use sqlx::Row;
use utoipa::{OpenApi, openapi};
use uuid::Uuid;

#[derive(Clone)]
struct Deciding {
    module: Fraud,
    generated: Router,
}

pub(super) fn router(module: Fraud, generated: &Router) -> Router {
    let generated = generated.clone();
    Router::new()
        .route("/fraud-flags/{id}/confirm", post(confirm))
        .route("/fraud-flags/{id}/dismiss", post(dismiss))
        .with_state(Deciding { module, generated })
}

pub(super) fn document() -> openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(paths(confirm, dismiss))]
struct Document;

/// Confirmation of a fraud flag.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"note": "Twelve cards in nine minutes, none of them hers.", "suspend": true}"#
)]
pub struct ConfirmedFraud {
    /// Reason for the decision, for later reviewers.
    #[input(length(1, 2000))]
    pub note: String,
    /// Whether to suspend the flagged object too, like `POST` to its `/suspend`.
    pub suspend: Option<bool>,
}

/// Dismissal of a fraud flag.
#[derive(Input, Clone, Debug)]
#[input(body, example = r#"{"note": "A school class at one address."}"#)]
pub struct DismissedFraud {
    /// Reason for the decision, for later reviewers.
    #[input(length(1, 2000))]
    pub note: String,
}

/// Confirm a fraud flag
///
/// Only for platform administrators. Afterwards the rule only counts later occurrences.
#[utoipa::path(post, path = "/fraud-flags/{id}/confirm", operation_id = "confirmFraud", tag = "Oversight",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Id of the flag")), request_body = ConfirmedFraud,
    responses(
        (status = 204, description = "The flag is confirmed"),
        (status = 403, description = "The caller is not a platform administrator"),
        (status = 404, description = "The flag does not exist"),
        (status = 409, description = "The flag was decided already, or the object can't be suspended in its state"),
        (status = 422, description = "A value is invalid, or objects of this type can't be suspended")))]
async fn confirm(
    State(deciding): State<Deciding>,
    caller: Member,
    Path(path): Path<String>,
    Sent(body): Sent<ConfirmedFraud>,
) -> Result<Response> {
    administrator(&caller)?;
    let flag = id(&path)?;
    if !body.suspend.unwrap_or_default() {
        return deciding.decide(&caller, flag, "confirmed", body.note).await;
    }
    let way = deciding.way_to_suspend(&caller, flag).await?;
    // Decided first: of two who decide at the same moment, only the one whose decision counts suspends.
    let decided = deciding
        .decide(&caller, flag, "confirmed", body.note)
        .await?;
    let generated = &deciding.generated;
    let suspended = generated_routes::ask(generated, caller.caller(), Asking::Act(way)).await;
    match suspended {
        Ok(Ok(_)) => Ok(decided),
        Ok(Err(refusal)) => {
            deciding.reopen(&caller, flag).await?;
            Ok(refusal)
        }
        Err(error) => {
            deciding.reopen(&caller, flag).await?;
            Err(error)
        }
    }
}

/// Dismiss a fraud flag
///
/// Only for platform administrators. Afterwards the rule only counts later occurrences.
#[utoipa::path(post, path = "/fraud-flags/{id}/dismiss", operation_id = "dismissFraud", tag = "Oversight",
    security(("bearer" = [])), params(("id" = Uuid, Path, description = "Id of the flag")), request_body = DismissedFraud,
    responses(
        (status = 204, description = "The flag is dismissed"),
        (status = 403, description = "The caller is not a platform administrator"),
        (status = 404, description = "The flag does not exist"),
        (status = 409, description = "The flag was decided already"),
        (status = 422, description = "A value is invalid")))]
async fn dismiss(
    State(deciding): State<Deciding>,
    caller: Member,
    Path(path): Path<String>,
    Sent(body): Sent<DismissedFraud>,
) -> Result<Response> {
    administrator(&caller)?;
    deciding
        .decide(&caller, id(&path)?, "dismissed", body.note)
        .await
}

impl Deciding {
    /// The path by which what was flagged is suspended, with the caller's permissions and by the rules of its entity.
    async fn way_to_suspend(&self, caller: &Member, flag: Uuid) -> Result<String> {
        let run = self
            .module
            .db
            .run(Fraud::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    cx.require(&FRAUD_FLAG, "read", flag).await?;
                    let found = sqlx::query(
                        "select entity_type, entity_id, state from app.fraud_flags where id = $1",
                    );
                    Ok(found.bind(flag).fetch_one(cx.conn()).await?)
                })
            });
        let row = run.await?;
        if row.try_get::<&str, _>("state")? != "open" {
            return Err(decided());
        }
        let (entity, target): (String, Uuid) =
            (row.try_get("entity_type")?, row.try_get("entity_id")?);
        let resource = RESOURCES.iter().find(|resource| resource.name == entity);
        resource
            .filter(|resource| resource.lifecycle == kernel::resource::Lifecycle::SoftDelete)
            .map(|resource| format!("/{}/{target}/suspend", resource.path))
            .ok_or_else(|| {
                Error::field(
                    "/suspend",
                    "invalid",
                    format!("must be left out: {entity}s can't be suspended"),
                )
            })
    }

    /// Takes back the caller's decision, because what it should suspend was not suspended.
    async fn reopen(&self, caller: &Member, flag: Uuid) -> Result<()> {
        let me = caller.id();
        let run = self.module.db.run(Fraud::NAME, Some(caller), caller.request_id, move |cx| {
            Box::pin(async move {
                // Unless newer facts have been flagged meanwhile.
                let reopened = sqlx::query(
                    "update app.fraud_flags f set state = 'open', decided_at = null, decided_by_id = null, note = null
                     where f.id = $1 and f.state = 'confirmed' and f.decided_by_id = $2 and not exists (
                       select from app.fraud_flags o
                       where o.rule = f.rule and o.entity_type = f.entity_type and o.entity_id = f.entity_id and o.state = 'open')",
                );
                reopened.bind(flag).bind(me).execute(cx.conn()).await?;
                Ok(())
            })
        });
        run.await
    }

    async fn decide(
        &self,
        caller: &Member,
        flag: Uuid,
        state: &'static str,
        note: String,
    ) -> Result<Response> {
        let (me, note) = (caller.id(), &note);
        let run = self.module.db.run(Fraud::NAME, Some(caller), caller.request_id, move |cx| {
            Box::pin(async move {
                cx.require(&FRAUD_FLAG, "read", flag).await?;
                let own = sqlx::query_scalar("select exists (select from app.fraud_flags where id = $1 and entity_type = 'user' and entity_id = $2)");
                if own.bind(flag).bind(me).fetch_one(cx.conn()).await? {
                    return Err(Error::forbidden().detail("Somebody else has to decide about a flag of yourself."));
                }
                let decided = sqlx::query(
                    "update app.fraud_flags set state = $2, decided_at = now(), decided_by_id = $3, note = $4
                     where id = $1 and state = 'open'",
                )
                .bind(flag)
                .bind(state)
                .bind(me)
                .bind(note);
                match decided.execute(cx.conn()).await?.rows_affected() {
                    0 => Err(self::decided()),
                    _ => Ok(()),
                }
            })
        });
        run.await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }
}

fn decided() -> Error {
    Error::new(&problems::STATE).detail("The flag has been decided already.")
}
