//! Whom a request reaches after the moment at which it was created.

use super::{Market, texts};
use serde_json::json;
use uuid::Uuid;

impl super::Market {
    async fn number(&self, text: String) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(text))
            .fetch_one(&mut self.server.superuser().await)
            .await
            .expect("a number")
    }

    /// How many leads of the request the business has.
    async fn heard(&self, request: &str, business: Uuid) -> i64 {
        self.number(format!(
            "select count(*) from app.leads where service_request_id = '{request}' and business_id = '{business}'"
        ))
        .await
    }

    async fn look_again(&self) {
        let marketplace = self.server.built.app.modules.marketplace.clone();
        marketplace.look_again().await.expect("a run");
    }
}

/// Those who had lost it to an accepted quote are asked and told again; who has declined is not.
#[tokio::test]
async fn a_settled_request_that_is_reopened_asks_again() {
    let market = Market::new().await;
    let request = market.request().await;
    let leads = market.leads(&request, 3).await;
    market.server.settled().await;
    let (declining, business) = &market.printers[2];
    let lead = leads
        .iter()
        .find(|lead| lead["business_id"] == json!(business))
        .expect("a lead");
    let decline = format!("/leads/{}/decline", lead["id"].as_str().expect("an id"));
    let (printer, other) = &market.printers[1];
    let quotes = market.quotes(&request).await;
    declining.client.act(&decline).await.expect(200);
    market.accept(&quotes[0]).await.expect(200);
    let settled = texts(&["declined", "lost", "won"]);
    assert_eq!(market.states(&request).await.1, settled);

    let reopen = format!("/service-requests/{request}/reopen");
    market.olga.client.act(&reopen).await.expect(200);
    let open = texts(&["declined", "viewed", "won"]);
    let (state, leads, _) = market.states(&request).await;
    assert_eq!((state.as_str(), leads), ("open", open));
    market.server.settled().await;
    let told = |member: Uuid| {
        format!(
            "select count(*) from app.notifications where user_id = '{member}' and type = 'lead'"
        )
    };
    assert_eq!(market.number(told(printer.id)).await, 2);
    assert_eq!(market.number(told(declining.id)).await, 1);

    // A new quote of theirs can be accepted.
    let lead = market.of(printer, "leads", &request).await[0]["id"].clone();
    let body = json!({"lead_id": lead, "amount_cents": 2_000, "currency": "AUD", "terms": "", "valid_until": "2040-01-01T00:00:00Z"});
    let quote = printer.client.post("/quotes", body).await.expect(201).id();
    let send = format!("/quotes/{quote}/send");
    printer.client.act(&send).await.expect(200);
    market.accept(&quote).await.expect(200);
    assert_eq!(market.heard(&request, *other).await, 1);

    // The control: without the trigger they stay lost.
    market
        .run("drop trigger service_requests_ask_again on app.service_requests; update app.leads set state = 'lost' where state = 'won'")
        .await;
    market.olga.client.act(&reopen).await.expect(200);
    let lost = texts(&["declined", "lost", "lost"]);
    assert_eq!(market.states(&request).await.1, lost);
}

#[tokio::test]
async fn a_request_reaches_businesses_that_could_not_be_told_at_first() {
    let market = Market::new().await;
    let (_, late) = market.business("late_printer", "approved").await;
    let category = |business: Uuid, category: &str| {
        format!("update app.businesses set category = '{category}' where id = '{business}'")
    };
    market.run(&category(late, "music")).await;
    let request = market.request().await;
    market.leads(&request, 3).await;
    assert_eq!(market.heard(&request, late).await, 0);

    // Another category of the request: at once.
    let path = format!("/service-requests/{request}");
    let music = json!({"category": "music"});
    market
        .olga
        .client
        .patch(&path, "*", music)
        .await
        .expect(200);
    market.server.settled().await;
    assert_eq!(market.heard(&request, late).await, 1);

    // Another category of the business: at the next look, but not of what is over.
    let [next, over] = [market.request().await, market.request().await];
    for request in [&next, &over] {
        market.leads(request, 3).await;
    }
    market
        .run(&format!(
            "set session_replication_role = replica;
             update app.service_requests set needed_at = now() - interval '1 minute' where id = '{over}'"
        ))
        .await;
    market.run(&category(late, "printing")).await;
    market.look_again().await;
    assert_eq!(market.heard(&next, late).await, 1);
    assert_eq!(market.heard(&over, late).await, 0);

    // A new month: those who were told of as many as are free.
    let ten = format!(
        "insert into app.service_requests (city_id, host_type, host_id, title, category, description)
         select city_id, host_type, host_id, 'Many', 'printing', 'x' from app.service_requests, generate_series(1, 9) where id = '{next}'"
    );
    market.run(&ten).await;
    market.look_again().await;
    let last = market.request().await;
    market.server.settled().await;
    assert_eq!(market.heard(&last, late).await, 0, "ten are free");
    market
        .run("set session_replication_role = replica; update app.leads set created_at = created_at - interval '32 days'")
        .await;
    market.look_again().await;
    assert_eq!(market.heard(&last, late).await, 1);
}

/// A lead that is withdrawn and made again is of the same request, so a host can't use up what a business is told of.
#[tokio::test]
async fn s2_nobody_uses_up_the_requests_that_a_business_is_told_of() {
    let market = Market::new().await;
    let request = market.request().await;
    market.leads(&request, 3).await;
    let (_, business) = market.printers[0];
    for _ in 0..10 {
        let leads = market.of(&market.olga, "leads", &request).await;
        let lead = leads
            .iter()
            .find(|lead| lead["business_id"] == json!(business))
            .expect("a lead");
        let path = format!("/leads/{}", lead["id"].as_str().expect("an id"));
        market.olga.client.delete(&path).await.expect(204);
        let body = json!({"service_request_id": request, "business_id": business, "title": "Posters", "details": "Many"});
        market.olga.client.post("/leads", body).await.expect(201);
    }
    assert_eq!(market.heard(&request, business).await, 11);
    let next = market.request().await;
    market.server.settled().await;
    assert_eq!(market.heard(&next, business).await, 1);
}
