//! Entries of the ledger, for this and other modules. The functions run in the caller's transaction.
//!
//! The database's functions run as the module `wallet` whichever module calls them, keep the order of locks, and
//! refuse what an account does not have; here their refusals become errors. Checks no permissions: callers have to.

use crate::problems;
use chrono::{DateTime, Utc};
use generated::{wallet_account, wallet_journal};
use kernel::{Cx, Error, Result, error::violated};
use serde::Serialize;
use sqlx::types::Json;
use uuid::Uuid;

/// One side of an entry, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Leg {
    pub wallet_id: Uuid,
    /// Positive if the account receives the amount.
    pub amount_cents: i64,
}

/// An entry to be booked. Its legs must add up to zero.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// A value of `wallet_journal.kind`.
    pub kind: &'static str,
    /// The idempotency key: an entry with the same key is booked once.
    pub key: &'a str,
    pub reference: Option<&'a str>,
    pub reverses: Option<Uuid>,
    /// The hold that is spent by this entry.
    pub hold: Option<Uuid>,
    pub legs: &'a [Leg],
}

impl Entry<'_> {
    /// Books the entry and returns the id of its journal, or that of the earlier one if the key is booked already.
    pub async fn post(&self, cx: &mut Cx) -> Result<Uuid> {
        let posted = sqlx::query_scalar("select app.post_journal($1, $2, $3, $4, $5, $6)")
            .bind(self.kind)
            .bind(self.key)
            .bind(self.reference)
            .bind(self.reverses)
            .bind(self.hold)
            .bind(Json(self.legs));
        posted.fetch_one(cx.conn()).await.map_err(refused)
    }
}

/// The legs of a payment from one account to another.
pub fn legs(from: Uuid, to: Uuid, amount_cents: i64) -> [Leg; 2] {
    let leg = |wallet_id, amount_cents| Leg {
        wallet_id,
        amount_cents,
    };
    [leg(from, -amount_cents), leg(to, amount_cents)]
}

/// The member's account in this currency; it is created if there is none.
pub async fn of_member(cx: &mut Cx, member: Uuid, currency: &str) -> Result<Uuid> {
    let found = sqlx::query_scalar("select app.wallet_of($1, $2)")
        .bind(member)
        .bind(currency);
    Ok(found.fetch_one(cx.conn()).await?)
}

/// An account of the platform itself: `platform_cash`, `promo_budget`, …
pub async fn of_platform(cx: &mut Cx, kind: &'static str, currency: &str) -> Result<Uuid> {
    let found = sqlx::query_scalar("select app.system_wallet($1, null, null, $2)")
        .bind(kind)
        .bind(currency);
    Ok(found.fetch_one(cx.conn()).await?)
}

/// Holds credits until `expires_at`. Returns the id of the hold.
pub async fn hold(
    cx: &mut Cx,
    wallet: Uuid,
    amount_cents: i64,
    reference: &str,
    expires_at: DateTime<Utc>,
) -> Result<Uuid> {
    let held = sqlx::query_scalar("select app.hold_credits($1, $2, $3, $4)")
        .bind(wallet)
        .bind(amount_cents)
        .bind(reference)
        .bind(expires_at);
    held.fetch_one(cx.conn()).await.map_err(refused)
}

/// The credits that can be spent now: the balance without what is held, or 0 if the account is frozen.
pub async fn available(cx: &mut Cx, wallet: Uuid) -> Result<i64> {
    let found = sqlx::query_scalar("select app.available_credits($1)").bind(wallet);
    Ok(found.fetch_one(cx.conn()).await?)
}

/// Releases a hold, unless it was spent, released or expired before. If the account has less held than its holds say,
/// nothing changes and an error is logged, since that must not keep an order from being released; the check of the
/// accounts finds it as well.
pub async fn release(cx: &mut Cx, hold: Uuid) -> Result<()> {
    sqlx::query("savepoint held").execute(cx.conn()).await?;
    let released = sqlx::query("select app.release_hold($1, 'voided')")
        .bind(hold)
        .execute(cx.conn())
        .await;
    let Err(error) = released else {
        return Ok(());
    };
    let refused = error.as_database_error();
    if !refused.is_some_and(|error| error.is_check_violation()) {
        return Err(error.into());
    }
    tracing::error!(%hold, "credits that were set aside can't be given back");
    sqlx::query("rollback to savepoint held")
        .execute(cx.conn())
        .await?;
    Ok(())
}

