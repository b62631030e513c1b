//! Messages that hosts write to their guests (broadcasts), and what keeps hosts from being paid.

use super::Cause;
use crate::{broadcasts, payments};

pub(super) const CAUSES: &[Cause] = &[HOST_WROTE, ACCOUNT_LOST, SALES_STOPPED];

const HOST_WROTE: Cause = Cause {
    event: broadcasts::DUE,
    changed: &[],
    message: "host_wrote",
    to_its_cause: true,
    // A broadcast expires a day after its event or after it was sent, whichever is later.
    sql: "select jsonb_build_object('event', e.title, 'title', b.title, 'message', b.message) as values,
            jsonb_build_object('event', e.id, 'broadcast', b.id) as data, e.id as event_id,
            greatest(e.ends_at, now()) + interval '1 day' as expires_at, 'broadcast:' || b.id as key,
            array(select a from app.broadcast_audience(b.id) a) as members
          from app.broadcasts b join app.events e on e.id = b.event_id
          where b.id = $1 and b.state = 'sending' and b.status = 'active'",
};

const ACCOUNT_LOST: Cause = Cause {
    event: payments::ACCOUNT_LOST,
    changed: &[],
    message: "account_lost",
    to_its_cause: true,
    // At most once a day, should an account lose its rights and get them again several times.
    sql: "select jsonb_build_object('host', coalesce(o.name, b.name)) as values,
            jsonb_strip_nulls(jsonb_build_object('connected_account', a.id, 'organization', o.id, 'business', b.id)) as data,
            null::uuid as event_id, null::timestamptz as expires_at,
            'account_lost:' || a.id || ':' || (a.lost_at at time zone 'UTC')::date as key, app.admins_of(a.owner_id) as members
          from app.connected_accounts a
          left join app.organizations o on o.id = a.owner_organization_id left join app.businesses b on b.id = a.owner_business_id
          where a.id = $1 and a.lost_at is not null and coalesce(o.status, b.status) = 'active'",
};

const SALES_STOPPED: Cause = Cause {
    event: payments::SALES_STOPPED,
    changed: &[],
    message: "sales_stopped",
    to_its_cause: true,
    sql: "select jsonb_build_object('event', e.title) as values, jsonb_build_object('event', e.id) as data, e.id as event_id,
            e.ends_at as expires_at, 'sales_stopped:' || e.id || ':' || (s.since at time zone 'UTC')::date as key,
            app.admins_of(e.host_id) as members
          from app.sales_stops s join app.events e on e.id = s.event_id
          where e.id = $1 and s.reason = 'other' and e.status = 'active' and e.state = 'published' and e.ends_at > now()",
};

/// Cancels a broadcast whose event or host has ended since it was handed over.
pub(in crate::notifications) async fn call_off(
    cx: &mut kernel::Cx,
    broadcast: uuid::Uuid,
) -> kernel::Result<()> {
    sqlx::query(
        "update app.broadcasts b set state = 'cancelled'
         from app.events e
         where b.id = $1 and b.state = 'sending' and e.id = b.event_id
           and not (e.state in ('published', 'completed') and e.status = 'active' and app.is_shown(e.host_id))",
    )
    .bind(broadcast)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// Records, in the transaction that tells the members, to how many (more) members a broadcast was told.
pub(in crate::notifications) async fn told(
    cx: &mut kernel::Cx,
    broadcast: uuid::Uuid,
    recipients: i64,
) -> kernel::Result<()> {
    sqlx::query(
        "update app.broadcasts set state = 'sent', sent_at = now(), recipient_count = recipient_count + $2::int8::int4
         where id = $1 and (state = 'sending' or $2 > 0)",
    )
    .bind(broadcast)
    .bind(recipients)
    .execute(cx.conn())
    .await?;
    Ok(())
}
