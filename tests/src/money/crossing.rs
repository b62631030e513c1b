//! C5, C6, C7, O6, P7: what hosts and buyers are owed when a refund coincides with something else: a top-up that has
//! not been sent yet, a dispute, a balance that is too low.

use super::stage::{Stage, keyed};
use fake_stripe::webhook::Mischief;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

const GOOD_CARD: &str = "4242424242424242";
/// A card whose refunds succeed at first and fail later.
const REFUND_FAILS: &str = "4000000000005126";

impl Stage {
    /// An order of three tickets, paid mostly with credits, while nothing can be sent to the host.
    async fn paid_to_nobody(&self, kind: Uuid) -> String {
        self.credits(&self.mira, 10_000).await;
        let mut cart = self.cart(&[(kind, 3)], true);
        cart["credits_max_cents"] = json!(10_000);
        let order = keyed(&self.mira, "/orders", cart).await.expect(201).id();
        self.pay(&self.mira, &order, json!({})).await.expect(200);
        self.host_takes_money(false).await;
        self.confirm(&order, GOOD_CARD).await;
        assert_eq!(self.state(&order).await, "paid");
        assert_eq!(self.top_ups(&order).await, (0, 0));
        order
    }

    async fn host_takes_money(&self, can: bool) {
        let change = format!("update app.connected_accounts set transfers_active = {can}");
        self.run(change).await;
    }

    /// Retries the top-up that waited for the host's account, and asserts that it is done.
    async fn tried_again(&self) {
        let waiting = "select count(*) from jobs.queue where name = 'payments.top_up'";
        self.run("update jobs.queue set run_at = now() where name = 'payments.top_up'")
            .await;
        while self.number(waiting).await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stripe.deliver(&self.server).await;
    }

    /// The number of an order's top-ups, and their sum.
    async fn top_ups(&self, order: &str) -> (i64, i64) {
        let of = |what: &str| {
            format!(
                "select {what} from app.transfers where order_id = '{order}' and kind = 'top_up'"
            )
        };
        let count = self.number(&of("count(*)")).await;
        let sum = of("coalesce(sum(amount_cents), 0)::int8");
        (count, self.number(&sum).await)
    }

    async fn given_back(&self, order: &str, tickets: &[&str]) {
        let body = match tickets {
            [] => json!({}),
            some => json!({"ticket_ids": some}),
        };
        keyed(&self.olga, &format!("/orders/{order}/refunds"), body)
            .await
            .expect(201);
        self.stripe.deliver(&self.server).await;
    }

    async fn a_ticket_of(&self, order: &str) -> String {
        let tickets = format!("/orders/{order}/tickets");
        let tickets = self.mira.client.get(&tickets).await.expect(200).json;
        let ticket = tickets["data"][0]["id"].as_str();
        ticket.expect("a ticket").to_owned()
    }

    async fn looked_at(&self) {
        self.age().await;
        let payments = self.payments();
        payments.reconcile_all(Uuid::now_v7()).await.expect("a run");
        self.stripe.deliver(&self.server).await;
    }
}

#[tokio::test]
async fn c6_what_went_back_before_the_top_up_is_not_sent() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage.paid_to_nobody(kind).await;
    let ticket = stage.a_ticket_of(&order).await;
    stage.given_back(&order, &[&ticket]).await;
    // More than was part of the payment has to come back, and there is nothing else to take it from.
    assert_eq!(stage.host_has(), 0);
    stage.host_takes_money(true).await;
    stage.tried_again().await;
    let whole = format!("select top_up_cents from app.orders where id = '{order}'");
    let whole = stage.number(&whole).await;
    let (count, sent) = stage.top_ups(&order).await;
    assert_eq!(count, 1);
    assert!(sent > 0 && sent < whole, "{sent} of {whole}");
    let withheld =
        format!("select sum(withheld_cents)::int8 from app.refunds where order_id = '{order}'");
    assert_eq!(stage.number(&withheld).await, whole - sent);
    stage.books_agree().await;
    // Running the check again takes nothing twice.
    stage
        .run(format!(
            "set session_replication_role = replica;
             update app.refunds set state = 'pending' where order_id = '{order}' and card_cents > 0"
        ))
        .await;
    stage.looked_at().await;
    stage.books_agree().await;
    // A later refund comes out of what was sent.
    stage.given_back(&order, &[]).await;
    assert_eq!(stage.state(&order).await, "refunded");
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
}

