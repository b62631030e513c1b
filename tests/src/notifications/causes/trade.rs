//! Services, featured places, payments and refunds, and the account.

use super::{
    case::{Case, Told, cases},
    world::World,
};
use crate::{
    money::stage::keyed,
    support::{
        Member,
        people::{PASSWORD, sign_in, sign_up},
    },
};
use fake_stripe::fault::{Fault, Kind};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

cases! {
    lead_new: asked_for,
    quote_sent: quoted,
    quote_accepted: quote_accepted,
    quote_declined: quote_declined,
    promotion_asked: featured_place_asked,
    promotion_approved: featured_place_approved,
    promotion_changed: featured_place_changed,
    promotion_rejected: featured_place_rejected,
    proposal_made: proposed,
    proposal_accepted: proposal_accepted,
    proposal_declined: proposal_declined,
    refund_paid: refunded,
    refund_failed: refunded_by_the_bank,
    credits_received: credited,
    credits_given: given_for_good,
    credits_lapse: credits_lapse,
    password_changed: new_password,
    signed_in: new_device,
    sales_stopped: sales_stopped,
    // Afterwards the host can't be paid.
    account_lost: account_lost,
}

impl World {
    /// Berta requests posters, and Pia gets the lead.
    async fn lead(&self, title: &str) -> String {
        let body = json!({"host_type": "business", "host_id": self.bakery, "city_id": self.city, "title": title,
            "category": "printing", "description": "Two hundred, in colour", "budget_cents": 50_000, "currency": "AUD"});
        let made = self.berta.client.post("/service-requests", body).await;
        let request = made.expect(201).id();
        self.stage.server.settled().await;
        let leads = format!("/leads?service_request_id={request}");
        let leads = self.pia.client.get(&leads).await.expect(200).json;
        leads["data"][0]["id"].as_str().expect("a lead").to_owned()
    }

    async fn quote(&self, title: &str) -> String {
        let body = json!({"lead_id": self.lead(title).await, "amount_cents": 40_000, "currency": "AUD", "terms": "By Friday",
            "valid_until": "2040-01-01T00:00:00Z"});
        let quote = self.pia.client.post("/quotes", body).await.expect(201).id();
        let send = format!("/quotes/{quote}/send");
        self.pia.client.act(&send).await.expect(200);
        self.stage.server.settled().await;
        quote
    }

    async fn decided_quote(&self, title: &str, verb: &str) -> String {
        let quote = self.quote(title).await;
        let path = format!("/quotes/{quote}/{verb}");
        self.berta.client.act(&path).await.expect(200);
        quote
    }
}

async fn asked_for(world: &World) -> Told {
    let lead = world.lead("Posters").await;
    Told {
        by: world.berta.id,
        to: vec![world.pia.id],
        title: "A request for Press".into(),
        says: "looks for: Posters".into(),
        leads_to: ("lead", lead),
    }
}

async fn quoted(world: &World) -> Told {
    let quote = world.quote("Flyers").await;
    Told {
        by: world.pia.id,
        to: vec![world.berta.id],
        title: "Press offers AUD 400.00".into(),
        says: "Flyers".into(),
        leads_to: ("quote", quote),
    }
}

async fn quote_accepted(world: &World) -> Told {
    let quote = world.decided_quote("Banners", "accept").await;
    Told {
        by: world.berta.id,
        to: vec![world.pia.id],
        title: "Your quote is accepted: AUD 400.00".into(),
        says: "Banners".into(),
        leads_to: ("quote", quote),
    }
}

async fn quote_declined(world: &World) -> Told {
    let quote = world.decided_quote("Stickers", "decline").await;
    Told {
        by: world.berta.id,
        to: vec![world.pia.id],
        title: "Your quote is declined".into(),
        says: "Stickers".into(),
        leads_to: ("quote", quote),
    }
}

