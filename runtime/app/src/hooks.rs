//! Hooks: checks that generated routes call before they write, in the caller's transaction and with the caller's
//! permissions.

mod told;

pub use told::amend;

use crate::{
    App,
    broadcasts::written,
    clock::{self, InPast},
    payments::by_card,
    problems as own, promotions,
    tickets::promises,
};
use chrono::{DateTime, Utc};
use generated::{
    broadcast::{CreateBroadcast, UpdateBroadcast},
    commission_proposal::CreateCommissionProposal,
    event::UpdateEvent,
    featured_place::{CreateFeaturedPlace, UpdateFeaturedPlace},
    hooks::AppHooks,
    lead::CreateLead,
    plan::{CreatePlan, UpdatePlan},
    promo_code::CreatePromoCode,
    promotion::CreatePromotion,
    quote::{CreateQuote, UpdateQuote},
    review::CreateReview,
    service_request::{CreateServiceRequest, UpdateServiceRequest},
    ticket_type::{CreateTicketType, UpdateTicketType},
};
use kernel::{Cx, Error, Result, input::Choice, prelude::BoxFuture, problem::Item, problems};
use uuid::Uuid;

// Times that people write and that make no sense in the past. `tests/src/http/past.rs` lists those that do, and why.
const VALID_UNTIL: InPast = InPast {
    pointer: "/valid_until",
    detail: "is in the past; a quote can be accepted until then",
};
const CODE_VALID_TO: InPast = InPast {
    pointer: "/valid_to",
    detail: "is in the past; nobody could use the code",
};
const PROPOSAL_VALID_TO: InPast = InPast {
    pointer: "/valid_to",
    detail: "is in the past; the proposal could not be accepted",
};
const NEEDED_AT: InPast = InPast {
    pointer: "/needed_at",
    detail: "is in the past; say when the service is needed, or leave it out",
};

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

    /// Refuses prices that no card can be charged; the database refuses them as well.
    fn plan_before_create<'a>(
        &'a self,
        _: &'a mut Cx,
        input: &'a mut CreatePlan,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { by_card::refuse_new_plan(input) })
    }

    fn plan_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        input: &'a mut UpdatePlan,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(by_card::refuse_plan(cx, id, input))
    }

    fn featured_place_before_create<'a>(
        &'a self,
        _: &'a mut Cx,
        input: &'a mut CreateFeaturedPlace,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { by_card::refuse_new_place(input) })
    }

    fn featured_place_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        input: &'a mut UpdateFeaturedPlace,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(by_card::refuse_place(cx, id, input))
    }

    /// A later change may set `valid_to` to any time, which ends the code.
    fn promo_code_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreatePromoCode,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(clock::refuse_past(cx, CODE_VALID_TO, input.valid_to, None))
    }

    fn commission_proposal_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateCommissionProposal,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(clock::refuse_past(
            cx,
            PROPOSAL_VALID_TO,
            input.valid_to,
            None,
        ))
    }

    fn lead_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateLead,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(clock::refuse_past(cx, NEEDED_AT, input.needed_at, None))
    }

    fn service_request_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateServiceRequest,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(clock::refuse_past(cx, NEEDED_AT, input.needed_at, None))
    }

    fn service_request_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        input: &'a mut UpdateServiceRequest,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let before: Option<Option<DateTime<Utc>>> = sqlx::query_scalar(
                "select t.needed_at from app.service_requests t where t.id = $1",
            )
            .bind(id)
            .fetch_optional(cx.conn())
            .await?;
            let needed_at = input.needed_at.value().copied();
            clock::refuse_past(cx, NEEDED_AT, needed_at, before.flatten()).await
        })
    }

    /// A quote can only be accepted until `valid_until`.
    fn quote_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateQuote,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(clock::refuse_past(
            cx,
            VALID_UNTIL,
            Some(input.valid_until),
            None,
        ))
    }

    fn quote_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        input: &'a mut UpdateQuote,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let before =
                sqlx::query_scalar("select t.valid_until from app.quotes t where t.id = $1")
                    .bind(id)
                    .fetch_optional(cx.conn())
                    .await?;
            let valid_until = input.valid_until.value().copied();
            clock::refuse_past(cx, VALID_UNTIL, valid_until, before).await
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
