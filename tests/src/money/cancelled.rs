//! O6: cancelling an event refunds all orders, whatever their state, and ends its sales.

mod guests;
mod kills;
mod meanwhile;

use super::stage::{Stage, keyed};
use crate::support::Member;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

impl Stage {
    pub async fn cancel_event(&self) {
        let path = format!("/events/{}/cancel", self.event);
        let body = json!({"reason": "The hall is under water."});
        self.olga.client.post(&path, body).await.expect(200);
    }

    /// The figures of the cancellation, as the host sees them.
    pub async fn cancellation(&self) -> Value {
        let path = format!("/events/{}/cancellation", self.event);
        self.olga.client.get(&path).await.expect(200).json
    }

    pub async fn run(&self, text: impl Into<String>) {
        let mut conn = self.server.superuser().await;
        sqlx::raw_sql(AssertSqlSafe(text.into()))
            .execute(&mut conn)
            .await
            .expect("done");
    }

    pub async fn number(&self, text: &str) -> i64 {
        let text = text.replace("{event}", &self.event.to_string());
        sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_one(&mut self.server.superuser().await)
            .await
            .expect("a number")
    }

    /// An order that is paid by a saved card at once.
    pub async fn bought_by_card(&self, by: &Member, card: &str, items: &[(Uuid, i32)]) -> String {
        let order = self.order(by, items, false).await.expect(201).id();
        let body = json!({"payment_method_id": card});
        self.pay(by, &order, body).await.expect(200);
        order
    }

    pub async fn ticket_of(&self, order: &str) -> String {
        let text = format!(
            "select id::text from app.tickets where order_id = '{order}' order by position limit 1"
        );
        sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_one(&mut self.server.superuser().await)
            .await
            .expect("a ticket")
    }

    async fn scan(&self, holder: &Member, ticket: &str) -> Value {
        let shown = holder.client.get(&format!("/tickets/{ticket}")).await;
        let code = shown.expect(200).json["code"].clone();
        let scan = json!({"code": code, "event_id": self.event, "nonce": Uuid::now_v7()});
        let told = self.olga.client.post("/check-ins", scan).await.expect(200);
        told.json["result"].clone()
    }
}

/// Returns the figures shown to the host, and asserts that they equal those computed from the tables.
pub async fn figures_are_sums(stage: &Stage) -> Value {
    let figures = stage.cancellation().await;
    let of_state = async |states: &str| {
        let text = format!(
            "select count(*) from app.orders where event_id = '{{event}}' and state in ({states})"
        );
        stage.number(&text).await
    };
    assert_eq!(figures["refunded"], of_state("'refunded'").await);
    assert_eq!(figures["pending"], of_state("'refund_pending'").await);
    let open = figures["left"].as_i64().expect("a count")
        + figures["failed"].as_i64().expect("a count")
        + figures["disputed"].as_i64().expect("a count");
    let states = "'pending', 'paid', 'part_refunded', 'charged_back'";
    assert_eq!(open, of_state(states).await);
    let orders = "select count(*) from app.orders o where event_id = '{event}' and (state not in ('expired', 'cancelled')
        or exists (select from app.tickets k where k.order_id = o.id))";
    assert_eq!(figures["orders"], stage.number(orders).await);
    for (name, state) in [
        ("refunded_cents", "succeeded"),
        ("pending_cents", "pending"),
    ] {
        let shown = figures["currencies"].as_array().expect("currencies");
        let shown: i64 = shown.iter().filter_map(|each| each[name].as_i64()).sum();
        let text = format!(
            "select coalesce(sum(r.amount_cents), 0)::int8 from app.refunds r join app.orders o on o.id = r.order_id
             where o.event_id = '{{event}}' and r.state = '{state}'"
        );
        assert_eq!(shown, stage.number(&text).await, "{name}");
    }
    figures
}

