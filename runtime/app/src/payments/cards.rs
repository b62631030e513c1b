//! Members as customers of the provider, and the cards that it stores for them. Card numbers never reach this server:
//! the client sends them to the provider, and only what the provider tells about a card is stored here.

use super::{Payments, bodies::CardSetup, call, looks::in_turn};
use crate::module::Module;
use gateway::{Card, Failure, Gateway, Key, Metadata, NewCustomer, NewSetup, Setup, SetupStatus};
use generated::payment_method::PAYMENT_METHOD;
use kernel::{Cx, Error, Member, Result};
use std::future::ready;
use uuid::Uuid;

impl Payments {
    /// Returns the provider's customer id of a member, and creates the customer at the member's first payment. The
    /// provider gets the member's id and no personal data.
    pub(super) async fn customer(&self, user: Uuid, request: Uuid) -> Result<String> {
        let found = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { known(cx, user).await })
        });
        if let Some(customer) = found.await? {
            return Ok(customer);
        }
        let new = NewCustomer {
            metadata: Metadata::from([("user_id".to_owned(), user.to_string())]),
            ..NewCustomer::default()
        };
        let (gateway, new) = (self.gateway()?, &new);
        let keys = call::keys(&format!("customer:{user}"), request)?;
        let send = move |key: Key| async move { gateway.create_customer(&key, new).await };
        let made = keys.once(send, ready(Ok(None))).await;
        let made = made.map_err(|failure| call::request_error(&failure))?;
        let id = &made.id;
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                // If another customer is stored by now, the new one is left unused. That happens after the provider
                // has forgotten the key, or if the key was stuck.
                sqlx::query("update app.users set stripe_customer_id = $2 where id = $1 and stripe_customer_id is null")
                    .bind(user)
                    .bind(id)
                    .execute(cx.conn())
                    .await?;
                Ok(known(cx, user).await?.unwrap_or_else(|| id.clone()))
            })
        });
        run.await
    }

    /// Whether a customer at the provider is a member of ours.
    pub(super) async fn is_member(&self, customer: &str, request: Uuid) -> Result<bool> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { Ok(of_customer(cx, customer).await?.is_some()) })
        });
        run.await
    }

    /// Begins to save a card. `key` is the idempotency key of the member.
    pub(super) async fn save_card(&self, member: &Member, key: &str) -> Result<CardSetup> {
        let customer = self.customer(member.id(), member.request_id).await?;
        let new = NewSetup {
            customer,
            metadata: Metadata::from([("user_id".to_owned(), member.id().to_string())]),
        };
        let (gateway, new) = (self.gateway()?, &new);
        let of = call::digest("setup", &format!("{}:{key}", member.id()));
        let keys = call::keys(&of, member.request_id)?;
        let send = move |key: Key| async move { gateway.create_setup(&key, new).await };
        // Nothing to look up: a setup to which no card is added has no effect.
        let setup = keys.once(send, ready(Ok(None))).await;
        let setup = setup.map_err(|failure| call::request_error(&failure))?;
        let secret = setup.client_secret.map(|secret| secret.expose().to_owned());
        let page = self.settings.card_page_url.as_deref();
        Ok(CardSetup {
            page_url: call::page(page, &setup.id, secret.as_deref()),
            client_secret: secret,
        })
    }

    /// Detaches the card at the provider first, since a card that is no longer shown must not be chargeable.
    pub(super) async fn forget_card(&self, member: &Member, card: Uuid) -> Result<()> {
        let run = self
            .db
            .run(Self::NAME, Some(member), member.request_id, move |cx| {
                Box::pin(async move { own(cx, card).await })
            });
        let id = run.await?;
        let (gateway, known) = (self.gateway()?, id.as_str());
        let keys = call::keys(&format!("detach:{card}"), member.request_id)?;
        let send = move |key: Key| async move {
            let detached = gateway.detach_card(&key, known).await;
            detached.map(drop)
        };
        let look = async move {
            let is_gone = is_gone(gateway, known).await?;
            Ok::<_, Failure>(is_gone.then_some(()))
        };
        if let Err(failure) = keys.once(send, look).await {
            // It may be detached already.
            let is_gone = is_gone(gateway, known).await;
            if !is_gone.unwrap_or(false) {
                return Err(call::request_error(&failure));
            }
        }
        self.forget(&id, member.request_id).await
    }

    pub(super) async fn prefer_card(&self, member: &Member, card: Uuid) -> Result<()> {
        let user = member.id();
        let run = self.db.run(Self::NAME, Some(member), member.request_id, move |cx| {
            Box::pin(async move {
                own(cx, card).await?;
                lock(cx, user).await?;
                sqlx::query(
                    "update app.payment_methods set is_default = false where user_id = $1 and is_default and id <> $2",
                )
                .bind(user)
                .bind(card)
                .execute(cx.conn())
                .await?;
                sqlx::query("update app.payment_methods set is_default = true where id = $1 and not is_default")
                    .bind(card)
                    .execute(cx.conn())
                    .await?;
                Ok(())
            })
        });
        run.await
    }

    /// Stores the card of a setup that has succeeded.
    pub(super) async fn learn_setup(&self, setup: &Setup, request: Uuid) -> Result<()> {
        match (&setup.payment_method, setup.status) {
            (Some(card), SetupStatus::Succeeded) => self.learn_card(card, request).await,
            _ => Ok(()),
        }
    }

    /// Reads a card and stores what may be shown of it. A card that has no customer, or that the provider doesn't
    /// find, is archived.
    pub(super) async fn learn_card(&self, id: &str, request: Uuid) -> Result<()> {
        let card = match self.gateway()?.card(id).await {
            Ok(card) => card,
            Err(failure) if failure.is_missing() => return self.forget(id, request).await,
            Err(failure) => return Err(call::request_error(&failure)),
        };
        let (card, Some(customer)) = (&card, &card.customer) else {
            return self.forget(id, request).await;
        };
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { keep(cx, card, customer).await })
        });
        run.await
    }

    /// Detaches the cards of members whose data were erased, who can't remove them any more. While the account is only
    /// closed the cards stay, since it may be reopened.
    pub(super) async fn forget_cards_of_the_erased(&self, request: Uuid) -> Result<()> {
        self.each_in_turn(
            request,
            in_turn!(
                "select m.id, m.stripe_payment_method_id as name, m.created_at from app.payment_methods m
                 join app.users u on u.id = m.user_id
                 where u.erased_at is not null and m.detached_at is null"
            ),
            "a card could not be forgotten yet",
            |id: String| async move { self.detach(&id, request).await },
        )
        .await
    }

    async fn detach(&self, id: &str, request: Uuid) -> Result<()> {
        // The key is new for each attempt: detaching twice is harmless, and an error that the provider has stored
        // under an older key would block this for a day.
        let key = call::key(call::digest("detach", &format!("{id}:{request}")))?;
        let gateway = self.gateway()?;
        if let Err(failure) = gateway.detach_card(&key, id).await {
            let is_gone = is_gone(gateway, id).await;
            if !is_gone.unwrap_or(false) {
                return Err(call::request_error(&failure));
            }
        }
        self.forget(id, request).await
    }

    async fn forget(&self, id: &str, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                sqlx::query(
                    "update app.payment_methods set status = 'archived', is_default = false, detached_at = coalesce(detached_at, now())
                     where stripe_payment_method_id = $1 and (status <> 'archived' or detached_at is null)",
                )
                .bind(id)
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        });
        run.await
    }
}

