//! P7: the effects of a dispute on its order: while it is open, when it is won, and when it is lost.

mod ends;
mod parts;
mod places;
mod receivable;
mod twice;

use super::stage::{Stage, keyed};
use fake_stripe::fault::{Fault, Kind};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

impl Stage {
    /// Opens a dispute, as if the buyer's bank asked for the money back.
    pub async fn disputed(&self, order: &str) -> String {
        let payment = self.payment_of(order).await;
        let dispute = self.stripe.fake.dispute(&payment, "fraudulent", false);
        self.stripe.deliver(&self.server).await;
        dispute.expect("a dispute")["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    pub async fn decided(&self, dispute: &str, won: bool) {
        self.stripe
            .fake
            .close_dispute(dispute, won)
            .expect("a dispute");
        self.stripe.deliver(&self.server).await;
    }

    pub async fn tickets_of(&self, order: &str) -> Vec<String> {
        let text = format!(
            "select id::text from app.tickets where order_id = '{order}' order by position"
        );
        sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_all(&mut self.server.superuser().await)
            .await
            .expect("tickets")
    }

    pub async fn door(&self, ticket: &str) -> Value {
        let shown = self.mira.client.get(&format!("/tickets/{ticket}")).await;
        let code = shown.expect(200).json["code"].clone();
        let scan = json!({"code": code, "event_id": self.event, "nonce": Uuid::now_v7()});
        let told = self.olga.client.post("/check-ins", scan).await;
        told.expect(200).json["result"].clone()
    }

    /// The earnings of Melbourne.
    pub async fn city_share(&self) -> i64 {
        let payments = self.payments();
        payments.accrue_shares(Uuid::now_v7()).await.expect("a run");
        self.number("select coalesce(sum(amount_cents), 0)::int8 from app.revenue_shares where currency = 'AUD'").await
    }
}

#[tokio::test]
async fn p7_a_lost_dispute_takes_the_tickets_that_nobody_has_come_in_with() {
    let stage = Stage::new().await;
    let vera = stage.server.member("vera_who_waits").await;
    let kind = stage.tickets("Seat", 4_500, 2).await;
    stage.run("delete from app.revenue_shares").await;
    let earned = stage.city_share().await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 2)]).await;
    let tickets = stage.tickets_of(&order).await;
    let (used, unused) = (&tickets[0], &tickets[1]);
    assert_eq!(stage.door(used).await, "ok");
    let body = json!({"event_id": stage.event, "ticket_type_id": kind});
    let entry = vera
        .client
        .post("/waitlist-entries", body)
        .await
        .expect(201)
        .id();
    let offer = json!({"to_id": vera.id});
    let offers = format!("/tickets/{unused}/transfers");
    let offered = stage
        .mira
        .client
        .post(&offers, offer.clone())
        .await
        .expect(201)
        .id();

    let dispute = stage.disputed(&order).await;
    // The dispute is undecided: the ticket can't be transferred, and the money stays where it is.
    let accept = format!("/ticket-transfers/{offered}/accept");
    vera.client.act(&accept).await.expect(409);
    let refunds = format!("/orders/{order}/refunds");
    for (who, body) in [
        (&stage.mira, json!({"ticket_ids": [unused]})),
        (&stage.olga, json!({"to": "wallet"})),
    ] {
        let refused = keyed(who, &refunds, body).await.expect(409);
        assert_eq!(refused.problem(), "invalid-state");
    }
    assert_eq!(stage.state(&order).await, "paid");

    stage.decided(&dispute, false).await;
    assert_eq!(stage.state(&order).await, "charged_back");
    let of = async |ticket: &str| {
        let shown = stage.mira.client.get(&format!("/tickets/{ticket}")).await;
        let shown = shown.expect(200).json;
        (shown["state"].clone(), shown["void_reason"].clone())
    };
    assert_eq!(of(used).await, (json!("checked_in"), Value::Null));
    assert_eq!(of(unused).await, (json!("void"), json!("disputed")));
    assert_eq!(stage.door(unused).await, "void");
    let ended = stage
        .mira
        .client
        .get(&format!("/ticket-transfers/{offered}"))
        .await;
    assert_eq!(ended.expect(200).json["state"], "expired");
    // The free place goes to a member on the waiting list.
    let place = vera
        .client
        .get(&format!("/waitlist-entries/{entry}/place"))
        .await;
    assert_eq!(place.expect(200).json["state"], "offered");
    assert_eq!(stage.stock(kind).await, (1, 1));
    for who in [&stage.mira, &stage.olga] {
        let refused = keyed(who, &refunds, json!({})).await.expect(409);
        assert_eq!(refused.problem(), "invalid-state");
    }
    stage.mira.client.post(&offers, offer).await.expect(409);
    // Neither host nor city keeps any of it.
    assert_eq!(stage.host_has(), 0);
    assert_eq!(stage.city_share().await, earned);
    stage.books_agree().await;

    // Repeated events have no further effect.
    for event in stage.stripe.fake.all("events") {
        let _ = stage
            .stripe
            .fake
            .resend(event["id"].as_str().expect("an id"));
    }
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.stock(kind).await, (1, 1));
    stage.books_agree().await;
    // The view reports a ticket that was left valid.
    stage
        .run(format!(
            "update app.tickets set state = 'valid', void_reason = null where id = '{unused}'"
        ))
        .await;
    let found = super::all_faults(stage.server.superuser().await.looking()).await;
    let fault = format!("let in after the payment was taken back order {order}");
    assert!(found.contains(&fault), "{found:?}");
}

