//! What a quote is about stays as it was when the quote was sent, and a quote is accepted, not gone around.

use super::{Market, texts};
use crate::support::Answer;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

impl Market {
    async fn lead_of(&self, quote: &str) -> String {
        let path = format!("/quotes/{quote}");
        let shown = self.olga.client.get(&path).await.expect(200).json;
        shown["lead_id"].as_str().expect("a lead").to_owned()
    }

    async fn change(&self, path: &str, body: Value) -> Answer {
        self.olga.client.patch(path, "*", body).await
    }

    /// The constraint by which the database refuses a statement of the organiser.
    async fn constraint(&self, action: &str, text: &str) -> Option<String> {
        let text = format!(
            "begin; set local role culturepass_app; select sec.enter('{}', null, '{action}', gen_random_uuid()); {text}; rollback",
            self.olga.id
        );
        let mut conn = self.server.superuser().await;
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await;
        kernel::error::violated(&done.err()?).map(str::to_owned)
    }
}

/// As long as a quote can be accepted, or was, neither the lead nor the request says anything else than the business has
/// read. The negative controls: it could before the quote was sent, can once it was declined, and without the triggers the
/// database would let it.
#[tokio::test]
async fn what_was_asked_for_stays_while_a_quote_stands() {
    let market = Market::new().await;
    let request = market.request().await;
    let leads = market.leads(&request, 3).await;
    let of_request = format!("/service-requests/{request}");
    let first = format!("/leads/{}", leads[0]["id"].as_str().expect("an id"));
    let more = json!({"details": "Two thousand, in colour"});
    market.change(&first, more.clone()).await.expect(200);
    let description = json!({"description": "Two thousand, in colour"});
    market
        .change(&of_request, description.clone())
        .await
        .expect(200);

    let quotes = market.quotes(&request).await;
    let accepted = format!("/leads/{}", market.lead_of(&quotes[0]).await);
    let less = json!({"details": "Nine thousand by tomorrow", "budget_cents": 1});
    let rests = async || {
        let refused = [
            market.change(&accepted, less.clone()).await,
            market
                .change(&of_request, json!({"description": "More"}))
                .await,
        ];
        for answer in refused {
            assert_eq!(answer.expect(409).problem(), "invalid-state");
        }
    };
    rests().await;
    let lead = accepted.trim_start_matches("/leads/");
    let texts = [
        (
            "leads",
            format!("update app.leads set details = 'More' where id = '{lead}'"),
        ),
        (
            "service_requests",
            format!("update app.service_requests set description = 'More' where id = '{request}'"),
        ),
    ];
    for (table, text) in &texts {
        let kept = Some(format!("{table}_quoted"));
        assert_eq!(market.constraint("update", text).await, kept);
    }
    market.accept(&quotes[0]).await.expect(200);
    rests().await;
    for (table, text) in &texts {
        let trigger = format!("alter table app.{table} disable trigger {table}_quoted");
        market.run(&trigger).await;
        assert_eq!(market.constraint("update", text).await, None);
    }

    // A declined quote keeps nothing.
    let other = market.request().await;
    market.leads(&other, 3).await;
    for quote in market.quotes(&other).await {
        let path = format!("/leads/{}", market.lead_of(&quote).await);
        let decline = format!("/quotes/{quote}/decline");
        market.olga.client.act(&decline).await.expect(200);
        market.change(&path, more.clone()).await.expect(200);
    }
    let path = format!("/service-requests/{other}");
    market.change(&path, description).await.expect(200);
}

