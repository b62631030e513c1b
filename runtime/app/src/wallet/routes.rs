//! HTTP routes: `/me/wallet`, and what administrators may do about credits.

use super::{
    Wallet,
    bodies::{Balance, BalanceList, Booked, CreditKind, Funding, GiveCredits, Lapsing, Reversal},
    ledger::{self, Entry, Grant, Leg},
};
use crate::{
    clock,
    module::{Module, administrator, digest, id, uncached},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{
    Cx, Error, Member, Result,
    http::Sent,
    idempotency::{self, required},
    input::Format,
    openapi::Objects,
    problems,
};
use sqlx::Row;
use utoipa::{OpenApi, openapi};
use uuid::Uuid;

pub fn router(wallet: Wallet) -> Router {
    let keyed = from_fn_with_state(wallet.keyed.clone(), required);
    // The layer is on the method's route, so that other methods of the path are still refused as such.
    Router::new()
        .route("/me/wallet", get(mine))
        .route(
            "/wallet/budgets/{currency}/fundings",
            post(fund).route_layer(keyed.clone()),
        )
        .route("/wallet/credits", post(give).route_layer(keyed.clone()))
        .route(
            "/wallet-journals/{id}/reversals",
            post(reverse).route_layer(keyed),
        )
        .with_state(wallet)
}

static OBJECTS: Objects = Objects(&[("Balance", "balance"), ("Booked", "booked")]);

#[derive(OpenApi)]
#[openapi(paths(mine, fund, give, reverse), modifiers(&OBJECTS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Get my wallet
///
/// The caller's credits by currency, including reserved and expiring amounts.
#[utoipa::path(get, path = "/me/wallet", operation_id = "getMyWallet", tag = "Wallet accounts", security(("bearer" = [])),
    responses((status = 200, description = "A balance for each currency", body = BalanceList)))]
async fn mine(State(wallet): State<Wallet>, caller: Member) -> Result<Response> {
    let list = BalanceList {
        data: wallet.balances(&caller).await?,
    };
    Ok(uncached(list))
}

/// Fund the credit budget
///
/// Adds to the budget of a currency for bonuses and rewards, which are refused if the budget is insufficient. Only for
/// platform administrators.
#[utoipa::path(post, path = "/wallet/budgets/{currency}/fundings", operation_id = "fundBudget", tag = "Wallet accounts",
    security(("bearer" = [])), params(
        ("currency" = String, Path, description = "ISO 4217 code"),
        ("Idempotency-Key" = String, Header, description = "The same key books once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = Funding,
    responses(
        (status = 201, description = "The entry is booked", body = Booked),
        (status = 400, description = "The key is missing"),
        (status = 403, description = "The caller is no platform administrator"),
        (status = 404, description = "There is no such currency"),
        (status = 409, description = "The same request is in progress"),
        (status = 422, description = "A value is wrong, or the key belongs to another request")))]
async fn fund(
    State(wallet): State<Wallet>,
    caller: Member,
    Path(currency): Path<String>,
    headers: HeaderMap,
    Sent(body): Sent<Funding>,
) -> Result<Response> {
    administrator(&caller)?;
    let currency = Format::Currency.read(&currency);
    let currency = currency.ok_or_else(Error::not_found)?;
    let (key, currency, body) = (&key("funding", &caller, &headers)?, &currency, &body);
    let work = wallet
        .db
        .run(Wallet::NAME, Some(&caller), caller.request_id, move |cx| {
            Box::pin(async move {
                let cash = ledger::of_platform(cx, "platform_cash", currency).await?;
                let budget = ledger::of_platform(cx, "promo_budget", currency).await?;
                let entry = Entry {
                    kind: "funding",
                    key,
                    reference: Some(&body.reference),
                    reverses: None,
                    hold: None,
                    legs: &ledger::legs(cash, budget, body.amount_cents),
                };
                entry.post(cx).await
            })
        });
    booked(work.await?)
}

/// Give credits to a member
///
/// Takes the amount from the credit budget of the currency. Only for platform administrators, who can't give credits to themselves.
#[utoipa::path(post, path = "/wallet/credits", operation_id = "giveCredits", tag = "Wallet accounts",
    security(("bearer" = [])), params(
        ("Idempotency-Key" = String, Header, description = "The same key books once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = GiveCredits,
    responses(
        (status = 201, description = "The entry is booked", body = Booked),
        (status = 400, description = "The key is missing"),
        (status = 403, description = "The caller is no platform administrator"),
        (status = 409, description = "The budget is insufficient, or the same request is in progress"),
        (status = 422, description = "A value is wrong, there is no such member, or the key belongs to another request")))]
