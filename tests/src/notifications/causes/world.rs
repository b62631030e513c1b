//! A city with a member for each part: Berta has a business, Pia prints, Olga organises events, Carlo decides for the
//! city, and a bystander isn't involved in anything.

use crate::{
    money::{market::Market, stage::keyed},
    support::{Answer, Member, rows},
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::ops::Deref;
use uuid::Uuid;

pub struct World {
    market: Market,
    pub bystander: Member,
    pub berta: Member,
    pub bakery: Uuid,
    pub pia: Member,
    pub press: Uuid,
    /// The organisation that hosts Olga's events.
    pub host: Uuid,
    /// A ticket type of the stage's event, at AUD 45.00.
    pub seat: Uuid,
}

impl Deref for World {
    type Target = Market;

    fn deref(&self) -> &Market {
        &self.market
    }
}

/// An event of Olga's with free tickets.
pub struct Night {
    pub id: Uuid,
    pub kind: Uuid,
}

impl World {
    pub async fn new() -> Self {
        let market = Market::new(9).await;
        market
            .sql("update app.businesses set category = 'retail' where category = 'printing'; delete from app.notification_preferences")
            .await;
        let server = &market.stage.server;
        let (bystander, berta, pia) = (
            server.member("bystander").await,
            server.member("berta").await,
            server.member("pia").await,
        );
        let host = rows::host_of(server, market.stage.olga.id, market.city).await;
        let seat = market.stage.tickets("Seat", 4_500, 100).await;
        let mut world = Self {
            market,
            bystander,
            berta,
            bakery: Uuid::nil(),
            pia,
            press: Uuid::nil(),
            host,
            seat,
        };
        world.bakery = world.approved(&world.berta, "Bakery", "catering").await;
        world.press = world.approved(&world.pia, "Press", "printing").await;
        world
    }

    /// A business that the city has approved.
    async fn approved(&self, owner: &Member, name: &str, category: &str) -> Uuid {
        let id = self
            .founded(owner, "businesses", name, json!({"category": category}))
            .await;
        let approve = format!("/businesses/{id}/approve");
        self.carlo.client.act(&approve).await.expect(200);
        self.stage.server.settled().await;
        id.parse().expect("an id")
    }

    /// Creates a profile in the city.
    pub async fn founded(&self, owner: &Member, what: &str, name: &str, more: Value) -> String {
        let mut body = json!({"name": name, "city_id": self.city});
        let more = more.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(more);
        let made = owner.client.post(&format!("/{what}"), body).await;
        made.expect(201).id()
    }

    pub async fn member(&self, handle: &str) -> Member {
        self.stage.server.member(handle).await
    }

    pub async fn night(&self, title: &str, capacity: i32) -> Night {
        let id = self.another_event().await;
        self.changed(id, json!({"title": title})).await;
        let body = json!({"event_id": id, "name": "Free", "price_cents": 0, "currency": "AUD", "capacity": capacity});
        let kind = self.stage.olga.client.post("/ticket-types", body).await;
        let kind = kind.expect(201).id().parse().expect("an id");
        Night { id, kind }
    }

    pub async fn changed(&self, event: Uuid, body: Value) {
        self.patched(&self.stage.olga, &format!("/events/{event}"), body)
            .await;
        self.stage.server.settled().await;
    }

    pub async fn patched(&self, by: &Member, path: &str, body: Value) {
        let etag = by.client.get(path).await.expect(200).etag();
        by.client.patch(path, &etag, body).await.expect(200);
    }

    /// A new member with a ticket to the event.
    pub async fn guest(&self, night: &Night, handle: &str) -> Member {
        let member = self.member(handle).await;
        self.goes(&member, night).await.expect(201);
        self.stage.server.settled().await;
        member
    }

    pub async fn goes(&self, member: &Member, night: &Night) -> Answer {
        let items = json!([{"ticket_type_id": night.kind, "quantity": 1}]);
        let cart = json!({"event_id": night.id, "items": items, "use_credits": false});
        keyed(member, "/orders", cart).await
    }

    /// The administrators of a profile, according to the role assignments.
    pub async fn administrators(&self, of: Uuid) -> Vec<Uuid> {
        sqlx::query_scalar(
            "select distinct r.user_id from app.role_assignments r join app.users u on u.id = r.user_id
             where r.scope_id = $1 and r.state = 'accepted' and r.status = 'active' and u.status = 'active'
               and r.role in ('orgAdmin', 'cityAdmin')",
        )
        .bind(of)
        .fetch_all(&mut self.stage.server.superuser().await)
        .await
        .expect("roles")
    }

    pub async fn platform_administrators(&self) -> Vec<Uuid> {
        sqlx::query_scalar(
            "select distinct r.user_id from app.role_assignments r join app.users u on u.id = r.user_id
             where r.role = 'platformAdmin' and r.state = 'accepted' and r.status = 'active' and u.status = 'active'",
        )
        .fetch_all(&mut self.stage.server.superuser().await)
        .await
        .expect("roles")
    }

    /// Runs a statement as a superuser.
    pub async fn run(&self, text: String) {
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut self.stage.server.superuser().await)
            .await
            .expect("done");
    }

    pub async fn text(&self, text: String) -> String {
        sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_one(&mut self.stage.server.superuser().await)
            .await
            .expect("a text")
    }

    /// The ids of all notifications so far.
    pub async fn told(&self) -> Vec<Uuid> {
        sqlx::query_scalar("select id from app.notifications")
            .fetch_all(&mut self.stage.server.superuser().await)
            .await
            .expect("ids")
    }
}
