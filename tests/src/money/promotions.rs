//! Featured places: never more than fit, shown once they are paid and approved, and refunded as far as they were not
//! shown.

use super::{
    market::{DAY_PRICE, Market},
    stage::keyed,
};
use crate::support::Answer;
use chrono::TimeDelta;
use fake_stripe::fault::{Fault, Kind};
use futures_util::future::join_all;
use serde_json::json;
use server::seed::demo::PEOPLE;
use uuid::Uuid;

#[tokio::test]
async fn f1_no_more_stand_in_a_place_than_fit_in() {
    let market = Market::new(3).await;
    // A host reserves one place at a time that is to be paid, and as many as it likes that cost nothing.
    market
        .sql("update app.featured_places set day_price_cents = 0")
        .await;
    let mut events = vec![market.stage.event];
    for _ in 0..49 {
        events.push(market.another_event().await);
    }
    let asked = join_all(events.iter().map(|event| market.book(*event, 7))).await;
    let taken = |answers: &[Answer]| answers.iter().filter(|one| one.status == 201).count();
    assert_eq!(taken(&asked), 3);
    for refused in asked.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.status.as_u16(), 409);
        assert_eq!(refused.problem(), "place-taken");
    }
    // Before and after these bookings there is room, and also where two bookings overlap at different times.
    let free = events
        .iter()
        .zip(&asked)
        .find(|(_, answer)| answer.status != 201);
    let mut body = market.body("event", *free.expect("one").0, 7);
    body["starts_at"] = json!(market.starts_at + TimeDelta::days(7));
    body["ends_at"] = json!(market.starts_at + TimeDelta::days(9));
    let olga = &market.stage.olga.client;
    olga.post("/promotions", body).await.expect(201);

    // The negative control: without the guard, the same race over another month sells more.
    market
        .sql(
            "create or replace function app.room_of_place(p_city uuid, p_slot text, p_starts_at timestamptz, p_ends_at timestamptz,
               p_without uuid) returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 100'",
        )
        .await;
    let later = market.starts_at + TimeDelta::days(30);
    let unguarded = events.iter().map(|event| {
        let mut body = market.body("event", *event, 7);
        body["starts_at"] = json!(later);
        body["ends_at"] = json!(later + TimeDelta::days(7));
        async move { olga.post("/promotions", body).await }
    });
    assert!(
        taken(&join_all(unguarded).await) > 3,
        "without the guard, more are booked"
    );
}

#[tokio::test]
async fn f2_it_is_paid_approved_shown_once_and_over() {
    let market = Market::new(3).await;
    let asked = market.body("event", market.stage.event, 7);
    let olga = &market.stage.olga.client;
    let price = olga.post("/promotions/price", asked.clone()).await;
    let price = price.expect(200).json;
    assert_eq!(price["amount_cents"], 7 * DAY_PRICE);
    assert_eq!(price["room"], 3);
    let id = market.booked(7).await;
    let booked = market.seen(&id).await;
    assert_eq!(booked["amount_cents"], price["amount_cents"]);
    assert_eq!(booked["currency"], "AUD");
    assert_eq!(booked["days"], 7);

    // Nothing is approved before it is paid, and nobody pays for others.
    let early = market.decide(&id, "approve", None).await;
    assert_eq!(early.status, 409);
    let path = format!("/promotions/{id}/payments");
    keyed(&market.stage.mira, &path, json!({}))
        .await
        .expect(404);
    market.pay(&id, "4000000000009995").await;
    assert!(market.seen(&id).await["paid_at"].is_null());
    market.pay(&id, "4242424242424242").await;
    assert!(market.seen(&id).await["paid_at"].is_string());
    let again = keyed(&market.stage.olga, &path, json!({})).await;
    assert_eq!(again.expect(409).problem(), "invalid-state");
    market.sound().await;

    market.decide(&id, "approve", None).await.expect(200);
    let mira = &market.stage.mira.client;
    let path = format!("/promotions/{id}");
    mira.get(&path).await.expect(404);
    assert_eq!(market.keep().await, 0);
    market.begin(&id, 1).await;
    let kept = join_all((0..6).map(|_| market.keep())).await;
    assert_eq!(kept.iter().sum::<usize>(), 1, "begun exactly once");
    assert_eq!(mira.get(&path).await.expect(200).json["state"], "active");
    let list = format!("/promotions?city_id={}&slot=home&state=active", market.city);
    assert_eq!(mira.get(&list).await.expect(200).json["data"][0]["id"], *id);
    let event = format!("/events/{}", market.stage.event);
    let featured = mira.get(&event).await.expect(200).json["featured_until"].clone();
    assert_eq!(featured, market.seen(&id).await["ends_at"]);

    market.begin(&id, 24 * 8).await;
    assert_eq!(market.keep().await, 1);
    assert_eq!(market.seen(&id).await["state"], "ended");
    mira.get(&path).await.expect(404);
    assert!(mira.get(&event).await.expect(200).json["featured_until"].is_null());
    market.deliver().await;
    assert_eq!(market.back(&id).await, (0, 0));
    market.sound().await;
}

