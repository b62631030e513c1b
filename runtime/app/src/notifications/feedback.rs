//! Feedback from mail services about accepted mail: that it bounced, or that its recipient marked it as spam.
//!
//! Verified feedback is stored at once. The result does not depend on how often or in which order events arrive: an
//! address is put on the suppression list once, and only deliveries that were handed over become failed. Events about
//! successful delivery change nothing, so an older event can't undo a newer one.

use super::Notifications;
use crate::module::Module;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use delivery::webhooks::{Feedback, Header, Keys, Kind, Refused};
use kernel::{Error, Result, http::Raw, problems};
use uuid::Uuid;

/// Receive a mail event from Resend
///
/// Webhook for Resend, which signs the request.
#[utoipa::path(post, path = "/webhooks/resend", operation_id = "takeResendEvent", tag = "Notifications", security(()),
    params(("svix-signature" = String, Header, description = "Signature with the endpoint's secret")),
    request_body(content = String, content_type = "application/json", description = "An event as Resend sends it"),
    responses(
        (status = 200, description = "The event is recorded, or was before"),
        (status = 400, description = "The signature or the event is invalid")))]
pub(super) async fn resend(
    State(notifications): State<Notifications>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<StatusCode> {
    let now = notifications.clock.now();
    let keys = &notifications.webhooks;
    notifications
        .take_in(read(&headers, |header| {
            Keys::resend(keys, header, &body, now)
        })?)
        .await
}

/// Receive mail events from SendGrid
///
/// Webhook for SendGrid, which signs the request.
#[utoipa::path(post, path = "/webhooks/sendgrid", operation_id = "takeSendgridEvents", tag = "Notifications", security(()),
    params(("X-Twilio-Email-Event-Webhook-Signature" = String, Header, description = "Signature with the endpoint's key")),
    request_body(content = String, content_type = "application/json", description = "Events as SendGrid sends them"),
    responses(
        (status = 200, description = "The events are recorded, or were before"),
        (status = 400, description = "The signature or an event is invalid")))]
pub(super) async fn sendgrid(
    State(notifications): State<Notifications>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<StatusCode> {
    let now = notifications.clock.now();
    let keys = &notifications.webhooks;
    notifications
        .take_in(read(&headers, |header| {
            Keys::sendgrid(keys, header, &body, now)
        })?)
        .await
}

fn read(
    headers: &HeaderMap,
    verified: impl FnOnce(Header<'_>) -> Result<Vec<Feedback>, Refused>,
) -> Result<Vec<Feedback>> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    verified(&header).map_err(|refused| {
        // The reason of the refusal is only logged and not told to the sender.
        Error::new(&problems::BAD_REQUEST)
            .detail("The request is not signed as it has to be.")
            .because(refused.to_string())
    })
}

impl Notifications {
    async fn take_in(&self, news: Vec<Feedback>) -> Result<StatusCode> {
        // A report that can't be stored, which is about mail of others who use the same account of the service, must not
        // keep the rest of a batch from being stored: the service would send all of it again and again.
        let news: Vec<Feedback> = news
            .into_iter()
            .filter(|one| reason(one.kind).is_some() && is_text(one))
            .collect();
        if news.is_empty() {
            return Ok(StatusCode::OK);
        }
        let news = &news;
        let written = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                for one in news {
                    let Some((reason, is_final)) = reason(one.kind) else {
                        continue;
                    };
                    if is_final {
                        // No member has an address of another form. A time that can't be right is not kept.
                        sqlx::query(
                            "insert into app.mail_suppressions (email, reason, said_at)
                             select lower($1::text), $2, case when $3::timestamptz between '2000-01-01' and now() then $3 else now() end
                             where sec.is_email(lower($1)) on conflict do nothing",
                        )
                        .bind(&one.address)
                        .bind(reason)
                        .bind(one.at)
                        .execute(cx.conn())
                        .await?;
                    }
                    // A service may report a bounce before the result of the sending is stored. The delivery is still
                    // `sending` then, and the other deliveries in the same mail are `pending`.
                    sqlx::query(
                        "update app.notification_deliveries d
                         set state = 'failed', error = $3, lease_until = null, settled_at = now()
                         where d.channel = 'email' and $3 = 'bounced'
                           and (d.state = 'sent' and (d.provider_id = $1 or d.id = $2 or d.carrier_id = $2)
                             or d.state = 'sending' and d.id = $2
                             or d.state = 'pending' and d.carrier_id = $2
                               and exists (select from app.notification_deliveries c where c.id = $2 and c.state = 'sending'))",
                    )
                    .bind(one.provider_id.as_deref().unwrap_or(&one.message_id))
                    .bind(one.message_id.parse::<Uuid>().ok())
                    .bind(reason)
                    .execute(cx.conn())
                    .await?;
                }
                Ok(())
            })
        });
        written.await.map(|()| StatusCode::OK)
    }
}

/// Whether the database can read the report's texts.
fn is_text(one: &Feedback) -> bool {
    let ids = [Some(&one.message_id), one.provider_id.as_ref()];
    let mut texts = ids.into_iter().flatten().chain([&one.address]);
    texts.all(|text| !text.contains('\0'))
}

/// What the feedback means for the address, and whether nothing is sent there any more. `None`: nothing changes.
fn reason(kind: Kind) -> Option<(&'static str, bool)> {
    match kind {
        Kind::Bounced { hard } => Some(("bounced", hard)),
        Kind::Complained => Some(("complained", true)),
        // Unlike our own unsubscribe link, this event does not name a type of notification. The service itself stops
        // sending to the address.
        Kind::Delivered | Kind::Deferred | Kind::Unsubscribed => None,
    }
}