/// Events come in any order: that of the dispute before that of its payment.
#[tokio::test]
async fn h5_p7_a_dispute_that_is_told_before_the_payment_counts() {
    for is_lost in [false, true] {
        let stage = Stage::new().await;
        let kind = stage.tickets("Seat", 4_500, 2).await;
        let placed = stage.order(&stage.mira, &[(kind, 1)], false).await;
        let order = placed.expect(201).id();
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        stage.stripe.deliver(&stage.server).await;
        let payment = stage.payment_of(&order).await;
        let fake = &stage.stripe.fake;
        let intent = fake_stripe::Intent::Payment;
        fake.pay_as_buyer(intent, &payment, "4242424242424242")
            .expect("paid");
        let dispute = fake
            .dispute(&payment, "fraudulent", false)
            .expect("a dispute");
        if is_lost {
            let dispute = dispute["id"].as_str().expect("an id");
            fake.close_dispute(dispute, false).expect("lost");
        }
        let (early, late) = stage.stripe.due_apart("charge.dispute.");
        assert!(!early.is_empty() && !late.is_empty());
        assert_eq!(stage.state(&order).await, "pending");
        for posts in [early, late] {
            stage.stripe.bring(&stage.server, posts).await;
            let state = if is_lost { "charged_back" } else { "paid" };
            assert_eq!(stage.state(&order).await, state);
            let (_, sold) = stage.stock(kind).await;
            assert_eq!(sold, i32::from(!is_lost));
        }
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(stage.host_has(), 0, "the host's part was taken back");
        // While a dispute is open, the host has less than the order says.
        if is_lost {
            stage.books_agree().await;
        }
        let faults = super::all_faults(stage.server.superuser().await.looking()).await;
        assert_eq!(faults, Vec::<String>::new());
    }
}

/// A payment that bought no tickets is disputed before it has gone back. The city has earned nothing of it, so nothing is
/// taken from it.
#[tokio::test]
async fn p7_a_lost_dispute_of_what_bought_nothing_costs_no_city_anything() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 4).await;
    stage.run("delete from app.revenue_shares").await;
    let earned = stage.city_share().await;
    let placed = stage.order(&stage.mira, &[(kind, 2)], false).await;
    let order = placed.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    let cancel = format!("/orders/{order}/cancel");
    keyed(&stage.mira, &cancel, json!({})).await.expect(200);
    let away = Fault::new(Kind::Away).on("POST", "/v1/refunds");
    stage.stripe.fake.add_fault(away);
    stage.confirm(&order, "4242424242424242").await;
    assert_eq!(stage.state(&order).await, "refund_pending");
    let dispute = stage.disputed(&order).await;
    stage.stripe.fake.clear_faults();
    stage.decided(&dispute, false).await;
    assert_eq!(stage.state(&order).await, "charged_back");
    let share = format!("select city_share_cents from app.orders where id = '{order}'");
    assert!(stage.number(&share).await > 0, "there is something to lose");
    assert_eq!(stage.city_share().await, earned);
    // Control: of tickets that were sold, the city loses its share.
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let sold = stage.bought_by_card(&stage.mira, &card, &[(kind, 2)]).await;
    let with_it = stage.city_share().await;
    assert!(with_it > earned);
    let dispute = stage.disputed(&sold).await;
    stage.decided(&dispute, false).await;
    assert_eq!(stage.city_share().await, earned);
    let faults = super::all_faults(stage.server.superuser().await.looking()).await;
    assert_eq!(faults, Vec::<String>::new());
}