#[tokio::test]
async fn c6_nothing_is_sent_of_an_order_that_went_back() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage.paid_to_nobody(kind).await;
    stage.given_back(&order, &[]).await;
    assert_eq!(stage.state(&order).await, "refunded");
    // No account is needed to find that out.
    stage.tried_again().await;
    assert_eq!(stage.top_ups(&order).await, (0, 0));
    stage.host_takes_money(true).await;
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
}

/// Whichever comes first, the other takes it into account.
#[tokio::test]
async fn c6_a_refund_and_the_top_up_at_the_same_moment() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage.paid_to_nobody(kind).await;
    stage.host_takes_money(true).await;
    let row = format!("app.orders where id = '{order}'");
    let path = format!("/orders/{order}/refunds");
    let back = async {
        let body = json!({"to": "wallet"});
        keyed(&stage.mira, &path, body).await.expect(201);
    };
    stage.meeting(&row, back, stage.tried_again()).await;
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "refunded");
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
}

/// A top-up that the service refuses for good is reported, and sent once a person has solved the problem: as much as
/// is owed then.
#[tokio::test]
async fn c5_a_top_up_that_was_refused_is_seen_and_sent_again() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let refuses = |currencies: &[&str]| {
        let change = json!({"refused_currencies": currencies});
        let changed = stage.stripe.fake.change_account(&stage.account, &change);
        changed.expect("an account");
    };
    refuses(&["aud"]);
    stage.credits(&stage.mira, 9_000).await;
    let placed = stage.order(&stage.mira, &[(kind, 2)], true).await;
    let order = placed.expect(201).id();
    stage.stripe.deliver(&stage.server).await;
    let failed = stage.paula.client.get("/transfers?state=failed").await;
    let failed = failed.expect(200).json["data"][0].clone();
    assert_eq!(failed["kind"], "top_up");
    stage
        .run(format!(
            "set session_replication_role = replica;
             update app.orders set paid_at = paid_at - interval '11 minutes' where id = '{order}'"
        ))
        .await;
    let found = super::all_faults(stage.server.superuser().await.looking()).await;
    let fault = format!("credits that nobody sends to the host order {order}");
    assert!(found.contains(&fault), "{found:?}");
    // Meanwhile one of the tickets is refunded; nothing can be taken back of what was never sent.
    let ticket = stage.a_ticket_of(&order).await;
    stage.given_back(&order, &[&ticket]).await;

    let retry = format!("/transfers/{}/retry", failed["id"].as_str().expect("an id"));
    stage.olga.client.act(&retry).await.expect(403);
    let nowhere = format!("/transfers/{}/retry", Uuid::now_v7());
    stage.paula.client.act(&nowhere).await.expect(404);
    refuses(&[]);
    stage.paula.client.act(&retry).await.expect(202);
    stage.stripe.deliver(&stage.server).await;
    assert!(stage.host_has() > 0);
    let again = stage.paula.client.act(&retry).await.expect(409);
    assert_eq!(again.problem(), "invalid-state");
    stage.books_agree().await;
}

