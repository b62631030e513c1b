//! The data export's part about a member's sessions and identities: when and from where they were used, but nothing
//! that could be used to sign in.

use super::Sessions;
use crate::module::Module;
use kernel::{Db, Member, Result};
use serde_json::Value;

pub async fn sessions(db: &Db, caller: &Member) -> Result<Value> {
    let me = caller.id();
    let run = db.run(Sessions::NAME, Some(caller), caller.request_id, move |cx| {
        Box::pin(async move {
            let list = sqlx::query_scalar(
                "select coalesce(jsonb_agg(jsonb_build_object('authenticated_at', s.authenticated_at, 'expires_at', s.expires_at,
                   'revoked_at', s.revoked_at, 'ip_address', s.ip_address, 'user_agent', s.user_agent) order by s.id), '[]')
                 from app.sessions s where s.user_id = $1",
            );
            Ok(list.bind(me).fetch_one(cx.conn()).await?)
        })
    });
    run.await
}

pub async fn identities(db: &Db, caller: &Member) -> Result<Value> {
    let me = caller.id();
    let run = db.run(Sessions::NAME, Some(caller), caller.request_id, move |cx| {
        Box::pin(async move {
            let list = sqlx::query_scalar(
                "select coalesce(jsonb_agg(jsonb_build_object('issuer', i.issuer, 'subject', i.subject, 'email', i.email,
                   'created_at', i.created_at, 'unlinked_at', i.unlinked_at) order by i.id), '[]')
                 from app.external_identities i where i.user_id = $1",
            );
            Ok(list.bind(me).fetch_one(cx.conn()).await?)
        })
    });
    run.await
}