#[tokio::test]
async fn p7_after_a_dispute_that_is_won_all_is_as_before() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 5).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 2)]).await;
    let dispute = stage.disputed(&order).await;
    let refunds = format!("/orders/{order}/refunds");
    keyed(&stage.mira, &refunds, json!({})).await.expect(409);
    // The control: the open dispute was the reason for the refusal.
    stage.decided(&dispute, true).await;
    assert_eq!(stage.state(&order).await, "paid");
    let tickets = stage.tickets_of(&order).await;
    assert_eq!(stage.door(&tickets[0]).await, "ok");
    let one = json!({"ticket_ids": [tickets[1]]});
    keyed(&stage.mira, &refunds, one).await.expect(201);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "part_refunded");
    stage.books_agree().await;
}

/// An inquiry moves no money, and can be answered by refunding it.
#[tokio::test]
async fn p7_an_inquiry_may_be_answered_by_a_refund() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 5).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 1)]).await;
    let payment = stage.payment_of(&order).await;
    let fake = &stage.stripe.fake;
    fake.dispute(&payment, "fraudulent", true)
        .expect("an inquiry");
    stage.stripe.deliver(&stage.server).await;
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "refunded");
    stage.books_agree().await;
}

/// If the bank takes the money before the refund is made, the refund isn't made as credits instead: the buyer would be
/// paid twice.
#[tokio::test]
async fn p7_a_refund_on_its_way_waits_for_the_bank() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 5).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    for won in [true, false] {
        let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 1)]).await;
        stage.stripe.deliver(&stage.server).await;
        let away = Fault::new(Kind::Away).on("POST", "/v1/refunds");
        stage.stripe.fake.add_fault(away);
        keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
            .await
            .expect(201);
        stage.server.settled().await;
        // The refund may be tried again at any moment.
        let dispute = stage.disputed(&order).await;
        stage.stripe.fake.clear_faults();
        let look = async || {
            stage.age().await;
            stage
                .payments()
                .reconcile_all(Uuid::now_v7())
                .await
                .expect("a run");
            stage.stripe.deliver(&stage.server).await;
        };
        look().await;
        assert_eq!(stage.state(&order).await, "refund_pending");
        assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
        stage.decided(&dispute, won).await;
        look().await;
        let state = if won { "refunded" } else { "charged_back" };
        assert_eq!(stage.state(&order).await, state);
        assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
        let failed = format!(
            "select count(*) from app.refunds where order_id = '{order}' and state = 'failed'"
        );
        assert_eq!(stage.number(&failed).await, i64::from(!won));
        assert_eq!(stage.stock(kind).await, (0, 0));
        stage.books_agree().await;
    }
}

/// Orders of a cancelled event whose payment is disputed wait for the bank.
#[tokio::test]
async fn p7_a_cancelled_event_refunds_a_disputed_order_once_it_is_won() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 5).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let mut disputes = Vec::new();
    for won in [true, false] {
        let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 1)]).await;
        stage.stripe.deliver(&stage.server).await;
        let dispute = stage.disputed(&order).await;
        disputes.push((won, order, dispute));
    }
    stage.cancel_event().await;
    stage.stripe.deliver(&stage.server).await;
    let figures = stage.cancellation().await;
    assert_eq!(
        (&figures["disputed"], &figures["left"], &figures["failed"]),
        (&json!(2), &json!(0), &json!(0))
    );
    // What is disputed comes back if the dispute is won.
    assert_eq!(figures["is_done"], false);
    for (won, order, dispute) in &disputes {
        assert_eq!(stage.state(order).await, "paid");
        stage.decided(dispute, *won).await;
    }
    let tickets = &stage.server.built.app.modules.tickets;
    assert_eq!(tickets.wind_up_all().await.expect("a look"), 1);
    stage.stripe.deliver(&stage.server).await;
    for (won, order, _) in &disputes {
        let state = if *won { "refunded" } else { "charged_back" };
        assert_eq!(stage.state(order).await, state);
    }
    let figures = stage.cancellation().await;
    assert_eq!(
        (
            &figures["disputed"],
            &figures["refunded"],
            &figures["is_done"]
        ),
        (&json!(1), &json!(1), &json!(true))
    );
    stage.books_agree().await;
}