impl World {
    /// Olga books a featured place for an event with this title.
    async fn promotion(&self, title: &str) -> String {
        // A host has one booking at a time that is not paid.
        self.stage
            .run("set session_replication_role = replica; update app.promotions set paid_at = now() where paid_at is null")
            .await;
        let event = self.another_event().await;
        self.changed(event, json!({"title": title})).await;
        let asked = self.book(event, 7).await.expect(201).id();
        self.stage.server.settled().await;
        asked
    }
}

async fn featured_place_asked(world: &World) -> Told {
    let promotion = world.promotion("A bright night").await;
    Told {
        by: world.stage.olga.id,
        to: world.administrators(world.city).await,
        title: "A bright night asks for a featured place".into(),
        says: "Melbourne".into(),
        leads_to: ("promotion", promotion),
    }
}

async fn featured_place_approved(world: &World) -> Told {
    let promotion = world.promotion("A brighter night").await;
    world.pay(&promotion, "4242424242424242").await;
    let approved = world.decide(&promotion, "approve", None).await;
    approved.expect(200);
    Told {
        by: world.carlo.id,
        to: world.administrators(world.host).await,
        title: "A brighter night will be featured".into(),
        says: "is shown from".into(),
        leads_to: ("promotion", promotion),
    }
}

async fn featured_place_changed(world: &World) -> Told {
    let promotion = world.promotion("A plain night").await;
    world.pay(&promotion, "4242424242424242").await;
    let approved = world.decide(&promotion, "approve", None).await;
    approved.expect(200);
    let path = format!("/promotions/{promotion}");
    let shown = world.stage.olga.client.get(&path).await.expect(200).json;
    let event = shown["target_id"].as_str().expect("an event");
    let event = event.parse().expect("an id");
    world.changed(event, json!({"title": "A loud night"})).await;
    Told {
        by: world.stage.olga.id,
        to: world.administrators(world.city).await,
        title: "A loud night was changed after its approval".into(),
        says: "Melbourne".into(),
        leads_to: ("promotion", promotion),
    }
}

async fn featured_place_rejected(world: &World) -> Told {
    let promotion = world.promotion("A dim night").await;
    let reason = Some("Not for this page");
    let rejected = world.decide(&promotion, "reject", reason).await;
    rejected.expect(200);
    Told {
        by: world.carlo.id,
        to: world.administrators(world.host).await,
        title: "A dim night will not be featured".into(),
        says: "goes back".into(),
        leads_to: ("promotion", promotion),
    }
}

impl World {
    async fn buyer(&self, handle: &str) -> (Member, String) {
        let buyer = self.member(handle).await;
        let card = self.stage.saved(&buyer, "4242424242424242").await;
        let items = [(self.seat, 1)];
        let order = self.stage.bought_by_card(&buyer, &card, &items).await;
        self.deliver().await;
        (buyer, order)
    }

    async fn refund(&self, buyer: &Member, order: &str) -> String {
        let path = format!("/orders/{order}/refunds");
        let asked = keyed(buyer, &path, json!({})).await;
        asked.expect(201);
        self.text(format!(
            "select id::text from app.refunds where order_id = '{order}'"
        ))
        .await
    }
}

async fn refunded(world: &World) -> Told {
    let (buyer, order) = world.buyer("rita_returns").await;
    let refund = world.refund(&buyer, &order).await;
    world.deliver().await;
    Told {
        by: buyer.id,
        to: vec![buyer.id],
        title: "Refund: AUD 45.00".into(),
        says: "A full house".into(),
        leads_to: ("refund", refund),
    }
}

/// The bank returns the money before the refund is made.
async fn refunded_by_the_bank(world: &World) -> Told {
    let (buyer, order) = world.buyer("dora_disputes").await;
    let stage = &world.stage;
    stage.stripe.fake.add_fault(Fault::new(Kind::Away));
    let refund = world.refund(&buyer, &order).await;
    stage.server.settled().await;
    stage.stripe.fake.clear_faults();
    let dispute = stage.disputed(&order).await;
    stage.decided(&dispute, false).await;
    stage.age().await;
    let looked = stage.payments().reconcile_all(Uuid::now_v7()).await;
    looked.expect("a run");
    world.deliver().await;
    Told {
        by: buyer.id,
        to: vec![buyer.id],
        title: "A refund is not made by us".into(),
        says: "the bank has given you money of this payment back itself".into(),
        leads_to: ("refund", refund),
    }
}

