//! Changes after which a message that waits to be sent must not be sent: those that remove the object that it is
//! about, or the member's right to see it. Tests `app.delivery_obstacles`, which every claim calls. Knows nothing of
//! how messages come about.

use super::world::World;
use generated::messages::MESSAGES;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Messages about something that has already happened: they stay correct, and only the end of the account stops them.
const STAYS: [&str; 15] = [
    "community_banned",
    "credits_received",
    "credits_given",
    "event_off",
    "order_paid",
    "password_changed",
    "proposal_accepted",
    "proposal_declined",
    "refund_failed",
    "refund_paid",
    "role_accepted",
    "role_ended",
    "signed_in",
    "ticket_declined",
    "ticket_taken",
];

/// All other messages, with each change that stops them. `:event`, `:member` and `:named` are columns of the
/// notification, all other names are ids in its data.
const ENDS: &[(&str, &[&str])] = &[
    (
        "account_lost",
        &[
            "update app.connected_accounts set lost_at = null where id = :connected_account",
            "update app.role_assignments set status = 'archived' where user_id = :member",
        ],
    ),
    (
        "community_invited",
        &[
            "update app.community_members set status = 'archived' where id = :community_member",
            "update app.community_members set state = 'active' where id = :community_member",
            "update app.communities set status = 'suspended' where id = :community",
            "update app.role_assignments set status = 'archived' where user_id = :named",
            "update app.users set status = 'suspended' where id = :named",
        ],
    ),
    (
        "community_asked",
        &[
            "update app.community_members set status = 'archived' where id = :community_member",
            "update app.community_members set state = 'banned' where id = :community_member",
            "update app.role_assignments set status = 'archived' where user_id = :member",
            "update app.users set status = 'suspended' where id = :named",
        ],
    ),
    (
        "community_joined",
        &[
            "update app.community_members set state = 'banned' where community_id = :community and user_id = :member",
            "update app.community_members set status = 'archived' where community_id = :community and user_id = :member",
            "update app.communities set status = 'suspended' where id = :community",
        ],
    ),
    (
        "credits_lapse",
        &["update app.wallet_credits set remaining_cents = 0 where wallet_id = :wallet_account"],
    ),
    (
        "event_back",
        &[
            "update app.events set status = 'suspended' where id = :event",
            "update app.tickets set state = 'refunded' where event_id = :event and holder_id = :member",
        ],
    ),
    (
        "event_elsewhere",
        &[
            "update app.events set status = 'suspended' where id = :event",
            "update app.events set state = 'cancelled' where id = :event",
            "update app.tickets set state = 'refunded' where event_id = :event and holder_id = :member",
            "insert into app.notifications (user_id, type, title, message, data, dedupe_key, event_id) select user_id, type, title, message, data, 'again', event_id from app.notifications where user_id = :member and event_id = :event and type = 'event_changed' limit 1",
        ],
    ),
    (
        "event_moved",
        &[
            "update app.events set status = 'suspended' where id = :event",
            "update app.events set state = 'cancelled' where id = :event",
            "update app.tickets set holder_id = (select id from app.users where id <> :member limit 1) where event_id = :event and holder_id = :member",
            "insert into app.notifications (user_id, type, title, message, data, dedupe_key, event_id) select user_id, type, title, message, data, 'again', event_id from app.notifications where user_id = :member and event_id = :event and type = 'event_changed' limit 1",
        ],
    ),
    (
        "event_published",
        &[
            "update app.events set status = 'suspended' where id = :event",
            "update app.events set state = 'draft' where id = :event",
            "update app.events set state = 'cancelled' where id = :event",
            "update app.events set visibility = 'unlisted' where id = :event",
            "update app.businesses set status = 'suspended' where id = (select host_id from app.events where id = :event)",
            "update app.businesses set state = 'rejected' where id = (select host_id from app.events where id = :event)",
            "update app.follows set status = 'archived' where follower_id = :member",
            "update app.events set starts_at = starts_at + interval '1 minute' where id = :event",
        ],
    ),
    (
        "event_soon",
        &[
            "update app.events set status = 'suspended' where id = :event",
            "update app.events set state = 'cancelled' where id = :event",
            "update app.events set starts_at = now() - interval '1 minute' where id = :event",
            "update app.tickets set state = 'refunded' where event_id = :event and holder_id = :member",
            "insert into app.event_schedules as s (event_id, revision) values (:event, 2) on conflict (event_id) do update set revision = s.revision + 1",
        ],
    ),
    (
        "event_withheld",
        &[
            "update app.events set status = 'active' where id = :event",
            "update app.events set state = 'cancelled' where id = :event",
            "update app.tickets set state = 'refunded' where event_id = :event and holder_id = :member",
        ],
    ),
    (
        "followed_profile",
        &[
            "update app.follows set status = 'archived' where follower_id = :named",
            "update app.users set is_public = false where id = :named",
            "update app.users set status = 'suspended' where id = :named",
            "update app.role_assignments set status = 'archived' where user_id = :member",
        ],
    ),
    (
        "followed_you",
        &[
            "update app.follows set status = 'archived' where follower_id = :named",
            "update app.users set is_public = false where id = :named",
            "update app.users set status = 'suspended' where id = :named",
        ],
    ),
    (
        "host_wrote",
        &[
            "update app.events set status = 'suspended' where id = :event",
            "update app.broadcasts set status = 'suspended' where id = :broadcast",
        ],
    ),
    (
        "lead_new",
        &[
            "update app.leads set status = 'suspended' where id = :lead",
            "update app.leads set state = 'lost' where id = :lead",
            "update app.role_assignments set status = 'archived' where user_id = :member",
            "update app.service_requests set state = 'closed' where id = (select service_request_id from app.leads where id = :lead)",
        ],
    ),
    (
        "place_awaited",
        &[
            "update app.waitlist_entries set status = 'archived' where id = :waitlist_entry",
            "update app.waitlist_entries set state = 'taken' where id = :waitlist_entry",
            "update app.events set state = 'cancelled' where id = :event",
        ],
    ),
    (
        "place_lapsed",
        &["update app.events set visibility = 'unlisted' where id = :event"],
    ),
    (
        "place_offered",
        &[
            "update app.waitlist_entries set status = 'archived' where id = :waitlist_entry",
            "update app.waitlist_entries set state = 'expired' where id = :waitlist_entry",
            "update app.events set status = 'suspended' where id = :event",
            "update app.events set visibility = 'unlisted' where id = :event",
        ],
    ),
    (
        "profile_approved",
        &["update app.role_assignments set status = 'archived' where user_id = :member"],
    ),
    (
        "profile_rejected",
        &["update app.role_assignments set status = 'archived' where user_id = :member"],
    ),
    (
        "promotion_asked",
        &[
            "update app.promotions set state = 'rejected' where id = :promotion",
            "update app.role_assignments set status = 'archived' where user_id = :member",
        ],
    ),
    (
        "promotion_approved",
        &["update app.role_assignments set status = 'archived' where user_id = :member"],
    ),
    (
        "promotion_changed",
        &[
            "update app.promotions set state = 'ended' where id = :promotion",
            "update app.role_assignments set status = 'archived' where user_id = :member",
        ],
    ),
    (
        "promotion_rejected",
        &["update app.role_assignments set status = 'archived' where user_id = :member"],
    ),
    (
        "proposal_made",
        &[
            "update app.commission_proposals set state = 'withdrawn' where id = :commission_proposal",
            "update app.role_assignments set status = 'archived' where user_id = :member",
        ],
    ),
    (
        "quote_accepted",
        &["update app.role_assignments set status = 'archived' where user_id = :member"],
    ),
    (
        "quote_declined",
        &["update app.role_assignments set status = 'archived' where user_id = :member"],
    ),
    (
        "quote_sent",
        &[
            "update app.quotes set state = 'expired' where id = :quote",
            "update app.role_assignments set status = 'archived' where user_id = :member",
        ],
    ),
    (
        "review_answered",
        &[
            "update app.reviews set status = 'suspended' where id = :review",
            "update app.reviews set reply = null where id = :review",
        ],
    ),
    (
        "reviewed",
        &[
            "update app.reviews set status = 'suspended' where id = :review",
            "update app.users set status = 'suspended' where id = :named",
            "update app.role_assignments set status = 'archived' where user_id = :member",
        ],
    ),
    (
        "role_offered",
        &[
            "update app.role_assignments set status = 'archived' where id = :role_assignment",
            "update app.role_assignments set state = 'accepted' where id = :role_assignment",
        ],
    ),
    (
        "sales_stopped",
        &[
            "delete from app.sales_stops where event_id = :event",
            "update app.events set state = 'cancelled' where id = :event",
            "update app.events set status = 'suspended' where id = :event",
            "update app.events set starts_at = now() - interval '1 hour', ends_at = now() - interval '1 minute' where id = :event",
            "update app.role_assignments set status = 'archived' where user_id = :member",
        ],
    ),
    (
        "suspension_began",
        &["update app.role_assignments set status = 'archived' where user_id = :member"],
    ),
    (
        "suspension_ended",
        &[
            "update app.businesses set status = 'suspended' where id = :business",
            "update app.role_assignments set status = 'archived' where user_id = :member",
        ],
    ),
    (
        "ticket_offered",
        &[
            "update app.ticket_transfers set state = 'withdrawn' where id = :ticket_transfer",
            "update app.events set state = 'cancelled' where id = :event",
        ],
    ),
];

