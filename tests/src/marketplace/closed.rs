//! Quotes of a request that is closed or over.

use super::Market;
use serde_json::json;
use sqlx::AssertSqlSafe;

impl Market {
    /// A quote of the first printer that is not sent yet.
    async fn draft(&self, request: &str) -> String {
        let (printer, _) = &self.printers[0];
        let lead = self.of(printer, "leads", request).await[0]["id"].clone();
        let body = json!({"lead_id": lead, "amount_cents": 1, "currency": "AUD", "terms": "", "valid_until": "2040-01-01T00:00:00Z"});
        let made = printer.client.post("/quotes", body).await;
        made.expect(201).id()
    }

    /// Asserts that nothing is made, changed, sent or accepted any more.
    async fn rests(&self, request: &str, draft: &str, sent: &str) {
        let (printer, _) = &self.printers[0];
        let lead = self.of(printer, "leads", request).await[0]["id"].clone();
        let path = format!("/quotes/{draft}");
        let body = json!({"lead_id": lead, "amount_cents": 1, "currency": "AUD", "terms": "", "valid_until": "2040-01-01T00:00:00Z"});
        let refused = [
            printer.client.post("/quotes", body).await,
            printer
                .client
                .patch(&path, "*", json!({"terms": "Cheaper"}))
                .await,
            printer.client.act(&format!("{path}/send")).await,
            self.accept(sent).await,
        ];
        for answer in refused {
            let answer = answer.expect(409);
            assert_eq!(answer.problem(), "invalid-state");
            assert!(answer.text.contains("/reopen"), "{}", answer.text);
        }
        // Others are told nothing by that.
        let (stranger, _) = &self.printers[1];
        let sends = format!("{path}/send");
        stranger.client.act(&sends).await.expect(404);
        self.printers[0]
            .0
            .client
            .act(&format!("/quotes/{sent}/accept"))
            .await
            .expect(403);
    }
}

#[tokio::test]
async fn quotes_of_a_closed_request_rest_until_it_is_open_again() {
    let market = Market::new().await;
    let request = market.request().await;
    market.leads(&request, 3).await;
    let quotes = market.quotes(&request).await;
    let draft = market.draft(&request).await;
    let path = format!("/service-requests/{request}");
    let olga = &market.olga.client;
    olga.act(&format!("{path}/close")).await.expect(200);
    market.rests(&request, &draft, &quotes[0]).await;
    // What ends something is still possible.
    let decline = format!("/quotes/{}/decline", quotes[1]);
    olga.act(&decline).await.expect(200);

    // The database refuses it as well. The negative control: without the trigger it does not.
    let text = format!(
        "begin; set local role culturepass_app; select sec.enter('{}', null, 'send', gen_random_uuid());
         update app.quotes set state = 'sent' where id = '{draft}'; rollback",
        market.printers[0].0.id
    );
    let mut conn = market.server.superuser().await;
    let refused = sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(&mut conn)
        .await;
    let refused = refused.expect_err("refused").to_string();
    assert!(refused.contains("nothing is asked for"), "{refused}");
    sqlx::raw_sql("rollback")
        .execute(&mut conn)
        .await
        .expect("undone");
    market
        .run("alter table app.quotes disable trigger quotes_in_time_changed")
        .await;
    let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await;
    done.expect("sent");
    market
        .run("alter table app.quotes enable trigger quotes_in_time_changed")
        .await;

    olga.act(&format!("{path}/reopen")).await.expect(200);
    let sends = format!("/quotes/{draft}/send");
    market.printers[0].0.client.act(&sends).await.expect(200);
    market.accept(&quotes[0]).await.expect(200);
}

#[tokio::test]
async fn quotes_of_a_request_whose_time_is_over_rest() {
    let market = Market::new().await;
    let request = market.request().await;
    market.leads(&request, 3).await;
    let quotes = market.quotes(&request).await;
    let draft = market.draft(&request).await;
    market
        .run(&format!(
            "set session_replication_role = replica;
             update app.service_requests set needed_at = now() - interval '1 minute' where id = '{request}'"
        ))
        .await;
    market.rests(&request, &draft, &quotes[0]).await;
    market
        .run(&format!(
            "set session_replication_role = replica;
             update app.service_requests set needed_at = now() + interval '1 day' where id = '{request}'"
        ))
        .await;
    market.accept(&quotes[0]).await.expect(200);
}

/// What was agreed stays visible to the other side: the organiser can't archive the request or the lead of an accepted
/// quote, and so not the fee that is owed for it. The negative control: with another quote's lead it works.
#[tokio::test]
async fn what_was_agreed_is_not_archived_by_one_side() {
    let market = Market::new().await;
    let request = market.request().await;
    market.leads(&request, 3).await;
    let quotes = market.quotes(&request).await;
    market.accept(&quotes[0]).await.expect(200);
    let olga = &market.olga.client;
    let path = format!("/service-requests/{request}");
    let seen = olga.get(&path).await.expect(200).json;
    assert_eq!(seen["won_count"], 1);
    let leads = market.of(&market.olga, "leads", &request).await;
    assert_eq!(leads.len(), 3);
    for lead in &leads {
        let archived = olga
            .delete(&format!("/leads/{}", lead["id"].as_str().expect("an id")))
            .await;
        let wanted = if lead["state"] == "won" { 403 } else { 204 };
        archived.expect(wanted);
    }
    olga.delete(&path).await.expect(403);
    // Also once it is open again.
    olga.act(&format!("{path}/reopen")).await.expect(200);
    olga.delete(&path).await.expect(403);
    let (printer, _) = &market.printers[0];
    let quote = format!("/quotes/{}", quotes[0]);
    printer.client.get(&quote).await.expect(200);

    // A business can be archived whatever it has agreed, and what was agreed comes back with it.
    let business = format!("/businesses/{}", market.printers[0].1);
    printer.client.delete(&business).await.expect(204);
    printer.client.get(&quote).await.expect(403);
    let restore = format!("{business}/restore");
    printer.client.act(&restore).await.expect(200);
    let agreed = printer.client.get(&quote).await.expect(200).json;
    assert_eq!(agreed["state"], "accepted");
}

/// A business that has declined is not asked again for the same request: its lead can't be archived and made anew.
#[tokio::test]
async fn who_has_declined_is_not_asked_again() {
    let market = Market::new().await;
    let request = market.request().await;
    market.leads(&request, 3).await;
    let (printer, business) = &market.printers[0];
    let lead = market.of(printer, "leads", &request).await[0]["id"].clone();
    let lead = format!("/leads/{}", lead.as_str().expect("an id"));
    let decline = format!("{lead}/decline");
    printer.client.act(&decline).await.expect(200);
    let olga = &market.olga.client;
    olga.delete(&lead).await.expect(403);
    let again = json!({"service_request_id": request, "business_id": business, "title": "Posters", "details": "Please"});
    olga.post("/leads", again).await.expect(409);
    // The request itself can be given up.
    let path = format!("/service-requests/{request}");
    olga.delete(&path).await.expect(204);
}
