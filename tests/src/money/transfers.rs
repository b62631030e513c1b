//! O8: accepting an offer transfers a ticket once, and from then on only the new holder's code is accepted.

use super::stage::{Stage, keyed};
use crate::support::{Answer, Member};
use futures_util::future::join_all;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// An order of Mira's with this many tickets, and its tickets.
async fn bought(stage: &Stage, price_cents: i64, quantity: i32) -> (String, Vec<String>) {
    let name = format!("Seat {}", Uuid::now_v7());
    let kind = stage.tickets(&name, price_cents, 20).await;
    let order = stage.order(&stage.mira, &[(kind, quantity)], true).await;
    let order = order.expect(201);
    let ids = order.json["ticket_ids"].as_array().expect("tickets");
    let ids = ids.iter().map(|id| id.as_str().expect("an id").to_owned());
    (order.id(), ids.collect())
}

async fn offer(by: &Member, ticket: &str, to: &Member) -> Answer {
    let path = format!("/tickets/{ticket}/transfers");
    by.client.post(&path, json!({"to_id": to.id})).await
}

async fn act(by: &Member, transfer: &str, verb: &str) -> Answer {
    by.client
        .act(&format!("/ticket-transfers/{transfer}/{verb}"))
        .await
}

async fn code(of: &Member, ticket: &str) -> Value {
    let shown = of.client.get(&format!("/tickets/{ticket}")).await;
    shown.expect(200).json["code"].clone()
}

async fn scan(stage: &Stage, code: &Value) -> String {
    let body = json!({"code": code, "event_id": stage.event, "nonce": Uuid::now_v7().to_string()});
    let answer = stage.olga.client.post("/check-ins", body).await.expect(200);
    answer.json["result"].as_str().expect("a result").to_owned()
}

async fn run(stage: &Stage, text: String) {
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut conn)
        .await
        .expect("done");
}

#[tokio::test]
async fn o8_a_ticket_changes_hands_with_its_code() {
    let stage = Stage::without_provider().await;
    let vera = stage.server.member("vera_who_goes").await;
    let (_, tickets) = bought(&stage, 0, 1).await;
    let ticket = &tickets[0];
    let old = code(&stage.mira, ticket).await;
    // Only the holder can offer a ticket, and only the recipient can accept the offer.
    offer(&vera, ticket, &stage.mira).await.expect(404);
    let path = format!("/tickets/{ticket}/transfers");
    let body = json!({"to_handle": " @Vera_Who_Goes"});
    let offered = stage.mira.client.post(&path, body).await.expect(201);
    assert_eq!(offered.json["state"], "offered");
    assert_eq!(offered.json["to_id"], json!(vera.id));
    let transfer = offered.id();
    act(&stage.olga, &transfer, "accept").await.expect(404);
    act(&stage.mira, &transfer, "accept").await.expect(403);
    act(&vera, &transfer, "withdraw").await.expect(403);
    let again = offer(&stage.mira, ticket, &stage.olga).await.expect(409);
    assert_eq!(again.problem(), "invalid-state");

    let accepted = act(&vera, &transfer, "accept").await.expect(200);
    assert_eq!(accepted.json["state"], "accepted");
    let new = code(&vera, ticket).await;
    assert_ne!(new, old);
    // The buyer still sees the ticket, but not its code.
    assert_eq!(code(&stage.mira, ticket).await, Value::Null);
    let qr = format!("/tickets/{ticket}/qr.svg");
    stage.mira.client.get(&qr).await.expect(404);
    vera.client.get(&qr).await.expect(200);
    assert_eq!(scan(&stage, &old).await, "transferred");
    assert_eq!(scan(&stage, &new).await, "ok");
    assert_eq!(scan(&stage, &old).await, "transferred");
    // A used ticket can't be transferred.
    let used = offer(&vera, ticket, &stage.mira).await.expect(409);
    assert_eq!(used.problem(), "invalid-state");
    stage.sound().await;
}

