//! Calls to the provider: their idempotency keys, and what their outcome means for a request or for a job.

use super::Payments;
use crate::{
    module::{self, Module},
    problems,
};
use chrono::{DateTime, Utc};
use gateway::{Ambiguity, Currency, Failure, Gateway, Key, Refusal};
use kernel::{Error, Result, jobs};
use std::future::Future;
use uuid::Uuid;

/// The provider forgets an idempotency key after a day. For a command older than this many hours the object is looked
/// up instead of repeating the call.
pub const KEY_HOURS: i64 = 23;

/// The longest failure code that is stored.
const CODE_CHARS: usize = 100;

impl Payments {
    /// The current time by the database's clock. Which of two readings is newer is decided by these times, and the
    /// clocks of two servers may differ.
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

/// The keys of a call that must take effect once: one that is always the same, and one of the current request.
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
    /// Calls with the fixed key. If the provider has stored an error of its own or another call under that key, `look`
    /// finds out whether the call took effect nevertheless; if not, the call is repeated with the other key. Otherwise
    /// the call could not succeed until the provider forgets the key, after a day.
    pub async fn once<T, S>(
        self,
        send: impl Fn(Key) -> S,
        look: impl Future<Output = Result<Option<T>, Failure>>,
    ) -> Result<T, Failure>
    where
        S: Future<Output = Result<T, Failure>>,
    {
        match send(self.fixed).await {
            Err(failure) if is_spent(&failure) => match look.await? {
                Some(there) => Ok(there),
                None => send(self.other).await,
            },
            answer => answer,
        }
    }
}

/// A key for the provider that is derived from a client's key: the same for the same input, and of a length that the
/// provider accepts.
pub fn digest(what: &str, of: &str) -> String {
    format!("{what}:{}", module::digest(of))
}

/// The address of a front end's page where a payment or card is confirmed: the template with its placeholders filled
/// in. None without a template, or if nothing is left to confirm.
pub fn page(template: Option<&str>, id: &str, client_secret: Option<&str>) -> Option<String> {
    let page = template?.replace("{id}", id);
    Some(page.replace("{client_secret}", client_secret?))
}

pub fn currency(code: &str) -> Result<Currency> {
    Currency::new(code).map_err(Error::internal)
}

/// Whether a command is too old to be repeated with its key. Both times are by the database's clock.
pub fn is_old(since: DateTime<Utc>, loaded_at: DateTime<Utc>) -> bool {
    loaded_at - since > chrono::TimeDelta::hours(KEY_HOURS)
}

/// Whether the provider has stored an error of its own under the key: it will answer the same call with that error
/// every time. Whether the call took effect can only be found out by reading, and a new attempt needs another key.
pub fn is_stuck(failure: &Failure) -> bool {
    matches!(failure, Failure::Ambiguous { replayed: true, .. })
}

/// Whether a call needs another key, and may have had its effect under this one.
pub fn is_spent(failure: &Failure) -> bool {
    is_stuck(failure) || is_taken(failure)
}

/// Whether the key was used before for a call with other parameters, for example by an earlier version of this program.
/// That call may have had its effect.
pub fn is_taken(failure: &Failure) -> bool {
    let refusal = failure.refusal();
    refusal.is_some_and(|refusal| refusal.kind == "idempotency_error")
}

/// The error for a request. An unknown outcome is never reported as a failed payment.
pub fn request_error(failure: &Failure) -> Error {
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
                .detail(without_ids(&refusal.message))
                .because(failure.to_string())
        }
        Failure::Retryable { after } => {
            let seconds = after.map_or(2, |after| after.as_secs().max(1));
            away(failure).retry_after(seconds)
        }
        Failure::Ambiguous { .. } => away(failure).retry_after(5),
    }
}

/// Whether an error of a request or job is about an answer of the provider that this version of the program can't read.
/// The provider is there, and would answer the same again.
pub fn is_unreadable(error: &Error) -> bool {
    let unreadable = Failure::Ambiguous {
        why: Ambiguity::Undecodable,
        replayed: false,
    };
    std::ptr::eq(error.kind(), &problems::PROVIDER_AWAY) && error.reason() == unreadable.to_string()
}

