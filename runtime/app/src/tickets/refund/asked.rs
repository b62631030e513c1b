//! Refunds on request: which tickets are refunded, and who may ask for it.

use super::{
    super::{
        Tickets,
        bodies::{GiveBack, Target},
        checkpoints,
    },
    Order, Why, lock, split, write_down,
};
use crate::{module::Module, problems};
use axum::http::StatusCode;
use generated::{event::EVENT, order::ORDER, refund::RefundReason};
use kernel::{
    Cx, Error, Member, Result,
    idempotency::{Answer, Claimed},
};
use money::Money;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

impl Tickets {
    /// Refunds tickets of an order. Allowed for the buyer as long as the tickets are refundable, and for those who run
    /// the event at any time.
    pub async fn give_back(
        &self,
        caller: &Member,
        order: Uuid,
        body: GiveBack,
        claimed: Claimed,
    ) -> Result<Answer> {
        let (body, claimed) = (&body, &claimed);
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    cx.require(&ORDER, "read", order).await?;
                    let order = lock(cx, order).await?;
                    let runs = runs(cx, caller, &order).await?;
                    let wanted = body.ticket_ids.as_ref().map(|ids| ids.0.as_slice());
                    let held_by = (!runs).then_some(order.user);
                    let tickets = tickets(cx, &order, wanted, held_by).await?;
                    allowed(&order, caller, runs, &tickets)?;
                    let why = Why {
                        reason: RefundReason::Requested,
                        note: body.note.as_deref().filter(|_| runs),
                        to: body.to.unwrap_or(Target::Source),
                        by: Some(caller.id()),
                    };
                    let ids: Vec<Uuid> = tickets.iter().map(|ticket| ticket.id).collect();
                    let amount = tickets.iter().map(|ticket| ticket.paid).sum();
                    if why.to == Target::Wallet && order.user != caller.id() {
                        keep_for_card(&order, amount)?;
                    }
                    let refund = write_down(cx, &order, &ids, amount, why).await?;
                    let answer = Answer::json(StatusCode::CREATED, &refund)?;
                    claimed.keep(cx, &answer).await?;
                    Ok(answer)
                })
            });
        run.await
    }
}

/// Whether the caller asks as one who runs the event. An administrator of the city or the platform who bought the tickets
/// asks as a buyer: the holder of a ticket that was handed on would lose it to their own decision.
async fn runs(cx: &mut Cx, caller: &Member, order: &Order) -> Result<bool> {
    let condition = match !order.is_at_door && order.user == caller.id() {
        true => "admin",
        false => "staff",
    };
    cx.holds(&EVENT, condition, order.event).await
}

struct Ticket {
    id: Uuid,
    paid: i64,
    /// Whether the ticket was used, at the door or at a checkpoint.
    is_checked_in: bool,
    /// Whether buyers may give back tickets of this type at all.
    has_return: bool,
    in_time: bool,
    /// Whether the holder is another member than the buyer.
    changed_hands: bool,
}

/// Returns the tickets to refund: the `wanted` ones, or all that can still be given back if `wanted` is `None`. In the
/// latter case only those of the holder `held_by`, which is the buyer if the buyer asks and `None` if those who run
/// the event do.
async fn tickets(
    cx: &mut Cx,
    order: &Order,
    wanted: Option<&[Uuid]>,
    held_by: Option<Uuid>,
) -> Result<Vec<Ticket>> {
    let rows = sqlx::query(
        "select k.id, k.paid_cents, k.state = 'checked_in' as is_checked_in, k.holder_id is distinct from k.buyer_id as changed_hands,
           t.refundable_until is not null as has_return, coalesce(t.refundable_until > now(), false) as in_time
         from app.tickets k join app.ticket_types t on t.id = k.ticket_type_id
         where k.order_id = $1 and k.state in ('valid', 'checked_in')
           and (k.id = any ($2) or ($2::uuid[] is null and ($3::uuid is null or k.holder_id = $3)))
         order by k.id for update of k",
    )
    .bind(order.id)
    .bind(wanted)
    .bind(held_by)
    .fetch_all(cx.conn())
    .await?;
    let mut tickets: Vec<Ticket> = rows.iter().map(ticket).collect::<Result<_>>()?;
    let ids: Vec<Uuid> = tickets.iter().map(|ticket| ticket.id).collect();
    let entered = checkpoints::entered(cx, &ids).await?;
    for ticket in &mut tickets {
        ticket.is_checked_in |= entered.contains(&ticket.id);
    }
    let unknown = |id: &Uuid| !tickets.iter().any(|ticket| ticket.id == *id);
    let missing = wanted
        .unwrap_or_default()
        .iter()
        .enumerate()
        .filter(|(_, id)| unknown(id));
    let error = missing.fold(None, |error: Option<Error>, (n, _)| {
        let error = error.unwrap_or_else(|| Error::new(&kernel::problems::REFERENCE));
        let detail = "is not a ticket of this order that can be returned";
        let pointer = format!("/ticket_ids/{n}");
        Some(error.item(kernel::problem::Item::body(pointer, "reference", detail)))
    });
    match error {
        Some(error) => Err(error),
        None if tickets.is_empty() => Err(Error::new(&problems::REFUND_EXCEEDS)
            .detail("This order has no ticket left that can be returned.")),
        None => Ok(tickets),
    }
}

fn ticket(row: &PgRow) -> Result<Ticket> {
    Ok(Ticket {
        id: row.try_get("id")?,
        paid: row.try_get("paid_cents")?,
        is_checked_in: row.try_get("is_checked_in")?,
        has_return: row.try_get("has_return")?,
        in_time: row.try_get("in_time")?,
        changed_hands: row.try_get("changed_hands")?,
    })
}

/// Buyers may give back tickets that they hold and that are unused, until the ticket type's `refundable_until`. Those
/// who run the event may refund any ticket.
fn allowed(order: &Order, caller: &Member, runs: bool, tickets: &[Ticket]) -> Result<()> {
    if runs {
        return Ok(());
    }
    if order.is_at_door || order.user != caller.id() {
        return Err(Error::forbidden());
    }
    let state = |detail| Err(Error::new(&kernel::problems::STATE).detail(detail));
    if tickets.iter().any(|ticket| ticket.changed_hands) {
        return state(
            "Another member holds one of these tickets. Ask the organiser, or have it transferred back first.",
        );
    }
    if tickets.iter().any(|ticket| ticket.is_checked_in) {
        return state("One of these tickets has been used. Ask the organiser.");
    }
    if tickets.iter().any(|ticket| !ticket.has_return) {
        return state("These tickets can't be returned on request. Ask the organiser.");
    }
    if tickets.iter().any(|ticket| !ticket.in_time) {
        return state(
            "The time in which these tickets can be returned is over. Ask the organiser.",
        );
    }
    Ok(())
}

/// Refuses credits instead of what a card has paid, if somebody else than the buyer asks for them: credits buy tickets
/// and are never paid out, so only the buyer may prefer them to money.
fn keep_for_card(order: &Order, amount: i64) -> Result<()> {
    match split(order, amount, Target::Source)?.card {
        0 => Ok(()),
        card => {
            let card = Money::new(card, order.currency);
            let detail = format!("is the buyer's choice: {card} of it go back to the card");
            Err(Error::field("/to", "forbidden", detail))
        }
    }
}