/// A lead with a quote is won by accepting it, which is what fixes the platform's fee. The negative controls: without a
/// quote it is won by hand, and without the triggers the database would let it.
#[tokio::test]
async fn a_quote_is_not_gone_around() {
    let market = Market::new().await;
    let request = market.request().await;
    market.leads(&request, 3).await;
    let mut quotes = market.quotes(&request).await;
    let win = |lead: &str| format!("/leads/{lead}/win");
    let settle = format!("/service-requests/{request}/settle");
    let olga = &market.olga.client;
    let lead = market.lead_of(&quotes[0]).await;
    for path in [win(&lead), settle.clone()] {
        let refused = olga.act(&path).await.expect(409);
        assert!(refused.text.contains("/accept"), "{}", refused.text);
    }
    let won = format!("update app.leads set state = 'won' where id = '{lead}'");
    let kept = Some("leads_won_by_quote".to_owned());
    assert_eq!(market.constraint("win", &won).await, kept);
    let settled =
        format!("update app.service_requests set state = 'settled' where id = '{request}'");
    let kept = Some("service_requests_quoted".to_owned());
    assert_eq!(market.constraint("settle", &settled).await, kept);

    // Declining and winning would be the same in two steps.
    for quote in quotes.drain(..) {
        olga.act(&format!("/quotes/{quote}/decline"))
            .await
            .expect(200);
    }
    olga.act(&win(&lead)).await.expect(409);
    olga.act(&settle).await.expect(200);

    let other = market.request().await;
    let leads = market.leads(&other, 3).await;
    let lead = leads[0]["id"].as_str().expect("an id");
    olga.act(&win(lead)).await.expect(200);
}

/// A quote in a currency for which the platform has no rule would be without a fee. The negative control: without a rule
/// at all, any currency can be quoted in.
#[tokio::test]
async fn a_quote_is_in_a_currency_of_the_fee() {
    let market = Market::new().await;
    let request = market.request().await;
    market.leads(&request, 3).await;
    let (printer, _) = &market.printers[0];
    let lead = market.of(printer, "leads", &request).await[0]["id"].clone();
    let quote = async |currency: &str| {
        let body = json!({"lead_id": lead, "amount_cents": 40_000, "currency": currency, "terms": "By Friday",
            "valid_until": "2040-01-01T00:00:00Z"});
        let made = printer.client.post("/quotes", body).await.expect(201).id();
        let path = format!("/quotes/{made}/send");
        printer.client.act(&path).await
    };
    market
        .run("delete from app.commission_rules where type = 'service_fee'")
        .await;
    quote("NZD").await.expect(200);
    market
        .run(&format!(
            "insert into app.commission_rules (type, basis_points, currency, valid_from, scope_type, scope_id)
             values ('service_fee', 1000, 'AUD', now() - interval '1 day', 'city', '{}')",
            market.city
        ))
        .await;
    let refused = quote("NZD").await.expect(409);
    assert!(
        refused.text.contains("in AUD, not in NZD"),
        "{}",
        refused.text
    );
    quote("AUD").await.expect(200);

    let draft = format!(
        "insert into app.quotes (lead_id, amount_cents, currency, terms, valid_until) values ({}, 1, 'NZD', '', '2040-01-01') returning id::text",
        lead.to_string().replace('"', "'")
    );
    let draft: String = sqlx::query_scalar(AssertSqlSafe(draft))
        .fetch_one(&mut market.server.superuser().await)
        .await
        .expect("a draft");
    let send = format!(
        "begin; set local role culturepass_app; select sec.enter('{}', null, 'send', gen_random_uuid());
         update app.quotes set state = 'sent' where id = '{draft}'; rollback",
        printer.id
    );
    for is_guarded in [true, false] {
        if !is_guarded {
            market
                .run("alter table app.quotes disable trigger quotes_currency_of_fee")
                .await;
        }
        let mut conn = market.server.superuser().await;
        let done = sqlx::raw_sql(AssertSqlSafe(send.clone()))
            .execute(&mut conn)
            .await;
        assert_eq!(done.is_err(), is_guarded, "{done:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_quotes_that_are_accepted_at_once_one_wins() {
    let market = Market::new().await;
    for _ in 0..5 {
        let request = market.request().await;
        market.leads(&request, 3).await;
        let quotes = market.quotes(&request).await;
        let answers = join_all(quotes.iter().map(|quote| market.accept(quote))).await;
        let statuses: Vec<u16> = answers.iter().map(|a| a.status.as_u16()).collect();
        let count = |status| statuses.iter().filter(|got| **got == status).count();
        assert_eq!((count(200), count(409)), (1, 2), "{statuses:?}");
        let settled = (
            "settled".to_owned(),
            texts(&["lost", "lost", "won"]),
            texts(&["accepted", "declined", "declined"]),
        );
        assert_eq!(market.states(&request).await, settled);
    }
}
