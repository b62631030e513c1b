//! Requests for services: who hears of them, what each side sees, and what an accepted quote decides.

mod again;
mod closed;
mod quoted;

use crate::support::{Answer, Member, TestServer, database::Content, rows};
use futures_util::future::join_all;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use sqlx::AssertSqlSafe;
use std::time::Duration;
use uuid::Uuid;

/// Olga looks for somebody who prints; three printers are in her city.
struct Market {
    server: TestServer,
    olga: Member,
    city: Uuid,
    host: Uuid,
    printers: Vec<(Member, Uuid)>,
}

impl Market {
    async fn new() -> Self {
        let server = TestServer::start_with(Content::Demo, |_| {}).await;
        let olga = server.sign_in(PEOPLE[2].id).await;
        server.settled().await;
        let city = server.city("melbourne").await;
        let host = rows::host_of(&server, olga.id, city).await;
        let mut market = Self {
            server,
            olga,
            city,
            host,
            printers: Vec::new(),
        };
        market
            .run("update app.businesses set category = 'retail' where category = 'printing'")
            .await;
        for n in 0..3 {
            let printer = market.business(&format!("printer_{n}"), "approved").await;
            market.printers.push(printer);
        }
        market
    }

    /// A business that prints, and whoever looks after it.
    async fn business(&self, name: &str, state: &str) -> (Member, Uuid) {
        let member = self.server.member(name).await;
        let made = "insert into app.businesses (city_id, name, slug, category, state) values ($1, $2, replace($2, '_', '-'), 'printing', $3) returning id";
        let id: Uuid = sqlx::query_scalar(made)
            .bind(self.city)
            .bind(name)
            .bind(state)
            .fetch_one(&mut self.server.superuser().await)
            .await
            .expect("a business");
        let scope = Some(("business", id));
        self.server.grant(&member, "orgAdmin", scope).await;
        (member, id)
    }

    async fn run(&self, text: &str) {
        sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
            .execute(&mut self.server.superuser().await)
            .await
            .expect("done");
    }

    async fn request(&self) -> String {
        let body = json!({"host_type": "organization", "host_id": self.host, "city_id": self.city, "title": "Posters",
            "category": "printing", "description": "Two hundred, in colour", "budget_cents": 50_000, "currency": "AUD"});
        let made = self.olga.client.post("/service-requests", body).await;
        made.expect(201).id()
    }