/// A refund to a card fails after the bank was asked for the same money: the buyer gets it once.
#[tokio::test]
async fn p7_what_the_bank_gives_the_buyer_is_not_credits_as_well() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 50).await;
    // Whether the failure is reported before the bank decides, and how the bank decides.
    for (is_early, won, credits) in [(false, false, 0), (true, false, 0), (true, true, 9_000)] {
        let order = stage.order(&stage.mira, &[(kind, 2)], false).await;
        let order = order.expect(201).id();
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        stage.confirm(&order, REFUND_FAILS).await;
        stage.given_back(&order, &[]).await;
        assert_eq!(stage.state(&order).await, "refunded");
        // The money is back at the service, and no event says so.
        let fake = &stage.stripe.fake;
        fake.set_mischief(Mischief {
            drop_per_mille: 1_000,
            ..Mischief::default()
        });
        fake.advance(60);
        fake.set_mischief(Mischief::default());
        let mut told = fake.all("events").into_iter();
        let told = told.rfind(|event| event["type"] == "refund.failed");
        let told = told.expect("an event")["id"].clone();
        let told = told.as_str().expect("an id");

        let payment = stage.payment_of(&order).await;
        let dispute = fake.dispute(&payment, "fraudulent", false);
        let dispute = dispute.expect("a dispute")["id"].clone();
        stage.stripe.deliver(&stage.server).await;
        if is_early {
            fake.resend(told).expect("told");
            stage.stripe.deliver(&stage.server).await;
            // The refund waits for the bank.
            assert_eq!(stage.state(&order).await, "refund_pending");
            assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
        }
        let dispute = dispute.as_str().expect("an id");
        fake.close_dispute(dispute, won).expect("decided");
        stage.stripe.deliver(&stage.server).await;
        fake.resend(told).expect("told");
        stage.stripe.deliver(&stage.server).await;
        stage.looked_at().await;
        assert_eq!(
            stage.wallet(&stage.mira).await,
            (credits, 0),
            "{is_early} {won}"
        );
        let open = format!(
            "select count(*) from app.refunds where order_id = '{order}' and state = 'pending'"
        );
        assert_eq!(stage.number(&open).await, 0, "{is_early} {won}");
        stage.books_agree().await;
    }
}

/// A first refund to the card has failed and became credits. Then the bank takes back the rest, whose refund fails
/// too. In whichever order the failure and the bank's decision become known, the buyer gets back exactly what was
/// paid.
#[tokio::test]
async fn p7_a_second_refund_that_fails_beside_a_dispute_of_the_rest_pays_once() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 50).await;
    for (is_early, won) in [(false, false), (true, false), (true, true)] {
        let had = stage.wallet(&stage.mira).await.0;
        let order = stage.order(&stage.mira, &[(kind, 2)], false).await;
        let order = order.expect(201).id();
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        stage.confirm(&order, REFUND_FAILS).await;
        let tickets = stage.tickets_of(&order).await;
        stage.given_back(&order, &[&tickets[0]]).await;
        let fake = &stage.stripe.fake;
        fake.advance(60);
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(stage.wallet(&stage.mira).await.0 - had, 4_500);

        stage.given_back(&order, &[&tickets[1]]).await;
        let payment = stage.payment_of(&order).await;
        let dispute = fake.dispute(&payment, "fraudulent", false);
        let dispute = dispute.expect("a dispute");
        assert_eq!(dispute["amount"], 4_500);
        let dispute = dispute["id"].as_str().expect("an id");
        stage.stripe.deliver(&stage.server).await;
        if is_early {
            fake.advance(60);
            stage.stripe.deliver(&stage.server).await;
        }
        fake.close_dispute(dispute, won).expect("decided");
        stage.stripe.deliver(&stage.server).await;
        if !is_early {
            fake.advance(60);
            stage.stripe.deliver(&stage.server).await;
        }
        stage.looked_at().await;
        let credits = stage.wallet(&stage.mira).await.0 - had;
        let by_the_bank = if won { 0 } else { 4_500 };
        assert_eq!(credits + by_the_bank, 9_000, "{is_early} {won}");
        stage.books_agree().await;
    }
}

/// Only the service knows whether a refund whose answer was lost was made; a lost dispute must not hide it.
#[tokio::test]
async fn p7_a_refund_that_was_made_before_the_dispute_counts() {
    use fake_stripe::fault::{Fault, Kind};
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage.order(&stage.mira, &[(kind, 2)], false).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, GOOD_CARD).await;
    let ticket = stage.a_ticket_of(&order).await;
    let fake = &stage.stripe.fake;
    fake.set_mischief(Mischief {
        drop_per_mille: 1_000,
        ..Mischief::default()
    });
    fake.add_fault(Fault::new(Kind::DropAfter).on("POST", "/v1/refunds"));
    stage.given_back(&order, &[&ticket]).await;
    fake.clear_faults();
    fake.set_mischief(Mischief::default());
    let payment = stage.payment_of(&order).await;
    let dispute = fake.dispute(&payment, "fraudulent", false);
    let dispute = dispute.expect("a dispute");
    assert_eq!(dispute["amount"], 4_500);
    fake.close_dispute(dispute["id"].as_str().expect("an id"), false)
        .expect("decided");
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "charged_back");
    let failed =
        format!("select count(*) from app.refunds where order_id = '{order}' and state = 'failed'");
    assert_eq!(stage.number(&failed).await, 0);
    stage.looked_at().await;
    let made = format!(
        "select count(*) from app.refunds where order_id = '{order}' and state = 'succeeded'"
    );
    assert_eq!(stage.number(&made).await, 1);
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    stage.books_agree().await;
}

