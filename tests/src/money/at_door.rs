//! Sales at the door: the tickets are the guests', who have no account here, and none of those who sold them.

use super::stage::{Stage, keyed};
use crate::support::Member;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;

/// Another administrator of the host, and the id of their role.
async fn colleague(stage: &Stage) -> (Member, String) {
    let member = stage.server.member("at_the_till").await;
    let path = format!("/events/{}", stage.event);
    let event = stage.olga.client.get(&path).await.expect(200);
    let host = event.json["host_id"].clone();
    let host = host.as_str().expect("an id").parse().expect("an id");
    stage
        .server
        .grant(&member, "orgAdmin", Some(("organization", host)))
        .await;
    let mine = format!("/role-assignments?user_id={}", member.id);
    let roles = member.client.get(&mine).await.expect(200).json;
    let role = roles["data"][0]["id"].as_str().expect("a role").to_owned();
    (member, role)
}

/// Whoever sold at the door keeps nothing of it once they are dismissed: neither codes nor the right to hand tickets on, to
/// record refunds in cash, or to see what guests see. The host keeps all of it. The negative control is a buyer online.
#[tokio::test]
async fn what_was_sold_at_the_door_is_not_the_sellers() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 2_000, 10).await;
    let (seller, role) = colleague(&stage).await;
    let cart = stage.cart(&[(seat, 2)], false);
    let sold = keyed(&seller, "/door-sales", cart).await.expect(201).id();
    let bought = stage.order(&stage.mira, &[(seat, 1)], false).await;
    let bought = bought.expect(201).id();
    stage.pay(&stage.mira, &bought, json!({})).await.expect(200);
    stage.confirm(&bought, "4242424242424242").await;
    stage.server.settled().await;

    let path = format!("/orders/{sold}/tickets");
    let tickets = stage.olga.client.get(&path).await.expect(200).json;
    let ids: Vec<&str> = (0..2)
        .map(|n| tickets["data"][n]["id"].as_str().expect("an id"))
        .collect();
    // The till prints them.
    let shown = seller.client.get(&format!("/tickets/{}", ids[0])).await;
    let shown = shown.expect(200).json;
    assert!(shown["code"].is_string() && shown["holder_id"] == Value::Null);
    let picture = format!("/tickets/{}/qr.svg", ids[0]);
    seller.client.get(&picture).await.expect(200);

    let path = format!("/role-assignments/{role}");
    stage.olga.client.delete(&path).await.expect(204);
    for path in [
        format!("/orders/{sold}"),
        format!("/tickets/{}", ids[0]),
        picture.clone(),
    ] {
        seller.client.get(&path).await.expect(404);
    }
    let offer = format!("/tickets/{}/transfers", ids[0]);
    let to = json!({"to_id": stage.mira.id});
    keyed(&seller, &offer, to.clone()).await.expect(404);
    let refund = format!("/orders/{sold}/refunds");
    let one = json!({"ticket_ids": [ids[1]]});
    keyed(&seller, &refund, one.clone()).await.expect(404);
    let event = format!("/events/{}", stage.event);
    let seen = async |who: &Member| who.client.get(&event).await.expect(200).json;
    assert_eq!(seen(&seller).await.get("online_url"), None);
    assert!(seen(&stage.mira).await["online_url"].is_string());
    let home = seller.client.get("/me/home").await.expect(200);
    assert!(
        !home.text.contains(&stage.event.to_string()),
        "{}",
        home.text
    );

    // The host looks after them, and does not own them either.
    stage.olga.client.get(&picture).await.expect(200);
    let refused = keyed(&stage.olga, &offer, to).await;
    assert!(
        [403, 404].contains(&refused.status.as_u16()),
        "{}",
        refused.text
    );
    let attendees = format!("/events/{}/attendees", stage.event);
    let attendees = stage.olga.client.get(&attendees).await.expect(200).json;
    let of_door = |row: &&Value| row["holder_id"] == Value::Null;
    let rows = attendees["data"].as_array().expect("rows");
    assert_eq!((rows.iter().filter(of_door).count(), rows.len()), (2, 3));
    let scan = json!({"event_id": stage.event, "code": shown["code"], "nonce": "at-the-door-0001", "device": "till", "gate": "A"});
    let scan = stage.olga.client.post("/check-ins", scan).await.expect(200);
    assert_eq!(scan.json["ticket_id"], ids[0], "{}", scan.text);
    let back = keyed(&stage.olga, &refund, one).await.expect(201).json;
    assert_eq!(back["cash_cents"], 2_000);
    stage.sound().await;
}

/// The city and the platform help at the door, but don't sell in the name of a host.
#[tokio::test]
async fn only_the_host_sells_at_its_door() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 2_000, 10).await;
    let carlo = stage.server.sign_in(PEOPLE[1].id).await;
    let path = format!("/events/{}", stage.event);
    for (who, may) in [(&carlo, false), (&stage.paula, false), (&stage.olga, true)] {
        let shown = who.client.get(&path).await.expect(200).json;
        let actions = shown["allowed_actions"].as_array().expect("actions");
        let has = |name: &str| actions.iter().any(|action| action == name);
        assert!(has("check_in"));
        assert_eq!(has("sell_at_door"), may);
        let sold = keyed(who, "/door-sales", stage.cart(&[(seat, 1)], false)).await;
        sold.expect(if may { 201 } else { 403 });
    }
    assert_eq!(stage.stock(seat).await, (0, 1));
    stage.sound().await;
}

/// Administrators of a host who buy from it with credits would be sent them as money. Credits pay the platform's part
/// alone there. The negative control is another member with the same credits.
#[tokio::test]
async fn w4_credits_are_not_paid_out_through_ones_own_event() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 2_000, 10).await;
    for member in [&stage.olga, &stage.mira] {
        stage.credits(member, 2_000).await;
    }
    let price = async |member: &Member| {
        let cart = stage.cart(&[(seat, 1)], true);
        let price = member.client.post("/orders/price", cart).await;
        price.expect(200).json
    };
    let (own, other) = (price(&stage.olga).await, price(&stage.mira).await);
    assert_eq!(other["wallet_cents"], 2_000);
    let part = own["wallet_cents"].as_i64().expect("cents");
    assert!((0..500).contains(&part), "{own}");
    let bought = stage.order(&stage.olga, &[(seat, 1)], true).await;
    let bought = bought.expect(201).json;
    assert_eq!(bought["wallet_cents"], part);
    let top_up = "select top_up_cents from app.orders where id";
    let top_up = format!("{top_up} = '{}'", bought["id"].as_str().expect("an id"));
    assert_eq!(stage.number(&top_up).await, 0);
    stage.sound().await;
}
