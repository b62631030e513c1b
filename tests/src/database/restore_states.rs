//! A child whose own `restore` rule does not hold for its row stays archived when its parent is restored, and is
//! reported.

use super::cascade::{self, Edge, entity, run, set_status, settle, soft, status};
use crate::support::{Database, database::Content, model};
use codegen::model::{Expr, NamedExpr, Value};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// Entities whose `restore` rule checks something about the row that `delete` does not check: a change after which the
/// row can't be restored, and the pointer of the column that is reported.
const KEPT: [(&str, &str, &str); 1] = [("media", "purged_at = now()", "/purged_at")];

/// The columns that a rule compares or checks, except those that say whether the row was archived by its own member.
fn columns(rule: &Expr, conditions: &[NamedExpr], found: &mut BTreeSet<String>) {
    let mut add = |value: &Value| {
        if let Value::Column(name) = value {
            found.insert(name.clone());
        }
    };
    match rule {
        Expr::All(parts) | Expr::Any(parts) => {
            for part in parts {
                columns(part, conditions, found);
            }
        }
        Expr::Not(part) => columns(part, conditions, found),
        Expr::Condition(index) => columns(&conditions[*index].expr, conditions, found),
        Expr::Compare { left, right, .. } => {
            add(left);
            add(right);
        }
        Expr::In { value, .. } | Expr::IsNull(value) => add(value),
        Expr::Flag(name) if !name.starts_with("ended_by_") => {
            found.insert(name.clone());
        }
        _ => {}
    }
}

/// These entities according to the model, so that none is missing in [`KEPT`].
fn asked() -> BTreeSet<&'static str> {
    let asks = |id: &usize| {
        let of = entity(*id);
        let looks_at = |rule: &Option<Expr>| {
            let mut found = BTreeSet::new();
            if let Some(rule) = rule {
                columns(rule, &of.conditions, &mut found);
            }
            found
        };
        let delete = looks_at(&of.access.delete);
        let restore = looks_at(&of.access.restore);
        restore.difference(&delete).next().is_some() && !cascade::edges(*id).is_empty()
    };
    soft()
        .filter(asks)
        .map(|id| entity(id).name.as_str())
        .collect()
}

/// The child's status after its parent was archived and restored, and what was reported. `None` if there is no
/// suitable row.
async fn around(conn: &mut PgConnection, edge: Edge, change: &str) -> Option<(String, String)> {
    let way = [edge];
    for rows in cascade::rows(conn, &way).await {
        run(conn, "begin").await;
        settle(conn, &way, rows[1]).await;
        let mut found = None;
        if (set_status(conn, edge.parent, rows[1], "archived").await).is_ok() {
            let table = &entity(edge.child).plural;
            run(
                conn,
                format!("update app.{table} set {change} where id = '{}'", rows[0]),
            )
            .await;
            let restored = set_status(conn, edge.parent, rows[1], "active").await;
            restored.expect("the parent comes back");
            let told =
                "select coalesce((select jsonb_agg(s) from jsonb_array_elements(sec.stayed()) s
                          where s ->> 'id' = $1), '[]')::text";
            let told: String = sqlx::query_scalar(AssertSqlSafe(told))
                .bind(rows[0].to_string())
                .fetch_one(&mut *conn)
                .await
                .expect("what stayed");
            found = Some((status(conn, edge.child, rows[0]).await, told));
        }
        run(conn, "rollback").await;
        if found.is_some() {
            return found;
        }
    }
    None
}

#[tokio::test]
async fn what_may_not_come_back_by_its_own_rule_stays_and_is_told() {
    assert_eq!(asked(), KEPT.map(|(name, ..)| name).into());
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    cascade::unsold(&mut conn).await;
    for (name, change, pointer) in KEPT {
        let (id, of) = model().entity(name).expect("an entity");
        let mut tried = Vec::new();
        for edge in cascade::edges(id) {
            let way = cascade::name(&[edge]);
            let Some((status, told)) = around(&mut conn, edge, change).await else {
                continue;
            };
            assert_eq!(status, "archived", "{way}");
            for part in ["\"state\"", pointer] {
                assert!(told.contains(part), "{way}: {told}");
            }
            // Without the change, the row is restored.
            let same = around(&mut conn, edge, "version = version").await;
            let (status, told) = same.expect("it was tried");
            assert_eq!((status.as_str(), told.as_str()), ("active", "[]"), "{way}");
            tried.push(edge);
        }
        assert!(!tried.is_empty(), "{name}");

        // The negative control: without the check in the function, the row is restored.
        let text: String = sqlx::query_scalar("select pg_get_functiondef($1::regprocedure)")
            .bind(format!("sec.restore_{}(uuid[])", of.plural))
            .fetch_one(&mut conn)
            .await
            .expect("a function");
        let column = pointer.trim_start_matches('/');
        let asks = format!("(t.{column} is null) is not true");
        let open = text.replace(&format!("and not {asks}"), "");
        assert_ne!(open, text);
        run(&mut conn, open).await;
        let (status, _) = around(&mut conn, tried[0], change).await.expect("tried");
        assert_eq!(status, "active", "{name}");
    }
}
