//! Applies what the provider says of a payment to our books, in one transaction. Reports may be late, repeated or out
//! of order: a final status is kept, an earlier reading never replaces a later one, and a payment settles its order
//! once.

use super::{Payments, command::Of, fees, plan_shares};
use crate::{module::Module, promotions, tickets::settle::Settled};
use chrono::{DateTime, Utc};
use gateway::{Payment, PaymentStatus};
use kernel::{Cx, Result};
use sqlx::Row;
use uuid::Uuid;

/// The result of applying a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    Known,
    /// The payment is not one of ours.
    Unknown,
    /// The payment claims to be one of ours, but differs from what was requested. Nothing was changed. Holds the
    /// differences.
    Differs(String),
}

/// A transaction as it is in our books. Its row is locked.
struct Ours {
    id: Uuid,
    /// What was paid for. None for a period of a subscription.
    of: Option<Of>,
    amount: i64,
    fee: i64,
    currency: String,
    destination: Option<String>,
    on_behalf: bool,
    status: String,
    refunded: i64,
    synced_at: Option<DateTime<Utc>>,
}

impl Payments {
    /// Applies a payment as the provider reports it. `began` is the time by the database's clock before the provider
    /// was called.
    pub(super) async fn apply(
        &self,
        request: Uuid,
        payment: &Payment,
        began: DateTime<Utc>,
    ) -> Result<Applied> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { self.apply_in(cx, payment, began).await })
        });
        run.await
    }

    async fn apply_in(
        &self,
        cx: &mut Cx,
        payment: &Payment,
        began: DateTime<Utc>,
    ) -> Result<Applied> {
        let Some(ours) = find(cx, payment).await? else {
            return Ok(Applied::Unknown);
        };
        if let Some(why) = self.differs(&ours, payment) {
            tracing::error!(
                payment = payment.id,
                why,
                "a payment is not what was asked for"
            );
            return Ok(Applied::Differs(why));
        }
        let was_paid = is_paid(&ours.status);
        write(cx, &ours, payment, began).await?;
        match ours.of {
            Some(Of::Order(order)) if payment.status.is_paid() && !was_paid => {
                let settled = self.tickets.paid(cx, order).await?;
                if let Settled::Owed(refund) = settled {
                    tracing::info!(%order, %refund, "paid too late for what was ordered: it goes back");
                }
            }
            Some(Of::Promotion(promotion)) if payment.status.is_paid() && !was_paid => {
                promotions::paid(cx, promotion).await?;
            }
            Some(Of::Quote(quote)) if payment.status.is_paid() && !was_paid => {
                fees::paid(cx, quote).await?;
            }
            None => plan_shares::follow(cx, ours.id).await?,
            _ => {}
        }
        Ok(Applied::Known)
    }

    /// Returns what differs from the stored command. Without this check a manipulated payment of a smaller amount
    /// would buy the tickets.
    fn differs(&self, ours: &Ours, payment: &Payment) -> Option<String> {
        let provider = self.provider.as_ref()?;
        let named = ours.of.map(Of::metadata);
        let checks = [
            (payment.amount == ours.amount, "amount"),
            (payment.currency.as_str() == ours.currency, "currency"),
            (payment.destination == ours.destination, "destination"),
            (
                payment.on_behalf_of == ours.destination.clone().filter(|_| ours.on_behalf),
                "on whose behalf it is",
            ),
            (
                payment.application_fee.unwrap_or(0) == ours.fee,
                "application fee",
            ),
            (
                named.is_none_or(|(name, id)| payment.metadata.get(&name) == Some(&id)),
                "what it is for",
            ),
            (payment.livemode == provider.livemode, "livemode"),
        ];
        let wrong: Vec<&str> = checks
            .iter()
            .filter(|(fits, _)| !fits)
            .map(|(_, what)| *what)
            .collect();
        (!wrong.is_empty()).then(|| format!("it differs in {}", wrong.join(", ")))
    }
}

