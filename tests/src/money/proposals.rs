//! C10: commission proposals of cities, and what becomes of them.

use super::stage::Stage;
use crate::support::{Answer, Member, TestServer};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

struct Council {
    server: TestServer,
    paula: Member,
    /// Administers Melbourne.
    carlo: Member,
    mira: Member,
    city: Uuid,
    /// Administers another city.
    neighbour: Member,
}

impl Council {
    async fn new() -> Self {
        let server = TestServer::demo().await;
        let paula = server.sign_in(PEOPLE[0].id).await;
        let carlo = server.sign_in(PEOPLE[1].id).await;
        let mira = server.sign_in(PEOPLE[4].id).await;
        let city = server.city("melbourne").await;
        let neighbour = server.member("neighbour").await;
        let other = sqlx::query_scalar(
            "select id from app.cities where id <> $1 and status = 'active' order by id limit 1",
        )
        .bind(city)
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("another city");
        server
            .grant(&neighbour, "cityAdmin", Some(("city", other)))
            .await;
        Self {
            server,
            paula,
            carlo,
            mira,
            city,
            neighbour,
        }
    }

    fn body(&self, basis_points: i32, valid_from: DateTime<Utc>) -> Value {
        json!({"city_id": self.city, "type": "ticket", "basis_points": basis_points, "fixed_cents": 30, "currency": "AUD",
            "paid_by": "organizer", "city_share_basis_points": 2500, "valid_from": valid_from,
            "reason": "Small halls pay as much as large ones."})
    }

    async fn proposed(&self, basis_points: i32, valid_from: DateTime<Utc>) -> String {
        let body = self.body(basis_points, valid_from);
        let made = self.carlo.client.post("/commission-proposals", body).await;
        made.expect(201).id()
    }

    async fn decide(&self, by: &Member, proposal: &str, verb: &str) -> Answer {
        let path = format!("/commission-proposals/{proposal}/{verb}");
        by.client
            .post(&path, json!({"reason": "As was agreed"}))
            .await
    }

    /// The city's rules for tickets, the earliest first, as its administrator sees them.
    async fn rules(&self) -> Vec<Value> {
        let path = format!(
            "/commission-rules?scope_type=city&scope_id={}&type=ticket&sort=valid_from",
            self.city
        );
        let seen = self.carlo.client.get(&path).await.expect(200);
        seen.json["data"].as_array().expect("rules").clone()
    }

    async fn run(&self, text: &str) {
        sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
            .execute(&mut self.server.superuser().await)
            .await
            .expect("done");
    }
}

fn time(of: &Value) -> DateTime<Utc> {
    of.as_str().expect("a time").parse().expect("a time")
}

#[tokio::test]
async fn c10_a_city_proposes_and_the_platform_decides() {
    let council = Council::new().await;
    let soon = Utc::now() + TimeDelta::days(10);
    // Only the administrators of a city can make proposals for it; the platform can't either.
    for who in [&council.paula, &council.neighbour, &council.mira] {
        let body = council.body(450, soon);
        who.client
            .post("/commission-proposals", body)
            .await
            .expect(403);
    }
    let id = council.proposed(450, soon).await;
    let path = format!("/commission-proposals/{id}");
    let list = format!(
        "/commission-proposals?city_id={}&state=proposed",
        council.city
    );
    for (who, status) in [
        (&council.carlo, 200),
        (&council.paula, 200),
        (&council.neighbour, 404),
        // Callers without a role see no proposals.
        (&council.mira, 403),
    ] {
        who.client.get(&path).await.expect(status);
    }
    let seen = council.neighbour.client.get(&list).await;
    let others = seen.json["data"].as_array().map_or(0, Vec::len);
    assert_eq!(others, 0, "another city's administrator sees nothing");

    // A city can't decide, and a decision needs a reason.
    let accept = format!("{path}/accept");
    for who in [&council.carlo, &council.neighbour] {
        let refused = council.decide(who, &id, "accept").await;
        assert!([403, 404].contains(&refused.status.as_u16()));
    }
    council
        .paula
        .client
        .post(&accept, json!({}))
        .await
        .expect(422);
    assert_eq!(council.rules().await.len(), 0);
    council
        .decide(&council.paula, &id, "accept")
        .await
        .expect(200);
    let rules = council.rules().await;
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0]["basis_points"], 450);
    assert_eq!(rules[0]["fixed_cents"], 30);
    assert_eq!(rules[0]["city_share_basis_points"], 2500);
    assert!(rules[0]["valid_to"].is_null());
    // A proposal can be accepted once.
    let again = council.decide(&council.paula, &id, "accept").await;
    assert_eq!(again.expect(409).problem(), "invalid-state");
    assert_eq!(council.rules().await.len(), 1);

    // The audit log contains the rule and the decision, with the caller and the request.
    let rule = rules[0]["id"].as_str().expect("an id");
    let mut requests = Vec::new();
    for (entity, id, action) in [
        ("commission_proposal", id.as_str(), "accept"),
        ("commission_rule", rule, "create"),
    ] {
        let asked = format!("/audit-logs?entity_type={entity}&entity_id={id}&limit=1");
        let log = council.paula.client.get(&asked).await.expect(200);
        let entry = &log.json["data"][0];
        assert_eq!(entry["performed_by"], json!(council.paula.id));
        if entity == "commission_proposal" {
            assert_eq!(entry["action"], action);
            assert_eq!(entry["changed"]["state"], json!(["proposed", "accepted"]));
        }
        requests.push(entry["request_id"].clone());
    }
    assert_eq!(requests[0], requests[1]);
}

