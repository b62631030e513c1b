//! `GET /audit-logs`: who changed what, for platform administrators.
//!
//! The database role of requests can't read the log; it is read in a transaction of the `audit` module, after the
//! database has confirmed the member's role. A job of the worker seals new entries.

mod settings;

use crate::access::{Access, Table};
use crate::module::{Module, Parts, administrator, uncached};
use axum::{
    Router,
    extract::{RawQuery, State},
    response::Response,
    routing::get,
};
use chrono::{DateTime, Utc};
use kernel::{
    Db, Member, Result, audit,
    cursor::CursorKey,
    http::ConfigError,
    jobs::{Job, Periodic},
    openapi::Objects,
    own::{List, parameter},
    resource::Kind,
};
use serde::Serialize;
use serde_json::Value;
use settings::Settings;
use std::{sync::Arc, time::Duration};
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct AuditLogs {
    db: Db,
    cursors: Arc<CursorKey>,
    settings: Settings,
}

impl Module for AuditLogs {
    const NAME: &'static str = "audit";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            cursors: Arc::new(CursorKey::new(&parts.secret("cursors"))),
            settings,
        })
    }

    fn routes(&self, _: &Router) -> Router {
        Router::new()
            .route("/audit-logs", get(list))
            .with_state(self.clone())
    }

    fn access() -> Table {
        &[("listAuditLogs", Access::PlatformAdmin)]
    }

    fn document() -> openapi::OpenApi {
        Document::openapi()
    }

    fn periodic(&self) -> Vec<Periodic> {
        let every = Duration::from_secs(self.settings.seal_every_seconds);
        vec![Periodic::every("audit.seal", every)]
    }

    fn jobs(&self) -> Vec<Job> {
        let seal = |log: Self, _| async move { Ok(seal(&log.db).await.map(drop)?) };
        vec![Job::of(self, "audit.seal", seal)]
    }
}

impl AuditLogs {
    /// Seals what was written until the worker stopped.
    pub(crate) async fn seal_at_the_end(&self) {
        if let Err(error) = seal(&self.db).await {
            let cause = error.cause();
            tracing::error!(%error, cause, "the audit log could not be sealed");
        }
    }
}

/// Seals new entries and returns how many.
async fn seal(db: &Db) -> Result<u64> {
    let Some(seal) = audit::seal(db).await? else {
        return Ok(0);
    };
    // Logged, so that a copy of the logs outside of the database proves later whether the table was changed.
    tracing::info!(
        seal = seal.id,
        entries = seal.entries,
        hash = seal.hash,
        "audit log sealed"
    );
    Ok(seal.entries.max(0) as u64)
}

static LIST: List = List::new(
    "audit-logs",
    20,
    &[
        parameter("entity_type", Kind::Text),
        parameter("entity_id", Kind::Uuid),
        parameter("performed_by", Kind::Uuid),
    ],
);

static OBJECTS: Objects = Objects(&[("AuditLog", "audit_log")]);

#[derive(OpenApi)]
#[openapi(paths(list), modifiers(&OBJECTS), tags(
    (name = "Oversight", description = "For platform administrators: the audit log (who changed what), jobs that failed too often, fraud flags and figures of the platform."),
))]
struct Document;

/// One change of one object.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": 4711, "entity_type": "event", "entity_id": "019caddd-0f20-7b8e-a1f8-0bd70ae0784c",
    "action": "update", "performed_by": "019a6d3c-7c3e-7b1a-9d2f-0242ac120003", "performed_role": "orgAdmin",
    "request_id": "019a6d3c-7c3e-7b1a-9d2f-0242ac120004", "reason": null,
    "changed": {"title": ["Lights", "Festival of Lights"]}, "created_at": "2026-11-20T18:30:00Z"}))]
#[serde(tag = "object", rename = "audit_log")]
struct AuditLog {
    id: i64,
    /// Type of the object, such as `event`
    entity_type: String,
    entity_id: Uuid,
    /// `create`, `update`, `archive`, `restore`, `suspend`, … or the verb of a transition
    action: String,
    /// Id of the member; null for changes by the system.
    performed_by: Option<Uuid>,
    /// The role that allowed the change.
    performed_role: String,
    /// `X-Request-Id` of the response to the request that made the change.
    request_id: Option<Uuid>,
    reason: Option<String>,
    /// Maps each field to its value before and after; `"•"` replaces values that the log does not keep.
    #[schema(value_type = Object)]
    changed: Value,
    created_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
struct AuditLogList {
    data: Vec<AuditLog>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

impl From<audit::Entry> for AuditLog {
    fn from(entry: audit::Entry) -> Self {
        Self {
            id: entry.id,
            entity_type: entry.entity_type,
            entity_id: entry.entity_id,
            action: entry.action,
            performed_by: entry.performed_by,
            performed_role: entry.performed_role,
            request_id: entry.request_id,
            reason: entry.reason,
            changed: entry.changed,
            created_at: entry.created_at,
        }
    }
}

/// List the audit log
///
/// Newest first. Only for platform administrators.
#[utoipa::path(get, path = "/audit-logs", operation_id = "listAuditLogs", tag = "Oversight",
    security(("bearer" = [])), params(
        ("entity_type" = Option<String>, Query, description = "Only changes of objects of this type", max_length = 200, example = "event"),
        ("entity_id" = Option<Uuid>, Query, description = "Only changes of this object"),
        ("performed_by" = Option<Uuid>, Query, description = "Only changes by this member"),
        ("limit" = Option<i32>, Query, description = "Entries per page (default 20)", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page", min_length = 1, max_length = 1000)),
    responses(
        (status = 200, description = "A page of the log", body = AuditLogList),
        (status = 403, description = "The caller is not a platform administrator"),
        (status = 422, description = "A parameter is unknown or has a wrong value")))]
async fn list(
    State(log): State<AuditLogs>,
    caller: Member,
    RawQuery(text): RawQuery,
) -> Result<Response> {
    administrator(&caller)?;
    let asked = LIST.read(text.as_deref(), &log.cursors, &caller)?;
    let wanted = audit::Asked {
        entity_type: asked.text("entity_type"),
        entity_id: asked.id("entity_id"),
        performed_by: asked.id("performed_by"),
        before: asked.after()?.map(|(before, _)| before),
        limit: asked.rows() as i32,
    };
    let entries = audit::history(&log.db, &caller, &wanted).await?;
    let page = asked.page(entries, |entry| (entry.id.to_string(), Uuid::nil()));
    let page = AuditLogList {
        next_cursor: page.next_cursor,
        data: page.data.into_iter().map(AuditLog::from).collect(),
    };
    Ok(uncached(page))
}
