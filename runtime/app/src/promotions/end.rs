//! Records that a booking is paid, and ends bookings before their time. A refund for the days that were not shown is
//! recorded together with the end; the payments module carries it out.

use super::{Promotions, keep::feature};
use crate::module::Module;
use kernel::{Cx, Error, Result, jobs};
use serde_json::json;
use sqlx::Row;
use uuid::Uuid;

/// How and why a booking ends.
#[derive(Clone, Copy, Debug)]
pub struct Over<'a> {
    /// The state that it ends in, unless it has ended already.
    pub state: &'a str,
    /// A value of `refund.reason`.
    pub reason: &'a str,
}

impl Promotions {
    /// Ends a booking that was rejected, withdrawn, finished or archived. A second call changes nothing.
    pub(super) async fn end(&self, promotion: Uuid, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let found: Option<(String, String)> = sqlx::query_as(
                    "select state, status from app.promotions where id = $1 for update",
                )
                .bind(promotion)
                .fetch_optional(cx.conn())
                .await?;
                let because = match found.as_ref().map(|(state, status)| (&**state, &**status)) {
                    Some(("rejected", _)) => Over {
                        state: "rejected",
                        reason: "rejected",
                    },
                    Some(("cancelled", _)) => Over {
                        state: "cancelled",
                        reason: "requested",
                    },
                    Some(("ended", _)) => Over {
                        state: "ended",
                        reason: "other",
                    },
                    Some(("active", "archived")) => Over {
                        state: "ended",
                        reason: "other",
                    },
                    Some((_, "archived")) => Over {
                        state: "cancelled",
                        reason: "other",
                    },
                    // It was restored before this job ran.
                    _ => return Ok(()),
                };
                over(cx, promotion, because).await
            })
        });
        run.await
    }

    /// Ends the bookings of a cancelled event.
    pub(super) async fn event_cancelled(&self, event: Uuid, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let open: Vec<(Uuid, String)> = sqlx::query_as(
                    "select p.id, p.state from app.promotions p
                     join app.events e on e.id = p.target_id and e.state = 'cancelled'
                     where p.target_type = 'event' and p.target_id = $1 and p.state in ('requested', 'approved', 'active')
                     order by p.id for update of p",
                )
                .bind(event)
                .fetch_all(cx.conn())
                .await?;
                for (promotion, state) in open {
                    let state = if state == "active" { "ended" } else { "cancelled" };
                    let because = Over { state, reason: "event_cancelled" };
                    over(cx, promotion, because).await?;
                }
                Ok(())
            })
        });
        run.await
    }
}

/// Records that a booking is paid; it then waits for the city's decision. If the booking is over by then, the payment
/// is refunded. Runs in the transaction of the caller, and may be called any number of times.
pub async fn paid(cx: &mut Cx, promotion: Uuid) -> Result<()> {
    let before = cx.work_as(Promotions::NAME).await?;
    let row = sqlx::query(
        "select p.state, p.status = 'archived' as is_archived, coalesce(p.pay_by <= now(), false) as is_late, p.paid_at is not null as is_paid,
           case when p.pay_by <= now() then app.room_of_place(p.city_id, p.slot, p.starts_at, p.ends_at, p.id) else 1 end as room
         from app.promotions p where p.id = $1 for update of p",
    )
    .bind(promotion)
    .fetch_optional(cx.conn())
    .await?
    .ok_or_else(Error::not_found)?;
    if !row.try_get::<bool, _>("is_paid")? {
        let keeps = row.try_get::<&str, _>("state")? == "requested"
            && !row.try_get::<bool, _>("is_archived")?
            && (!row.try_get::<bool, _>("is_late")? || row.try_get::<i32, _>("room")? > 0);
        if !keeps {
            // Before the payment is stored, so that a booking without room is not counted in the place again.
            end_in(cx, promotion, "cancelled").await?;
        }
        sqlx::query("update app.promotions set paid_at = now() where id = $1 and paid_at is null")
            .bind(promotion)
            .execute(cx.conn())
            .await?;
        if !keeps {
            owe(cx, promotion, "sold_out_meanwhile").await?;
        }
    }
    cx.work_as(before).await?;
    Ok(())
}

