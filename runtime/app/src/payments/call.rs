//! What a call of the provider came to, for whoever asked: a request, or a job that will try again.

use super::Payments;
use crate::{
    module::{self, Module},
    problems,
};
use chrono::{DateTime, Utc};
use gateway::{Currency, Failure, Gateway, Key, Refusal};
use kernel::{Error, Result, jobs};
use std::future::Future;
use uuid::Uuid;

/// A key is forgotten by the provider after a day. What was begun before this many hours is looked for, not repeated.
pub const KEY_HOURS: i64 = 23;

impl Payments {
    /// By the database: the clocks of two servers may differ, and what is older is told by this.
    pub(super) async fn now(&self, request: Uuid) -> Result<DateTime<Utc>> {
        let run = self.db.run(Self::NAME, None, request, |cx| {
            Box::pin(async move {
                let now = sqlx::query_scalar("select clock_timestamp()");
                Ok(now.fetch_one(cx.conn()).await?)
            })
        });
        run.await
    }

    pub(super) fn gateway(&self) -> Result<&dyn Gateway> {
        match &self.provider {
            Some(provider) => Ok(&*provider.gateway),
            None => Err(Error::new(&problems::PROVIDER_AWAY)
                .detail("This server has no payment provider; nothing was charged.")),
        }
    }
}

pub fn key(text: impl Into<String>) -> Result<Key> {
    Key::new(text).map_err(Error::internal)
}

/// The keys of a call that is made once for one thing: the one that is always the same, and another one of this request.
pub struct Keys {
    fixed: Key,
    other: Key,
}

pub fn keys(text: &str, request: Uuid) -> Result<Keys> {
    Ok(Keys {
        fixed: key(text)?,
        other: key(format!("{text}:{request}"))?,
    })
}

impl Keys {
    /// Calls with the key that is always the same. Where the provider has kept an error of its own under it, `look` tells
    /// whether the call has had its effect all the same; if not, it is made with the other key. Nothing else would help
    /// before the provider forgets the key, which takes a day.
    pub async fn once<T, S>(
        self,
        send: impl Fn(Key) -> S,
        look: impl Future<Output = Result<Option<T>, Failure>>,
    ) -> Result<T, Failure>
    where
        S: Future<Output = Result<T, Failure>>,
    {
        match send(self.fixed).await {
            Err(failure) if is_stuck(&failure) => match look.await? {
                Some(there) => Ok(there),
                None => send(self.other).await,
            },
            answer => answer,
        }
    }
}

/// A key for something that somebody asked for with a key of theirs: the same for the same, and of the length we may use.
pub fn digest(what: &str, of: &str) -> String {
    format!("{what}:{}", module::digest(of))
}

/// The page of a front end where something is confirmed: the template with its places filled. None once nothing is left
/// to confirm.
pub fn page(template: Option<&str>, id: &str, client_secret: Option<&str>) -> Option<String> {
    let page = template?.replace("{id}", id);
    Some(page.replace("{client_secret}", client_secret?))
}

pub fn currency(code: &str) -> Result<Currency> {
    Currency::new(code).map_err(Error::internal)
}

/// Whether a command is too old to be sent again with its key: both times are of the database's clock.
pub fn is_old(since: DateTime<Utc>, loaded_at: DateTime<Utc>) -> bool {
    loaded_at - since > chrono::TimeDelta::hours(KEY_HOURS)
}

/// The provider has kept an error of its own under the key: the same call will have the same answer for ever. What
/// there is to know is to be had by reading, and what was not done needs another key.
pub fn is_stuck(failure: &Failure) -> bool {
    matches!(failure, Failure::Ambiguous { replayed: true, .. })
}

/// For a request. What is not known is never told as a failure of the payment.
pub fn told(failure: &Failure) -> Error {
    match failure {
        Failure::Definite(refusal) if refusal.is_of_our_key() => {
            tracing::error!(%refusal, "the payment provider refuses the server's key");
            away(failure).detail("The payment provider can't be asked now; nothing was charged.")
        }
        Failure::Definite(refusal) if is_card(refusal) => Error::new(&problems::CARD_DECLINED)
            .detail(words(refusal))
            .because(failure.to_string()),
        Failure::Definite(refusal) => {
            tracing::error!(%refusal, request = ?refusal.request_id, "the payment provider has refused a request");
            Error::new(&problems::PAYMENT_REFUSED)
                .detail(refusal.message.clone())
                .because(failure.to_string())
        }
        Failure::Retryable { after } => {
            let seconds = after.map_or(2, |after| after.as_secs().max(1));
            away(failure).retry_after(seconds)
        }
        Failure::Ambiguous { .. } => away(failure).retry_after(5),
    }
}

/// For a job: it tries again, with the same key.
pub fn again(failure: &Failure) -> jobs::Failure {
    let error = away(failure);
    match failure {
        Failure::Retryable { after: Some(after) } => jobs::Failure::retry_in(error, *after),
        _ => error.into(),
    }
}

fn is_card(refusal: &Refusal) -> bool {
    refusal.kind == "card_error"
}

/// The provider has refused the call itself: it did not happen, and the same call never will.
pub fn refused(failure: &Failure) -> Option<&Refusal> {
    failure.refusal().filter(|refusal| !refusal.is_of_our_key())
}

/// The platform's balance does not cover it: charges of the last days are not in it yet. The same call is taken later.
pub fn is_for_now(refusal: &Refusal) -> bool {
    let code = refusal.code.as_deref().unwrap_or_default();
    ["balance_insufficient", "insufficient_funds"].contains(&code)
}

/// The code to keep: the bank's, else the provider's.
pub fn code(refusal: &Refusal) -> String {
    let code = refusal.decline_code.as_ref().or(refusal.code.as_ref());
    let mut code = code.unwrap_or(&refusal.kind).clone();
    code.truncate(100);
    code
}

fn words(refusal: &Refusal) -> String {
    match &refusal.decline_code {
        Some(code) => format!("{} ({code})", refusal.message),
        None => refusal.message.clone(),
    }
}

fn away(failure: &Failure) -> Error {
    Error::new(&problems::PROVIDER_AWAY).because(failure.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(http_status: u16, kind: &str, message: &str) -> Failure {
        Failure::Definite(Box::new(Refusal {
            http_status: Some(http_status),
            kind: kind.to_owned(),
            message: message.to_owned(),
            ..Refusal::default()
        }))
    }

    #[test]
    fn buyers_hear_of_their_card_and_not_of_our_key() {
        let card = told(&refusal(402, "card_error", "Your card was declined."));
        assert_eq!(card.kind().slug, "card-declined");
        let call = told(&refusal(400, "invalid_request_error", "No such account."));
        assert_eq!(call.kind().slug, "payment-refused");
        for status in [401, 403] {
            let failure = refusal(
                status,
                "invalid_request_error",
                "Invalid API Key: sk_live_1234",
            );
            let ours = told(&failure);
            assert_eq!(ours.kind().slug, "payment-provider-unavailable");
            let shown = format!("{:?}", ours.problem().detail);
            assert!(!shown.contains("sk_live"), "{shown}");
            // And nothing is given up because of it.
            assert!(refused(&failure).is_none());
        }
        assert!(refused(&refusal(400, "invalid_request_error", "No such account.")).is_some());
    }
}