#[tokio::test]
async fn o6_a_cancelled_event_gives_everything_back() {
    let stage = Stage::new().await;
    let vera = stage.server.member("vera_in_the_rain").await;
    let (seat, free) = (
        stage.tickets("Seat", 4_500, 20).await,
        stage.tickets("Free", 0, 20).await,
    );
    let scarce = stage.tickets("Scarce", 0, 1).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let by_card = stage.bought_by_card(&stage.mira, &card, &[(seat, 2)]).await;
    // One of the two tickets was refunded before.
    let one = json!({"ticket_ids": [stage.ticket_of(&by_card).await]});
    let path = format!("/orders/{by_card}/refunds");
    keyed(&stage.mira, &path, one).await.expect(201);
    let inside = stage
        .bought_by_card(&stage.mira, &card, &[(seat, 1), (free, 1)])
        .await;
    let used = stage.ticket_of(&inside).await;
    assert_eq!(stage.scan(&stage.mira, &used).await, "ok");
    stage.credits(&stage.mira, 10_000).await;
    let by_credits = stage
        .order(&stage.mira, &[(seat, 1)], true)
        .await
        .expect(201)
        .id();
    let for_nothing = stage
        .order(&stage.mira, &[(free, 2)], false)
        .await
        .expect(201)
        .id();
    let unpaid = stage
        .order(&stage.mira, &[(seat, 2)], true)
        .await
        .expect(201)
        .id();
    let cash = keyed(&stage.olga, "/door-sales", stage.cart(&[(seat, 1)], false))
        .await
        .expect(201)
        .id();
    let offered = stage.ticket_of(&for_nothing).await;
    let offer = json!({"to_id": vera.id});
    let offer = stage
        .mira
        .client
        .post(&format!("/tickets/{offered}/transfers"), offer)
        .await
        .expect(201)
        .id();
    stage
        .order(&stage.mira, &[(scarce, 1)], false)
        .await
        .expect(201);
    for kind in [scarce, seat] {
        let body = json!({"event_id": stage.event, "ticket_type_id": kind});
        vera.client
            .post("/waitlist-entries", body)
            .await
            .expect(201);
    }
    stage
        .server
        .built
        .app
        .modules
        .tickets
        .serve_waitlist()
        .await
        .expect("served");
    assert_eq!(stage.wallet(&stage.mira).await, (5_500, 5_500));
    stage.stripe.deliver(&stage.server).await;

    let path = format!("/events/{}/cancellation", stage.event);
    stage.olga.client.get(&path).await.expect(409);
    stage.cancel_event().await;
    stage.stripe.deliver(&stage.server).await;

    for order in [&by_card, &inside, &by_credits, &cash] {
        assert_eq!(stage.state(order).await, "refunded");
    }
    for order in [&for_nothing, &unpaid] {
        assert_eq!(stage.state(order).await, "cancelled");
    }
    for kind in [seat, free, scarce] {
        assert_eq!(stage.stock(kind).await, (0, 0));
    }
    assert_eq!(stage.wallet(&stage.mira).await, (10_000, 0));
    assert_eq!(stage.scan(&stage.mira, &used).await, "refunded");
    assert_eq!(stage.scan(&stage.mira, &offered).await, "void");
    let shown = stage.mira.client.get(&format!("/tickets/{offered}")).await;
    assert_eq!(shown.expect(200).json["void_reason"], "event_cancelled");
    let offer = vera.client.get(&format!("/ticket-transfers/{offer}")).await;
    assert_eq!(offer.expect(200).json["state"], "expired");
    let waiting = "select count(*) from app.waitlist_entries where event_id = '{event}' and state in ('waiting', 'offered')";
    assert_eq!(stage.number(waiting).await, 0);
    let host = stage
        .olga
        .client
        .get(&format!("/refunds?order_id={cash}"))
        .await
        .expect(200);
    assert_eq!(host.json["data"][0]["cash_cents"], 4_500);
    stage.books_agree().await;
    let figures = figures_are_sums(&stage).await;
    assert_eq!(
        (
            &figures["is_done"],
            &figures["refunded"],
            &figures["voided"]
        ),
        (&json!(true), &json!(4), &json!(2))
    );

    // Nothing is sold any more, and nothing is refunded twice.
    for path in ["/orders", "/door-sales"] {
        let refused = keyed(&stage.olga, path, stage.cart(&[(seat, 1)], false)).await;
        assert_eq!(refused.expect(409).problem(), "not-on-sale", "{path}");
    }
    let refunds = stage.number("select count(*) from app.refunds").await;
    let tickets = &stage.server.built.app.modules.tickets;
    assert_eq!(tickets.wind_up_all().await.expect("a look"), 0);
    let again = tickets.wind_up_some(stage.event, None, Uuid::now_v7());
    assert_eq!(again.await.expect("a run"), None);
    assert_eq!(
        stage.number("select count(*) from app.refunds").await,
        refunds
    );
    // The figures are only for those who run the event.
    vera.client.get(&path).await.expect(403);
    stage.books_agree().await;
}