/// Whether the credits of a hold can be spent. The account is locked until the transaction ends.
pub async fn is_held(cx: &mut Cx, hold: Uuid) -> Result<bool> {
    let held = sqlx::query_scalar("select app.hold_is_good($1)").bind(hold);
    Ok(held.fetch_one(cx.conn()).await?)
}

/// Credits for a member out of an account of the platform. They expire at `expires_at`; None: never.
pub struct Grant<'a> {
    pub kind: &'static str,
    pub key: &'a str,
    pub reference: Option<&'a str>,
    pub from: Uuid,
    pub to: Uuid,
    pub amount_cents: i64,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Why credits that the platform gives are refused: what is missing is missing from its budget, not from a wallet.
const BEYOND_BUDGET: &str = "The platform's budget for credits in this currency has less than this takes, or there is none yet. Nothing was given. Fill it with `POST /wallet/budgets/{currency}/fundings`.";

impl Grant<'_> {
    pub async fn post(&self, cx: &mut Cx) -> Result<Uuid> {
        let posted = sqlx::query_scalar("select app.grant_credits($1, $2, $3, $4, $5, $6, $7)")
            .bind(self.kind)
            .bind(self.key)
            .bind(self.reference)
            .bind(self.from)
            .bind(self.to)
            .bind(self.amount_cents)
            .bind(self.expires_at);
        // Only accounts of the platform are debited, and of these only budgets must not become negative.
        let beyond_budget = |error: &sqlx::Error| {
            violated(error) == Some(wallet_account::constraint::NEVER_NEGATIVE_CHECK)
        };
        posted
            .fetch_one(cx.conn())
            .await
            .map_err(|error| match beyond_budget(&error) {
                true => Error::new(&problems::INSUFFICIENT_CREDITS).detail(BEYOND_BUDGET),
                false => refused(error),
            })
    }
}

/// Credits for the refund of a purchase. As far as the purchase was paid by credits, they come back with the expiry that
/// they had.
pub struct Back<'a> {
    pub key: &'a str,
    pub reference: &'a str,
    /// The key of the entry of the purchase.
    pub purchase: &'a str,
    pub from: Uuid,
    pub to: Uuid,
    pub amount_cents: i64,
}

impl Back<'_> {
    pub async fn post(&self, cx: &mut Cx) -> Result<Uuid> {
        let posted = sqlx::query_scalar("select app.give_back_credits($1, $2, $3, $4, $5, $6)")
            .bind(self.key)
            .bind(self.reference)
            .bind(self.purchase)
            .bind(self.from)
            .bind(self.to)
            .bind(self.amount_cents);
        posted.fetch_one(cx.conn()).await.map_err(refused)
    }
}

/// The key of the entry that pays an order by credits.
pub fn purchase_key(order: Uuid) -> String {
    format!("purchase:{order}")
}

/// Turns the refusals of the database into errors that say what is wrong.
fn refused(error: sqlx::Error) -> Error {
    match violated(&error) {
        Some(wallet_account::constraint::NEVER_NEGATIVE_CHECK) => {
            Error::new(&problems::INSUFFICIENT_CREDITS)
        }
        Some("wallet_credits_spent") => Error::new(&problems::INSUFFICIENT_CREDITS).detail(
            "Some of these credits are spent or have expired, so the grant can't be reversed. Nothing was taken.",
        ),
        Some("wallet_accounts_frozen") => Error::new(&problems::WALLET_FROZEN),
        Some("wallet_holds_over") => Error::new(&problems::ORDER_EXPIRED),
        Some("wallet_journals_key_reused") => Error::new(&kernel::problems::KEY_REUSED),
        Some(wallet_journal::constraint::REVERSES_ID_KEY) => {
            Error::new(&kernel::problems::CONFLICT).detail("This entry has been reversed.")
        }
        _ => error.into(),
    }
}