#[tokio::test]
async fn f2_what_the_city_rejects_goes_back_in_full() {
    let market = Market::new(1).await;
    for (verb, reason) in [("reject", Some("Not for this page")), ("withdraw", None)] {
        let id = market.booked(7).await;
        market.pay(&id, "4242424242424242").await;
        match reason {
            Some(_) => {
                market.decide(&id, verb, reason).await.expect(200);
            }
            None => {
                market.decide(&id, "approve", None).await.expect(200);
                let path = format!("/promotions/{id}/{verb}");
                market.stage.olga.client.act(&path).await.expect(200);
                market.deliver().await;
            }
        }
        market.deliver().await;
        assert_eq!(market.back(&id).await, (7 * DAY_PRICE, 0), "{verb}");
        // The place is free again.
        market.sound().await;
    }
    // A booking that is undecided when it should begin is rejected.
    let id = market.booked(7).await;
    market.pay(&id, "4242424242424242").await;
    market.begin(&id, 1).await;
    assert_eq!(market.keep().await, 1);
    assert_eq!(market.seen(&id).await["state"], "rejected");
    market.deliver().await;
    market.deliver().await;
    assert_eq!(market.back(&id).await, (7 * DAY_PRICE, 0));
    market.sound().await;
}

#[tokio::test]
async fn f3_a_dispute_or_an_early_end_takes_it_off_at_once() {
    let market = Market::new(3).await;
    let shown = async |market: &Market| {
        let id = market.booked(7).await;
        let payment = market.pay(&id, "4242424242424242").await;
        market.decide(&id, "approve", None).await.expect(200);
        market.begin(&id, 30).await;
        assert_eq!(market.keep().await, 1);
        (id, payment)
    };
    let (id, payment) = shown(&market).await;
    let fake = &market.stage.stripe.fake;
    fake.dispute(&payment, "fraudulent", false)
        .expect("a dispute");
    market.deliver().await;
    assert_eq!(market.seen(&id).await["state"], "ended");
    market.deliver().await;
    // The bank has taken the money back, so it isn't refunded as well.
    assert_eq!(market.back(&id).await, (0, 0));
    market.sound().await;

    // 30 hours of 7 days were shown: five whole days are left.
    let (id, _) = shown(&market).await;
    let ended = market.decide(&id, "finish", Some("The show is off")).await;
    ended.expect(200);
    market.deliver().await;
    assert_eq!(market.back(&id).await, (5 * DAY_PRICE, 0));
    market.sound().await;

    // The event is cancelled.
    let (id, _) = shown(&market).await;
    let path = format!("/events/{}/cancel", market.stage.event);
    let reason = json!({"reason": "The hall is flooded"});
    market
        .stage
        .olga
        .client
        .post(&path, reason)
        .await
        .expect(200);
    market.deliver().await;
    market.deliver().await;
    assert_eq!(market.seen(&id).await["state"], "ended");
    assert_eq!(market.back(&id).await, (5 * DAY_PRICE, 0));
    market.sound().await;
}