/// Whether the card doesn't exist at the provider, or belongs to no customer.
async fn is_gone(gateway: &dyn Gateway, id: &str) -> Result<bool, Failure> {
    match gateway.card(id).await {
        Ok(card) => Ok(card.customer.is_none()),
        Err(failure) if failure.is_missing() => Ok(true),
        Err(failure) => Err(failure),
    }
}

async fn known(cx: &mut Cx, user: Uuid) -> Result<Option<String>> {
    let found = sqlx::query_scalar("select stripe_customer_id from app.users where id = $1");
    let found: Option<Option<String>> = found.bind(user).fetch_optional(cx.conn()).await?;
    Ok(found.flatten())
}

async fn of_customer(cx: &mut Cx, customer: &str) -> Result<Option<Uuid>> {
    let found = sqlx::query_scalar("select id from app.users where stripe_customer_id = $1");
    Ok(found.bind(customer).fetch_optional(cx.conn()).await?)
}

/// Returns the provider's id of a card of the caller.
async fn own(cx: &mut Cx, card: Uuid) -> Result<String> {
    if !cx.may(&PAYMENT_METHOD, "read", card).await? {
        return Err(Error::not_found());
    }
    let id = sqlx::query_scalar(
        "select stripe_payment_method_id from app.payment_methods where id = $1",
    );
    Ok(id.bind(card).fetch_one(cx.conn()).await?)
}

/// Locks the cards of a member, of which at most one is the default.
async fn lock(cx: &mut Cx, user: Uuid) -> Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('cards:' || $1::text, 0))")
        .bind(user)
        .execute(cx.conn())
        .await?;
    Ok(())
}

async fn keep(cx: &mut Cx, card: &Card, customer: &str) -> Result<()> {
    let Some(user) = of_customer(cx, customer).await? else {
        return Ok(());
    };
    lock(cx, user).await?;
    let updated = sqlx::query(
        "update app.payment_methods set brand = $2, last4 = $3, exp_month = $4, exp_year = $5
         where stripe_payment_method_id = $1 and status = 'active'",
    )
    .bind(&card.id)
    .bind(&card.brand)
    .bind(&card.last4)
    .bind(i32::from(card.exp_month))
    .bind(i32::from(card.exp_year))
    .execute(cx.conn())
    .await?;
    if updated.rows_affected() > 0 {
        return Ok(());
    }
    sqlx::query(
        "insert into app.payment_methods (user_id, stripe_payment_method_id, brand, last4, exp_month, exp_year, is_default)
         select $1, $2, $3, $4, $5, $6,
           not exists (select from app.payment_methods p where p.user_id = $1 and p.is_default and p.status = 'active')",
    )
    .bind(user)
    .bind(&card.id)
    .bind(&card.brand)
    .bind(&card.last4)
    .bind(i32::from(card.exp_month))
    .bind(i32::from(card.exp_year))
    .execute(cx.conn())
    .await?;
    Ok(())
}
