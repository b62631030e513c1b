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
}
