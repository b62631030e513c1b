//! `future` in the spec: what requests may write and what others may, for every such field, and that it is the triggers
//! that refuse.

use super::world::{attempt, reason};
use crate::support::{
    database::{Content, Database},
    model,
};
use codegen::{
    emit::schema::names,
    model::{Entity, Field, Future, Ty},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// A field and its triggers.
struct Limit<'a> {
    entity: &'a Entity,
    field: &'a Field,
    future: Future,
}

impl Limit<'_> {
    fn table(&self) -> String {
        names::table(self.entity)
    }

    fn name(&self) -> String {
        names::future(self.entity, &self.field.name)
    }

    /// The latest value that is not in the future.
    fn present(&self) -> &'static str {
        match self.field.ty {
            Ty::Date => "(now() at time zone 'UTC')::date",
            _ => "now()",
        }
    }

    /// A value that has passed.
    fn passed(&self) -> &'static str {
        match self.field.ty {
            Ty::Date => "(now() at time zone 'UTC')::date - 1",
            _ => "now() - interval '1 second'",
        }
    }

    /// A value that is in the future, barely.
    fn next(&self) -> &'static str {
        match self.field.ty {
            Ty::Date => "(now() at time zone 'UTC')::date + 1",
            _ => "now() + interval '1 microsecond'",
        }
    }

    fn is_changed(&self) -> bool {
        self.entity.access.update.is_some() && !self.field.fixed
    }

    fn set(&self, value: &str, row: Uuid) -> String {
        format!(
            "update {} set {} = {value} where id = '{row}'",
            self.table(),
            self.field.name
        )
    }

    async fn triggers(&self, conn: &mut PgConnection) -> Vec<String> {
        let names = [
            self.name(),
            names::future_when_created(self.entity, &self.field.name),
        ];
        sqlx::query_scalar(
            "select t.tgname::text from pg_trigger t join pg_proc p on p.oid = t.tgfoid
             where t.tgrelid = $1::regclass and p.proname = 'refuse_past' and t.tgname = any ($2) order by 1",
        )
        .bind(self.table())
        .bind(names)
        .fetch_all(conn)
        .await
        .expect("triggers")
    }

    /// A row whose other columns allow a time that has just passed. The row has it from now on.
    async fn row(&self, conn: &mut PgConnection) -> Uuid {
        let all: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select id from {} order by id",
            self.table()
        )))
        .fetch_all(&mut *conn)
        .await
        .expect("rows");
        for row in all {
            if attempt(&mut *conn, unguarded(&self.set(self.passed(), row)))
                .await
                .is_ok()
            {
                return row;
            }
            attempt(&mut *conn, "rollback").await.expect("an end");
        }
        panic!("{} has no row for this test", self.table());
    }
}

fn limits() -> Vec<Limit<'static>> {
    let entities = model().entities.iter();
    entities
        .flat_map(|entity| entity.fields.iter().map(move |field| (entity, field)))
        .filter_map(|(entity, field)| {
            let future = field.future?;
            Some(Limit {
                entity,
                field,
                future,
            })
        })
        .collect()
}

/// Without triggers, as a dump is restored.
fn unguarded(change: &str) -> String {
    format!("begin; set local session_replication_role = replica; {change}; commit")
}

/// As the role of requests, with the action `update`. Row-level security is off, since it is not what is tested.
async fn request(conn: &mut PgConnection, change: &str) -> Result<u64, String> {
    let mut tx = conn.begin().await.expect("begin");
    let enter = "set local role culturepass_app; set local app.action = 'update'";
    attempt(&mut *tx, enter).await.expect("entered");
    let done = sqlx::query(AssertSqlSafe(change.to_owned()))
        .execute(&mut *tx)
        .await;
    let told = done
        .map(|done| done.rows_affected())
        .map_err(|error| reason(&error));
    tx.rollback().await.expect("rollback");
    told
}

#[tokio::test]
async fn past_times_are_refused_by_the_tables_themselves() {
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    let limits = limits();
    assert!(limits.len() >= 6, "{}", limits.len());
    // What a quote was sent for is not changed at all.
    let declined =
        "set session_replication_role = replica; update app.quotes set state = 'declined';
         set session_replication_role = origin";
    attempt(&mut conn, declined.to_owned())
        .await
        .expect("declined");
    for limit in &limits {
        let (table, name) = (limit.table(), limit.name());
        let guards_changes = limit.future == Future::Always && limit.is_changed();
        let triggers = limit.triggers(&mut conn).await;
        assert_eq!(triggers.len(), 1 + usize::from(guards_changes), "{name}");
        if !limit.is_changed() {
            continue;
        }
        attempt(
            &mut conn,
            format!("alter table {table} disable row level security"),
        )
        .await
        .expect("off");
        let row = limit.row(&mut conn).await;
        let refused = match guards_changes {
            true => Err(format!("23514 {name}")),
            false => Ok(1),
        };
        // The row holds a past time: the same may be sent again, another may not, and a future one may.
        let same = limit.set(&limit.field.name, row);
        assert_eq!(request(&mut conn, &same).await, Ok(1), "{name}");
        let now = limit.set(limit.present(), row);
        assert_eq!(request(&mut conn, &now).await, refused, "{name}");
        let next = limit.set(limit.next(), row);
        assert_eq!(request(&mut conn, &next).await, Ok(1), "{name}");
        // Who is no request is not asked.
        let mut tx = conn.begin().await.expect("begin");
        assert_eq!(attempt(&mut *tx, now.clone()).await, Ok(1), "{name}");
        tx.rollback().await.expect("rollback");
        // The negative control: without the triggers nothing is refused.
        for trigger in triggers {
            attempt(&mut conn, format!("drop trigger {trigger} on {table}"))
                .await
                .expect("dropped");
        }
        assert_eq!(request(&mut conn, &now).await, Ok(1), "{name}");
    }
}
