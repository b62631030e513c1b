//! Accounts of organisations, businesses and cities at the provider. One account is created per owner, who completes
//! it on the provider's pages. What the account can do is only known by reading it; the owner's return from those
//! pages proves nothing.

use super::{
    Payments,
    active::active,
    bodies::{Onboarding, OnboardingRequest},
    call,
};
use crate::{module::Module, problems};
use chrono::{DateTime, Utc};
use gateway::{
    Account, Failure, FindAccounts, Gateway, Key, Metadata, NewAccount, NewAccountLink, region,
};
use kernel::{Cx, Error, Member, Result, jobs, resource::Resource};
use serde_json::json;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// The event that tells of an organisation or a business whose account can't take payments any more.
pub const ACCOUNT_LOST: &str = "payments.account_lost";

/// The owner of an account.
#[derive(Clone, Copy)]
pub struct Owner {
    /// `organization`, `business` or `city`.
    pub kind: &'static str,
    /// The rule of the entity that allows a caller to open the account.
    pub rule: &'static str,
    pub id: Uuid,
    pub entity: &'static Resource,
}

/// An account as it was stored.
struct Begun {
    id: Uuid,
    account: Option<String>,
    country: String,
    attempt: i32,
    created_at: DateTime<Utc>,
    loaded_at: DateTime<Utc>,
}

impl Payments {
    /// Returns a new link to the provider's pages, and creates the account if there is none. For callers who fulfil
    /// the owner's rule.
    pub(super) async fn onboard(
        &self,
        caller: &Member,
        owner: Owner,
        body: &OnboardingRequest,
    ) -> Result<Onboarding> {
        let gateway = self.gateway()?;
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    cx.require(owner.entity, "read", owner.id).await?;
                    if !cx.holds(owner.entity, owner.rule, owner.id).await? {
                        return Err(Error::forbidden());
                    }
                    active(cx, owner.entity, owner.id).await?;
                    begin(cx, owner).await
                })
            });
        let begun = run.await?;
        if owner.kind == "city" && self.is_abroad(&begun.country) {
            // A city is paid by transfers, which Stripe does not make to other regions.
            let detail = format!("Nothing can be sent to an account in {}.", begun.country);
            return Err(Error::new(&problems::PAYMENT_REFUSED).detail(detail));
        }
        let account = match begun.account.clone() {
            Some(account) => account,
            None => self.make_account(&begun, owner, caller.request_id).await?,
        };
        let new = NewAccountLink {
            account,
            refresh_url: body.refresh_url.clone(),
            return_url: body.return_url.clone(),
        };
        // A link can be opened only once, so each request gets its own.
        let key = call::key(format!("link:{}", caller.request_id))?;
        let link = gateway.create_account_link(&key, &new).await;
        let link = link.map_err(|failure| call::request_error(&failure))?;
        Ok(Onboarding {
            connected_account_id: begun.id,
            url: link.url.expose().to_owned(),
            expires_at: link.expires_at,
        })
    }

    /// Whether accounts of this country are outside the region of the platform's own account.
    fn is_abroad(&self, country: &str) -> bool {
        let ours = self.settings.stripe_account_country.as_deref();
        ours.is_some_and(|ours| !region::is_shared(ours, country))
    }

    async fn make_account(&self, begun: &Begun, owner: Owner, request: Uuid) -> Result<String> {
        let gateway = self.gateway()?;
        let query = &FindAccounts {
            owner: owner.id.to_string(),
            created_since: begun.created_at - chrono::TimeDelta::minutes(10),
        };
        let found = match call::is_old(begun.created_at, begun.loaded_at) {
            true => made_before(gateway, query).await,
            false => Ok(None),
        };
        let account = match found.map_err(|failure| call::request_error(&failure))? {
            Some(account) => account,
            None => {
                let new = &NewAccount {
                    owner: owner.id.to_string(),
                    country: begun.country.clone(),
                    email: None,
                    metadata: Metadata::from([("owner_type".to_owned(), owner.kind.to_owned())]),
                };
                let of = format!("account:{}:{}", begun.id, begun.attempt);
                let send = move |key: Key| async move { gateway.create_account(&key, new).await };
                let made = call::keys(&of, request)?.once(send, made_before(gateway, query));
                made.await
                    .map_err(|failure| call::request_error(&failure))?
            }
        };
        let id = self.name_account(begun.id, account.id, request).await?;
        self.learn_account(&id, request).await?;
        Ok(id)
    }

    /// Stores the account's id in the row, unless another request was faster. Returns the id that the row has now.
    async fn name_account(&self, row: Uuid, id: String, request: Uuid) -> Result<String> {
        let id = &id;
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                sqlx::query(
                    "update app.connected_accounts set stripe_account_id = $2 where id = $1 and stripe_account_id is null",
                )
                .bind(row)
                .bind(id)
                .execute(cx.conn())
                .await?;
                let known: Option<String> = sqlx::query_scalar(
                    "select stripe_account_id from app.connected_accounts where id = $1",
                )
                .bind(row)
                .fetch_one(cx.conn())
                .await?;
                Ok(known.unwrap_or_else(|| id.clone()))
            })
        });
        run.await
    }

    /// Reads the account and stores what it can do, unless a later reading is stored already. Returns whether it was
    /// stored.
    pub(super) async fn learn_account(&self, id: &str, request: Uuid) -> Result<bool> {
        let began = self.now(request).await?;
        let account = match self.gateway()?.account(id).await {
            Err(failure) if failure.is_without_access() => {
                return self.lose_access(id, began, request).await;
            }
            account => account.map_err(|failure| call::request_error(&failure))?,
        };
        let account = &account;
        let abroad = account
            .country
            .as_deref()
            .is_some_and(|country| self.is_abroad(country));
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { keep(cx, account, abroad, began).await })
        });
        run.await
    }

    /// Marks an account that the platform can no longer read as unable to take payments, until it can be read again.
    /// Either its owner has disconnected it and the webhook about it got lost, or the server is configured with the
    /// key of another platform by mistake. Returns whether the account changed.
    async fn lose_access(&self, id: &str, began: DateTime<Utc>, request: Uuid) -> Result<bool> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let row = sqlx::query(
                    "update app.connected_accounts set charges_enabled = false, payouts_enabled = false, transfers_active = false,
                       disabled_reason = 'account_invalid', synced_at = $2,
                       lost_at = case when charges_enabled and payouts_enabled and transfers_active then now() else lost_at end
                     where stripe_account_id = $1 and deauthorized_at is null and (synced_at is null or synced_at <= $2)
                     returning id, owner_type, owner_id, coalesce(lost_at = now(), false) as is_lost",
                )
                .bind(id)
                .bind(began)
                .fetch_optional(cx.conn())
                .await?;
                learned(cx, row.as_ref(), id).await
            })
        });
        run.await
    }

    /// Marks an account as unusable because its owner has disconnected it. Returns whether it changed.
    pub(super) async fn deauthorize(&self, id: &str, request: Uuid) -> Result<bool> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let row = sqlx::query(
                    "update app.connected_accounts set deauthorized_at = now(), charges_enabled = false, payouts_enabled = false,
                       transfers_active = false,
                       lost_at = case when charges_enabled and payouts_enabled and transfers_active then now() else lost_at end
                     where stripe_account_id = $1 and deauthorized_at is null
                     returning id, owner_type, owner_id, coalesce(lost_at = now(), false) as is_lost",
                )
                .bind(id)
                .fetch_optional(cx.conn())
                .await?;
                learned(cx, row.as_ref(), id).await
            })
        });
        run.await
    }
}