/// The commission rule of an event's only currency ends.
async fn sales_stopped(world: &World) -> Told {
    let (stage, paula) = (&world.stage, &world.stage.paula.client);
    let look = async || {
        let looked = stage.payments().watch_sales_now(Uuid::now_v7()).await;
        looked.expect("a run");
    };
    // Hosts of the demonstration data have no account.
    look().await;
    let event = world.another_event().await;
    world
        .changed(event, json!({"title": "A priceless night"}))
        .await;
    let rule = json!({"type": "ticket", "basis_points": 500, "currency": "VUV", "valid_from": "2026-01-01T00:00:00Z"});
    let rule = paula.post("/commission-rules", rule).await.expect(201).id();
    let seat = json!({"event_id": event, "name": "Seat", "price_cents": 4_500, "currency": "VUV", "capacity": 10});
    let seat = stage.olga.client.post("/ticket-types", seat).await;
    seat.expect(201);
    let rule = format!("/commission-rules/{rule}");
    paula.delete(&rule).await.expect(204);
    look().await;
    Told {
        by: world.bystander.id,
        to: world.administrators(world.host).await,
        title: "Tickets to A priceless night can't be ordered".into(),
        says: "or not all of them".into(),
        leads_to: ("event", event.to_string()),
    }
}

async fn account_lost(world: &World) -> Told {
    let (stage, host) = (&world.stage, world.host);
    let change = json!({"payouts_enabled": false});
    let changed = stage.stripe.fake.change_account(&stage.account, &change);
    changed.expect("an account");
    world.deliver().await;
    let name = format!("select name from app.organizations where id = '{host}'");
    let name = world.text(name).await;
    Told {
        by: world.bystander.id,
        to: world.administrators(host).await,
        title: format!("{name} can't be paid online"),
        says: "what is missing".into(),
        leads_to: ("organization", host.to_string()),
    }
}

/// A member with credits, and their account.
async fn with_credits(world: &World, handle: &str) -> (Member, String) {
    let member = world.member(handle).await;
    world.stage.credits(&member, 500).await;
    world.stage.server.settled().await;
    let account = format!(
        "select id::text from app.wallet_accounts where user_id = '{}' and currency = 'AUD'",
        member.id
    );
    let account = world.text(account).await;
    (member, account)
}

async fn credited(world: &World) -> Told {
    let (member, account) = with_credits(world, "lucky_lou").await;
    Told {
        by: world.stage.paula.id,
        to: vec![member.id],
        title: "You have AUD 5.00 of credits".into(),
        says: "good until".into(),
        leads_to: ("wallet_account", account),
    }
}

/// A server without `WALLET_CREDIT_DAYS` gives credits in this way.
async fn given_for_good(world: &World) -> Told {
    let member = world.member("keen_kim").await;
    world
        .run(format!(
            "select app.grant_credits('event_credit', 'given for good', null, app.system_wallet('platform_cash', null, null, 'AUD'),
               app.wallet_of('{}', 'AUD'), 500, null)",
            member.id
        ))
        .await;
    world.stage.server.settled().await;
    let account = world
        .text(format!(
            "select id::text from app.wallet_accounts where user_id = '{}' and currency = 'AUD'",
            member.id
        ))
        .await;
    Told {
        by: world.stage.paula.id,
        to: vec![member.id],
        title: "You have AUD 5.00 of credits".into(),
        says: "do not expire".into(),
        leads_to: ("wallet_account", account),
    }
}

