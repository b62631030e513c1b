//! What businesses and cities do in the demonstration: a plan, featured places, an offer for a service, and a sale at
//! the door, each made through the API.

use super::{BINH, CARLO, OLGA, Trade, list};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

impl Trade {
    pub(super) async fn market(&self, event: &Value, kind: &str) -> Result<()> {
        let business = self.business(event).await?;
        let card = self.card(BINH, "4242424242424242").await?;
        self.subscribe(&business, &card).await?;
        self.places(event, &business, &card).await?;
        self.service(event, &business).await?;
        self.unanswered(event, &business).await?;
        let cart =
            json!({"event_id": event["id"], "items": [{"ticket_type_id": kind, "quantity": 1}]});
        self.send(OLGA, "/door-sales", cart).await.map(drop)
    }

    /// Binh's business, in the city of the event.
    async fn business(&self, event: &Value) -> Result<Value> {
        let city = event["city_id"].as_str().context("a city")?;
        let path = format!("/businesses?city_id={city}&limit=100");
        for business in list(&self.get(BINH, &path).await?) {
            let id = business["id"].as_str().unwrap_or_default();
            let one = self.get(BINH, &format!("/businesses/{id}")).await?;
            let may = one["allowed_actions"].as_array();
            if may.is_some_and(|actions| actions.iter().any(|action| action == "update")) {
                return Ok(one);
            }
        }
        bail!("no business of the city is Binh's")
    }

    async fn subscribe(&self, business: &Value, card: &str) -> Result<()> {
        let id = business["id"].as_str().context("a business")?;
        let plans = self
            .get(BINH, "/plans?currency=AUD&is_offered=true")
            .await?;
        let plan = list(&plans)
            .iter()
            .find(|plan| plan["featured_days"].as_i64() > Some(0))
            .context("a plan with featured days")?;
        let body = json!({"plan_id": plan["id"], "payment_method_id": card});
        let path = format!("/businesses/{id}/subscription");
        let begun = self.send(BINH, &path, body).await?;
        let id = begun["id"].as_str().context("a subscription")?;
        let path = format!("/subscriptions/{id}");
        self.wait(BINH, &path, |one| one["is_entitled"] == true)
            .await
    }

    /// One featured place that the city approves, one that it rejects and refunds, one that the plan pays for.
    async fn places(&self, event: &Value, business: &Value, card: &str) -> Result<()> {
        let olgas = self.card(OLGA, "4242424242424242").await?;
        let shown = self.book(OLGA, "event", event, "home", 7).await?;
        self.pay_place(OLGA, &shown, &olgas).await?;
        let approve = format!("/promotions/{shown}/approve");
        self.send(CARLO, &approve, Value::Null).await?;

        let unwanted = self.book(OLGA, "event", event, "category", 3).await?;
        self.pay_place(OLGA, &unwanted, &olgas).await?;
        let reject = format!("/promotions/{unwanted}/reject");
        let reason = json!({"reason": "This page is full of concerts already"});
        self.send(CARLO, &reject, reason).await?;
        let refunds = format!("/refunds?promotion_id={unwanted}");
        self.wait(OLGA, &refunds, |page| {
            list(page)
                .iter()
                .any(|refund| refund["state"] == "succeeded")
        })
        .await?;

        let planned = self.book(BINH, "business", business, "home", 9).await?;
        self.pay_place(BINH, &planned, card).await
    }

    async fn book(
        &self,
        member: usize,
        target_type: &str,
        target: &Value,
        slot: &str,
        days: i64,
    ) -> Result<String> {
        let now = chrono::Utc::now();
        let body = json!({"target_type": target_type, "target_id": target["id"], "city_id": target["city_id"], "slot": slot,
            "starts_at": now, "ends_at": now + chrono::TimeDelta::days(days)});
        let booked = self.send(member, "/promotions", body).await?;
        Ok(booked["id"].as_str().context("a promotion")?.to_owned())
    }

    async fn pay_place(&self, member: usize, promotion: &str, card: &str) -> Result<()> {
        let path = format!("/promotions/{promotion}/payments");
        let body = json!({"payment_method_id": card});
        self.send(member, &path, body).await?;
        let path = format!("/promotions/{promotion}");
        self.wait(member, &path, |one| one["paid_at"].is_string())
            .await
    }

    /// Olga asks for a service that Binh offers. Returns the lead that Binh gets.
    async fn asked(&self, event: &Value, business: &Value, title: &str) -> Result<String> {
        let body = json!({"title": title, "category": business["category"], "city_id": event["city_id"],
            "description": "For thirty people, after the show.", "host_type": event["host_type"], "host_id": event["host_id"],
            "event_id": event["id"], "budget_cents": 90_000, "currency": "AUD"});
        let asked = self.send(OLGA, "/service-requests", body).await?;
        let request = asked["id"].as_str().context("a request")?;
        let path = format!("/leads?service_request_id={request}");
        self.wait(BINH, &path, |page| !list(page).is_empty())
            .await?;
        let leads = self.get(BINH, &path).await?;
        let lead = list(&leads)[0]["id"].as_str().context("a lead")?;
        Ok(lead.to_owned())
    }

    /// A request that Binh has looked at and not answered: the API document has its lead as an example to quote for.
    async fn unanswered(&self, event: &Value, business: &Value) -> Result<()> {
        let lead = self
            .asked(event, business, "Breakfast for the crew")
            .await?;
        let view = format!("/leads/{lead}/view");
        self.send(BINH, &view, Value::Null).await.map(drop)
    }

    /// Olga accepts what Binh quotes.
    async fn service(&self, event: &Value, business: &Value) -> Result<()> {
        let lead = self.asked(event, business, "Supper for the crew").await?;
        let valid_until = chrono::Utc::now() + chrono::TimeDelta::days(14);
        let quote = json!({"lead_id": lead, "amount_cents": 84_000, "currency": "AUD", "valid_until": valid_until,
            "terms": "Half on booking, half on the day."});
        let quote = self.send(BINH, "/quotes", quote).await?;
        let quote = quote["id"].as_str().context("a quote")?;
        self.send(BINH, &format!("/quotes/{quote}/send"), Value::Null)
            .await?;
        let accept = format!("/quotes/{quote}/accept");
        self.send(OLGA, &accept, Value::Null).await.map(drop)
    }
}