#[tokio::test]
async fn f1_a_plan_pays_for_its_days_and_cities_earn_of_the_rest() {
    let market = Market::new(3).await;
    let binh = market.stage.server.sign_in(PEOPLE[3].id).await;
    let mut conn = market.stage.server.superuser().await;
    let business: Uuid = sqlx::query_scalar(
        "select scope_id from app.role_assignments where user_id = $1 and role = 'orgAdmin' and scope_type = 'business'",
    )
    .bind(binh.id)
    .fetch_one(&mut conn)
    .await
    .expect("a business");
    sqlx::query(
        "with gone as (update app.subscriptions set state = 'canceled', entitled_until = null returning id)
         insert into app.subscriptions (business_id, plan_id, amount_cents, currency, interval, state, entitled_until, current_period_start,
           stripe_idempotency_key)
         select $1, p.id, p.price_cents, p.currency, p.interval, 'active', now() + interval '9 days', now() - interval '9 days', 'subscription:made:up'
         from app.plans p, (select count(*) from gone) g where p.featured_days = 7 and p.currency = 'AUD' limit 1",
    )
    .bind(business)
    .execute(&mut conn)
    .await
    .expect("a plan with seven days");
    let body = market.body("business", business, 10);
    // While the period is not paid, it includes no days, although other benefits last for some days of grace.
    for (state, days) in [("past_due", 0), ("active", 7)] {
        let now =
            format!("update app.subscriptions set state = '{state}' where state <> 'canceled'");
        market.stage.run(now).await;
        let price = binh.client.post("/promotions/price", body.clone()).await;
        assert_eq!(price.json["plan_days"], days, "{}", price.text);
        assert_eq!(price.json["amount_cents"], (10 - days) * DAY_PRICE);
    }
    let id = binh.client.post("/promotions", body).await.expect(201).id();
    // The included days are used up; the city gets 30 % of the rest.
    let seen = market.carlo.client.get(&format!("/promotions/{id}")).await;
    let seen = seen.expect(200).json;
    assert_eq!(seen["plan_days"], 7);
    assert_eq!(seen["city_share_cents"], 3 * DAY_PRICE * 3 / 10);
    let mut other = market.body("business", business, 2);
    other["slot"] = json!("category");
    let price = binh.client.post("/promotions/price", other).await;
    assert_eq!(price.expect(200).json["plan_days"], 0);

    let earned = async || {
        let payments = market.stage.payments();
        payments
            .accrue_shares(Uuid::now_v7())
            .await
            .expect("accrued");
        let mut conn = market.stage.server.superuser().await;
        let sum: Option<i64> = sqlx::query_scalar(
            "select sum(amount_cents)::int8 from app.revenue_shares where city_id = $1 and state = 'open'",
        )
        .bind(market.city)
        .fetch_one(&mut conn)
        .await
        .expect("a sum");
        sum.unwrap_or_default()
    };
    let before = earned().await;
    let path = format!("/promotions/{id}/payments");
    keyed(&binh, &path, json!({})).await.expect(200);
    let payment = market.payment_of(&id).await;
    let intent = fake_stripe::Intent::Payment;
    let fake = &market.stage.stripe.fake;
    fake.pay_as_buyer(intent, &payment, "4242424242424242")
        .expect("paid");
    market.deliver().await;
    assert_eq!(earned().await - before, 3 * DAY_PRICE * 3 / 10);
    market
        .decide(&id, "reject", Some("Not now"))
        .await
        .expect(200);
    market.deliver().await;
    assert_eq!(earned().await, before);
    // The booking was rejected, so the days of the plan are available again.
    let body = market.body("business", business, 7);
    let price = binh.client.post("/promotions/price", body).await;
    assert_eq!(price.expect(200).json["plan_days"], 7);
    market.sound().await;
}

