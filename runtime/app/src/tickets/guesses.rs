//! Limits how many wrong promo codes a member may try in a day. Codes are short, and a price is answered in
//! milliseconds: without a limit, one account would try all codes of four characters within two days.

use super::{Tickets, bodies::Cart};
use crate::{module::Module, problems};
use kernel::{Cx, Member, Result, quota};
use uuid::Uuid;

const WHAT: &str = "wrong promo code";
const A_DAY: u32 = 100;

impl Tickets {
    /// Does the work for a cart, and counts it if its promo code does not exist. Beyond the limit no code is tried any
    /// more, also not a right one.
    pub(super) async fn with_code<T>(
        &self,
        buyer: &Member,
        cart: &Cart,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(code) = &cart.promo_code else {
            return work.await;
        };
        let check = self
            .db
            .run(Self::NAME, Some(buyer), buyer.request_id, |cx| {
                Box::pin(async move { quota::check(cx, WHAT, A_DAY).await })
            });
        check.await?;
        let done = work.await;
        if done
            .as_ref()
            .is_err_and(|error| error.kind().slug == problems::PROMO_CODE.slug)
        {
            let event = cart.event_id;
            let count = self
                .db
                .run(Self::NAME, Some(buyer), buyer.request_id, move |cx| {
                    Box::pin(async move { count(cx, event, code).await })
                });
            count.await?;
        }
        done
    }
}

/// A code that is over or used up was no guess.
async fn count(cx: &mut Cx, event: Uuid, code: &str) -> Result<()> {
    let is_there: bool = sqlx::query_scalar(
        "select exists (select from app.promo_codes where event_id = $1 and code = $2)",
    )
    .bind(event)
    .bind(code)
    .fetch_one(cx.conn())
    .await?;
    match is_there {
        true => Ok(()),
        false => quota::take(cx, WHAT, A_DAY).await,
    }
}