/// Ends a booking whose payment is disputed. Nothing is refunded while the bank decides; see [`won`].
pub async fn disputed(cx: &mut Cx, promotion: Uuid) -> Result<()> {
    let before = cx.work_as(Promotions::NAME).await?;
    let state: Option<String> =
        sqlx::query_scalar("select state from app.promotions where id = $1 for update")
            .bind(promotion)
            .fetch_optional(cx.conn())
            .await?;
    match state.as_deref() {
        Some("active") => end_in(cx, promotion, "ended").await?,
        Some(_) => end_in(cx, promotion, "cancelled").await?,
        None => {}
    }
    cx.work_as(before).await?;
    Ok(())
}

/// Records the refund of a booking that a dispute has ended and whose money the bank has given back: it is not shown
/// again, so what was left of it when it ended is owed. Changes nothing for a booking that is shown or will be.
pub async fn won(cx: &mut Cx, promotion: Uuid) -> Result<()> {
    let before = cx.work_as(Promotions::NAME).await?;
    let is_over: Option<bool> = sqlx::query_scalar(
        "select state in ('rejected', 'cancelled', 'ended') from app.promotions where id = $1 for update",
    )
    .bind(promotion)
    .fetch_optional(cx.conn())
    .await?;
    if is_over == Some(true) {
        owe(cx, promotion, "other").await?;
    }
    cx.work_as(before).await?;
    Ok(())
}

/// Ends a booking, unless it has ended already, and records the refund.
pub async fn over(cx: &mut Cx, promotion: Uuid, because: Over<'_>) -> Result<()> {
    // Computed before the end is stored: the state says whether the booking is being shown, and therefore how many
    // days are left.
    owe(cx, promotion, because.reason).await?;
    end_in(cx, promotion, because.state).await
}

/// Records the refund, once: the full price if the booking was never shown, otherwise the price of the whole days that
/// are left, or were left when it ended or was suspended, rounded down to the step of cards. (A suspended row does not
/// change, so the time of its last change is that of its suspension.) The city's part is rounded to the nearest step, half
/// a step in the platform's favour, as in other refunds. Nothing is refunded as long as the payment is disputed, or if the dispute is
/// lost.
pub(super) async fn owe(cx: &mut Cx, promotion: Uuid, reason: &str) -> Result<()> {
    let refund: Option<Uuid> = sqlx::query_scalar(
        "insert into app.refunds (promotion_id, amount_cents, card_cents, platform_fee_cents, city_share_cents, currency, reason,
           stripe_idempotency_key)
         select x.id, x.amount, x.amount, x.amount - x.share, x.share, x.currency, $2, 'refund:promotion:' || x.id
         from (
           select d.id, d.currency, d.amount, case
               when d.amount = d.amount_cents then d.city_share_cents
               else div(d.city_share_cents / d.step * d.amount::numeric + (d.amount_cents - 1) / 2, d.amount_cents)::int8 * d.step
             end as share
           from (
             select p.*, s.step, case
                 when p.state in ('active', 'ended') then
                   p.amount_cents * least(greatest(floor(extract(epoch from p.ends_at - greatest(coalesce(p.ended_at, case p.status when 'suspended' then p.updated_at end, now()), p.starts_at)) / 86400), 0)::int8, p.days) / p.days
                     / s.step * s.step
                 else p.amount_cents
               end as amount
             from app.promotions p, app.card_step(p.currency) as s(step)
             where p.id = $1 and p.paid_at is not null and p.amount_cents > 0
           ) d
         ) x
         where x.amount > 0
           and not exists (
             select from app.disputes b where b.promotion_id = x.id and b.state in ('needs_response', 'under_review', 'lost'))
         on conflict do nothing returning id",
    )
    .bind(promotion)
    .bind(reason)
    .fetch_optional(cx.conn())
    .await?;
    if let Some(refund) = refund {
        jobs::tell(cx, "promotions.refund_owed", ("refund", refund), json!({})).await?;
    }
    Ok(())
}

async fn end_in(cx: &mut Cx, promotion: Uuid, state: &str) -> Result<()> {
    let target: Option<(String, Uuid)> = sqlx::query_as(
        "update app.promotions set state = case when state in ('requested', 'approved', 'active') then $2 else state end,
           ended_at = case when state <> 'active' then ended_at when status = 'suspended' then updated_at else now() end
         where id = $1 returning target_type, target_id",
    )
    .bind(promotion)
    .bind(state)
    .fetch_optional(cx.conn())
    .await?;
    match target {
        Some((target_type, target)) if target_type == "event" => feature(cx, target).await,
        _ => Ok(()),
    }
}