#[tokio::test]
async fn f1_what_cannot_be_booked_is_refused_with_the_reason() {
    let market = Market::new(3).await;
    let client = &market.stage.olga.client;
    let event = market.stage.event;
    let long = market.body("event", event, 31);
    let mut past = market.body("event", event, 7);
    past["starts_at"] = json!("2026-01-01T00:00:00Z");
    past["ends_at"] = json!("2026-01-03T00:00:00Z");
    for path in ["/promotions", "/promotions/price"] {
        for body in [&long, &past] {
            let refused = client.post(path, body.clone()).await.expect(422);
            assert_eq!(refused.json["errors"][0]["pointer"], "/ends_at", "{path}");
        }
    }
    // The price is computed, whatever the body contains.
    let mut cheap = market.body("event", event, 7);
    cheap["amount_cents"] = json!(0);
    client.post("/promotions", cheap).await.expect(422);
    let path = format!("/featured-places?city_id={}&slot=home", market.city);
    let places = market.carlo.client.get(&path).await.expect(200);
    let place = places.json["data"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/featured-places/{place}");
    let off = json!({"is_offered": false});
    market
        .stage
        .olga
        .client
        .patch(&path, "*", off.clone())
        .await
        .expect(403);
    market.carlo.client.patch(&path, "*", off).await.expect(200);
    let refused = market.book(event, 7).await.expect(409);
    assert_eq!(refused.problem(), "place-not-offered");
}

/// Nobody pays for days on which the event is over: the booking ends with it, and the whole days that are left go back. One
/// that would have begun later is cancelled.
#[tokio::test]
async fn f1_f3_a_place_is_not_shown_longer_than_its_event() {
    let market = Market::new(3).await;
    let (shown, waiting) = (market.another_event().await, market.another_event().await);
    let id = market.book(shown, 5).await.expect(201).id();
    market.pay(&id, "4242424242424242").await;
    market.decide(&id, "approve", None).await.expect(200);
    let later = market.book(waiting, 5).await.expect(201).id();
    market.pay(&later, "4242424242424242").await;
    market.begin(&id, 30).await;
    assert_eq!(market.keep().await, 1);
    assert_eq!(market.keep().await, 0);
    assert_eq!(market.seen(&id).await["state"], "active");
    market
        .stage
        .run(format!(
            "set session_replication_role = replica;
             update app.events set starts_at = now() - interval '30 days', ends_at = now() where id in ('{shown}', '{waiting}')"
        ))
        .await;
    assert_eq!(market.keep().await, 2);
    market.deliver().await;
    assert_eq!(market.seen(&id).await["state"], "ended");
    assert_eq!(market.seen(&later).await["state"], "cancelled");
    // 30 hours of five days were shown, and none of the other's.
    assert_eq!(market.back(&id).await, (3 * DAY_PRICE, 0));
    assert_eq!(market.back(&later).await, (5 * DAY_PRICE, 0));
    assert_eq!(market.keep().await, 0);
    market.sound().await;
}

/// If the bank takes the money first, the pending refund is given up instead of waiting for ever.
#[tokio::test]
async fn f3_a_refund_on_its_way_ends_with_a_dispute_that_is_lost() {
    let market = Market::new(1).await;
    let id = market.booked(7).await;
    let payment = market.pay(&id, "4242424242424242").await;
    let fake = &market.stage.stripe.fake;
    fake.add_fault(Fault::new(Kind::Away));
    let rejected = market.decide(&id, "reject", Some("Not for this page"));
    rejected.await.expect(200);
    fake.clear_faults();
    let dispute = fake.dispute(&payment, "fraudulent", false);
    let dispute = dispute.expect("a dispute")["id"].clone();
    market.deliver().await;
    let refunds = async |what: &str| {
        let text = format!(
            "select count(*) from app.refunds where promotion_id = '{id}' and wallet_cents = 0 and {what}"
        );
        market.stage.number(&text).await
    };
    let look = async || {
        market.stage.age().await;
        let payments = market.stage.payments();
        payments
            .reconcile_all(Uuid::now_v7())
            .await
            .expect("a look");
        market.deliver().await;
    };
    look().await;
    assert_eq!(refunds("state = 'pending'").await, 1, "it waits");
    fake.close_dispute(dispute.as_str().expect("an id"), false)
        .expect("lost");
    market.deliver().await;
    let lost = "state = 'failed' and failure_code = 'dispute_lost'";
    assert_eq!(refunds(lost).await, 1);
    look().await;
    assert_eq!(refunds(lost).await, 1);
    market.sound().await;
}

/// The database refuses prices that no card can be charged, with the same limits as the server's friendly error.
#[tokio::test]
async fn f1_what_no_card_can_be_charged_is_not_booked() {
    let market = Market::new(3).await;
    let mut conn = market.stage.server.superuser().await;
    for currency in ::money::Currency::all() {
        let known: (i64, i64, i64) =
            sqlx::query_as("select app.card_step($1), app.card_minimum($1), app.card_maximum($1)")
                .bind(currency.code())
                .fetch_one(&mut conn)
                .await
                .expect("a step and bounds");
        let step = ::money::card::quantum(currency).cast_signed();
        let minimum = ::money::card::minimum(currency).amount();
        let maximum = ::money::card::maximum(currency).amount();
        assert_eq!(known, (step, minimum, maximum), "{currency}");
    }
    let client = &market.stage.olga.client;
    for (price, currency, days, pointer) in [
        (1_005, "KWD", 1, "/slot"),
        (1_050, "MGA", 1, "/slot"),
        (20, "AUD", 2, "/ends_at"),
        (50_000_000, "AUD", 2, "/ends_at"),
    ] {
        market
            .stage
            .run(format!(
                "set session_replication_role = replica;
                 update app.featured_places set day_price_cents = {price}, currency = '{currency}'
                 where city_id = '{}' and slot = 'home'",
                market.city
            ))
            .await;
        let body = market.body("event", market.stage.event, days);
        for path in ["/promotions/price", "/promotions"] {
            let refused = client.post(path, body.clone()).await.expect(422);
            let errors = &refused.json["errors"];
            assert_eq!(errors[0]["pointer"], pointer, "{path} {price} {currency}");
        }
    }
    // Three days at 0.20 are enough for a card.
    market
        .stage
        .run(format!(
            "update app.featured_places set day_price_cents = 20, currency = 'AUD' where city_id = '{}' and slot = 'home'",
            market.city
        ))
        .await;
    let booked = market.book(market.stage.event, 3).await.expect(201).id();
    assert_eq!(market.seen(&booked).await["amount_cents"], 60);
}

/// Refunds are rounded to the same steps as payments, and the city gives back nothing of half a step.
#[tokio::test]
async fn f2_parts_are_rounded_to_steps_and_half_a_step_is_the_platforms() {
    let market = Market::new(3).await;
    // 30 % of 15.15 are 4.545.
    let share = "select app.city_share_of_place('event', '{event}', c.id, 'AUD', 1515) from app.cities c where c.slug = 'melbourne'";
    assert_eq!(market.stage.number(share).await, 454);
    // Five of seven days in dinars, two of which are included in a plan.
    let id = market.booked(7).await;
    market
        .stage
        .run(format!(
            "set session_replication_role = replica;
             update app.promotions set currency = 'KWD', amount_cents = 7550, city_share_cents = 2260, plan_days = 2, state = 'active',
               paid_at = now(), starts_at = now() - interval '30 hours', ends_at = now() + interval '138 hours'
             where id = '{id}'"
        ))
        .await;
    let ended = market.decide(&id, "finish", Some("The show is off")).await;
    ended.expect(200);
    let back: (i64, i64, i64) = sqlx::query_as(
        "select amount_cents, city_share_cents, platform_fee_cents from app.refunds where promotion_id = $1::text::uuid",
    )
    .bind(&id)
    .fetch_one(&mut market.stage.server.superuser().await)
    .await
    .expect("a refund");
    assert_eq!(back, (5_390, 1_610, 3_780));
}
