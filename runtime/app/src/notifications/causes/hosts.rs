//! Messages that hosts write to their guests (broadcasts).

use super::Cause;
use crate::broadcasts;

pub(super) const CAUSES: &[Cause] = &[Cause {
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
}];

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