/// A payment from the answer to a call that changes it. The provider stores that answer under the call's key, so a
/// repeated answer may be from before a refund: the refunded amount is only known from reading, and is removed here.
pub fn answered(payment: Payment) -> Payment {
    Payment {
        amount_refunded: None,
        ..payment
    }
}

/// The status as `transactions.status` has it.
pub fn status(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Created => "created",
        PaymentStatus::RequiresAction => "requires_action",
        PaymentStatus::Processing => "processing",
        PaymentStatus::Failed => "failed",
        PaymentStatus::Canceled => "cancelled",
        PaymentStatus::Succeeded => "succeeded",
        PaymentStatus::PartiallyRefunded => "part_refunded",
        PaymentStatus::Refunded => "refunded",
    }
}

/// Finds the transaction by the provider's id of the payment, or by our own id while the provider's is not stored yet.
async fn find(cx: &mut Cx, payment: &Payment) -> Result<Option<Ours>> {
    let ours = payment.metadata.get("transaction_id");
    let ours = ours.and_then(|id| Uuid::try_parse(id).ok());
    let row = sqlx::query(
        "select id, order_id, promotion_id, quote_id, amount_cents, application_fee_cents, currency, stripe_account_id, on_behalf_of_host,
           status, refunded_cents, synced_at
         from app.transactions
         where stripe_payment_intent_id = $1 or (id = $2 and stripe_payment_intent_id is null) for update",
    )
    .bind(&payment.id)
    .bind(ours)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Ours {
        id: row.try_get("id")?,
        of: Of::read(&row)?,
        amount: row.try_get("amount_cents")?,
        fee: row.try_get("application_fee_cents")?,
        currency: row.try_get("currency")?,
        destination: row.try_get("stripe_account_id")?,
        on_behalf: row.try_get("on_behalf_of_host")?,
        status: row.try_get("status")?,
        refunded: row.try_get("refunded_cents")?,
        synced_at: row.try_get("synced_at")?,
    }))
}

async fn write(cx: &mut Cx, ours: &Ours, payment: &Payment, began: DateTime<Utc>) -> Result<()> {
    let is_fresh = ours.synced_at.is_none_or(|known| known <= began);
    if !is_fresh && !is_end(ours, payment.status) {
        return Ok(());
    }
    let refunded = payment.amount_refunded.unwrap_or(ours.refunded);
    let told = match payment.status {
        paid if paid.is_paid() => match refunded {
            0 => "succeeded",
            part if part < ours.amount => "part_refunded",
            _ => "refunded",
        },
        open => status(open),
    };
    // A payment that was paid or cancelled stays so, whatever older reports say.
    let is_news = !is_paid(&ours.status) && ours.status != "cancelled" || is_paid(told);
    let (told, refunded) = match is_news {
        true => (told, if is_paid(told) { refunded } else { 0 }),
        false => (ours.status.as_str(), ours.refunded),
    };
    sqlx::query(
        "update app.transactions set stripe_payment_intent_id = $2, status = $3, refunded_cents = $4,
           failure_code = case when $5 then $6 else failure_code end, livemode = $7, synced_at = greatest(synced_at, $8)
         where id = $1",
    )
    .bind(ours.id)
    .bind(&payment.id)
    .bind(told)
    .bind(refunded)
    .bind(is_news)
    .bind(failure(payment))
    .bind(payment.livemode)
    .bind(began)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// Whether the reported status is final and new to us. Such a status is stored whenever it was read, since a payment
/// never leaves it.
fn is_end(ours: &Ours, told: PaymentStatus) -> bool {
    let is_cancelled = told == PaymentStatus::Canceled && ours.status != "cancelled";
    !is_paid(&ours.status) && (told.is_paid() || is_cancelled)
}

fn failure(payment: &Payment) -> Option<&str> {
    match payment.status {
        PaymentStatus::Failed => payment
            .decline_code
            .as_deref()
            .or(payment.failure_code.as_deref()),
        _ => None,
    }
}

fn is_paid(status: &str) -> bool {
    ["succeeded", "part_refunded", "refunded"].contains(&status)
}
