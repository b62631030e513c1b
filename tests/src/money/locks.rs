//! The order of locks of those who take tickets and those who give them back: the event, in whose row its tickets are
//! counted, then its ticket types. The other way round, purchases and refunds of one event deadlock, and each deadlock
//! keeps everybody waiting for a second.

use super::stage::{Stage, keyed};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection};
use std::time::Duration;
use uuid::Uuid;

impl Stage {
    pub async fn function(&self, signature: &str) -> String {
        let text = format!("select pg_get_functiondef('{signature}'::regprocedure)");
        sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_one(&mut self.server.superuser().await)
            .await
            .expect("a function")
    }

    /// Does something while a ticket type is locked. Returns its outcome, and whether it has locked the event before it
    /// waited for the type.
    async fn while_locked<T>(&self, kind: Uuid, act: impl Future<Output = T>) -> (T, bool) {
        // A job of what was done before must not be the one that waits.
        self.server.settled().await;
        let mut holder = self.server.superuser().await;
        let mut held = holder.begin().await.expect("a transaction");
        let row = format!("select from app.ticket_types where id = '{kind}' for no key update");
        sqlx::query(AssertSqlSafe(row))
            .execute(&mut *held)
            .await
            .expect("a row");
        tokio::join!(act, async {
            let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            while self.number(waiting).await < 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let event = format!(
                "select from app.events where id = '{}' for no key update nowait",
                self.event
            );
            let mut other = self.server.superuser().await;
            let free = sqlx::query(AssertSqlSafe(event)).execute(&mut other).await;
            held.rollback().await.expect("let go");
            free.is_err()
        })
    }
}

#[tokio::test]
async fn o1_o6_the_event_is_locked_before_its_ticket_types() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 2_500, 50).await;
    stage.credits(&stage.mira, 50_000).await;
    for is_kept in [true, false] {
        if !is_kept {
            // The control.
            let text = stage.function("app.lock_event(uuid)").await;
            let careless = text.replace("for no key update", "");
            assert_ne!(careless, text);
            stage.run(careless).await;
        }
        // Paid at once: by credits, and in cash.
        let placed = async { stage.order(&stage.mira, &[(kind, 2)], true).await };
        let (placed, is_first) = stage.while_locked(kind, placed).await;
        assert_eq!(placed.expect(201).json["state"], "paid");
        assert_eq!(is_first, is_kept);
        let cart = stage.cart(&[(kind, 1)], false);
        let sold = async { keyed(&stage.olga, "/door-sales", cart).await };
        let (sold, is_first) = stage.while_locked(kind, sold).await;
        let sold = sold.expect(201).id();
        assert_eq!(is_first, is_kept);
        // Paid late, whether the order was released before or not.
        for is_swept in [false, true] {
            let late = stage.order(&stage.mira, &[(kind, 1)], false).await;
            let late = late.expect(201).id();
            stage.run_out(&late).await;
            if is_swept {
                let tickets = &stage.server.built.app.modules.tickets;
                tickets.expire().await.expect("swept");
            }
            let (_, is_first) = stage.while_locked(kind, stage.paid(&late)).await;
            assert_eq!(stage.state(&late).await, "paid");
            assert_eq!(is_first, is_kept, "{is_swept}");
        }
        // Paid in time, and given back: these change tickets first, whatever happens.
        let waits = stage.order(&stage.mira, &[(kind, 1)], false).await;
        let waits = waits.expect(201).id();
        let (_, is_first) = stage.while_locked(kind, stage.paid(&waits)).await;
        assert!(is_first);
        let path = format!("/orders/{sold}/refunds");
        let back = async { keyed(&stage.olga, &path, json!({})).await };
        let (back, is_first) = stage.while_locked(kind, back).await;
        back.expect(201);
        assert!(is_first);
    }
    stage.sound().await;
}
