//! The end of subscriptions: when the business or the payer has left, and that nothing is paid for one that has ended.
//!
//! The provider leaves the invoices of a subscription open when it ends, and their payments can still be completed:
//! money would be taken, and no plan would be had for it. So open invoices are made void. An invoice that was paid all
//! the same bought nothing, and its payment is refunded.

use super::{
    super::{Payments, call},
    change::can_be_paid,
    rows,
};
use crate::module::Module;
use gateway::{
    Invoice, InvoiceStatus, Key, Metadata, NewRefund, Payment, Refund, RefundStatus, Subscription,
};
use kernel::{
    Cx, Error, Result,
    jobs::{NewJob, Outcome, Run},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// The metadata entry of the refund of a period that has bought nothing: the provider's id of its invoice.
pub const OF_INVOICE: &str = "invoice_id";

/// A job that makes sure that nothing of an ended subscription can be paid.
#[derive(Serialize, Deserialize)]
pub struct Close {
    pub subscription: Uuid,
}

impl Close {
    pub async fn put(self, cx: &mut Cx) -> Result<()> {
        let key = format!("close:{}", self.subscription);
        let job = NewJob::new("payments.close_invoices", self)?.unless_waiting(key);
        job.put(cx).await.map(drop)
    }
}

impl Payments {
    /// Ends a subscription at once.
    pub(in crate::payments) async fn cancel_subscription(
        &self,
        id: &str,
        request: Uuid,
    ) -> Result<()> {
        // The key is new for each attempt: cancelling twice is harmless, and an error that the provider has stored
        // under an older key would block this for a day.
        let key = call::key(call::digest("end", &format!("{id}:{request}")))?;
        let began = self.now(request).await?;
        match self.gateway()?.cancel_subscription_now(&key, id).await {
            Ok(told) => self
                .learn_subscription(&told, began, request)
                .await
                .map(drop),
            // A subscription that has ended can't be ended again; reading it shows that it has.
            Err(failure) if failure.refusal().is_some() => {
                self.follow_subscription(id, request).await.map(drop)
            }
            Err(failure) => Err(call::request_error(&failure)),
        }
    }

    /// Ends a subscription whose payer has closed their account, so that no card of theirs is charged any more: with
    /// the paid period, or at once if the present one is not paid.
    pub(in crate::payments) async fn leave_subscription(
        &self,
        id: &str,
        request: Uuid,
    ) -> Result<()> {
        if self.end_unpaid(id, request).await? {
            return Ok(());
        }
        let key = call::key(call::digest("leave", &format!("{id}:{request}")))?;
        let began = self.now(request).await?;
        let told = self.gateway()?.cancel_at_period_end(&key, id).await;
        let told = told.map_err(|failure| call::request_error(&failure))?;
        let learnt = self.learn_subscription(&told, began, request).await;
        learnt.map(drop)
    }

    pub(in crate::payments) async fn close_invoices(&self, run: Arc<Run>) -> Outcome {
        let Close { subscription } = run.payload()?;
        let found = self.db.run(Self::NAME, None, run.request_id, move |cx| {
            Box::pin(async move { rows::unclosed(cx, subscription).await })
        });
        if let Some(id) = found.await? {
            self.close_invoices_of(&id, run.request_id).await?;
        }
        Ok(())
    }

    /// Makes sure that nothing of an ended subscription can be paid. If it is still billed, because it was taken for
    /// never made, it is ended first.
    pub(in crate::payments) async fn close_invoices_of(
        &self,
        id: &str,
        request: Uuid,
    ) -> Result<()> {
        let mut told = match self.gateway()?.subscription(id).await {
            Ok(told) => told,
            // The provider doesn't have it, so it bills nothing.
            Err(failure) if failure.is_missing() => return self.closed(id, request).await,
            Err(failure) => return Err(call::request_error(&failure)),
        };
        if !told.status.is_over() {
            self.cancel_subscription(id, request).await?;
            told = self.read_subscription(id).await?;
        }
        let invoices = self.gateway()?.invoices(id).await;
        for invoice in invoices.map_err(|failure| call::request_error(&failure))? {
            let was_paid = match can_be_paid(&invoice) {
                true => !self.make_void(&invoice.id, request).await?,
                false => false,
            };
            let is_late = self.bought_nothing(&told, &invoice, request).await?;
            if was_paid || is_late {
                let invoice = self.gateway()?.invoice(&invoice.id).await;
                let invoice = invoice.map_err(|failure| call::request_error(&failure))?;
                self.learn_invoice(&invoice, request).await?;
            }
        }
        self.closed(id, request).await
    }

    async fn closed(&self, id: &str, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { rows::closed(cx, id).await })
        });
        run.await
    }

    /// Records the payment of a paid invoice, once, and refunds it if it has bought nothing. The payment is read as
    /// well, since its refunds may have been reported before it was known here. Returns false if the subscription is
    /// not one of ours.
    pub(in crate::payments) async fn learn_invoice(
        &self,
        invoice: &Invoice,
        request: Uuid,
    ) -> Result<bool> {
        let Some(subscription) = &invoice.subscription else {
            return Ok(false);
        };
        let (told, _) = self.look_again(subscription, request).await?;
        let known = told.metadata.contains_key("subscription_id");
        if invoice.status != InvoiceStatus::Paid || invoice.amount_paid == 0 {
            return Ok(known);
        }
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { rows::book(cx, invoice, subscription).await })
        });
        run.await?;
        if let Some(payment) = &invoice.payment {
            let payment = self.apply_period(payment, request).await?;
            if self.bought_nothing(&told, invoice, request).await? {
                self.give_back_period(invoice, &payment, request).await?;
            }
        }
        Ok(known)
    }

    async fn apply_period(&self, payment: &str, request: Uuid) -> Result<Payment> {
        let began = self.now(request).await?;
        let payment = self.gateway()?.payment(payment).await;
        let payment = payment.map_err(|failure| call::request_error(&failure))?;
        self.apply(request, &payment, began).await?;
        Ok(payment)
    }

    /// Whether an invoice was paid for nothing: when its subscription had ended, or although the subscription was taken
    /// for never made. The provider's times are in seconds; a payment within the second of the end counts as late.
    async fn bought_nothing(
        &self,
        told: &Subscription,
        invoice: &Invoice,
        request: Uuid,
    ) -> Result<bool> {
        let is_paid = invoice.status == InvoiceStatus::Paid && invoice.amount_paid > 0;
        if !is_paid || !told.status.is_over() {
            return Ok(false);
        }
        let paid_at = invoice.paid_at.unwrap_or(invoice.created);
        if told.ended_at.is_some_and(|ended_at| paid_at >= ended_at) {
            return Ok(true);
        }
        let id = &told.id;
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { rows::was_never_had(cx, id).await })
        });
        run.await
    }

    /// Refunds what is left of the payment of an invoice. Two attempts at once can't refund it twice, since the
    /// provider refunds no more than was paid.
    async fn give_back_period(
        &self,
        invoice: &Invoice,
        payment: &Payment,
        request: Uuid,
    ) -> Result<()> {
        let gateway = self.gateway()?;
        let amount = payment.amount_received - payment.amount_refunded.unwrap_or(0);
        if amount <= 0 {
            return Ok(());
        }
        let new = &NewRefund {
            payment: payment.id.clone(),
            amount,
            reverse_transfer: false,
            refund_application_fee: false,
            metadata: Metadata::from([(OF_INVOICE.to_owned(), invoice.id.clone())]),
        };
        let of = format!("bought_nothing:{}:{amount}", invoice.id);
        let send = |key: Key| async move { gateway.create_refund(&key, new).await };
        let mut sent = send(call::key(&*of)?).await;
        // Under this key the provider repeats its own errors, and that the balance was too low.
        let is_kept = sent.as_ref().is_err_and(|failure| {
            call::is_stuck(failure) || call::refused(failure).is_some_and(call::is_for_now)
        });
        if is_kept {
            sent = send(call::key(format!("{of}:{}", Uuid::now_v7()))?).await;
        }
        let now = self.apply_period(&payment.id, request).await?;
        match sent {
            Ok(_) => {
                tracing::info!(
                    invoice = invoice.id,
                    "paid for a subscription that had ended: it goes back"
                );
                Ok(())
            }
            // Another attempt has refunded it.
            Err(_) if now.amount_refunded >= Some(now.amount_received) => Ok(()),
            Err(failure) if call::refused(&failure).is_some_and(call::is_for_now) => {
                Err(call::away(&failure))
            }
            Err(failure) => match call::refused(&failure) {
                Some(refusal) => Err(Error::internal(format!(
                    "{} was paid for nothing and can't be refunded: {refusal}",
                    invoice.id
                ))),
                None => Err(call::request_error(&failure)),
            },
        }
    }

    /// Applies the refund of a period that had bought nothing. If the card has sent the money back, which may happen days
    /// later, returns what an administrator has to do: no row of ours says whom to give credits.
    pub(in crate::payments) async fn follow_period_back(
        &self,
        refund: &Refund,
        request: Uuid,
    ) -> Result<Option<String>> {
        let Some(payment) = &refund.payment else {
            return Ok(None);
        };
        let payment = self.apply_period(payment, request).await?;
        let left = payment.amount_received - payment.amount_refunded.unwrap_or(0);
        let is_back = matches!(refund.status, RefundStatus::Failed | RefundStatus::Canceled);
        let invoice = refund.metadata.get(OF_INVOICE);
        Ok(invoice.filter(|_| is_back && left > 0).map(|invoice| {
            format!(
                "The card has sent back the refund of {invoice}, which was paid for a subscription that had ended: {left} {} \
                 are owed to its payer. Refund the payment at the provider in another way, then retry this.",
                refund.currency.as_str()
            )
        }))
    }
}
