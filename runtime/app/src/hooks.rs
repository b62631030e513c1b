//! What generated routes ask before they write. Runs in the caller's transaction, under the caller's rules.

use crate::App;
use generated::hooks::AppHooks;
use kernel::{Cx, Error, Result, prelude::BoxFuture, problem::Item, problems};
use uuid::Uuid;

impl AppHooks for App {
    /// People need to know where to go.
    fn event_before_publish<'a>(&'a self, cx: &'a mut Cx, id: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let nowhere: Option<bool> = sqlx::query_scalar(
                "select t.venue_id is null and t.location is null and p.online_url is null
                 from app.events t left join lateral app.event_private(t.id) p on true where t.id = $1",
            )
            .bind(id)
            .fetch_optional(cx.conn())
            .await?;
            match nowhere {
                Some(true) => Err(Error::new(&problems::STATE)
                    .detail("An event is published once people know where it is: give a venue, a location or an online address.")
                    .item(Item::body("/venue_id", "required", "or `location`, or `online_url`"))),
                // Not visible: the statement itself will say what to answer.
                _ => Ok(()),
            }
        })
    }

    fn role_assignment_before_archive<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let scopes = sqlx::query_scalar(
                "select t.scope_id from app.role_assignments t
                 where t.id = $1 and t.role = 'orgAdmin' and t.status = 'active'",
            )
            .bind(id)
            .fetch_all(cx.conn())
            .await?;
            keep_an_administrator(cx, scopes, Going::Assignment(id)).await
        })
    }

    /// Leaving takes all roles along.
    fn user_before_archive<'a>(&'a self, cx: &'a mut Cx, id: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // Nobody makes them an administrator from here on: a role needs its member's row.
            sqlx::query("select 1 from app.users t where t.id = $1 for update")
                .bind(id)
                .execute(cx.conn())
                .await?;
            let scopes = sqlx::query_scalar(
                "select t.scope_id from app.role_assignments t
                 where t.user_id = $1 and t.role = 'orgAdmin' and t.status = 'active'
                 order by t.scope_id",
            )
            .bind(id)
            .fetch_all(cx.conn())
            .await?;
            keep_an_administrator(cx, scopes, Going::Member(id)).await
        })
    }
}

/// What is about to go.
enum Going {
    Assignment(Uuid),
    Member(Uuid),
}

/// A profile without anybody to look after it would be lost. Others can be given the role first; or the
/// profile itself is archived, which takes its roles along.
async fn keep_an_administrator(cx: &mut Cx, scopes: Vec<Uuid>, going: Going) -> Result<()> {
    let (assignment, member) = match going {
        Going::Assignment(id) => (Some(id), None),
        Going::Member(id) => (None, Some(id)),
    };
    for scope in scopes {
        // Two administrators who remove each other at the same time do so one after the other.
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1::text, 0))")
            .bind(scope)
            .execute(cx.conn())
            .await?;
        let others: bool = sqlx::query_scalar(
            "select exists (select 1 from app.role_assignments t
             where t.scope_id = $1 and t.role = 'orgAdmin' and t.status = 'active'
               and t.id is distinct from $2 and t.user_id is distinct from $3)",
        )
        .bind(scope)
        .bind(assignment)
        .bind(member)
        .fetch_one(cx.conn())
        .await?;
        if !others {
            return Err(Error::new(&problems::CONFLICT).detail(
                "A profile would lose its last administrator. Give the role to somebody else first, \
                 or archive the profile.",
            ));
        }
    }
    Ok(())
}