async fn give(
    State(wallet): State<Wallet>,
    caller: Member,
    headers: HeaderMap,
    Sent(body): Sent<GiveCredits>,
) -> Result<Response> {
    administrator(&caller)?;
    let (wallet, key, body) = (&wallet, &key("credit", &caller, &headers)?, &body);
    if body.user_id == caller.id() {
        let detail = "is you: somebody else has to give you credits";
        return Err(Error::field("/user_id", "reference", detail));
    }
    let kind = match body.kind {
        CreditKind::PromotionBonus => "promotion_bonus",
        CreditKind::EventCredit => "event_credit",
    };
    let work = wallet
        .db
        .run(Wallet::NAME, Some(&caller), caller.request_id, move |cx| {
            Box::pin(async move {
                let expires_at = wallet.expiry(cx, body.expires_at).await?;
                let is_there: bool = sqlx::query_scalar(
                    "select exists (select from app.users where id = $1 and status <> 'archived')",
                )
                .bind(body.user_id)
                .fetch_one(cx.conn())
                .await?;
                if !is_there {
                    let detail = "does not refer to anything you can use here";
                    return Err(Error::field("/user_id", "reference", detail));
                }
                let budget = ledger::of_platform(cx, "promo_budget", &body.currency).await?;
                let to = ledger::of_member(cx, body.user_id, &body.currency).await?;
                let grant = Grant {
                    kind,
                    key,
                    reference: Some(&body.reference),
                    from: budget,
                    to,
                    amount_cents: body.amount_cents,
                    expires_at,
                };
                grant.post(cx).await
            })
        });
    booked(work.await?)
}

/// Reverse a ledger entry
///
/// Books an opposite entry, once, of a budget's `funding` or of credits given by hand (`event_credit`,
/// `promotion_bonus`) of which none is spent. Other entries belong to an order, a refund, a referral or a dispute: refund
/// the order instead. Only for platform administrators.
#[utoipa::path(post, path = "/wallet-journals/{id}/reversals", operation_id = "reverseJournal", tag = "Wallet journals",
    security(("bearer" = [])), params(
        ("id" = Uuid, Path, description = "Of the entry"),
        ("Idempotency-Key" = String, Header, description = "The same key books once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = Reversal,
    responses(
        (status = 201, description = "The entry is booked", body = Booked),
        (status = 400, description = "The key is missing"),
        (status = 403, description = "The caller is no platform administrator"),
        (status = 404, description = "There is no such entry"),
        (status = 409, description = "The entry was reversed before, its credits are spent, or it is not of a kind that can be reversed"),
        (status = 422, description = "A value is wrong, or the key belongs to another request")))]
async fn reverse(
    State(wallet): State<Wallet>,
    caller: Member,
    Path(journal): Path<String>,
    headers: HeaderMap,
    Sent(body): Sent<Reversal>,
) -> Result<Response> {
    administrator(&caller)?;
    let journal = id(&journal)?;
    let (key, body) = (&key("reversal", &caller, &headers)?, &body);
    let work = wallet
        .db
        .run(Wallet::NAME, Some(&caller), caller.request_id, move |cx| {
            Box::pin(async move {
                let rows = sqlx::query(
                    "select t.wallet_id, case t.type when 'credit' then -t.amount_cents else t.amount_cents end as amount_cents,
                       j.kind, j.idempotency_key like 'disputed:%' as of_dispute
                     from app.wallet_transactions t join app.wallet_journals j on j.id = t.journal_id where j.id = $1",
                )
                .bind(journal)
                .fetch_all(cx.conn())
                .await?;
                let Some(entry) = rows.first() else {
                    return Err(Error::not_found());
                };
                let why = irreversible(entry.try_get("kind")?, entry.try_get("of_dispute")?);
                if let Some(why) = why {
                    return Err(Error::new(&problems::STATE).detail(why));
                }
                let legs = rows.iter().map(|row| {
                    Ok(Leg {
                        wallet_id: row.try_get("wallet_id")?,
                        amount_cents: row.try_get("amount_cents")?,
                    })
                });
                let legs: Vec<Leg> = legs.collect::<Result<_>>()?;
                let entry = Entry {
                    kind: "reversal",
                    key,
                    reference: Some(&body.reason),
                    reverses: Some(journal),
                    hold: None,
                    legs: &legs,
                };
                entry.post(cx).await
            })
        });
    booked(work.await?)
}