#[tokio::test]
async fn c10_an_accepted_proposal_ends_the_rule_before_it() {
    let council = Council::new().await;
    let past = Utc::now() - TimeDelta::days(3);
    let first = council.proposed(450, past).await;
    council
        .decide(&council.paula, &first, "accept")
        .await
        .expect(200);
    // The rule never begins in the past, because earlier payments were charged by the rule valid then.
    let begun = time(&council.rules().await[0]["valid_from"]);
    assert!(begun > past + TimeDelta::days(2));
    let later = Utc::now() + TimeDelta::days(30);
    let second = council.proposed(500, later).await;
    council
        .decide(&council.paula, &second, "accept")
        .await
        .expect(200);
    let rules = council.rules().await;
    assert_eq!(rules.len(), 2);
    assert_eq!(rules[0]["valid_to"], rules[1]["valid_from"]);
    assert_eq!(rules[1]["basis_points"], 500);

    // A rule that begins later can't be ended: the error names it, and nothing has changed.
    let between = council
        .proposed(600, Utc::now() + TimeDelta::days(15))
        .await;
    let refused = council.decide(&council.paula, &between, "accept").await;
    let refused = refused.expect(409);
    let detail = refused.json["detail"].as_str().expect("a detail");
    assert!(
        detail.contains(rules[1]["id"].as_str().expect("an id")),
        "{detail}"
    );
    assert_eq!(council.rules().await, rules);
    // Even without the friendly error the table refuses it, whoever writes the state.
    let mut conn = council.server.superuser().await;
    let text = "update app.commission_proposals set state = 'accepted' where id = $1::text::uuid";
    let forced = sqlx::query(text).bind(&between).execute(&mut conn).await;
    let code = forced.expect_err("an overlap");
    let code = code.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("23P01"));
    // The control: without the exclusion two rules would hold at once.
    council
        .run(
            "do $$ declare v_name text; begin
               select conname into strict v_name from pg_constraint
               where conrelid = 'app.commission_rules'::regclass and contype = 'x';
               execute format('alter table app.commission_rules drop constraint %I', v_name);
             end $$",
        )
        .await;
    sqlx::query(text)
        .bind(&between)
        .execute(&mut conn)
        .await
        .expect("nobody minds");
    assert_eq!(council.rules().await.len(), 3);
}