/// The change that stops every message.
const ACCOUNT: &str = "update app.users set status = 'suspended' where id = :member";

/// Every message is in one of the two lists: a new one needs a decision what stops it.
#[test]
fn no1_every_message_ends_with_something_or_stays_true() {
    let ends = ENDS.iter().map(|(message, _)| *message);
    let mut decided: Vec<&str> = STAYS.into_iter().chain(ends).collect();
    decided.sort_unstable();
    let all: BTreeSet<&str> = MESSAGES.iter().map(|message| message.name).collect();
    assert_eq!(decided, all.into_iter().collect::<Vec<_>>());
}

/// Checks that a new notification would be mailed, and that each change by itself prevents that. All changes are
/// rolled back.
pub async fn hold(world: &World, message: &str, notification: Uuid) {
    let mut conn = world.stage.server.superuser().await;
    run(
        &mut conn,
        "begin; set local session_replication_role = replica",
    )
    .await;
    let told = Told::read(&mut conn, notification).await;
    let delivery: Uuid = sqlx::query_scalar(
        "insert into app.notification_deliveries (notification_id, user_id, channel, device_id, expires_at)
         select $1, $2, 'email', $1, max(d.expires_at) from app.notification_deliveries d where d.notification_id = $1 returning id",
    )
    .bind(notification)
    .bind(told.member)
    .fetch_one(&mut conn)
    .await
    .expect("a delivery");
    assert_eq!(obstacle(&mut conn, delivery).await, None, "{message}");
    let ends = ENDS.iter().filter(|(of, _)| *of == message);
    let changes = ends.flat_map(|(_, changes)| changes.iter().copied());
    for change in changes.chain([ACCOUNT]) {
        let text = told.fill(change);
        run(&mut conn, "savepoint unchanged").await;
        let changed = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await;
        let changed = changed.unwrap_or_else(|error| panic!("{message}: {change}: {error}"));
        assert!(changed.rows_affected() > 0, "{message}: {change}");
        let obstacle = obstacle(&mut conn, delivery).await;
        assert!(obstacle.is_some(), "{message} is sent after: {change}");
        run(&mut conn, "rollback to savepoint unchanged").await;
    }
    run(&mut conn, "rollback").await;
}