/// An administrator of the city who bought tickets is a buyer: a ticket that was handed on is not theirs to give back.
#[tokio::test]
async fn o8_a_buyer_with_an_office_takes_back_nothing_from_the_holder() {
    let stage = Stage::without_provider().await;
    let (carlo, vera) = (
        stage.server.sign_in(PEOPLE[1].id).await,
        stage.server.member("vera_who_goes").await,
    );
    let kind = stage.tickets("Seat", 0, 5).await;
    let order = stage.order(&carlo, &[(kind, 2)], false).await.expect(201);
    let tickets = order.json["ticket_ids"].as_array().expect("tickets");
    let ticket = tickets[0].as_str().expect("an id");
    let offered = offer(&carlo, ticket, &vera).await.expect(201).id();
    act(&vera, &offered, "accept").await.expect(200);
    let path = format!("/orders/{}/refunds", order.id());
    let all = json!({"ticket_ids": tickets});
    keyed(&carlo, &path, all).await.expect(409);
    // Without names of tickets those that the buyer holds go back.
    keyed(&carlo, &path, json!({})).await.expect(201);
    assert_eq!(stage.stock(kind).await, (0, 1));
    code(&vera, ticket).await;
    // Whoever runs the event may take any ticket back.
    let handed_on = json!({"ticket_ids": [ticket]});
    keyed(&stage.olga, &path, handed_on).await.expect(201);
    assert_eq!(stage.stock(kind).await, (0, 0));
    stage.sound().await;
}

/// Each offer sends a message to somebody who didn't ask for it, so offers are limited.
#[tokio::test]
async fn o8_a_ticket_is_offered_so_often_in_a_day() {
    let stage = Stage::without_provider().await;
    let vera = stage.server.member("vera_the_pestered").await;
    let (_, tickets) = bought(&stage, 0, 2).await;
    for _ in 0..10 {
        let offered = offer(&stage.mira, &tickets[0], &vera).await.expect(201);
        act(&stage.mira, &offered.id(), "withdraw")
            .await
            .expect(200);
    }
    let refused = offer(&stage.mira, &tickets[0], &vera).await.expect(429);
    let wait = refused.header("retry-after").expect("when to come again");
    let wait: u64 = wait.parse().expect("seconds");
    assert!((80_000..=86_400).contains(&wait), "{wait}");
    offer(&stage.mira, &tickets[1], &vera).await.expect(201);
    run(
        &stage,
        "set session_replication_role = replica; update app.ticket_transfers set created_at = created_at - interval '1 day'".to_owned(),
    )
    .await;
    offer(&stage.mira, &tickets[0], &vera).await.expect(201);
}

#[tokio::test]
async fn o8_offers_are_for_members_whom_one_may_see() {
    let stage = Stage::without_provider().await;
    let vera = stage.server.member("vera_in_public").await;
    let hidden = stage.server.member("hidden_henry").await;
    let gone = stage.server.member("gone_greta").await;
    run(
        &stage,
        format!(
            "update app.users set is_public = false where id = '{}'",
            hidden.id
        ),
    )
    .await;
    run(
        &stage,
        format!(
            "update app.users set status = 'suspended' where id = '{}'",
            gone.id
        ),
    )
    .await;
    let (_, tickets) = bought(&stage, 0, 2).await;
    let path = format!("/tickets/{}/transfers", tickets[0]);
    let mut told = Vec::new();
    for body in [
        json!({"to_id": hidden.id}),
        json!({"to_handle": "hidden_henry"}),
        json!({"to_id": gone.id}),
        json!({"to_handle": "nobody_at_all"}),
    ] {
        let refused = stage.mira.client.post(&path, body).await.expect(422);
        told.push(refused.json["errors"][0]["detail"].clone());
    }
    // A hidden member and one who doesn't exist get the same answer.
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    for body in [
        json!({}),
        json!({"to_id": vera.id, "to_handle": "vera_in_public"}),
        json!({"to_id": stage.mira.id}),
    ] {
        stage.mira.client.post(&path, body).await.expect(422);
    }
    // Declined and withdrawn offers change nothing, and make another offer possible.
    let declined = offer(&stage.mira, &tickets[0], &vera).await.expect(201);
    act(&vera, &declined.id(), "decline").await.expect(200);
    act(&vera, &declined.id(), "accept").await.expect(409);
    let withdrawn = offer(&stage.mira, &tickets[0], &vera).await.expect(201);
    act(&stage.mira, &withdrawn.id(), "withdraw")
        .await
        .expect(200);
    act(&vera, &withdrawn.id(), "accept").await.expect(409);
    // A suspended member can't transfer a ticket.
    let offered = offer(&stage.mira, &tickets[1], &vera).await.expect(201);
    run(
        &stage,
        format!(
            "update app.users set status = 'suspended' where id = '{}'",
            stage.mira.id
        ),
    )
    .await;
    act(&vera, &offered.id(), "accept").await.expect(409);
}