/// C7: the city gives back its share in the month in which the refund first settled, and in no other.
#[tokio::test]
async fn c7_a_refund_that_fails_later_stays_in_its_month() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage.order(&stage.mira, &[(kind, 2)], false).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, REFUND_FAILS).await;
    stage.given_back(&order, &[]).await;
    stage
        .run(format!(
            "set session_replication_role = replica;
             update app.refunds set settled_at = now() - interval '70 days' where order_id = '{order}'"
        ))
        .await;
    stage.stripe.fake.advance(60);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.wallet(&stage.mira).await, (9_000, 0));
    let kept = format!(
        "select count(*) from app.refunds
         where order_id = '{order}' and state = 'succeeded' and settled_at < now() - interval '69 days'"
    );
    assert_eq!(stage.number(&kept).await, 1);
    stage.books_agree().await;
}

/// A low balance of the platform says nothing about the buyer's card: the refund waits, and goes to the card.
#[tokio::test]
async fn o6_a_refund_that_the_balance_does_not_cover_waits() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let card = stage.saved(&stage.mira, GOOD_CARD).await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 2)]).await;
    stage.stripe.deliver(&stage.server).await;
    let fake = &stage.stripe.fake;
    fake.refunds_need_balance(true);
    fake.move_money(None, "aud", -1_000_000).expect("paid out");
    stage.given_back(&order, &[]).await;
    stage.looked_at().await;
    assert_eq!(stage.state(&order).await, "refund_pending");
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    fake.move_money(None, "aud", 1_000_000).expect("paid in");
    stage.looked_at().await;
    assert_eq!(stage.state(&order).await, "refunded");
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
}

/// A card payment whose money the host's account can't take: the buyer is told at once, nothing is charged, and the order
/// can be cancelled, which frees tickets and credits. Once the account takes the currency, the same order is paid.
#[tokio::test]
async fn c8_a_currency_that_the_hosts_account_cannot_take_is_refused_at_once() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    stage.credits(&stage.mira, 1_000).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let takes = |refused: &[&str]| {
        let change = json!({"refused_currencies": refused});
        let changed = stage.stripe.fake.change_account(&stage.account, &change);
        changed.expect("an account");
    };
    takes(&["aud"]);
    let mut orders = Vec::new();
    for _ in 0..2 {
        let order = stage
            .order(&stage.mira, &[(kind, 1)], orders.is_empty())
            .await;
        let order = order.expect(201).id();
        let body = json!({"payment_method_id": card});
        let refused = stage.pay(&stage.mira, &order, body).await.expect(409);
        assert_eq!(refused.problem(), "payment-refused", "{}", refused.text);
        assert_eq!(stage.state(&order).await, "pending");
        orders.push(order);
    }
    assert_eq!(stage.stripe.fake.all("charges").len(), 0);
    assert_eq!(stage.stock(kind).await, (2, 0));
    let cancel = format!("/orders/{}/cancel", orders[0]);
    keyed(&stage.mira, &cancel, json!({})).await.expect(200);
    assert_eq!(stage.stock(kind).await, (1, 0));
    assert_eq!(stage.wallet(&stage.mira).await, (1_000, 0));
    takes(&[]);
    let body = json!({"payment_method_id": card});
    stage.pay(&stage.mira, &orders[1], body).await.expect(200);
    assert_eq!(stage.state(&orders[1]).await, "paid");
    stage.books_agree().await;
}