#[tokio::test]
async fn c10_two_who_decide_at_once_make_one_rule() {
    let council = Council::new().await;
    let second = council.server.member("second_platform").await;
    council.server.grant(&second, "platformAdmin", None).await;
    let soon = Utc::now() + TimeDelta::days(10);
    let id = council.proposed(450, soon).await;
    let decided = join_all((0..6).map(|n| {
        let by = if n % 2 == 0 { &council.paula } else { &second };
        let verb = if n < 4 { "accept" } else { "decline" };
        council.decide(by, &id, verb)
    }))
    .await;
    let done: Vec<u16> = decided.iter().map(|one| one.status.as_u16()).collect();
    assert_eq!(
        done.iter().filter(|status| **status == 200).count(),
        1,
        "{done:?}"
    );
    assert!(
        done.iter().all(|status| [200, 409].contains(status)),
        "{done:?}"
    );
    assert!(council.rules().await.len() <= 1);

    // Two proposals for overlapping periods: the second acceptance gets an error that names the rule of the first.
    let ids = [
        council.proposed(460, soon).await,
        council.proposed(470, soon).await,
    ];
    let before = council.rules().await.len();
    let decided = join_all(
        ids.iter()
            .zip([&council.paula, &second])
            .map(|(id, by)| council.decide(by, id, "accept")),
    )
    .await;
    let done: Vec<u16> = decided.iter().map(|one| one.status.as_u16()).collect();
    let accepted = done.iter().filter(|status| **status == 200).count();
    assert_eq!(accepted, usize::from(before == 0), "{done:?}");
    assert_eq!(council.rules().await.len(), 1);
}

#[tokio::test]
async fn c10_nobody_decides_what_their_city_has_proposed() {
    let council = Council::new().await;
    let both = council.server.member("wears_two_hats").await;
    council.server.grant(&both, "platformAdmin", None).await;
    let city = Some(("city", council.city));
    council.server.grant(&both, "cityAdmin", city).await;
    let soon = Utc::now() + TimeDelta::days(10);
    let mine = both
        .client
        .post("/commission-proposals", council.body(450, soon))
        .await;
    let mine = mine.expect(201).id();
    let others = council.proposed(460, soon).await;
    for id in [&mine, &others] {
        for verb in ["accept", "decline"] {
            council.decide(&both, id, verb).await.expect(403);
        }
    }
    // The proposer has lost the role in the city.
    council
        .run(&format!(
            "update app.role_assignments set status = 'archived' where user_id = '{}' and role = 'cityAdmin'",
            both.id
        ))
        .await;
    council.decide(&both, &mine, "accept").await.expect(403);
    council.decide(&both, &others, "decline").await.expect(200);
    assert_eq!(council.rules().await.len(), 0);
    // The city withdraws its proposal, after which it can't be decided.
    let withdraw = format!("/commission-proposals/{mine}/withdraw");
    council.paula.client.act(&withdraw).await.expect(403);
    council.carlo.client.act(&withdraw).await.expect(200);
    let late = council.decide(&council.paula, &mine, "accept").await;
    assert_eq!(late.expect(409).problem(), "invalid-state");
    // A proposal whose period has ended can't be accepted.
    let past = Utc::now() - TimeDelta::days(3);
    let over = council.proposed(450, past).await;
    council
        .run(&format!(
            "update app.commission_proposals set valid_to = now() - interval '1 day' where id = '{over}'"
        ))
        .await;
    let late = council.decide(&council.paula, &over, "accept").await;
    assert_eq!(late.expect(409).problem(), "invalid-state");
    assert_eq!(council.rules().await.len(), 0);
}

#[tokio::test]
async fn c10_a_city_proposes_so_many_in_a_day() {
    let council = Council::new().await;
    let soon = Utc::now() + TimeDelta::days(10);
    for n in 0..20 {
        council.proposed(400 + n, soon).await;
    }
    let refused = council
        .carlo
        .client
        .post("/commission-proposals", council.body(450, soon))
        .await;
    assert_eq!(refused.expect(429).problem(), "quota-exceeded");
}

/// The parts of each party in an order of three tickets at 45.05 each, as stored.
async fn charged(stage: &Stage) -> Value {
    let kind = stage.tickets(&Uuid::now_v7().to_string(), 4_505, 10).await;
    let placed = stage.order(&stage.mira, &[(kind, 3)], false).await;
    let order = placed.expect(201).id();
    let shares: (i64, i64, String, i64, i64, i64) = sqlx::query_as(
        "select amount_cents, platform_fee_cents + city_share_cents, fee_paid_by, organizer_cents, platform_fee_cents, city_share_cents
         from app.orders where id = $1::text::uuid",
    )
    .bind(order)
    .fetch_one(&mut stage.server.superuser().await)
    .await
    .expect("an order");
    json!({"amount_cents": shares.0, "fee_cents": shares.1, "fee_paid_by": shares.2, "organizer_cents": shares.3,
        "platform_cents": shares.4, "city_share_cents": shares.5})
}

