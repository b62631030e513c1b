//! An event of Olga's with guests, and their notifications.

use crate::{
    money::stage::{Stage, keyed},
    support::{Member, rows},
};
use app::notifications::Notifications;
use kernel::messages::Channel;
use serde_json::{Value, json};
use server::wire::Parts;
use sqlx::{AssertSqlSafe, Row};
use std::{ops::Deref, time::Duration};
use uuid::Uuid;

pub struct Guests {
    stage: Stage,
    pub kind: Uuid,
}

impl Deref for Guests {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl Guests {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// An event with free tickets, without the notifications of the sample data; mails are sent without delay.
    pub async fn with(change: impl FnOnce(&mut Parts)) -> Self {
        let stage = Stage::changed(false, |parts| {
            parts.modules.notifications.notifications_digest_minutes = 0;
            change(parts);
        })
        .await;
        let kind = stage.tickets("Free", 0, 1000).await;
        stage.server.settled().await;
        let guests = Self { stage, kind };
        guests
            .run("delete from app.notification_deliveries; delete from app.notifications; delete from app.notification_preferences; delete from app.devices; delete from app.event_schedules; delete from app.delivery_pauses; delete from app.mail_suppressions")
            .await;
        guests
    }

    pub fn into_stage(self) -> Stage {
        self.stage
    }

    pub fn module(&self) -> &Notifications {
        &self.server.built.app.modules.notifications
    }

    /// A member with a ticket, who has been notified of it.
    pub async fn guest(&self, name: &str) -> Member {
        let member = self.server.member(name).await;
        self.ticket(&member).await;
        member
    }

    pub async fn ticket(&self, member: &Member) -> String {
        let order = keyed(member, "/orders", self.cart(&[(self.kind, 1)], false)).await;
        let id = order.expect(201).id();
        self.server.settled().await;
        id
    }

    pub async fn device(&self, member: &Member) -> Uuid {
        let body = json!({"platform": "ios", "push_token": format!("token-{}", Uuid::now_v7())});
        let made = member.client.post("/devices", body).await.expect(201);
        made.id().parse().expect("an id")
    }

    pub async fn change(&self, body: Value) {
        let path = format!("/events/{}", self.event);
        let etag = self.olga.client.get(&path).await.expect(200).etag();
        self.olga.client.patch(&path, &etag, body).await.expect(200);
        self.server.settled().await;
    }

    /// Runs a statement as a superuser.
    pub async fn run(&self, text: &str) {
        sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
            .execute(&mut self.server.superuser().await)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
    }

    pub async fn one(&self, text: &str) -> String {
        sqlx::query_scalar(AssertSqlSafe(text.to_owned()))
            .fetch_one(&mut self.server.superuser().await)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    pub async fn count(&self, text: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(text.to_owned()))
            .fetch_one(&mut self.server.superuser().await)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// Moves the event to this many minutes from now, without notifying anybody.
    pub async fn begins_in(&self, minutes: i64) {
        let event = self.event;
        self.run(&format!(
            "set session_replication_role = replica;
             update app.events set starts_at = now() + interval '{minutes} minutes', ends_at = now() + interval '{minutes} minutes' + interval '2 hours' where id = '{event}'"
        ))
        .await;
    }

    /// A member's notifications in the app, oldest first: name of the message and title.
    pub async fn told(&self, member: &Member) -> Vec<(String, String)> {
        let rows = sqlx::query(
            "select data ->> 'message', title from app.notifications where user_id = $1 and in_app order by id",
        )
        .bind(member.id)
        .fetch_all(&mut self.server.superuser().await)
        .await
        .expect("notifications");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Only the names of these messages.
    pub async fn names(&self, member: &Member) -> Vec<String> {
        let told = self.told(member).await;
        told.into_iter().map(|(name, _)| name).collect()
    }

    /// The deliveries of a member's notifications with this message: channel and state.
    pub async fn deliveries(&self, member: &Member, message: &str) -> Vec<(String, String)> {
        let rows = sqlx::query(
            "select d.channel, d.state from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
             where n.user_id = $1 and n.data ->> 'message' = $2 order by d.channel, d.id",
        )
        .bind(member.id)
        .bind(message)
        .fetch_all(&mut self.server.superuser().await)
        .await
        .expect("deliveries");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Sends everything that is due. The server's own worker may have claimed some of it: waits for that too, but not
    /// for what a test keeps from being sent.
    pub async fn dispatch(&self) -> usize {
        self.server.settled().await;
        let push = self.module().dispatch(Channel::Push).await.expect("push");
        let mails = self.module().dispatch(Channel::Email).await.expect("mail");
        let under_way = "select count(*) from app.notification_deliveries d
             where d.state = 'sending' or d.state = 'pending' and d.next_attempt_at <= now()
               and not exists (select from app.delivery_pauses p where p.channel = d.channel and p.until > now())";
        for _ in 0..80 {
            if self.count(under_way).await == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        push + mails
    }

    /// A member who follows the host of the event.
    pub async fn follower(&self, name: &str) -> Member {
        let member = self.server.member(name).await;
        let city = self.server.city("melbourne").await;
        let host = rows::host_of(&self.server, self.olga.id, city).await;
        let body = json!({"entity_type": "organization", "entity_id": host});
        member.client.post("/follows", body).await.expect(201);
        self.server.settled().await;
        member
    }
}