/// Why an entry of this kind can't be reversed by hand. Only what administrators have booked themselves can: other
/// entries belong to a row (an order, a refund, a referral, a dispute) that would still say that they are booked.
fn irreversible(kind: &str, of_dispute: bool) -> Option<&'static str> {
    if of_dispute || kind.starts_with("dispute_") {
        return Some("Entries about a dispute follow the bank's decision and can't be reversed.");
    }
    match kind {
        "funding" | "event_credit" | "promotion_bonus" => None,
        "purchase" => Some(
            "These credits have paid an order. Refund the order instead: `POST /orders/{id}/refunds`.",
        ),
        "refund_credit" => {
            Some("These credits are the refund of an order or a fee, which is refunded for good.")
        }
        "referral_reward" | "adjustment" => Some(
            "A reward is taken back when the purchase that it is for is refunded, and not by hand.",
        ),
        "reversal" | "expiry" => Some(
            "A reversal and an expiry are final. Give the member credits again: `POST /wallet/credits`.",
        ),
        _ => Some("Entries of this kind can't be reversed."),
    }
}

/// Derives the key of the entry from the request's idempotency key, so that a repeated request is booked once.
fn key(what: &str, caller: &Member, headers: &HeaderMap) -> Result<String> {
    let sent = idempotency::key(headers)?.unwrap_or_default();
    Ok(format!("{what}:{}:{}", caller.id(), digest(sent)))
}

fn booked(journal_id: Uuid) -> Result<Response> {
    Ok((StatusCode::CREATED, Json(Booked { journal_id })).into_response())
}

impl Wallet {
    async fn balances(&self, caller: &Member) -> Result<Vec<Balance>> {
        let of = caller.id();
        // As the module: that an account is frozen is not shown to members, only that nothing of it can be spent.
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move { Self::balances_of(cx, of).await })
            });
        run.await
    }

    async fn balances_of(cx: &mut Cx, member: Uuid) -> Result<Vec<Balance>> {
        let rows = sqlx::query(
            "select w.id, w.currency, w.balance_cents, w.held_cents, app.available_credits(w.id) as available_cents
             from app.wallet_accounts w where w.user_id = $1 order by w.currency",
        )
        .bind(member)
        .fetch_all(cx.conn())
        .await?;
        let credits: Vec<(Uuid, i64, DateTime<Utc>)> = sqlx::query_as(
            "select c.wallet_id, c.remaining_cents, c.expires_at from app.wallet_credits c
             join app.wallet_accounts w on w.id = c.wallet_id
             where w.user_id = $1 and c.remaining_cents > 0 and c.expires_at is not null order by c.expires_at limit 100",
        )
        .bind(member)
        .fetch_all(cx.conn())
        .await?;
        rows.iter()
            .map(|row| {
                let wallet_id: Uuid = row.try_get("id")?;
                let lapsing = credits
                    .iter()
                    .filter(|(wallet, ..)| *wallet == wallet_id)
                    .map(|(_, amount_cents, expires_at)| Lapsing {
                        amount_cents: *amount_cents,
                        expires_at: *expires_at,
                    })
                    .collect();
                Ok(Balance {
                    wallet_id,
                    currency: row.try_get("currency")?,
                    balance_cents: row.try_get("balance_cents")?,
                    held_cents: row.try_get("held_cents")?,
                    available_cents: row.try_get("available_cents")?,
                    lapsing,
                })
            })
            .collect()
    }

    /// When credits that are granted now expire: at `wanted`, otherwise after the number of days in the settings.
    /// None: never. Refuses a time that is not in the future.
    pub(super) async fn expiry(
        &self,
        cx: &mut Cx,
        wanted: Option<DateTime<Utc>>,
    ) -> Result<Option<DateTime<Utc>>> {
        let now = clock::of_database(cx).await?;
        match (wanted, self.settings.wallet_credit_days) {
            (Some(wanted), _) if wanted <= now => Err(Error::field(
                "/expires_at",
                "range",
                "must be in the future",
            )),
            (Some(wanted), _) => Ok(Some(wanted)),
            (None, 0) => Ok(None),
            (None, days) => Ok(Some(now + TimeDelta::days(days.into()))),
        }
    }
}
