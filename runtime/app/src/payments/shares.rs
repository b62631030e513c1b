//! What cities earn of the commission, per city, currency and month (UTC): their shares of orders, featured places,
//! plans and fees for services, less what refunds and lost disputes of that month have taken. A month is closed five
//! days after its end and never changes afterwards; a later refund counts in its own month, which may therefore become
//! negative. A refund that was settled once counts in that month even if the card has returned the money since,
//! because the buyer gets it in another way. The platform collects no commission on cash sales, so there is nothing to
//! share.

use super::Payments;
use crate::module::Module;
use kernel::{
    Result,
    jobs::{Outcome, Run},
};
use std::sync::Arc;
use uuid::Uuid;

impl Payments {
    pub(super) async fn accrue(&self, run: Arc<Run>) -> Outcome {
        Ok(self.accrue_shares(run.request_id).await?)
    }

    /// The work of the job, without waiting for it.
    pub async fn accrue_shares(&self, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, |cx| {
            Box::pin(async move {
                sqlx::query(
                    "insert into app.revenue_shares as s (city_id, currency, period_start, amount_cents)
                     select x.city_id, x.currency, x.month, sum(x.amount)::int8 from (
                       select e.city_id, o.currency, date_trunc('month', o.paid_at at time zone 'UTC')::date as month,
                         o.city_share_cents as amount
                       from app.orders o join app.events e on e.id = o.event_id
                       where o.state in ('paid', 'part_refunded', 'refund_pending', 'refunded', 'charged_back')
                         and o.cash_cents = 0
                         and o.paid_at >= date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - interval '1 month'
                       union all
                       select p.city_id, p.currency, date_trunc('month', p.paid_at at time zone 'UTC')::date, p.city_share_cents
                       from app.promotions p
                       where p.amount_cents > 0
                         and p.paid_at >= date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - interval '1 month'
                       union all
                       select s.city_id, q.currency, date_trunc('month', q.fee_paid_at at time zone 'UTC')::date, q.fee_city_share_cents
                       from app.quotes q join app.leads l on l.id = q.lead_id
                       join app.service_requests s on s.id = l.service_request_id
                       where q.fee_city_share_cents > 0
                         and q.fee_paid_at >= date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - interval '1 month'
                       union all
                       select t.city_id, t.currency, date_trunc('month', t.created_at at time zone 'UTC')::date, t.city_share_cents
                       from app.transactions t
                       where t.subscription_id is not null and t.city_id is not null and t.city_share_cents > 0
                         and t.status in ('succeeded', 'part_refunded', 'refunded')
                         and t.created_at >= date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - interval '1 month'
                       union all
                       select t.city_id, x.currency, date_trunc('month', x.created_at at time zone 'UTC')::date, -x.amount_cents
                       from app.share_returns x join app.transactions t on t.id = x.transaction_id
                       where x.created_at >= date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - interval '1 month'
                       union all
                       select coalesce(e.city_id, p.city_id, s.city_id), r.currency, date_trunc('month', r.settled_at at time zone 'UTC')::date,
                         -r.city_share_cents
                       from app.refunds r
                       left join app.orders o on o.id = r.order_id left join app.events e on e.id = o.event_id
                       left join app.promotions p on p.id = r.promotion_id
                       left join app.quotes q on q.id = r.quote_id left join app.leads l on l.id = q.lead_id
                       left join app.service_requests s on s.id = l.service_request_id
                       where (r.state = 'succeeded' or (r.state = 'pending' and r.settled_at is not null)) and r.cash_cents = 0
                         and r.settled_at >= date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - interval '1 month'
                       union all
                       select d.city_id, d.currency, date_trunc('month', d.closed_at at time zone 'UTC')::date, d.amount
                       from app.shares_lost_to_banks(
                         date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - interval '1 month') d
                     ) x
                     group by 1, 2, 3
                     having sum(x.amount) <> 0 or exists (
                       select from app.revenue_shares k
                       where k.city_id = x.city_id and k.currency = x.currency and k.period_start = x.month
                     )
                     on conflict (city_id, currency, period_start) do update set amount_cents = excluded.amount_cents
                     where s.state = 'open' and s.amount_cents <> excluded.amount_cents",
                )
                .execute(cx.conn())
                .await?;
                sqlx::query(
                    "update app.revenue_shares set state = 'closed'
                     where state = 'open' and period_start + interval '1 month 5 days' < now() at time zone 'UTC'",
                )
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        });
        run.await
    }
}