    /// Waits until so many businesses have heard of a request; the worker tells them.
    async fn leads(&self, request: &str, count: usize) -> Vec<Value> {
        for _ in 0..200 {
            let leads = self.of(&self.olga, "leads", request).await;
            if leads.len() >= count {
                assert_eq!(leads.len(), count);
                return leads;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{count} leads do not come");
    }

    async fn of(&self, by: &Member, what: &str, request: &str) -> Vec<Value> {
        let path = match what {
            "leads" => format!("/leads?service_request_id={request}"),
            _ => format!("/{what}?limit=100"),
        };
        let page = by.client.get(&path).await.expect(200).json;
        page["data"].as_array().expect("rows").clone()
    }

    /// Each printer's quote for a request, sent.
    async fn quotes(&self, request: &str) -> Vec<String> {
        let mut quotes = Vec::new();
        for (printer, _) in &self.printers {
            let leads = self.of(printer, "leads", request).await;
            assert_eq!(leads.len(), 1, "{leads:?}");
            let body = json!({"lead_id": leads[0]["id"], "amount_cents": 40_000, "currency": "AUD", "terms": "By Friday",
                "valid_until": "2040-01-01T00:00:00Z"});
            let quote = printer.client.post("/quotes", body).await.expect(201).id();
            let path = format!("/quotes/{quote}/send");
            printer.client.act(&path).await.expect(200);
            quotes.push(quote);
        }
        quotes
    }

    async fn accept(&self, quote: &str) -> Answer {
        let path = format!("/quotes/{quote}/accept");
        self.olga.client.act(&path).await
    }

    /// States of the request, its leads and its quotes, sorted.
    async fn states(&self, request: &str) -> (String, Vec<String>, Vec<String>) {
        sqlx::query_as(
            "select r.state, array(select l.state from app.leads l where l.service_request_id = r.id order by 1),
               array(select q.state from app.quotes q join app.leads l on l.id = q.lead_id
                 where l.service_request_id = r.id order by 1)
             from app.service_requests r where r.id = $1::text::uuid",
        )
        .bind(request)
        .fetch_one(&mut self.server.superuser().await)
        .await
        .expect("a request")
    }
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn a_request_reaches_those_who_offer_the_service_in_its_city() {
    let market = Market::new().await;
    let (late, late_id) = market.business("printer_to_be", "pending").await;
    let elsewhere = market.server.city("auckland").await;
    let (_, away) = market.business("printer_away", "approved").await;
    market
        .run(&format!(
            "update app.businesses set city_id = '{elsewhere}' where id = '{away}'"
        ))
        .await;
    let request = market.request().await;
    let leads = market.leads(&request, 3).await;
    for lead in &leads {
        assert_eq!(
            (&lead["title"], &lead["details"], &lead["budget_cents"]),
            (
                &json!("Posters"),
                &json!("Two hundred, in colour"),
                &json!(50_000)
            )
        );
    }
    // Each business sees its own, and strangers none.
    for (printer, id) in &market.printers {
        let seen = market.of(printer, "leads", &request).await;
        let of: Vec<&Value> = seen.iter().map(|lead| &lead["business_id"]).collect();
        assert_eq!(of, [&json!(id)]);
    }
    assert_eq!(market.of(&late, "leads", &request).await.len(), 0);
    // Told again, nobody hears twice.
    let module = &market.server.built.app.modules.marketplace;
    let id: Uuid = request.parse().expect("an id");
    assert_eq!(module.spread(id).await.expect("spread"), 0);
    let twice = join_all((0..4).map(|_| module.spread(id))).await;
    assert!(
        twice
            .iter()
            .all(|made| *made.as_ref().expect("spread") == 0)
    );
    // One that is approved later hears of what is open.
    let paula = market.server.sign_in(PEOPLE[0].id).await;
    let path = format!("/businesses/{late_id}/approve");
    paula.client.act(&path).await.expect(200);
    market.leads(&request, 4).await;
    assert_eq!(market.of(&late, "leads", &request).await.len(), 1);
}

/// Everybody can make an organisation, which then waits for approval: its requests must not use up what businesses are
/// told of in a month.
#[tokio::test]
async fn requests_of_a_host_that_is_not_shown_reach_businesses_once_it_is() {
    let market = Market::new().await;
    let paula = market.server.sign_in(PEOPLE[0].id).await;
    let host = market.host;
    let states = [
        ("state = 'pending'", "approve"),
        ("status = 'suspended'", "unsuspend"),
    ];
    for (hidden, shown) in states {
        market
            .run(&format!(
                "update app.organizations set {hidden} where id = '{host}'"
            ))
            .await;
        let request: Uuid = sqlx::query_scalar(
            "insert into app.service_requests (city_id, host_type, host_id, title, category, description)
             values ($1, 'organization', $2, 'Posters', 'printing', 'Two hundred') returning id",
        )
        .bind(market.city)
        .bind(host)
        .fetch_one(&mut market.server.superuser().await)
        .await
        .expect("a request");
        let module = &market.server.built.app.modules.marketplace;
        assert_eq!(module.spread(request).await.expect("spread"), 0, "{hidden}");
        let path = format!("/organizations/{host}/{shown}");
        paula.client.act(&path).await.expect(200);
        market.leads(&request.to_string(), 3).await;
    }
}

#[tokio::test]
async fn an_accepted_quote_decides_the_request() {
    let market = Market::new().await;
    let (request, other) = (market.request().await, market.request().await);
    for request in [&request, &other] {
        market.leads(request, 3).await;
    }
    let quotes = market.quotes(&request).await;
    let others = market.quotes(&other).await;
    // Nobody sees or accepts what is not theirs.
    let (stranger, _) = &market.printers[1];
    let path = format!("/quotes/{}", quotes[0]);
    stranger.client.get(&path).await.expect(404);
    let path = format!("{path}/accept");
    stranger.client.act(&path).await.expect(404);
    market.printers[0].0.client.act(&path).await.expect(403);

    // Whose lead is lost sends nothing any more.
    let (printer, _) = &market.printers[2];
    let lead = market.of(printer, "leads", &request).await[0]["id"].clone();
    let body = json!({"lead_id": lead, "amount_cents": 1, "currency": "AUD", "terms": "", "valid_until": "2040-01-01T00:00:00Z"});
    let late = printer.client.post("/quotes", body).await.expect(201).id();

    // No quote is made that can't be accepted any more.
    let past = json!({"lead_id": lead, "amount_cents": 1, "currency": "AUD", "terms": "", "valid_until": "2020-01-01T00:00:00Z"});
    let over = printer.client.post("/quotes", past).await.expect(422);
    assert_eq!(over.json["errors"][0]["pointer"], "/valid_until");
    let draft = format!("/quotes/{late}");
    let past = json!({"valid_until": "2020-01-01T00:00:00Z"});
    let over = printer.client.patch(&draft, "*", past).await.expect(422);
    assert_eq!(over.json["errors"][0]["pointer"], "/valid_until");

    market.accept(&quotes[0]).await.expect(200);
    let settled = (
        "settled".to_owned(),
        texts(&["lost", "lost", "won"]),
        texts(&["accepted", "declined", "declined", "draft"]),
    );
    assert_eq!(market.states(&request).await, settled);
    let refused = market.accept(&quotes[1]).await.expect(409);
    assert_eq!(refused.problem(), "invalid-state");
    let path = format!("/quotes/{late}/send");
    printer.client.act(&path).await.expect(409);
    // Another request of the same host is as it was.
    let open = (
        "open".to_owned(),
        texts(&["new", "new", "new"]),
        texts(&["sent", "sent", "sent"]),
    );
    assert_eq!(market.states(&other).await, open);

    // The negative control: without the trigger nothing follows from it.
    market.run("drop trigger quotes_settle on app.quotes").await;
    market.accept(&others[0]).await.expect(200);
    let (request, leads, _) = market.states(&other).await;
    assert_eq!((request.as_str(), leads), ("open", texts(&["new"; 3])));
}

/// S2: what a business hears of in a month its plan says, as long as the plan is paid.
#[tokio::test]
async fn s2_a_plan_decides_how_many_requests_are_heard_of() {
    let market = Market::new().await;
    let [one, all, over] = [0, 1, 2].map(|n| market.printers[n].1);
    let plans = |name: &str, leads: &str| {
        format!(
            "insert into app.plans (name, price_cents, currency, interval, features, leads_per_month)
             values ('{name}', 1000, 'AUD', 'month', '{{}}', {leads})"
        )
    };
    market.run(&plans("One", "1")).await;
    market.run(&plans("All", "null")).await;
    for (business, plan, until) in [
        (one, "One", "1 day"),
        (all, "All", "1 day"),
        (over, "All", "-1 day"),
    ] {
        market
            .run(&format!(
                "insert into app.subscriptions (business_id, plan_id, amount_cents, currency, interval, state, entitled_until, stripe_idempotency_key)
                 select '{business}', id, price_cents, currency, interval, 'active', now() + interval '{until}', 'test:{business}'
                 from app.plans where name = '{plan}'"
            ))
            .await;
    }
    let free = market.server.built.app.modules.marketplace.clone();
    for _ in 0..12 {
        let request = market.request().await;
        free.spread(request.parse().expect("an id"))
            .await
            .expect("spread");
    }
    market.server.settled().await;
    let mut conn = market.server.superuser().await;
    let heard: Vec<(Uuid, i64)> = sqlx::query_as(
        "select business_id, count(*) from app.leads where business_id = any ($1) group by 1",
    )
    .bind(vec![one, all, over])
    .fetch_all(&mut conn)
    .await
    .expect("leads");
    let of = |business| {
        heard
            .iter()
            .find(|(id, _)| *id == business)
            .map_or(0, |(_, count)| *count)
    };
    // The last one's plan is not paid any more: it hears of as many as a business without one.
    assert_eq!((of(one), of(all), of(over)), (1, 12, 10));
}

#[tokio::test]
async fn reports_are_what_the_rows_say_and_belong_to_plans_that_include_them() {
    let market = Market::new().await;
    let (printer, business) = &market.printers[0];
    let path = format!("/businesses/{business}/report");
    let refused = printer.client.get(&path).await.expect(403);
    assert_eq!(refused.problem(), "plan-required");
    market.olga.client.get(&path).await.expect(403);
    sqlx::query(
        "insert into app.subscriptions (business_id, plan_id, amount_cents, currency, interval, state, entitled_until, stripe_idempotency_key)
         select $1, p.id, p.price_cents, p.currency, p.interval, 'active', now() + interval '1 day', 'subscription:made:up'
         from app.plans p where p.has_reports limit 1",
    )
    .bind(business)
    .execute(&mut market.server.superuser().await)
    .await
    .expect("a plan");

    // Three heard of; one answered and won, one answered a month ago, one not answered.
    let mut leads = Vec::new();
    for n in 0..3 {
        let lead: Uuid = sqlx::query_scalar(
            "with asked as (
               insert into app.service_requests (city_id, host_type, host_id, title, category, description)
               values ($1, 'organization', $2, 'Posters', 'printing', 'Fifty.') returning id
             )
             insert into app.leads (service_request_id, business_id, title, details, state, created_at)
             select a.id, $3, 'Posters', 'Fifty.', $4, now() - make_interval(months => $5) from asked a returning id",
        )
        .bind(market.city)
        .bind(market.host)
        .bind(business)
        .bind(if n == 0 { "won" } else { "viewed" })
        .bind(i32::from(n == 1))
        .fetch_one(&mut market.server.superuser().await)
        .await
        .expect("a lead");
        leads.push(lead);
    }
    for (lead, state) in [
        (leads[0], "accepted"),
        (leads[1], "sent"),
        (leads[2], "draft"),
    ] {
        sqlx::query(
            "insert into app.quotes (lead_id, amount_cents, currency, terms, valid_until, state)
             values ($1, 4200, 'AUD', 'On paper.', now() + interval '9 days', $2)",
        )
        .bind(lead)
        .bind(state)
        .execute(&mut market.server.superuser().await)
        .await
        .expect("a quote");
    }
    let report = printer.client.get(&path).await.expect(200).json;
    let months = report["months"].as_array().expect("months");
    assert_eq!(months.len(), 12);
    let figures =
        |month: &Value| [&month["leads"], &month["answered"], &month["won"]].map(Value::as_i64);
    assert_eq!(figures(&months[11]), [Some(2), Some(1), Some(1)]);
    assert_eq!(figures(&months[10]), [Some(1), Some(1), Some(0)]);
    assert_eq!(
        report["won"],
        json!([{"currency": "AUD", "quotes": 1, "amount_cents": 4200}])
    );
    sqlx::query("update app.subscriptions set entitled_until = now() where business_id = $1")
        .bind(business)
        .execute(&mut market.server.superuser().await)
        .await
        .expect("over");
    printer.client.get(&path).await.expect(403);
}

/// S2: leads that an organiser makes by hand count for the plan like those that the job makes, and a host that waits for
/// approval makes none.
#[tokio::test]
async fn s2_leads_by_hand_are_held_to_the_plan() {
    let market = Market::new().await;
    let business = market.printers[0].1;
    market
        .run(&format!(
            "insert into app.plans (name, price_cents, currency, interval, features, leads_per_month)
             values ('One', 1000, 'AUD', 'month', '{{}}', 1);
             insert into app.subscriptions (business_id, plan_id, amount_cents, currency, interval, state, entitled_until, stripe_idempotency_key)
             select '{business}', id, price_cents, currency, interval, 'active', now() + interval '1 day', 'test:{business}'
             from app.plans where name = 'One'"
        ))
        .await;
    let mut asked = Vec::new();
    for title in ["Songs", "More songs", "The last songs"] {
        // Of a category of its own, so that the job makes no leads.
        let body = json!({"host_type": "organization", "host_id": market.host, "city_id": market.city, "title": title,
            "category": "music", "description": "Three"});
        let made = market.olga.client.post("/service-requests", body).await;
        asked.push(made.expect(201).id());
    }
    let tell = async |request: &str| {
        let lead = json!({"service_request_id": request, "business_id": business, "title": "Songs", "details": "Three"});
        market.olga.client.post("/leads", lead).await
    };
    let lead = tell(&asked[0]).await.expect(201).id();
    // The same request again is no further one.
    let path = format!("/leads/{lead}");
    market.olga.client.delete(&path).await.expect(204);
    tell(&asked[0]).await.expect(201);
    let refused = tell(&asked[1]).await.expect(409);
    assert!(
        refused.text.contains("no more requests this month"),
        "{}",
        refused.text
    );
    // Of two at the same moment, one takes the place that is left.
    market.run("update app.plans set leads_per_month = 2").await;
    let both = join_all([tell(&asked[1]), tell(&asked[2])]).await;
    let mut both: Vec<u16> = both.iter().map(|answer| answer.status.as_u16()).collect();
    both.sort_unstable();
    assert_eq!(both, [201, 409]);
    // The database refuses it without the hook, too. Here it is asked whoever inserts.
    let request: Uuid = sqlx::query_scalar(
        "select r.id from app.service_requests r where r.category = 'music'
           and not exists (select from app.leads l where l.service_request_id = r.id and l.business_id = $1::uuid)",
    )
    .bind(business)
    .fetch_one(&mut market.server.superuser().await)
    .await
    .expect("the one that was refused");
    market.run("create trigger tried after insert on app.leads for each row execute function app.hold_lead()").await;
    let by_hand = format!(
        "insert into app.leads (service_request_id, business_id, title, details) values ('{request}', '{business}', 'Songs', 'Three')"
    );
    let inserted = sqlx::raw_sql(AssertSqlSafe(by_hand))
        .execute(&mut market.server.superuser().await)
        .await;
    let error = inserted.expect_err("one too many");
    let constraint = error.as_database_error().and_then(|one| one.constraint());
    assert_eq!(constraint, Some("leads_plan"));
    // The control: the plan is the reason.
    market
        .run("update app.plans set leads_per_month = null")
        .await;
    // A host that waits for approval does not write to businesses.
    let organization = |state: &str| {
        let host = market.host;
        format!("update app.organizations set state = '{state}' where id = '{host}'")
    };
    market.run(&organization("pending")).await;
    tell(&request.to_string()).await.expect(409);
    market.run(&organization("approved")).await;
    tell(&request.to_string()).await.expect(201);
}
