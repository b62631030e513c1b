//! K3: a request that is one transaction stores its answer in it; one that calls another service stores its command before
//! the call. So whatever is lost, a repeated request finds either nothing or all of it.

use super::stage::{Stage, keyed, keyed_by};
use crate::support::Member;
use serde_json::{Value, json};
use uuid::Uuid;

/// Makes it impossible to store answers, whoever does it.
const LOSE: &str = "
  create function public.lose() returns trigger language plpgsql as $$
  begin raise exception 'the disk is full' using errcode = '53100'; end $$;
  create trigger lose before update of status on requests.keys for each row execute function public.lose()";

const FIND: &str = "drop function public.lose() cascade; update requests.keys set locked_until = now() where status is null";

/// The number of rows in tables of money, and the tickets that are held and sold.
const ROWS: &str = "select (select count(*) from app.orders) + (select count(*) from app.tickets) + (select count(*) from app.refunds)
    + (select count(*) from app.wallet_journals) + (select count(*) from app.wallet_holds)
    + (select count(*) from jobs.events) + (select sum(held + sold) from app.ticket_types)::int8";

impl Stage {
    /// Sends a request whose answer can't be stored, and then again. Returns how many rows the first one and both left.
    /// The first one is answered as what it is: done or not.
    async fn unkept(&self, by: &Member, path: &str, body: Value) -> (i64, i64) {
        self.server.settled().await;
        let before = self.number(ROWS).await;
        let key = Uuid::now_v7().to_string();
        self.run(LOSE).await;
        let lost = keyed_by(by, path, &key, body.clone()).await;
        let first = self.number(ROWS).await - before;
        assert_eq!(
            lost.status.is_server_error(),
            first == 0,
            "{path}: {}",
            lost.text
        );
        assert_eq!(
            lost.status.is_success(),
            first != 0,
            "{path}: {}",
            lost.text
        );
        self.run(FIND).await;
        let again = keyed_by(by, path, &key, body).await;
        assert!(again.status.is_success(), "{path}: {}", again.text);
        (first, self.number(ROWS).await - before)
    }
}

/// What repeats a request whose answer was lost.
#[derive(Debug, PartialEq, Eq)]
enum Remembered {
    /// The answer, which is stored with the work, so that nothing was done.
    WithAnswer,
    /// The key in the row that was made, which stays when answers are deleted, so that the same row is found.
    ByItsRow,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k3_work_of_one_transaction_is_kept_with_its_answer_or_its_key() {
    let stage = Stage::new().await;
    let (mira, olga, paula) = (&stage.mira, &stage.olga, &stage.paula);
    let seat = stage.tickets("Seat", 1_000, 50).await;
    stage.credits(mira, 10_000).await;
    let cart = stage.cart(&[(seat, 2)], true);
    let by_card = stage.cart(&[(seat, 2)], false);
    let order = keyed(mira, "/orders", cart.clone()).await.expect(201).id();
    let unpaid = keyed(mira, "/orders", by_card).await.expect(201).id();
    let budget = json!({"amount_cents": 5_000, "reference": "Spring"});
    let gift = json!({"user_id": mira.id, "kind": "event_credit", "amount_cents": 700, "currency": "AUD", "reference": "A gift"});
    let at_door = stage.cart(&[(seat, 1)], false);
    for (by, path, body, how) in [
        (
            mira,
            format!("/orders/{unpaid}/cancel"),
            json!({}),
            Remembered::WithAnswer,
        ),
        (
            mira,
            format!("/orders/{order}/refunds"),
            json!({}),
            Remembered::WithAnswer,
        ),
        (mira, "/orders".to_owned(), cart, Remembered::ByItsRow),
        (
            olga,
            "/door-sales".to_owned(),
            at_door,
            Remembered::ByItsRow,
        ),
        (
            paula,
            "/wallet/budgets/AUD/fundings".to_owned(),
            budget,
            Remembered::ByItsRow,
        ),
        (
            paula,
            "/wallet/credits".to_owned(),
            gift,
            Remembered::ByItsRow,
        ),
    ] {
        let (first, both) = stage.unkept(by, &path, body).await;
        assert_ne!(both, 0, "{path}: nothing was done");
        let expected = match how {
            Remembered::WithAnswer => 0,
            Remembered::ByItsRow => both,
        };
        assert_eq!(first, expected, "{path}: {how:?}");
    }
    stage.sound().await;
}

/// The payment is a row with its key before the service is called, so a repeated request continues it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k3_a_call_of_another_service_is_written_down_before_it_is_made() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 1_000, 50).await;
    let order = stage.order(&stage.mira, &[(seat, 2)], false).await;
    let order = order.expect(201).id();
    let path = format!("/orders/{order}/payments");
    let key = Uuid::now_v7().to_string();
    let written = format!("select count(*) from app.transactions where order_id = '{order}'");
    stage.run(LOSE).await;
    keyed_by(&stage.mira, &path, &key, json!({}))
        .await
        .expect(200);
    assert_eq!(stage.number(&written).await, 1);
    stage.run(FIND).await;
    let again = keyed_by(&stage.mira, &path, &key, json!({})).await;
    again.expect(200);
    assert_eq!(stage.number(&written).await, 1);
    let made = stage.stripe.fake.all("payment_intents").into_iter();
    let made = made.filter(|one| one["metadata"]["order_id"] == *order);
    assert_eq!(made.count(), 1);
    stage.stripe.deliver(&stage.server).await;
    stage.confirm(&order, "4242424242424242").await;
    stage.sound().await;
}