#[tokio::test]
async fn c10_what_a_proposal_says_of_an_order_is_what_is_charged_once_it_is_accepted() {
    for paid_by in ["organizer", "buyer"] {
        let stage = Stage::without_provider().await;
        let server = &stage.server;
        let carlo = server.sign_in(PEOPLE[1].id).await;
        let neighbour = server.member("neighbour").await;
        let city = server.city("melbourne").await;
        let other: Uuid = sqlx::query_scalar(
            "select id from app.cities where id <> $1 and status = 'active' order by id limit 1",
        )
        .bind(city)
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("another city");
        let role = Some(("city", other));
        server.grant(&neighbour, "cityAdmin", role).await;
        let propose = async |kind: &str| {
            let body = json!({"city_id": city, "type": kind, "basis_points": 725, "fixed_cents": 35, "max_cents": 1_900,
                "currency": "AUD", "paid_by": paid_by, "city_share_basis_points": 3_333,
                "valid_from": Utc::now() - TimeDelta::days(1), "reason": "Small halls pay as much as large ones."});
            let made = carlo.client.post("/commission-proposals", body).await;
            made.expect(201).id()
        };
        let proposal = propose("ticket").await;
        let path = format!("/commission-proposals/{proposal}/price");
        let three = json!({"price_cents": 4_505, "quantity": 3});
        for (who, status) in [
            (&carlo, 200),
            (&stage.paula, 200),
            (&neighbour, 404),
            (&stage.mira, 404),
        ] {
            who.client.post(&path, three.clone()).await.expect(status);
        }
        let tried = carlo.client.post(&path, three).await.expect(200).json;
        assert_eq!(tried["currency"], "AUD");
        assert_ne!(tried["now"], tried["proposed"]);
        // The trial calculation has changed nothing.
        assert_eq!(charged(&stage).await, tried["now"]);
        let accept = format!("/commission-proposals/{proposal}/accept");
        let body = json!({"reason": "As was agreed"});
        stage.paula.client.post(&accept, body).await.expect(200);
        assert_eq!(charged(&stage).await, tried["proposed"]);

        // A free order has no fee, and a price that no card can be charged is refused.
        let free = json!({"price_cents": 0, "quantity": 1});
        let tried = carlo.client.post(&path, free).await.expect(200).json;
        assert_eq!(tried["proposed"]["fee_cents"], 0);
        for wrong in [
            json!({"price_cents": 1, "quantity": 1}),
            json!({"price_cents": 4_500, "quantity": 0}),
            json!({"price_cents": -1, "quantity": 1}),
        ] {
            carlo.client.post(&path, wrong).await.expect(422);
        }
        // Proposals of other kinds are not about orders.
        let featured = format!("/commission-proposals/{}/price", propose("featured").await);
        let body = json!({"price_cents": 4_505, "quantity": 1});
        let refused = carlo.client.post(&featured, body).await.expect(409);
        assert_eq!(refused.problem(), "invalid-state");
    }
}

/// C3: the parts of host, platform and city are those of the order, whatever becomes of the rule before it is paid. The
/// control: an order after the change has the new parts.
#[tokio::test]
async fn c3_the_parts_of_an_order_do_not_follow_the_rule() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 10_000, 10).await;
    let parts = async |order: &str| {
        let path = format!("/orders/{order}");
        let shown = stage.olga.client.get(&path).await.expect(200).json;
        [
            "organizer_cents",
            "platform_fee_cents",
            "city_share_cents",
            "application_fee_cents",
        ]
        .map(|name| shown[name].clone())
    };
    let ordered = async || {
        let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
        order.expect(201).id()
    };
    let order = ordered().await;
    let before = parts(&order).await;
    stage
        .run(
            "set session_replication_role = replica;
             update app.commission_rules set basis_points = basis_points + 700, city_share_basis_points = city_share_basis_points + 300
             where type = 'ticket'",
        )
        .await;
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, "4242424242424242").await;
    assert_eq!(stage.state(&order).await, "paid");
    assert_eq!(parts(&order).await, before);
    let payment = stage.payment_of(&order).await;
    let payment = stage.stripe.fake.object(&payment).expect("a payment");
    assert_eq!(payment["application_fee_amount"], before[3]);
    let after = parts(&ordered().await).await;
    assert_ne!(after, before);
    stage.books_agree().await;
}