async fn run(conn: &mut PgConnection, text: &'static str) {
    sqlx::raw_sql(text).execute(conn).await.expect("done");
}

async fn obstacle(conn: &mut PgConnection, delivery: Uuid) -> Option<String> {
    sqlx::query_scalar("select obstacle from app.delivery_obstacles(array[$1]::uuid[])")
        .bind(delivery)
        .fetch_one(conn)
        .await
        .expect("an answer")
}

/// The recipient of a notification, and the ids in it by name, the longest names first, so that no name replaces the
/// beginning of a longer one.
struct Told {
    member: Uuid,
    ids: Vec<(String, String)>,
}

impl Told {
    async fn read(conn: &mut PgConnection, notification: Uuid) -> Self {
        let row = sqlx::query(
            "select user_id, data || jsonb_build_object('event', event_id, 'member', user_id, 'named', named_id) as ids
             from app.notifications where id = $1",
        )
        .bind(notification)
        .fetch_one(conn)
        .await
        .expect("the notification");
        let ids: Value = row.get("ids");
        let ids = ids.as_object().expect("an object").iter();
        let mut ids: Vec<(String, String)> = ids
            .filter_map(|(name, id)| Some((name.clone(), id.as_str()?.to_owned())))
            .collect();
        ids.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Self {
            member: row.get("user_id"),
            ids,
        }
    }

    fn fill(&self, change: &str) -> String {
        let mut text = change.to_owned();
        for (name, id) in &self.ids {
            text = text.replace(&format!(":{name}"), &format!("'{id}'"));
        }
        text
    }
}
