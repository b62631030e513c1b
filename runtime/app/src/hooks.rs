//! Hooks: checks that generated routes call before they write, in the caller's transaction and with the caller's
//! permissions.

use crate::{App, broadcasts::written, problems as own, promotions, tickets::promises};
use generated::{
    broadcast::{CreateBroadcast, UpdateBroadcast},
    event::UpdateEvent,
    hooks::AppHooks,
    promotion::CreatePromotion,
    review::CreateReview,
    ticket_type::{CreateTicketType, UpdateTicketType},
};
use kernel::{Cx, Error, Result, input::Choice, prelude::BoxFuture, problem::Item, problems};
use serde_json::{Value, json};
use uuid::Uuid;

/// What the hooks refuse, by path and method. A test checks that every hook is listed.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "/promotions",
        "post",
        "409 where the city offers no such place, or as many as fit in are booked during some of the time. The price is that of \
         `POST /promotions/price`; it is to be paid until `pay_by`.",
    ),
    (
        "/events/{id}/publish",
        "post",
        "409 also while nobody can know where it is: an event needs a `venue_id`, a `location` or an `online_url`; and while \
         tickets cost something that are not `door_only`, and the host has no account that takes payments (`host-cannot-be-paid`).",
    ),
    (
        "/events/{id}",
        "patch",
        "422 for a `capacity` below the tickets that are held or sold. 409 where it has tickets, for another `starts_at` or \
         `ends_at` that is over.",
    ),
    (
        "/events/{id}",
        "put",
        "422 for a `capacity` below the tickets that are held or sold. 409 where it has tickets, for another `starts_at` or \
         `ends_at` that is over.",
    ),
    (
        "/ticket-types",
        "post",
        "409 (`host-cannot-be-paid`) where the event is published, the tickets cost something and are not `door_only`, and the \
         host has no account that takes payments.",
    ),
    (
        "/ticket-types/{id}",
        "patch",
        "409 (`host-cannot-be-paid`) where tickets of a published event would begin to cost something online, and the host has no \
         account that takes payments; for another `currency` once tickets were ordered; and for an \
         earlier `refundable_until` while it is ahead and tickets are held or sold.",
    ),
    (
        "/ticket-types/{id}",
        "put",
        "409 (`host-cannot-be-paid`) where tickets of a published event would begin to cost something online, and the host has no \
         account that takes payments; for another `currency` once tickets were ordered; and for an \
         earlier `refundable_until` while it is ahead and tickets are held or sold.",
    ),
    (
        "/broadcasts/{id}/schedule",
        "post",
        "409 while the host is too new, for more than five in a day about one event, and where `ticket_type_ids` are not all \
         ticket types of the event.",
    ),
    (
        "/broadcasts",
        "post",
        "422 where `ticket_type_ids` are not all ticket types of the event.",
    ),
    (
        "/broadcasts/{id}",
        "patch",
        "422 where `ticket_type_ids` are not all ticket types of the event.",
    ),
    (
        "/broadcasts/{id}",
        "put",
        "422 where `ticket_type_ids` are not all ticket types of the event.",
    ),
    (
        "/reviews",
        "post",
        "403 (`guests-only`) for members who were not there, where the platform takes reviews of guests alone.",
    ),
    (
        "/quotes/{id}/accept",
        "post",
        "the lead has won, other leads of the request are lost, their quotes declined, and the request is settled. 409 also where \
         another quote of the request has been accepted at the same moment.",
    ),
    (
        "/commission-proposals/{id}/accept",
        "post",
        "the city has the rule from then on, or from `valid_from` if that is later, and its rule of before ends there. 409 where \
         a rule of the city for this kind of charge and currency begins later and would hold at the same time.",
    ),
];

/// Adds these texts to the descriptions in the API document.
pub fn amend(document: &mut Value) {
    for (path, method, text) in REFUSED {
        let item = document["paths"].get_mut(path);
        let operation = item.and_then(|item| item.get_mut(method));
        if let Some(description) = operation.and_then(|one| one.get_mut("description")) {
            let before = description.as_str().unwrap_or_default();
            *description = json!(format!("{before}\n\n**Also**: {text}"));
        }
    }
}