#[tokio::test]
async fn o8_what_ends_a_ticket_ends_its_offer() {
    let stage = Stage::without_provider().await;
    let vera = stage.server.member("vera_too_late").await;
    let (order, tickets) = bought(&stage, 0, 4).await;
    let mut offers = Vec::new();
    for ticket in &tickets[..3] {
        offers.push(offer(&stage.mira, ticket, &vera).await.expect(201).id());
    }
    // Refunded.
    let refunds = format!("/orders/{order}/refunds");
    let body = json!({"ticket_ids": [tickets[0]]});
    keyed(&stage.mira, &refunds, body).await.expect(201);
    // Used.
    let used = code(&stage.mira, &tickets[1]).await;
    assert_eq!(scan(&stage, &used).await, "ok");
    // The offer has expired, and the sweeper hasn't run.
    let over = format!(
        "update app.ticket_transfers set expires_at = now() - interval '1 second' where id = '{}'",
        offers[2]
    );
    run(&stage, over).await;
    for transfer in &offers {
        let refused = act(&vera, transfer, "accept").await.expect(409);
        assert_eq!(refused.problem(), "invalid-state");
    }
    // Offers that another transaction has locked are skipped, and a refused request ends a moment after its answer.
    let tickets_module = &stage.server.built.app.modules.tickets;
    let mut swept = 0;
    for _ in 0..100 {
        swept += tickets_module.expire_transfers().await.expect("swept");
    }
    assert_eq!(swept, 1);
    for transfer in &offers {
        let shown = vera
            .client
            .get(&format!("/ticket-transfers/{transfer}"))
            .await;
        assert_eq!(shown.expect(200).json["state"], "expired");
    }
    // Tickets of an event that is over or doesn't take place can't be transferred.
    let offered = offer(&stage.mira, &tickets[3], &vera).await.expect(201);
    for (change, back) in [
        ("state = 'cancelled'", "state = 'published'"),
        (
            "starts_at = now() - interval '2 days', ends_at = now() - interval '1 day'",
            "starts_at = '2041-05-01T18:00Z', ends_at = '2041-05-01T20:00Z'",
        ),
    ] {
        // Without triggers, so that nobody is notified and no job refunds everything meanwhile.
        let set = |what: &str| {
            format!(
                "set session_replication_role = replica; update app.events set {what} where id = '{}'",
                stage.event
            )
        };
        run(&stage, set(change)).await;
        act(&vera, &offered.id(), "accept").await.expect(409);
        run(&stage, set(back)).await;
    }
    // Neither can tickets whose payment is disputed.
    let disputed = format!(
        "with paid as (
           insert into app.transactions (user_id, order_id, type, amount_cents, currency, status, stripe_idempotency_key)
           select o.user_id, o.id, 'ticket', o.card_cents, o.currency, 'succeeded', 'a disputed payment'
           from app.orders o where o.id = '{order}' returning id, order_id, amount_cents, currency
         )
         insert into app.disputes (order_id, transaction_id, amount_cents, currency, reason, stripe_dispute_id)
         select order_id, id, amount_cents, currency, 'fraudulent', 'dp_test' from paid"
    );
    run(&stage, disputed).await;
    act(&vera, &offered.id(), "accept").await.expect(409);
    run(&stage, "update app.disputes set state = 'won'".to_owned()).await;
    act(&vera, &offered.id(), "accept").await.expect(200);
    stage.sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o8_one_of_many_accepts_wins() {
    let stage = Stage::without_provider().await;
    let vera = stage.server.member("vera_in_a_hurry").await;
    let (_, tickets) = bought(&stage, 0, 1).await;
    let transfer = offer(&stage.mira, &tickets[0], &vera)
        .await
        .expect(201)
        .id();
    let accepts = (0..30).map(|_| act(&vera, &transfer, "accept"));
    let answers = join_all(accepts).await;
    let count = |status: u16| answers.iter().filter(|a| a.status == status).count();
    assert_eq!((count(200), count(409)), (1, 29));
    let version: i32 =
        sqlx::query_scalar("select secret_version from app.tickets where id = $1::text::uuid")
            .bind(&tickets[0])
            .fetch_one(&mut stage.server.superuser().await)
            .await
            .expect("a ticket");
    assert_eq!(version, 2);
    // Accepted, refunded and scanned at the same moment: the first one wins, and the others see its effect.
    for round in 0..8 {
        let (order, tickets) = bought(&stage, 0, 1).await;
        let ticket = &tickets[0];
        let transfer = offer(&stage.mira, ticket, &vera).await.expect(201).id();
        let old = code(&stage.mira, ticket).await;
        let path = format!("/orders/{order}/refunds");
        let (accepted, refunded, scanned) = tokio::join!(
            act(&vera, &transfer, "accept"),
            keyed(&stage.mira, &path, json!({})),
            scan(&stage, &old),
        );
        let done = [
            accepted.status == 200,
            refunded.status == 201,
            scanned == "ok",
        ];
        let times = done.iter().filter(|done| **done).count();
        assert_eq!(times, 1, "round {round}: {done:?} {scanned}");
    }
    stage.sound().await;
}

