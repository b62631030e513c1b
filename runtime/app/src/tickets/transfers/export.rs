//! The data export's part about offers of tickets that a member has made or received.

use super::Tickets;
use crate::module::Module;
use kernel::{Db, Member, Result};
use serde_json::Value;

pub async fn ticket_transfers(db: &Db, caller: &Member) -> Result<Value> {
    let me = caller.id();
    let run = db.run(Tickets::NAME, Some(caller), caller.request_id, move |cx| {
        Box::pin(async move {
            let list = sqlx::query_scalar(
                "select coalesce(jsonb_agg(jsonb_build_object('ticket_id', t.ticket_id, 'from_id', t.from_id, 'to_id', t.to_id,
                   'state', t.state, 'created_at', t.created_at, 'decided_at', t.decided_at) order by t.id), '[]')
                 from app.ticket_transfers t where t.from_id = $1 or t.to_id = $1",
            );
            Ok(list.bind(me).fetch_one(cx.conn()).await?)
        })
    });
    run.await
}
