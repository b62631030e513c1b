//! Answers that are stored after the work is done, and cannot be stored, or not at once.

use super::{
    KEY,
    required::{Paid, paid},
    send,
};
use crate::trending::stage::run;
use serde_json::json;
use std::sync::atomic::Ordering::SeqCst;

/// The statement on the keys with the number `at` is stopped, as by a deadlock; 0: each one that stores an answer.
const STUMBLE: &str = "
    create schema tests;
    create sequence tests.writes;
    create function tests.stumble() returns trigger language plpgsql security definer as $$
    begin
      if AT = 0 and new.status is not null or nextval('tests.writes') = AT then
        raise exception 'stopped' using errcode = 'CODE';
      end if;
      return new;
    end
    $$;
    create trigger stumble before insert or update on requests.keys for each row execute function tests.stumble()";

async fn stumble(paid: &Paid, at: u32, code: &str) {
    let text = STUMBLE.replace("AT", &at.to_string()).replace("CODE", code);
    let mut conn = paid.server.superuser().await;
    run(&mut conn, text).await;
}

/// The key is claimed with one statement and the answer stored with another one.
#[tokio::test]
async fn k6_a_key_that_meets_a_deadlock_is_claimed_and_answered_nevertheless() {
    for at in [1, 2] {
        let paid = paid().await;
        stumble(&paid, at, "40P01").await;
        let client = &paid.ana.client;
        let first = send(client, "/payments/good", KEY, json!({})).await;
        first.expect(201);
        let again = send(client, "/payments/good", KEY, json!({})).await;
        assert_eq!(
            again.expect(201).header("idempotent-replayed"),
            Some("true")
        );
        assert_eq!(paid.handler.runs.load(SeqCst), 1, "at {at}");
    }
}

/// The work is done by then. An answer that says that nothing was changed would have it done twice, with another key.
#[tokio::test]
async fn k3_an_answer_that_cannot_be_stored_is_given_nevertheless() {
    for code in ["40P01", "53100", "XX000"] {
        let paid = paid().await;
        stumble(&paid, 0, code).await;
        let client = &paid.ana.client;
        let first = send(client, "/payments/good", KEY, json!({})).await;
        assert_eq!(first.expect(201).text, "run 1, attempt 1", "{code}");
        // For as long as the claim lasts, nobody else does the work; after that, whoever does knows that it was begun.
        let busy = send(client, "/payments/good", KEY, json!({})).await;
        assert_eq!(busy.expect(409).problem(), "request-in-progress");
        let later = "drop trigger stumble on requests.keys; update requests.keys set locked_until = now() - interval '1 s'";
        let mut conn = paid.server.superuser().await;
        run(&mut conn, later.to_owned()).await;
        let again = send(client, "/payments/good", KEY, json!({})).await;
        assert_eq!(again.expect(201).text, "run 2, attempt 2", "{code}");
    }
}
