//! Service requests of hosts in the demonstration, and the answers of businesses.

use super::{City, Offer, PATIENCE, Sales, text};
use anyhow::{Result, ensure};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// The kinds of services that can be requested. Businesses of other kinds receive no leads.
const ASKED_FOR: [&str; 8] = [
    "catering",
    "audio_visual",
    "photography",
    "printing",
    "music",
    "decoration",
    "security",
    "transport",
];

/// The most service requests of each city.
const REQUESTS: usize = 2;

impl Sales {
    /// Requests services that businesses of the city offer, each of another kind and by another host if possible, and
    /// lets the businesses answer.
    pub(super) async fn services(&self, city: &City) -> Result<()> {
        let offered: BTreeSet<&str> = city
            .businesses
            .values()
            .map(|(category, _)| category.as_str())
            .filter(|category| ASKED_FOR.contains(category))
            .collect();
        let wanted = offered.into_iter().take(REQUESTS);
        for (nth, (category, offer)) in wanted.zip(city.dear.iter().cycle()).enumerate() {
            let request = self.request(city, offer, category).await?;
            let leads = self.leads(offer, &request).await?;
            for (place, lead) in leads.iter().enumerate() {
                self.answer(city, lead, city.nth + nth + place).await?;
            }
        }
        Ok(())
    }

    async fn request(&self, city: &City, offer: &Offer, category: &str) -> Result<String> {
        let event = &offer.event;
        let title = format!("Wanted for an evening: {}", category.replace('_', " "));
        let body = json!({"title": title, "category": category, "city_id": city.id, "host_type": event["host_type"],
            "host_id": event["host_id"], "event_id": event["id"], "budget_cents": 60_000, "currency": city.currency,
            "description": "About a hundred guests. We have tables and power; please bring the rest."});
        let asked = self.api.send(offer.host, "/service-requests", body).await?;
        Ok(text(&asked, "id")?.to_owned())
    }

    /// Waits until the worker of the running server has made leads for the request, and returns them.
    async fn leads(&self, offer: &Offer, request: &str) -> Result<Vec<Value>> {
        let path = format!("/leads?service_request_id={request}");
        let began = tokio::time::Instant::now();
        loop {
            let leads = self.api.all(offer.host, &path).await?;
            if !leads.is_empty() {
                return Ok(leads);
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "no business was told of a request after {} seconds: does the server run, with a worker?",
                PATIENCE.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Answers a lead as its business. Of four leads, two get a quote, one a draft that is not sent, and one is
    /// declined.
    async fn answer(&self, city: &City, lead: &Value, nth: usize) -> Result<()> {
        let business = text(lead, "business_id")?;
        let Some((_, who)) = city.businesses.get(business) else {
            return Ok(());
        };
        let lead = text(lead, "id")?;
        if nth % 4 == 3 {
            let decline = format!("/leads/{lead}/decline");
            return self.api.send(*who, &decline, Value::Null).await.map(drop);
        }
        let view = format!("/leads/{lead}/view");
        self.api.send(*who, &view, Value::Null).await?;
        let body = json!({"lead_id": lead, "amount_cents": 57_500, "currency": city.currency,
            "terms": "Half on booking, half on the day. Free cancellation until two weeks before.",
            "valid_until": Utc::now() + TimeDelta::days(14)});
        let quote = self.api.send(*who, "/quotes", body).await?;
        if nth % 4 == 2 {
            return Ok(());
        }
        let send = format!("/quotes/{}/send", text(&quote, "id")?);
        self.api.send(*who, &send, Value::Null).await.map(drop)
    }
}
