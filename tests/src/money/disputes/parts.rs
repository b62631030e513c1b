//! A dispute about a part of a payment: the rest of the order is left alone.

use crate::money::stage::{Stage, keyed};
use serde_json::json;
use sqlx::AssertSqlSafe;

const PRICE: i64 = 4_500;

impl Stage {
    /// An order by card, of which the bank gives back `lost`, and its tickets.
    async fn lost_in_part(&self, count: i32, used: usize, lost: i64) -> (String, Vec<String>) {
        let kind = self.tickets("Seat", PRICE, 20).await;
        let card = self.saved(&self.mira, "4242424242424242").await;
        let order = self
            .bought_by_card(&self.mira, &card, &[(kind, count)])
            .await;
        let tickets = self.tickets_of(&order).await;
        for ticket in &tickets[..used] {
            assert_eq!(self.door(ticket).await, "ok");
        }
        let payment = self.payment_of(&order).await;
        let fake = &self.stripe.fake;
        let dispute = fake.dispute_part(&payment, "fraudulent", false, lost);
        self.stripe.deliver(&self.server).await;
        let dispute = dispute.expect("a dispute");
        self.decided(dispute["id"].as_str().expect("an id"), false)
            .await;
        (order, tickets)
    }

    async fn states(&self, order: &str) -> Vec<String> {
        let text =
            format!("select state from app.tickets where order_id = '{order}' order by position");
        sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_all(&mut self.server.superuser().await)
            .await
            .expect("states")
    }
}

#[tokio::test]
async fn p7_a_lost_dispute_about_one_ticket_costs_one_ticket() {
    let stage = Stage::new().await;
    stage.run("delete from app.revenue_shares").await;
    let before = stage.city_share().await;
    let (order, tickets) = stage.lost_in_part(4, 0, PRICE).await;
    assert_eq!(stage.state(&order).await, "part_refunded");
    assert_eq!(
        stage.states(&order).await,
        ["valid", "valid", "valid", "void"]
    );
    let full = stage
        .number(&format!(
            "select city_share_cents from app.orders where id = '{order}'"
        ))
        .await;
    assert!(full > 0);
    let earned = stage.city_share().await - before;
    assert!((earned - full * 3 / 4).abs() <= 1, "{earned} of {full}");
    stage.sound().await;
    // The same report again takes nothing more.
    for event in stage.stripe.fake.all("events") {
        let id = event["id"].as_str().expect("an id");
        let _ = stage.stripe.fake.resend(id);
    }
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(
        stage.states(&order).await,
        ["valid", "valid", "valid", "void"]
    );
    // The others can be handed on: the bank has decided.
    let path = format!("/tickets/{}/transfers", tickets[1]);
    let to = json!({"to_id": stage.olga.id});
    let offered = stage.mira.client.post(&path, to).await.expect(201).id();
    let path = format!("/ticket-transfers/{offered}/withdraw");
    stage.mira.client.act(&path).await.expect(200);
    // They can be given back, and in the end everybody has returned exactly its part.
    let refunds = format!("/orders/{order}/refunds");
    let body = json!({"ticket_ids": [tickets[0]]});
    keyed(&stage.mira, &refunds, body).await.expect(201);
    stage.stripe.deliver(&stage.server).await;
    stage.sound().await;
    let asked = keyed(&stage.mira, &refunds, json!({})).await.expect(201);
    assert_eq!(asked.json["amount_cents"], 2 * PRICE);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "refunded");
    assert_eq!(stage.city_share().await, before);
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
}

/// A part that is less than a ticket costs the cheapest one that covers it.
#[tokio::test]
async fn p7_a_lost_dispute_about_less_than_a_ticket_costs_one() {
    let stage = Stage::new().await;
    let (order, tickets) = stage.lost_in_part(3, 1, PRICE + 100).await;
    assert_eq!(stage.states(&order).await, ["checked_in", "void", "void"]);
    assert_eq!(stage.state(&order).await, "part_refunded");
    stage.sound().await;
    // The host may refund the used one, which costs less than what the buyer has not got back.
    let body = json!({"ticket_ids": [tickets[0]]});
    keyed(&stage.olga, &format!("/orders/{order}/refunds"), body)
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    stage.books_agree().await;
}

/// Used tickets stay, but no more is refunded for them than the bank has left.
#[tokio::test]
async fn p7_used_tickets_are_refunded_up_to_what_a_bank_has_left() {
    for is_cancelled in [false, true] {
        let stage = Stage::new().await;
        let (order, tickets) = stage.lost_in_part(2, 2, PRICE).await;
        assert_eq!(stage.states(&order).await, ["checked_in", "checked_in"]);
        let refunds = format!("/orders/{order}/refunds");
        let refused = keyed(&stage.olga, &refunds, json!({})).await.expect(409);
        assert_eq!(refused.problem(), "refund-exceeds-payment");
        if is_cancelled {
            // Of an event that was broken off, the one is refunded and the other was refunded by the bank.
            stage.cancel_event().await;
            stage.stripe.deliver(&stage.server).await;
            let mut states = stage.states(&order).await;
            states.sort_unstable();
            assert_eq!(states, ["refunded", "void"]);
        } else {
            let body = json!({"ticket_ids": [tickets[0]]});
            keyed(&stage.olga, &refunds, body).await.expect(201);
            stage.stripe.deliver(&stage.server).await;
        }
        let back = format!(
            "select coalesce(sum(amount_cents), 0)::int8 from app.refunds where order_id = '{order}'"
        );
        assert_eq!(
            stage.number(&back).await,
            PRICE,
            "cancelled: {is_cancelled}"
        );
        stage.books_agree().await;
    }
}

/// The control: if no ticket is made void, the buyer has both the money and the ticket.
#[tokio::test]
async fn p7_notices_a_ticket_that_a_bank_has_paid_back() {
    let stage = Stage::new().await;
    stage
        .run(
            "create or replace function app.void_covered(p_order uuid, p_lost bigint, p_used boolean) returns bigint
             language sql as 'select 1::bigint'",
        )
        .await;
    let (order, _) = stage.lost_in_part(2, 0, PRICE).await;
    assert_eq!(stage.states(&order).await, ["valid", "valid"]);
    let found = crate::money::all_faults(stage.server.superuser().await.looking()).await;
    let fault = format!("tickets whose price a bank has given back order {order}");
    assert!(found.contains(&fault), "{found:?}");
}
