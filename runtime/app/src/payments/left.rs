//! How much a host's account has received for an order and not given back, by source. The provider reverses money only
//! of a named transfer or payment, so each reversal must say its source.

use super::transfers::New;
use kernel::{Cx, Result};
use sqlx::Row;
use uuid::Uuid;

pub struct Left {
    pub currency: String,
    sources: Vec<Source>,
}

/// A source from which an account of the host has received money. The accounts may differ: a host that has disconnected
/// its account opens another one.
struct Source {
    /// The transfer. None: the payment itself.
    transfer: Option<Uuid>,
    account: String,
    amount: i64,
    /// Whether credits paid for it, rather than the card.
    of_credits: bool,
}

/// From which sources money is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Only what the card has paid, since a bank takes back no credits.
    Card,
    All,
}

/// What is taken back from one source.
pub struct Part<'a> {
    /// The transfer. None: the payment itself.
    pub source: Option<Uuid>,
    pub account: &'a str,
    pub amount: i64,
}

impl Left {
    /// Divides `amount`, or as much of it as is left, among the sources.
    pub fn parts(&self, amount: i64, of: Of) -> Vec<Part<'_>> {
        let mut wanted = amount;
        let mut parts = Vec::new();
        let fits = |source: &&Source| of == Of::All || !source.of_credits;
        for source in self.sources.iter().filter(fits) {
            let amount = wanted.min(source.amount);
            if amount > 0 {
                parts.push(Part {
                    source: source.transfer,
                    account: &source.account,
                    amount,
                });
                wanted -= amount;
            }
        }
        parts
    }
}

/// Computes what is left. The order's row stays locked, so that no other transaction stores a reversal meanwhile.
pub async fn left(cx: &mut Cx, order: Uuid) -> Result<Left> {
    // A statement of its own: a statement that waits for the row lock would go on with the transfers of its old
    // snapshot.
    sqlx::query("select from app.orders where id = $1 for update")
        .bind(order)
        .execute(cx.conn())
        .await?;
    let row = sqlx::query(
        "select o.currency, t.stripe_account_id as paid_to,
           (case when t.stripe_account_id is null then 0 else t.amount_cents - t.application_fee_cents end
             - coalesce((select sum(y.amount_cents) from app.transfers y where y.order_id = o.id and y.source_id is null
                 and y.kind in ('refund_reversal', 'dispute_reversal') and y.state <> 'failed'), 0))::int8 as with_payment
         from app.orders o
         left join app.transactions t on t.order_id = o.id and t.status in ('succeeded', 'part_refunded', 'refunded')
         where o.id = $1",
    )
    .bind(order)
    .fetch_one(cx.conn())
    .await?;
    let mut sources = Vec::new();
    if let Some(account) = row.try_get("paid_to")? {
        sources.push(Source {
            transfer: None,
            account,
            amount: row.try_get("with_payment")?,
            of_credits: false,
        });
    }
    // Money returned after a dispute was won comes first, then what credits have paid.
    let sent = sqlx::query(
        "select u.id, u.kind, u.stripe_account_id, (u.amount_cents - coalesce((select sum(y.amount_cents) from app.transfers y
             where y.source_id = u.id and y.state <> 'failed'), 0))::int8 as amount
         from app.transfers u
         where u.order_id = $1 and u.kind in ('dispute_return', 'top_up') and u.state <> 'failed'
         order by u.kind, u.id",
    )
    .bind(order)
    .fetch_all(cx.conn())
    .await?;
    for row in &sent {
        sources.push(Source {
            transfer: Some(row.try_get("id")?),
            account: row.try_get("stripe_account_id")?,
            amount: row.try_get("amount")?,
            of_credits: row.try_get::<&str, _>("kind")? == "top_up",
        });
    }
    Ok(Left {
        currency: row.try_get("currency")?,
        sources,
    })
}

/// Takes back the host's part of a refund, first from what it received with the payment. May be called any number of
/// times: only the part that no transfer records yet is taken back. Returns false if there is nothing to take back, or
/// nothing it could be taken from; in the latter case `top_up` sends that much less.
pub async fn reverse_for_refund(cx: &mut Cx, refund: Uuid) -> Result<bool> {
    let order: Option<Uuid> = sqlx::query_scalar(
        "select order_id from app.refunds
         where id = $1 and order_id is not null and cash_cents = 0 and organizer_cents > 0 and state <> 'failed'",
    )
    .bind(refund)
    .fetch_optional(cx.conn())
    .await?;
    let Some(order) = order else {
        return Ok(false);
    };
    let left = left(cx, order).await?;
    let owed = owed_by_host(cx, refund).await?;
    let parts = left.parts(owed, Of::All);
    if parts.is_empty() {
        return Ok(false);
    }
    for part in parts {
        let new = New {
            kind: "refund_reversal",
            amount: part.amount,
            currency: &left.currency,
            account: part.account,
            order: Some(order),
            refund: Some(refund),
            dispute: None,
            city: None,
            source: part.source,
            key: key(cx, refund, part.source).await?,
        };
        new.put(cx).await?;
    }
    Ok(true)
}

/// The host's part of a refund that is neither taken back nor withheld yet. The order's row must be locked.
pub async fn owed_by_host(cx: &mut Cx, refund: Uuid) -> Result<i64> {
    let owed = sqlx::query_scalar(
        "select (r.organizer_cents - r.withheld_cents - coalesce((select sum(x.amount_cents) from app.transfers x
             where x.refund_id = r.id and x.state <> 'failed'), 0))::int8
         from app.refunds r where r.id = $1",
    );
    Ok(owed.bind(refund).fetch_one(cx.conn()).await?)
}

/// The name of a source within a key.
pub fn part(source: Option<Uuid>) -> String {
    source.map_or_else(|| "payment".to_owned(), |source| source.to_string())
}

/// The key of a reversal. A reversal that failed, or that took back only a part, has used up its key, so the next one
/// gets a number.
async fn key(cx: &mut Cx, refund: Uuid, source: Option<Uuid>) -> Result<String> {
    let before: i64 = sqlx::query_scalar(
        "select count(*) from app.transfers where refund_id = $1 and source_id is not distinct from $2",
    )
    .bind(refund)
    .bind(source)
    .fetch_one(cx.conn())
    .await?;
    let key = format!("reversal:{refund}:{}", part(source));
    Ok(match before {
        0 => key,
        _ => format!("{key}:{before}"),
    })
}
