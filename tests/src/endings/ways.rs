//! The ways in which a row ends, derived from the model.

use super::scene::{Named, Scene};
use crate::support::{is_new, model};
use codegen::model::{Entity, Lifecycle, Ty};
use sqlx::AssertSqlSafe;
use std::fmt::{Display, Formatter, Result as Written};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    Suspended,
    Archived,
    State(&'static str),
    /// The column is a time that has passed.
    Past(&'static str),
}

impl Display for How {
    fn fmt(&self, to: &mut Formatter<'_>) -> Written {
        match self {
            Self::Suspended => to.write_str("suspended"),
            Self::Archived => to.write_str("archived"),
            Self::State(state) => to.write_str(state),
            Self::Past(column) => write!(to, "{column} past"),
        }
    }
}

/// The states of each entity in which it is over, or refused.
const OVER: &[(&str, &[&str])] = &[
    ("broadcast", &["sent", "cancelled"]),
    ("business", &["rejected"]),
    (
        "commission_proposal",
        &["accepted", "declined", "withdrawn"],
    ),
    ("community_member", &["banned"]),
    ("event", &["draft", "cancelled", "completed"]),
    ("fraud_flag", &["confirmed", "dismissed"]),
    ("lead", &["declined", "lost"]),
    ("media_upload", &["refused", "abandoned"]),
    (
        "order",
        &["expired", "cancelled", "refunded", "charged_back"],
    ),
    ("organization", &["rejected"]),
    ("promotion", &["rejected", "ended", "cancelled"]),
    ("quote", &["declined", "expired"]),
    ("role_assignment", &["declined"]),
    ("service_request", &["closed"]),
    ("stripe_event", &["done", "ignored"]),
    ("subscription", &["canceled", "unpaid"]),
    ("ticket", &["checked_in", "refunded", "void"]),
    (
        "ticket_transfer",
        &["accepted", "declined", "withdrawn", "expired"],
    ),
    ("transfer", &["succeeded"]),
];

/// Entities with states whose rows no operation here names or reaches.
const NOT_REACHED: &[(&str, &str)] = &[
    ("dispute", "the payment service alone changes it"),
    (
        "notification_delivery",
        "internal: jobs send them, see `jobs.rs`",
    ),
    ("refund", "no operation takes one"),
    (
        "revenue_share",
        "no operation takes one; jobs pay it, see `jobs.rs`",
    ),
    ("wallet_hold", "no operation takes one"),
];

/// Times at which a row is over.
const TIMES: &[&str] = &[
    "ends_at",
    "expires_at",
    "valid_until",
    "valid_to",
    "pay_by",
    "sales_end",
];

pub fn of(entity: &'static Entity) -> Vec<How> {
    let mut all = Vec::new();
    if entity.lifecycle == Lifecycle::SoftDelete {
        all.extend(entity.access.suspend.as_ref().map(|_| How::Suspended));
        all.push(How::Archived);
    }
    let over = OVER.iter().find(|(name, _)| *name == entity.name);
    let states = over.into_iter().flat_map(|(_, states)| states.iter());
    all.extend(states.map(|state| How::State(state)));
    let times = entity.fields.iter().filter(|field| field.ty == Ty::Time);
    let times = times.filter_map(|field| TIMES.iter().find(|time| **time == field.name));
    all.extend(times.map(|time| How::Past(time)));
    all
}

/// Ends the row as its own guards and cascades do it. False if the database refuses, so that it can't end in this way.
pub async fn end(scene: &mut Scene<'_>, row: &Named, how: &How) -> bool {
    let set = match how {
        How::Suspended => "status = 'suspended'".to_owned(),
        How::Archived => "status = 'archived'".to_owned(),
        How::State(state) => format!("state = '{state}'"),
        How::Past(column) => match model().entities[row.entity].field("starts_at") {
            Some(_) => format!(
                "starts_at = now() - interval '3 hours', {column} = now() - interval '1 hour'"
            ),
            None => format!("{column} = now() - interval '1 minute'"),
        },
    };
    let update = format!("update {} set {set} where id = '{}'", row.table(), row.id);
    // What time and the transitions of modules do, no caller of this connection may; nothing follows from them either.
    let update = match how {
        How::Suspended | How::Archived => update,
        _ => format!(
            "set session_replication_role = replica; {update}; set session_replication_role = origin"
        ),
    };
    let done = sqlx::raw_sql(AssertSqlSafe(update))
        .execute(&mut *scene.conn)
        .await;
    if done.is_err() {
        scene.sql("set session_replication_role = origin").await;
    }
    done.is_ok()
}

/// New states of a known entity have to be looked at: in which is it over? No operation written by hand reaches a new
/// entity.
#[test]
fn every_state_machine_says_where_it_is_over() {
    let known: Vec<&str> = OVER
        .iter()
        .map(|(name, _)| *name)
        .chain(NOT_REACHED.iter().map(|(name, _)| *name))
        .collect();
    for entity in model().entities.iter().filter(|entity| !is_new(entity)) {
        let states = entity.fields.iter().find_map(|field| match &field.ty {
            Ty::States { values } => Some(values),
            _ => None,
        });
        assert_eq!(
            states.is_some(),
            known.contains(&entity.name.as_str()),
            "{}",
            entity.name
        );
        let over = OVER.iter().find(|(name, _)| *name == entity.name);
        for state in over.into_iter().flat_map(|(_, over)| over.iter()) {
            assert!(
                states.is_some_and(|states| states.iter().any(|one| one == state)),
                "{} {state}",
                entity.name
            );
        }
    }
}
