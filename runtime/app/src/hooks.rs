//! Hooks: checks that generated routes call before they write, in the caller's transaction and with the caller's
//! permissions.
//!
//! Nothing is decided here: each hook calls the module that the check belongs to, or a file of this folder.

mod accept;
mod document;
mod live;
mod publish;
mod quoted;

pub use document::amend;

use crate::{
    App,
    broadcasts::written,
    payments::by_card,
    promotions,
    tickets::{joining, promises},
};
use generated::{
    broadcast::{CreateBroadcast, UpdateBroadcast},
    commission_proposal::CreateCommissionProposal,
    commission_rule::{CreateCommissionRule, UpdateCommissionRule},
    event::UpdateEvent,
    featured_place::{CreateFeaturedPlace, UpdateFeaturedPlace},
    hooks::AppHooks,
    lead::{CreateLead, UpdateLead},
    plan::{CreatePlan, UpdatePlan},
    promo_code::{CreatePromoCode, UpdatePromoCode},
    promotion::CreatePromotion,
    quote::{CreateQuote, UpdateQuote},
    review::CreateReview,
    service_request::UpdateServiceRequest,
    ticket_type::{CreateTicketType, UpdateTicketType},
    waitlist_entry::CreateWaitlistEntry,
};
use kernel::{Cx, Result, prelude::BoxFuture};
use uuid::Uuid;

impl AppHooks for App {
    fn event_before_publish<'a>(&'a self, cx: &'a mut Cx, id: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            live::publishing(cx, id).await?;
            publish::refuse_nowhere(cx, id).await?;
            self.modules.payments.refuse_publishing(cx, id).await
        })
    }

    fn event_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        input: &'a mut UpdateEvent,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(promises::refuse_event(cx, id, input))
    }

    fn event_before_archive<'a>(&'a self, cx: &'a mut Cx, id: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(promises::refuse_removal(cx, id))
    }

    fn event_before_restore<'a>(&'a self, cx: &'a mut Cx, id: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.modules.payments.refuse_restored_event(cx, id))
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

    fn broadcast_before_schedule<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(written::check_schedule(cx, id))
    }

    fn community_member_before_join<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            live::membership(cx, id).await?;
            accept::invitation(cx, id).await
        })
    }

    fn community_member_before_approve<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(live::membership(cx, id))
    }

    fn role_assignment_before_accept<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(live::role(cx, id))
    }

    fn promotion_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreatePromotion,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            live::promotion(cx, input).await?;
            promotions::refuse(cx, &(&*input).into()).await
        })
    }

    fn review_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateReview,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.modules.ratings.refuse_strangers(cx, input))
    }

    fn ticket_type_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateTicketType,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            by_card::refuse_new_ticket(input)?;
            live::of_event(cx, "ticket_types", input.event_id).await?;
            self.modules.payments.refuse_new_price(cx, input).await
        })
    }

    fn ticket_type_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        input: &'a mut UpdateTicketType,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            promises::refuse_type(cx, id, input).await?;
            by_card::refuse_ticket(cx, id, input).await?;
            let payments = &self.modules.payments;
            payments.refuse_changed_price(cx, id, input).await
        })
    }

    fn ticket_type_before_archive<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(promises::refuse_withdrawal(cx, id))
    }

    fn ticket_type_before_restore<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.modules.payments.refuse_restored_price(cx, id))
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

    /// Refuses amounts from which no order can be priced; the database refuses them as well.
    fn promo_code_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreatePromoCode,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            by_card::refuse_new_code(cx, input).await?;
            live::of_event(cx, "promo_codes", input.event_id).await
        })
    }

    fn promo_code_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        input: &'a mut UpdatePromoCode,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(by_card::refuse_code(cx, id, input))
    }

    fn commission_rule_before_create<'a>(
        &'a self,
        _: &'a mut Cx,
        input: &'a mut CreateCommissionRule,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { by_card::refuse_new_rule(input) })
    }

    fn commission_rule_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        input: &'a mut UpdateCommissionRule,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(by_card::refuse_rule(cx, id, input))
    }

    fn commission_proposal_before_create<'a>(
        &'a self,
        _: &'a mut Cx,
        input: &'a mut CreateCommissionProposal,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { by_card::refuse_new_proposal(input) })
    }

    fn commission_proposal_before_accept<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(accept::proposal(cx, id))
    }

    fn quote_before_accept<'a>(&'a self, cx: &'a mut Cx, id: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            live::quote(cx, id).await?;
            accept::quote(cx, id).await?;
            // After the lock on the request: whoever closes it at the same time comes before or after.
            live::asked(cx, id).await
        })
    }

    fn quote_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        _: &'a mut UpdateQuote,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(live::asked(cx, id))
    }

    fn quote_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateQuote,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(live::quote_for(cx, input.lead_id))
    }

    fn quote_before_send<'a>(&'a self, cx: &'a mut Cx, id: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            live::quote(cx, id).await?;
            live::asked(cx, id).await?;
            live::quote_currency(cx, id).await
        })
    }

    fn lead_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateLead,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            live::lead(cx, input).await?;
            self.modules.marketplace.refuse_lead(cx, input).await
        })
    }

    fn lead_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        change: &'a mut UpdateLead,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(quoted::lead(cx, id, change))
    }

    fn lead_before_win<'a>(&'a self, cx: &'a mut Cx, id: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(quoted::winning(cx, id))
    }

    fn service_request_before_update<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
        change: &'a mut UpdateServiceRequest,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(quoted::request(cx, id, change))
    }

    fn service_request_before_settle<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(quoted::settling(cx, id))
    }

    fn service_request_before_reopen<'a>(
        &'a self,
        cx: &'a mut Cx,
        id: Uuid,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(live::reopening(cx, id))
    }

    fn waitlist_entry_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateWaitlistEntry,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(joining::waiting_list(cx, input))
    }
}
