//! What a member does to a row of a scene: an operation of the generated routes, by somebody who may, from a state in
//! which it succeeds.

use super::stage::{self, Stage};
use crate::{
    endings::scene::Scene,
    http::{
        deeds::fresh,
        operations::{self, Kind, Operation, body_keys, entity},
    },
    rules::world::Row,
    support::{Answer, Client, model, resources},
};
use codegen::model::Ty;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

/// Whoever may do it is among them; those with the fewest rights first.
const PEOPLE: [&str; 8] = [
    "friend",
    "buyer",
    "stranger",
    "host",
    "provider",
    "city_admin",
    "platform",
    "second",
];

/// Further conditions of transitions, by which a row is prepared for them.
const CONDITIONS: &[(&str, &str)] = &[
    (
        "POST /promotions/{id}/approve",
        "paid_at = now(), amount_cents = 0",
    ),
    (
        "POST /promotions/{id}/activate",
        "paid_at = now(), amount_cents = 0, starts_at = now() - interval '1 hour'",
    ),
    (
        "POST /quotes/{id}/expire",
        "valid_until = now() - interval '1 minute'",
    ),
    (
        "POST /events/{id}/complete",
        "starts_at = now() - interval '3 hours', ends_at = now() - interval '1 hour'",
    ),
];

/// How a row is brought into a state, as SQL; empty for the state in which it is made.
pub type Start = String;

#[derive(Clone)]
pub struct Act {
    pub operation: Operation,
    /// The row, or for a new one the row of which it is a copy.
    pub label: String,
    pub by: &'static str,
    pub start: Start,
}

/// A request that is ready to be sent.
pub struct Sent {
    client: Client,
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Sent {
    pub async fn send(self) -> Answer {
        let headers = [("if-match", "*")];
        (self.client)
            .send(self.method, &self.path, self.body, &headers)
            .await
    }
}

impl Act {
    pub fn is_create(&self) -> bool {
        matches!(self.operation.kind, Kind::Create)
    }

    pub fn is_archive(&self) -> bool {
        matches!(self.operation.kind, Kind::Archive)
    }

    pub fn name(&self) -> String {
        format!(
            "{} of {} by {}",
            self.operation.title(),
            self.label,
            self.by
        )
    }

    /// `first`: whether it is the first of two, whose bodies differ.
    pub async fn request(&self, scene: &mut Scene<'_>, first: bool) -> Sent {
        let id = scene.id(&self.label);
        Sent {
            client: scene.client(self.by).clone(),
            method: self.operation.method(),
            path: self.operation.path(&id.to_string()),
            body: body(scene, &self.operation, &self.label, first).await,
        }
    }
}

/// The operations on the row with this label that some member of the scene can do, each from its first state.
pub async fn of(stage: &Stage, label: &str) -> Vec<Act> {
    let scene = stage.scene().await;
    let row = scene.row(label).clone();
    drop(scene);
    let Some(resource) = resources().get(row.kind()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for operation in operations::of(resource) {
        if !operation.mutates() || matches!(operation.kind, Kind::Replace) {
            continue;
        }
        found.extend(done(stage, operation, label).await);
    }
    found
}

/// Tries everybody in every state.
async fn done(stage: &Stage, operation: Operation, label: &str) -> Option<Act> {
    for start in starts(&operation) {
        let mut scene = stage.scene().await;
        if !stage::prepare(&mut scene, label, &start).await {
            continue;
        }
        for by in PEOPLE {
            let act = Act {
                operation,
                label: label.to_owned(),
                by,
                start: start.clone(),
            };
            let request = act.request(&mut scene, true).await;
            if request.body.is_none() && matches!(operation.kind, Kind::Merge) {
                return None;
            }
            if request.send().await.status.is_success() {
                return Some(act);
            }
        }
    }
    None
}

/// The states from which the operation may succeed, as statements with `{table}` and `{id}`.
fn starts(operation: &Operation) -> Vec<Start> {
    let quietly = |set: &str| {
        format!(
            "set session_replication_role = replica; update {{table}} set {set} where id = '{{id}}'; set session_replication_role = origin"
        )
    };
    let become_ =
        |status: &str| format!("update {{table}} set status = '{status}' where id = '{{id}}'");
    match operation.kind {
        Kind::Restore => vec![become_("archived")],
        Kind::Unsuspend => vec![become_("suspended")],
        Kind::Transition(transition) => {
            let title = operation.title();
            let extra = CONDITIONS.iter().find(|(name, _)| *name == title);
            let extra = extra.map(|(_, set)| (*set).to_owned());
            let mut all = vec![extra.as_deref().map(quietly).unwrap_or_default()];
            for state in transition.from {
                let mut sets = vec![format!("state = '{state}'")];
                sets.extend(extra.clone());
                all.push(quietly(&sets.join(", ")));
            }
            all
        }
        _ => vec![String::new()],
    }
}

async fn body(
    scene: &mut Scene<'_>,
    operation: &Operation,
    label: &str,
    first: bool,
) -> Option<Value> {
    match operation.kind {
        Kind::Merge => change(operation, &scene.word, first),
        Kind::Create => {
            let row = scene.row(label).clone();
            let text = format!(
                "select to_jsonb(t) from {} t where id = '{}'",
                row.table(),
                row.id
            );
            let stored: Value = sqlx::query_scalar(AssertSqlSafe(text))
                .fetch_one(&mut *scene.conn)
                .await
                .expect("a row");
            let stored: Row = serde_json::from_value(stored).expect("a row");
            let serial = if first { 7001 } else { 7002 };
            let body = fresh(operation.resource, &stored, serial).to_string();
            // Each scene has names of its own.
            let of_scene = body
                .replace("FRESH", &format!("FRESH{}", scene.word))
                .replace("fresh-", &format!("fresh-{}-", scene.word));
            Some(serde_json::from_str(&of_scene).expect("a body"))
        }
        _ if operation.wants_reason() => Some(json!({"reason": if first { "One" } else { "Two" }})),
        _ => None,
    }
}

/// A body of PATCH that changes one property.
fn change(operation: &Operation, word: &str, first: bool) -> Option<Value> {
    let entity = entity(model(), operation.resource);
    let keys = body_keys("Patch", operation.resource.name);
    let fields = entity.fields.iter().filter(|field| {
        keys.contains(&field.name.as_str()) && !field.fixed && field.check.is_none()
    });
    let mut best: Option<(u8, Value)> = None;
    for field in fields {
        let (rank, value) = match &field.ty {
            Ty::Text { min, .. } if *min <= 1 => {
                let who = if first { "one" } else { "the other" };
                (0, json!(format!("By {who} {word}")))
            }
            Ty::Money { .. } => (1, json!(if first { 5_000 } else { 6_000 })),
            Ty::Int { min, max }
                if max.is_none_or(|max| max >= 60) && min.is_none_or(|min| min <= 50) =>
            {
                (2, json!(if first { 50 } else { 60 }))
            }
            Ty::Bool => (3, json!(!first)),
            _ => continue,
        };
        if best.as_ref().is_none_or(|(known, _)| rank < *known) {
            best = Some((rank, json!({&field.name: value})));
        }
    }
    best.map(|(_, body)| body)
}