/// An account that money can be sent to.
#[derive(Clone, Debug)]
pub struct Ready {
    pub account: String,
    /// Whether the account can only be paid by payments on its behalf, not by transfers.
    pub settles_abroad: bool,
}

/// The account of a host, if money can be sent to it now.
pub async fn ready(cx: &mut Cx, host_type: &str, host: Uuid) -> Result<Option<Ready>> {
    let found: Option<(String, bool)> = sqlx::query_as(
        "select stripe_account_id, settles_abroad from app.connected_accounts
         where owner_type = $1 and owner_id = $2 and charges_enabled and payouts_enabled and transfers_active
           and deauthorized_at is null and stripe_account_id is not null",
    )
    .bind(host_type)
    .bind(host)
    .fetch_optional(cx.conn())
    .await?;
    Ok(found.map(|(account, settles_abroad)| Ready {
        account,
        settles_abroad,
    }))
}

/// The newest account of an owner at the provider.
async fn made_before(
    gateway: &dyn Gateway,
    query: &FindAccounts,
) -> Result<Option<Account>, Failure> {
    let found = gateway.find_accounts(query).await?;
    Ok(found.into_iter().next())
}

/// Inserts the owner's row of `connected_accounts` if there is none, and returns it.
async fn begin(cx: &mut Cx, owner: Owner) -> Result<Begun> {
    let country: Option<String> = match owner.kind {
        "business" => sqlx::query_scalar(
            "select k.code from app.businesses b join app.cities c on c.id = b.city_id
             join app.countries k on k.id = c.country_id where b.id = $1",
        ),
        "city" => sqlx::query_scalar(
            "select k.code from app.cities c join app.countries k on k.id = c.country_id where c.id = $1",
        ),
        _ => sqlx::query_scalar(
            "select k.code from app.organizations b join app.cities c on c.id = b.city_id
             join app.countries k on k.id = c.country_id where b.id = $1",
        ),
    }
    .bind(owner.id)
    .fetch_optional(cx.conn())
    .await?;
    sqlx::query(
        "insert into app.connected_accounts (owner_type, owner_id, country, requirements_due) values ($1, $2, $3, '{}')
         on conflict do nothing",
    )
    .bind(owner.kind)
    .bind(owner.id)
    .bind(country)
    .execute(cx.conn())
    .await?;
    // An owner who has disconnected the account gets a new one.
    sqlx::query(
        "update app.connected_accounts set stripe_account_id = null, deauthorized_at = null, synced_at = null, attempt = attempt + 1
         where owner_type = $1 and owner_id = $2 and deauthorized_at is not null",
    )
    .bind(owner.kind)
    .bind(owner.id)
    .execute(cx.conn())
    .await?;
    let row = sqlx::query(
        "select id, stripe_account_id, country, attempt, created_at, clock_timestamp() as loaded_at
         from app.connected_accounts where owner_type = $1 and owner_id = $2",
    )
    .bind(owner.kind)
    .bind(owner.id)
    .fetch_one(cx.conn())
    .await?;
    Ok(Begun {
        id: row.try_get("id")?,
        account: row.try_get("stripe_account_id")?,
        country: row.try_get("country")?,
        attempt: row.try_get("attempt")?,
        created_at: row.try_get("created_at")?,
        loaded_at: row.try_get("loaded_at")?,
    })
}