async fn credits_lapse(world: &World) -> Told {
    let (member, account) = with_credits(world, "slow_sue").await;
    world
        .run(format!(
            "update app.wallet_credits set expires_at = now() + interval '3 days' where wallet_id = '{account}'"
        ))
        .await;
    let notifications = &world.stage.server.built.app.modules.notifications;
    for _ in 0..2 {
        notifications.warn_of_lapse().await.expect("a run");
    }
    Told {
        by: member.id,
        to: vec![member.id],
        title: "AUD 5.00 of credits lapse soon".into(),
        says: "good until".into(),
        leads_to: ("wallet_account", account),
    }
}

/// A member who signed up through the API, and has no notifications yet.
async fn signed_up(world: &World, handle: &str) -> (Uuid, String) {
    let server = &world.stage.server;
    sign_up(server, handle).await;
    let signed = sign_in(&server.client, handle, PASSWORD).await;
    let token = signed.expect(200).json["access_token"].clone();
    server.settled().await;
    let id = format!("select id::text from app.users where handle = '{handle}'");
    let id = world.text(id).await.parse().expect("an id");
    (id, token.as_str().expect("a token").to_owned())
}

/// The expected result of something that happened to an account, of which only its member is notified.
fn of_the_account(member: Uuid, title: &str, says: &str) -> Told {
    Told {
        by: member,
        to: vec![member],
        title: title.into(),
        says: says.into(),
        leads_to: ("user", member.to_string()),
    }
}

async fn new_password(world: &World) -> Told {
    let (member, token) = signed_up(world, "pat_changes").await;
    let client = world.stage.server.client.with_token(token);
    let body = json!({"current_password": PASSWORD, "password": "eight small elephants"});
    let changed = client
        .send(Method::PUT, "/me/password", Some(body), &[])
        .await;
    changed.expect(204);
    of_the_account(member, "Your password was changed", "set a new one by mail")
}

async fn new_device(world: &World) -> Told {
    let (member, _) = signed_up(world, "sam_travels").await;
    let old =
        format!("update app.sessions set user_agent = 'an old one' where user_id = '{member}'");
    world.run(old).await;
    let client = &world.stage.server.client;
    sign_in(client, "sam_travels", PASSWORD).await.expect(200);
    of_the_account(member, "A new sign-in", "sign out everywhere")
}

impl World {
    /// Carlo proposes another commission for his city.
    async fn proposal(&self) -> String {
        let body = json!({"city_id": self.city, "type": "ticket", "basis_points": 450, "currency": "AUD",
            "valid_from": "2040-01-01T00:00:00Z", "reason": "Small halls pay as much as large ones."});
        let made = self.carlo.client.post("/commission-proposals", body).await;
        made.expect(201).id()
    }

    async fn decided_proposal(&self, verb: &str) -> String {
        let proposal = self.proposal().await;
        self.stage.server.settled().await;
        let path = format!("/commission-proposals/{proposal}/{verb}");
        let body = json!({"reason": "As was agreed"});
        let decided = self.stage.paula.client.post(&path, body).await;
        decided.expect(200);
        proposal
    }
}

async fn proposed(world: &World) -> Told {
    let proposal = world.proposal().await;
    Told {
        by: world.carlo.id,
        to: world.platform_administrators().await,
        title: "Melbourne proposes another commission".into(),
        says: "Accept the proposal or decline it".into(),
        leads_to: ("commission_proposal", proposal),
    }
}

async fn proposal_accepted(world: &World) -> Told {
    let proposal = world.decided_proposal("accept").await;
    Told {
        by: world.stage.paula.id,
        to: vec![world.carlo.id],
        title: "The commission that you proposed is accepted".into(),
        says: "It holds in Melbourne from".into(),
        leads_to: ("commission_proposal", proposal),
    }
}

async fn proposal_declined(world: &World) -> Told {
    let proposal = world.decided_proposal("decline").await;
    Told {
        by: world.stage.paula.id,
        to: vec![world.carlo.id],
        title: "The commission that you proposed is declined".into(),
        says: "In Melbourne everything stays as it is".into(),
        leads_to: ("commission_proposal", proposal),
    }
}