/// The negative control: without the trigger an offer outlives its ticket, and the view reports it.
#[tokio::test]
async fn o8_notices_an_offer_of_a_ticket_that_was_given_back() {
    let stage = Stage::without_provider().await;
    let vera = stage.server.member("vera_the_control").await;
    run(
        &stage,
        "drop trigger tickets_end_transfers on app.tickets".to_owned(),
    )
    .await;
    let (order, tickets) = bought(&stage, 0, 1).await;
    let transfer = offer(&stage.mira, &tickets[0], &vera)
        .await
        .expect(201)
        .id();
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    let found = super::all_faults(stage.server.superuser().await.looking()).await;
    let fault = format!("offered and not to be handed on ticket_transfer {transfer}");
    assert!(found.contains(&fault), "{found:?}");
    // Accepting checks the state of the ticket all the same.
    act(&vera, &transfer, "accept").await.expect(409);
}

#[tokio::test]
async fn o8_money_goes_back_to_the_buyer_and_only_the_organiser_takes_a_ticket_from_its_holder() {
    let stage = Stage::without_provider().await;
    let vera = stage.server.member("vera_the_guest").await;
    stage.credits(&stage.mira, 10_000).await;
    let (order, tickets) = bought(&stage, 2_500, 2).await;
    let transfer = offer(&stage.mira, &tickets[0], &vera)
        .await
        .expect(201)
        .id();
    act(&vera, &transfer, "accept").await.expect(200);
    let path = format!("/orders/{order}/refunds");
    let handed_on = json!({"ticket_ids": [tickets[0]], "to": "wallet"});
    keyed(&vera, &path, handed_on.clone()).await.expect(404);
    let refused = keyed(&stage.mira, &path, handed_on.clone()).await;
    assert_eq!(refused.expect(409).problem(), "invalid-state");
    // "All that are left" means those that the buyer still holds.
    let back = keyed(&stage.mira, &path, json!({"to": "wallet"})).await;
    assert_eq!(back.expect(201).json["amount_cents"], 2_500);
    assert_eq!(stage.wallet(&stage.mira).await, (7_500, 0));
    let back = keyed(&stage.olga, &path, handed_on).await.expect(201);
    assert_eq!(back.json["amount_cents"], 2_500);
    assert_eq!(stage.wallet(&stage.mira).await, (10_000, 0));
    assert_eq!(stage.wallet(&vera).await, (0, 0));
    let mine = code(&vera, &tickets[0]).await;
    assert_eq!(scan(&stage, &mine).await, "refunded");
    stage.sound().await;
}
