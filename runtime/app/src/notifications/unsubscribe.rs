//! One click to get no more mail of what is in this one (RFC 8058): a link in the mail that needs no session and never ends.
//!
//! The token in it names the member and the types, which are several in a digest, and is signed. A POST turns the mail off, however often; a GET only shows
//! a page that asks, because mail programs and scanners open links by themselves.

use super::Notifications;
use crate::module::Module;
use axum::{
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Error, Result, Visitor, http::ConfigError, messages::Channel};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

/// Between types, whose names are words.
const AND: &str = ",";

/// Of the signature, so much stands in the link.
const SIGNATURE_BYTES: usize = 16;

#[derive(Clone)]
pub(super) struct Unsubscribing(Arc<Inner>);

struct Inner {
    key: SecretString,
    page: Url,
}

impl Unsubscribing {
    pub(super) fn new(key: SecretString, public_url: &Url) -> Result<Self, ConfigError> {
        let text = format!(
            "{}/notifications/unsubscribe",
            public_url.as_str().trim_end_matches('/')
        );
        let page = text.parse().map_err(|error: url::ParseError| ConfigError {
            setting: "PUBLIC_URL",
            reason: error.to_string(),
        })?;
        Ok(Self(Arc::new(Inner { key, page })))
    }

    pub(super) fn url(&self, member: Uuid, types: &[String]) -> Url {
        let mut bytes = member.as_bytes().to_vec();
        bytes.extend(types.join(AND).as_bytes());
        let signature = self.mac(&bytes).finalize().into_bytes();
        bytes.extend(&signature[..SIGNATURE_BYTES]);
        let mut url = self.0.page.clone();
        url.query_pairs_mut()
            .append_pair("token", &URL_SAFE_NO_PAD.encode(bytes));
        url
    }

    /// Whose, and which types; `None`: nobody here made this token.
    fn read(&self, token: &str) -> Option<(Uuid, Vec<String>)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (said, signature) =
            bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE_BYTES)?)?;
        self.mac(said).verify_truncated_left(signature).ok()?;
        let (member, types) = said.split_at_checked(16)?;
        let types = std::str::from_utf8(types).ok()?.split(AND);
        Some((
            Uuid::from_slice(member).ok()?,
            types.map(str::to_owned).collect(),
        ))
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.key.expose_secret().as_bytes())
            .expect("any length will do");
        mac.update(bytes);
        mac
    }
}

#[derive(Deserialize)]
pub(super) struct Link {
    token: String,
}

/// See what a link in a mail turns off
///
/// A page for people, which changes nothing: programs that look at links in mails must not unsubscribe anybody.
#[utoipa::path(get, path = "/notifications/unsubscribe", operation_id = "showUnsubscribing", tag = "Notifications", security(()),
    params(("token" = String, Query, description = "As in the link")),
    responses(
        (status = 200, description = "A page with a button; nothing is changed", content_type = "text/html", body = String),
        (status = 404, description = "Nobody here made this token")))]
pub(super) async fn show(
    State(notifications): State<Notifications>,
    _: Visitor,
    Query(link): Query<Link>,
) -> Result<Response> {
    let (_, types) = notifications
        .unsubscribing
        .read(&link.token)
        .ok_or_else(Error::not_found)?;
    Ok(page(&format!(
        "<p>No more mail of this kind: {}</p><form method=\"post\"><button>Unsubscribe</button></form>",
        types.join(", ").replace('_', " ")
    )))
}

/// Get no more mail of what is in this one
///
/// For mail programs (RFC 8058): no session, no confirmation, and the body is not read. A mail that puts several messages
/// together turns off all of their types, but those which members can't do without.
#[utoipa::path(post, path = "/notifications/unsubscribe", operation_id = "unsubscribe", tag = "Notifications", security(()),
    params(("token" = String, Query, description = "As in the link")),
    responses(
        (status = 200, description = "There is no more mail of this kind", content_type = "text/html", body = String),
        (status = 404, description = "Nobody here made this token")))]
pub(super) async fn stop(
    State(notifications): State<Notifications>,
    _: Visitor,
    Query(link): Query<Link>,
) -> Result<Response> {
    let (member, types) = notifications
        .unsubscribing
        .read(&link.token)
        .ok_or_else(Error::not_found)?;
    notifications.turn_off(member, types).await?;
    Ok(page(
        "<p>Done. There is no more mail of this kind. Your settings bring it back.</p>",
    ))
}

impl Notifications {
    /// Mail of these types, for a member.
    pub(super) async fn turn_off(&self, member: Uuid, types: Vec<String>) -> Result<()> {
        let types = Arc::new(types);
        self.db
            .run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                let types = types.clone();
                Box::pin(async move {
                    sqlx::query(
                        "update app.notification_preferences set enabled = false
                         where user_id = $1 and channel = $2 and type = any($3) and status = 'active'",
                    )
                    .bind(member)
                    .bind(Channel::Email.name())
                    .bind(&*types)
                    .execute(cx.conn())
                    .await?;
                    // Of two clicks at once one makes it. Nothing is made for an account that is gone.
                    sqlx::query(
                        "insert into app.notification_preferences (user_id, channel, type, enabled)
                         select u.id, $2, t.type, false from app.users u cross join unnest($3::text[]) t(type)
                         where u.id = $1 and u.status = 'active' and not exists (
                           select from app.notification_preferences p
                           where p.user_id = u.id and p.channel = $2 and p.type = t.type and p.status = 'active'
                         )
                         order by t.type
                         on conflict do nothing",
                    )
                    .bind(member)
                    .bind(Channel::Email.name())
                    .bind(&*types)
                    .execute(cx.conn())
                    .await?;
                    Ok(())
                })
            })
            .await
    }
}

/// Nothing in it is from outside.
fn page(body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>CulturePass</title><body>{body}</body></html>"
    );
    let policy =
        HeaderValue::from_static("default-src 'none'; form-action 'self'; frame-ancestors 'none'");
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // The token is in the address.
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    (StatusCode::OK, headers, Html(html)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no4_a_token_is_good_for_one_member_and_the_types_of_its_mail() {
        let url = "https://api.test".parse().unwrap();
        let ours = Unsubscribing::new("key".to_owned().into(), &url).unwrap();
        let others = Unsubscribing::new("other".to_owned().into(), &url).unwrap();
        let member = Uuid::now_v7();
        let types = ["new_event", "new_follower"].map(str::to_owned);
        let token = |from: &Unsubscribing| {
            let url = from.url(member, &types);
            url.query_pairs().next().unwrap().1.into_owned()
        };
        assert_eq!(ours.read(&token(&ours)), Some((member, types.to_vec())));
        assert_eq!(ours.read(&token(&others)), None);
        let bytes = URL_SAFE_NO_PAD.decode(token(&ours)).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(ours.read(&URL_SAFE_NO_PAD.encode(changed)), None, "{at}");
        }
        for none in ["", "=", "AAAA", "a b"] {
            assert_eq!(ours.read(none), None);
        }
    }
}