impl AppHooks for App {
    /// Refuses an event without any place, since guests need to know where to go.
    fn event_before_publish<'a>(&'a self, cx: &'a mut Cx, id: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let nowhere: Option<bool> = sqlx::query_scalar(
                "select t.venue_id is null and t.location is null and p.online_url is null
                 from app.events t left join lateral app.event_private(t.id) p on true where t.id = $1",
            )
            .bind(id)
            .fetch_optional(cx.conn())
            .await?;
            match nowhere {
                Some(true) => Err(Error::new(&problems::STATE)
                    .detail("An event is published once people know where it is: give a venue, a location or an online address.")
                    .item(Item::body("/venue_id", "required", "or `location`, or `online_url`"))),
                // The caller may not see the event; the update statement itself decides on the answer.
                _ => self.modules.payments.refuse_publishing(cx, id).await,
            }
        })
    }

    fn broadcast_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateBroadcast,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(written::check_new(cx, input))
    }

    fn broadcast_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        input: &'a mut UpdateBroadcast,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(written::check_change(cx, id, input))
    }

    /// Explains why the event can't change like this; the database refuses it as well.
    fn event_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        input: &'a mut UpdateEvent,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { promises::refuse_event(cx, id, input).await })
    }

    /// Explains why a broadcast can't be sent; the database refuses it as well.
    fn broadcast_before_schedule<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // For a broadcast that the caller may not see, the function is not called, so nothing is revealed and no
            // lock is taken.
            let found = sqlx::query_scalar(
                "select app.broadcast_obstacle(t.id) from app.broadcasts t where t.id = $1 and t.state = 'draft'",
            );
            let found = found.bind(id).fetch_optional(cx.conn()).await?;
            let obstacle: Option<String> = found.flatten();
            match obstacle.as_deref() {
                Some("host") => Err(Error::new(&own::HOST_UNKNOWN)),
                Some("types") => Err(Error::new(&problems::STATE)
                    .detail("A broadcast to ticket types names one or more of its event. Change `ticket_type_ids` first.")
                    .item(Item::body("/ticket_type_ids", "reference", "are not all ticket types of the event"))),
                Some(_) => Err(Error::new(&own::BROADCAST_LIMIT)),
                None => Ok(()),
            }
        })
    }

    /// Explains why a featured place can't be booked; the database refuses it as well.
    fn promotion_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreatePromotion,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { promotions::refuse(cx, &(&*input).into()).await })
    }

    /// If only guests may review, refuses reviews by other members; a trigger enforces this for every writer. A target
    /// that the caller may not see is refused by the engine instead.
    fn review_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateReview,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let is_refused: bool = sqlx::query_scalar(
                "select app.refuses_review($1, $2, $3) and exists (
                   select t.id from app.organizations t where t.id = $2
                   union all select t.id from app.businesses t where t.id = $2
                   union all select t.id from app.venues t where t.id = $2
                   union all select t.id from app.communities t where t.id = $2)",
            )
            .bind(input.entity_type.as_str())
            .bind(input.entity_id)
            .bind(self.modules.ratings.takes_guests_alone())
            .fetch_one(cx.conn())
            .await?;
            match is_refused {
                false => Ok(()),
                true => Err(Error::new(&own::GUESTS_ONLY).item(Item::body(
                    "/entity_id",
                    "not_a_guest",
                    "was not visited by the caller, as far as tickets tell",
                ))),
            }
        })
    }

    /// Refuses tickets that are sold online while the host can't take payments.
    fn ticket_type_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateTicketType,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.modules.payments.refuse_new_price(cx, input).await })
    }

    fn ticket_type_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        input: &'a mut UpdateTicketType,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            promises::refuse_type(cx, id, input).await?;
            self.modules
                .payments
                .refuse_changed_price(cx, id, input)
                .await
        })
    }

    /// Locks the quote's request: of two quotes accepted at the same time, the second waits and sees the result of the
    /// first.
    fn quote_before_accept<'a>(&'a self, cx: &'a mut Cx, id: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // Nothing is locked for a quote that the caller may not see.
            sqlx::query("select app.wait_for_request(t.id) from app.quotes t where t.id = $1")
                .bind(id)
                .execute(cx.conn())
                .await?;
            Ok(())
        })
    }

    /// Names the commission rule that conflicts with the proposal; the database refuses overlapping rules as well.
    fn commission_proposal_before_accept<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // Nothing is locked for a proposal that the caller may not see.
            let found = sqlx::query_scalar(
                "select app.rule_in_the_way(t.id) from app.commission_proposals t where t.id = $1",
            );
            let found = found.bind(id).fetch_optional(cx.conn()).await?;
            let rule: Option<Uuid> = found.flatten();
            rule.map_or(Ok(()), |rule| {
                Err(Error::new(&problems::CONFLICT).detail(format!(
                    "The commission rule {rule} of the city begins later and would hold at the same time. Archive it or change \
                     when it holds, or decline this."
                )))
            })
        })
    }
}
