//! What a broadcast may say: ticket types of its own event, however their ids are written, and a time that is to come.

use crate::{money::stage::keyed, notifications::stage::Guests, support::Answer};
use serde_json::{Value, json};
use uuid::Uuid;

async fn write(guests: &Guests, more: Value) -> Answer {
    let mut body = json!({"event_id": guests.event, "title": "Bring a coat", "message": "It is cold in there."});
    let more = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    guests.olga.client.post("/broadcasts", body).await
}

async fn preview(guests: &Guests, broadcast: &str) -> Value {
    let path = format!("/broadcasts/{broadcast}/preview");
    guests.olga.client.get(&path).await.expect(200).json["recipients"].clone()
}

/// Pointers and codes of what is wrong.
fn wrong(answer: &Answer) -> Vec<(String, String)> {
    let errors = answer.json["errors"].as_array().expect("errors");
    let text = |error: &Value, key: &str| error[key].as_str().unwrap_or_default().to_owned();
    errors
        .iter()
        .map(|error| (text(error, "pointer"), text(error, "code")))
        .collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter()
        .map(|(pointer, code)| ((*pointer).to_owned(), (*code).to_owned()))
        .collect()
}

#[tokio::test]
async fn od5_a_broadcast_names_ticket_types_of_its_event_in_any_case() {
    let guests = Guests::new().await;
    let box_seat = guests.tickets("Box", 0, 10).await;
    let eva = guests.server.member("eva_in_the_box").await;
    keyed(&eva, "/orders", guests.cart(&[(box_seat, 1)], false))
        .await
        .expect(201);
    let elsewhere = guests.tickets("Elsewhere", 0, 10).await;
    guests
        .run(&format!(
            "set session_replication_role = replica;
             update app.ticket_types set event_id = '{}' where id = '{elsewhere}'",
            Uuid::now_v7()
        ))
        .await;
    let to = |ids: Value| json!({"audience": "ticket_types", "ticket_type_ids": ids});
    let upper = box_seat.to_string().to_uppercase();
    let made = write(&guests, to(json!([upper]))).await.expect(201);
    assert_eq!(made.json["ticket_type_ids"], json!([box_seat]));
    let broadcast = made.id();
    assert_eq!(preview(&guests, &broadcast).await, 1);
    for (ids, expected) in [
        (json!(["zz"]), pairs(&[("/ticket_type_ids/0", "format")])),
        (
            json!([box_seat, elsewhere]),
            pairs(&[("/ticket_type_ids/1", "reference")]),
        ),
        (
            json!([Uuid::now_v7(), box_seat, Uuid::now_v7()]),
            pairs(&[
                ("/ticket_type_ids/0", "reference"),
                ("/ticket_type_ids/2", "reference"),
            ]),
        ),
        (json!([]), pairs(&[("/ticket_type_ids", "length")])),
    ] {
        let refused = write(&guests, to(ids.clone())).await.expect(422);
        assert_eq!(wrong(&refused), expected, "{ids}");
        if ids != json!([]) {
            let path = format!("/broadcasts/{broadcast}");
            let body = json!({"ticket_type_ids": ids});
            let refused = guests.olga.client.patch(&path, "*", body).await;
            assert_eq!(wrong(&refused.expect(422)), expected, "{ids}");
        }
    }
    // Rows of before: one in upper case reaches its guests, others can't be scheduled, by whomever.
    for (stored, recipients, status) in [
        (format!("{{{upper}}}"), 1, 200),
        ("{zz}".to_owned(), 0, 409),
        ("{}".to_owned(), 0, 409),
    ] {
        let draft = write(&guests, to(json!([box_seat]))).await.expect(201).id();
        guests
            .run(&format!(
                "set session_replication_role = replica;
                 update app.broadcasts set ticket_type_ids = '{stored}' where id = '{draft}'"
            ))
            .await;
        assert_eq!(preview(&guests, &draft).await, recipients, "{stored}");
        let path = format!("/broadcasts/{draft}/schedule");
        guests.olga.client.act(&path).await.expect(status);
        if status == 409 {
            let past_the_hook = sqlx::query(
                "update app.broadcasts set state = 'scheduled' where id = $1::text::uuid",
            )
            .bind(&draft)
            .execute(&mut guests.server.superuser().await)
            .await
            .expect_err("refused");
            let constraint = kernel::error::violated(&past_the_hook);
            assert_eq!(constraint, Some("broadcasts_ticket_types"), "{stored}");
        }
    }
}

#[tokio::test]
async fn od5_a_broadcast_is_not_sent_in_the_past() {
    let guests = Guests::new().await;
    let past = json!({"send_at": "2020-01-01T00:00:00Z"});
    let refused = write(&guests, past.clone()).await.expect(422);
    assert_eq!(wrong(&refused), pairs(&[("/send_at", "range")]));
    let later = json!({"send_at": "2040-01-01T00:00:00Z"});
    let draft = write(&guests, later).await.expect(201).id();
    let path = format!("/broadcasts/{draft}");
    let patch = async |body: Value| guests.olga.client.patch(&path, "*", body).await;
    let refused = patch(past.clone()).await.expect(422);
    assert_eq!(wrong(&refused), pairs(&[("/send_at", "range")]));
    // The time of a draft has passed meanwhile: what it has already may be sent again.
    guests
        .run(&format!(
            "set session_replication_role = replica;
             update app.broadcasts set send_at = '2020-01-01T00:00:00Z' where id = '{draft}'"
        ))
        .await;
    patch(past).await.expect(200);
    patch(json!({"send_at": null})).await.expect(200);
}