/// The failure for a job, which retries with the same key.
pub fn job_failure(failure: &Failure) -> jobs::Failure {
    let error = away(failure);
    match failure {
        Failure::Retryable { after: Some(after) } => jobs::Failure::retry_in(error, *after),
        _ => error.into(),
    }
}

/// Returns the refusal if the provider has refused the call itself: the call had no effect, and repeating it would not
/// change that. None if our secret key was refused.
pub fn refused(failure: &Failure) -> Option<&Refusal> {
    failure.refusal().filter(|refusal| !refusal.is_of_our_key())
}

/// Whether the refusal is temporary: the platform's balance does not cover the amount, because recent charges are not
/// available yet.
pub fn is_for_now(refusal: &Refusal) -> bool {
    let code = refusal.code.as_deref().unwrap_or_default();
    ["balance_insufficient", "insufficient_funds"].contains(&code)
}

/// The failure code to store: the bank's, otherwise the provider's.
pub fn code(refusal: &Refusal) -> String {
    let code = refusal.decline_code.as_ref().or(refusal.code.as_ref());
    let code = code.unwrap_or(&refusal.kind);
    code.chars().take(CODE_CHARS).collect()
}

pub fn away(failure: &Failure) -> Error {
    Error::new(&problems::PROVIDER_AWAY).because(failure.to_string())
}

fn is_card(refusal: &Refusal) -> bool {
    refusal.kind == "card_error"
}

fn words(refusal: &Refusal) -> String {
    let message = without_ids(&refusal.message);
    match &refusal.decline_code {
        Some(code) => format!("{message} ({code})"),
        None => message,
    }
}

/// The provider's words without its ids (`acct_…`, `pm_…`): they say nothing to buyers, who may not see those of hosts.
fn without_ids(message: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let is_id = |word: &str| {
        word.split_once('_').is_some_and(|(kind, id)| {
            kind.chars().all(|letter| letter.is_ascii_lowercase())
                && id.len() >= 8
                && id.chars().all(|letter| letter.is_ascii_alphanumeric())
                && id.chars().any(|letter| !letter.is_ascii_lowercase())
        })
    };
    let mut told = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(begins) = rest.find(is_part) {
        told.push_str(&rest[..begins]);
        rest = &rest[begins..];
        let ends = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let word = &rest[..ends];
        told.push_str(if is_id(word) { "…" } else { word });
        rest = &rest[ends..];
    }
    told.push_str(rest);
    told
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
    fn buyers_hear_of_no_ids() {
        for (message, told) in [
            (
                "The destination account acct_14PdiIeRWG1ilR8ZUu3hd3QXa does not accept eur.",
                "The destination account … does not accept eur.",
            ),
            (
                "No such payment_method: 'pm_1Nq8Zx2eZvKYlo2C'",
                "No such payment_method: '…'",
            ),
            ("Your card was declined.", "Your card was declined."),
            (
                "card_declined, generic_decline",
                "card_declined, generic_decline",
            ),
            (
                "payment_intent_unexpected_state",
                "payment_intent_unexpected_state",
            ),
            ("für 3,00 €: cus_ABCDEFGH12", "für 3,00 €: …"),
            ("", ""),
        ] {
            assert_eq!(without_ids(message), told);
        }
    }

    #[test]
    fn buyers_hear_of_their_card_and_not_of_our_key() {
        let card = request_error(&refusal(402, "card_error", "Your card was declined."));
        assert_eq!(card.kind().slug, "card-declined");
        let call = request_error(&refusal(400, "invalid_request_error", "No such account."));
        assert_eq!(call.kind().slug, "payment-refused");
        for status in [401, 403] {
            let failure = refusal(
                status,
                "invalid_request_error",
                "Invalid API Key: sk_live_1234",
            );
            let ours = request_error(&failure);
            assert_eq!(ours.kind().slug, "payment-provider-unavailable");
            let shown = format!("{:?}", ours.problem().detail);
            assert!(!shown.contains("sk_live"), "{shown}");
            // A refused key of ours must not end any command.
            assert!(refused(&failure).is_none());
        }
        assert!(refused(&refusal(400, "invalid_request_error", "No such account.")).is_some());
    }
}