async fn keep(cx: &mut Cx, account: &Account, abroad: bool, began: DateTime<Utc>) -> Result<bool> {
    let mut due = account.requirements_due.clone();
    due.truncate(200);
    let row = sqlx::query(
        "update app.connected_accounts set charges_enabled = $2, payouts_enabled = $3, transfers_active = $4, requirements_due = $5,
           disabled_reason = $6, synced_at = $7, settles_abroad = $8,
           lost_at = case when $2 and $3 and $4 then null
             when charges_enabled and payouts_enabled and transfers_active then now() else lost_at end
         where stripe_account_id = $1 and deauthorized_at is null and (synced_at is null or synced_at <= $7)
         returning id, owner_type, owner_id, coalesce(lost_at = now(), false) as is_lost",
    )
    .bind(&account.id)
    .bind(account.charges_enabled)
    .bind(account.payouts_enabled)
    .bind(account.transfers_active)
    .bind(due)
    .bind(&account.disabled_reason)
    .bind(began)
    .bind(abroad)
    .fetch_optional(cx.conn())
    .await?;
    learned(cx, row.as_ref(), &account.id).await
}

/// What follows from a change of an account's row: the host's profile shows it, and the host is told if it can't be paid
/// any more. None: another reading was later. Returns whether there was a change.
async fn learned(cx: &mut Cx, row: Option<&PgRow>, account: &str) -> Result<bool> {
    let Some(row) = row else { return Ok(false) };
    let owner_type: &str = row.try_get("owner_type")?;
    mirror(cx, owner_type, row.try_get("owner_id")?, account).await?;
    if row.try_get("is_lost")? && owner_type != "city" {
        let about = ("connected_account", row.try_get("id")?);
        jobs::tell(cx, ACCOUNT_LOST, about, json!({})).await?;
    }
    Ok(true)
}

/// Copies the account's state to the host's profile, where its staff see it and older clients read it.
async fn mirror(cx: &mut Cx, owner_type: &str, owner: Uuid, account: &str) -> Result<()> {
    let update = match owner_type {
        "city" => return Ok(()),
        "business" => sqlx::query(
            "update app.businesses p set stripe_account_id = $2, charges_enabled = a.charges_enabled, payouts_enabled = a.payouts_enabled
             from app.connected_accounts a where p.id = $1 and a.stripe_account_id = $2
               and (p.stripe_account_id, p.charges_enabled, p.payouts_enabled) is distinct from ($2, a.charges_enabled, a.payouts_enabled)",
        ),
        _ => sqlx::query(
            "update app.organizations p set stripe_account_id = $2, charges_enabled = a.charges_enabled, payouts_enabled = a.payouts_enabled
             from app.connected_accounts a where p.id = $1 and a.stripe_account_id = $2
               and (p.stripe_account_id, p.charges_enabled, p.payouts_enabled) is distinct from ($2, a.charges_enabled, a.payouts_enabled)",
        ),
    };
    update.bind(owner).bind(account).execute(cx.conn()).await?;
    Ok(())
}