/// An order that can't be refunded is listed, doesn't delay the others, and is refunded once that is possible.
#[tokio::test]
async fn o6_an_order_that_fails_stands_in_nobodys_way() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 1_000, 50).await;
    stage.credits(&stage.mira, 10_000).await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(
            stage
                .order(&stage.mira, &[(seat, 1)], true)
                .await
                .expect(201)
                .id(),
        );
    }
    stage
        .run(format!(
            "create function public.refuse() returns trigger language plpgsql as $$
               begin raise exception 'this one is broken'; end $$;
             create trigger refuse before insert on app.refunds for each row when (new.order_id = '{}')
               execute function public.refuse()",
            orders[1]
        ))
        .await;
    stage.cancel_event().await;
    stage.server.settled().await;
    let figures = figures_are_sums(&stage).await;
    assert_eq!(
        (
            &figures["refunded"],
            &figures["failed"],
            &figures["is_done"]
        ),
        (&json!(4), &json!(1), &json!(false))
    );
    let failure = &figures["failures"][0];
    assert_eq!(failure["order_id"], orders[1]);
    assert!(
        failure["reason"]
            .as_str()
            .is_some_and(|why| why.contains("broken")),
        "{failure}"
    );
    assert_eq!(stage.wallet(&stage.mira).await, (9_000, 0));

    stage.run("drop trigger refuse on app.refunds").await;
    let tickets = &stage.server.built.app.modules.tickets;
    assert_eq!(tickets.wind_up_all().await.expect("a look"), 1);
    stage.server.settled().await;
    let figures = figures_are_sums(&stage).await;
    assert_eq!(
        (
            &figures["refunded"],
            &figures["failed"],
            &figures["is_done"]
        ),
        (&json!(5), &json!(0), &json!(true))
    );
    assert_eq!(stage.wallet(&stage.mira).await, (10_000, 0));
    stage.sound().await;
}

/// While the provider is unavailable, refunds to cards are pending; they are made later.
#[tokio::test]
async fn o6_refunds_of_a_cancelled_event_wait_for_the_provider() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 4_500, 5).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(seat, 1)]).await;
    stage.stripe.deliver(&stage.server).await;
    let away = fake_stripe::fault::Fault::new(fake_stripe::fault::Kind::Away);
    stage.stripe.fake.add_fault(away);
    stage.cancel_event().await;
    stage.server.settled().await;
    let figures = figures_are_sums(&stage).await;
    assert_eq!(
        (&figures["pending"], &figures["is_done"]),
        (&json!(1), &json!(false))
    );
    stage.stripe.fake.clear_faults();
    stage.age().await;
    stage
        .payments()
        .reconcile_all(Uuid::now_v7())
        .await
        .expect("a run");
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "refunded");
    assert_eq!(figures_are_sums(&stage).await["is_done"], true);
    stage.books_agree().await;
}
