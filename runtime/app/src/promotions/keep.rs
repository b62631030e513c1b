//! Updates bookings as time passes: those that were not paid or not decided in time end, and approved ones are shown
//! for as long as they were booked.

use super::{
    Promotions,
    end::{Over, over, owe},
};
use crate::module::Module;
use kernel::{Cx, Result};
use uuid::Uuid;

/// The maximum number of bookings that each statement of a transaction handles.
const AT_ONCE: i64 = 100;

impl Promotions {
    /// Returns how many bookings were updated.
    pub async fn keep(&self) -> Result<usize> {
        let mut all = 0;
        loop {
            let run = self.db.run(Self::NAME, None, Uuid::now_v7(), |cx| {
                Box::pin(async move {
                    let done = late(cx).await? + shown(cx).await?;
                    follow(cx).await?;
                    Ok(done)
                })
            });
            let done = run.await?;
            all += done;
            // Fewer than one full batch in total: neither of the two has any left.
            if done < AT_ONCE as usize {
                return Ok(all);
            }
        }
    }
}

/// Sets `featured_until` of an event to the end of its last active booking.
pub async fn feature(cx: &mut Cx, event: Uuid) -> Result<()> {
    sqlx::query(
        "update app.events e set featured_until = x.until
         from (
           select max(p.ends_at) as until from app.promotions p
           where p.target_type = 'event' and p.target_id = $1 and p.state = 'active' and p.status = 'active'
         ) x
         where e.id = $1 and e.featured_until is distinct from x.until",
    )
    .bind(event)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// Ends bookings that were not paid in time, were not decided before they should have begun, were approved and never
/// shown, take days of a plan that the business has left, or are for an event that is over (its end may be earlier than
/// when it was booked). The whole days that are left are refunded.
async fn late(cx: &mut Cx) -> Result<usize> {
    let found: Vec<(Uuid, String)> = sqlx::query_as(
        "select p.id, case when p.state = 'requested' and (p.paid_at is not null or p.amount_cents = 0) and p.starts_at <= now() then 'rejected'
                when p.state = 'active' then 'ended'
                else 'cancelled' end
         from app.promotions p
         where p.status <> 'archived'
           and ((p.state = 'requested' and p.paid_at is null and p.pay_by <= now())
             or (p.state = 'requested' and (p.paid_at is not null or p.amount_cents = 0) and p.starts_at <= now()
                 and p.created_at < now() - interval '1 hour')
             or (p.state = 'approved' and p.ends_at <= now())
             or (p.state in ('requested', 'approved') and p.plan_days > 0 and app.is_beyond_plan(p.id))
             or (p.state in ('requested', 'approved', 'active') and p.target_type = 'event'
                 and exists (select from app.events e where e.id = p.target_id and e.ends_at <= now())))
         order by p.id limit $1 for update skip locked",
    )
    .bind(AT_ONCE)
    .fetch_all(cx.conn())
    .await?;
    for (promotion, state) in &found {
        let reason = if state == "rejected" {
            "rejected"
        } else {
            "other"
        };
        let because = Over { state, reason };
        over(cx, *promotion, because).await?;
    }
    Ok(found.len())
}

/// Begins and ends the display of approved bookings, and updates `featured_until` of their events. A booking of
/// something that is hidden begins once it is shown again; if that is never, [`late`] ends it. A booking that is suspended
/// when its time is over was shown until then: the days since are refunded.
async fn shown(cx: &mut Cx) -> Result<usize> {
    let moved: Vec<(Uuid, String, Uuid, bool)> = sqlx::query_as(
        "with due as (
           select p.id from app.promotions p
           where p.status <> 'archived'
             and ((p.state = 'approved' and p.status = 'active' and p.starts_at <= now() and p.ends_at > now()
                   and (p.amount_cents = 0 or p.paid_at is not null) and app.can_be_featured(p.target_type, p.target_id))
               or (p.state = 'active' and p.ends_at <= now()))
           order by p.id limit $1 for update skip locked
         )
         update app.promotions p set state = case p.state when 'approved' then 'active' else 'ended' end,
           ended_at = case when p.state <> 'active' then p.ended_at when p.status = 'suspended' then p.updated_at else now() end
         from due where p.id = due.id
         returning p.id, p.target_type, p.target_id, p.state = 'ended' and p.status = 'suspended'",
    )
    .bind(AT_ONCE)
    .fetch_all(cx.conn())
    .await?;
    for (promotion, target_type, target, was_hidden) in &moved {
        if *was_hidden {
            owe(cx, *promotion, "other").await?;
        }
        if target_type == "event" {
            feature(cx, *target).await?;
        }
    }
    Ok(moved.len())
}

/// Corrects `featured_until` of events whose booking was suspended, or is shown again.
async fn follow(cx: &mut Cx) -> Result<()> {
    let events: Vec<Uuid> = sqlx::query_scalar(
        "select distinct p.target_id from app.promotions p join app.events e on e.id = p.target_id
         where p.state = 'active' and p.target_type = 'event' and case p.status
             when 'active' then e.featured_until is null or e.featured_until < p.ends_at
             else p.status = 'suspended' and e.featured_until >= p.ends_at
           end
         order by 1 limit $1",
    )
    .bind(AT_ONCE)
    .fetch_all(cx.conn())
    .await?;
    for event in events {
        feature(cx, event).await?;
    }
    Ok(())
}
