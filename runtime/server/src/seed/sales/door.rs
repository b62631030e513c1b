//! Ticket sales at the door, cash refunds, free orders, check-ins, ticket transfers and waiting lists of the
//! demonstration.

use super::{City, Offer, Sales, Visitor, text};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use uuid::Uuid;

/// The number of sales at the door of each event.
const SALES: i64 = 3;
/// The number of members on the waiting list of an event that is sold out.
const WAITING: usize = 3;

impl Sales {
    pub(super) async fn tickets(&self, city: &City) -> Result<()> {
        for (nth, offer) in city.dear.iter().enumerate() {
            self.sell(offer, nth).await?;
        }
        let Some(first) = city.free.first() else {
            return Ok(());
        };
        let mut taken = Vec::new();
        for (nth, visitor) in city.visitors.iter().enumerate() {
            let order = self.take(visitor, first, 1 + nth % 2).await?;
            taken.push((visitor, order));
            let other = &city.free[nth % city.free.len()];
            if other.kind != first.kind {
                self.take(visitor, other, 1).await?;
            }
        }
        // Half of the visitors have been admitted already.
        for (visitor, order) in &taken[..taken.len() / 2] {
            let codes = self.codes(visitor.who, order).await?;
            self.let_in(first, &codes).await?;
        }
        self.offer(&taken).await?;
        match city.free.get(1..) {
            Some([.., last]) => self.sell_out(last, &city.visitors).await,
            _ => Ok(()),
        }
    }

    /// Sells tickets at the door. At every other event, the last sale is refunded in cash; at the first event of the
    /// city, the tickets are checked in.
    async fn sell(&self, offer: &Offer, nth: usize) -> Result<()> {
        for sale in 1..=SALES {
            let body = cart(offer, sale);
            let sold = self.api.send(offer.host, "/door-sales", body).await?;
            let order = text(&sold, "id")?;
            if sale == SALES && nth % 2 == 1 {
                let path = format!("/orders/{order}/refunds");
                let back = self.api.send(offer.host, &path, json!({})).await?;
                ensure!(
                    back["state"] == "succeeded",
                    "cash was not given back: {back}"
                );
            } else if nth == 0 {
                let codes = self.codes(offer.host, order).await?;
                self.let_in(offer, &codes).await?;
            }
        }
        Ok(())
    }

    async fn take(&self, visitor: &Visitor, offer: &Offer, quantity: usize) -> Result<String> {
        let body = cart(offer, i64::try_from(quantity)?);
        let order = self.api.send(visitor.who, "/orders", body).await?;
        ensure!(
            order["state"] == "paid",
            "a free order is not paid: {order}"
        );
        Ok(text(&order, "id")?.to_owned())
    }

    async fn codes(&self, who: usize, order: &str) -> Result<Vec<String>> {
        let path = format!("/orders/{order}/tickets");
        let tickets = self.api.get(who, &path).await?;
        let tickets = crate::seed::api::list(&tickets).iter();
        tickets
            .map(|ticket| Ok(text(ticket, "code")?.to_owned()))
            .collect()
    }

    /// Scans tickets at the entrance and then at the bar, and the first of them again when its holder leaves the bar.
    async fn let_in(&self, offer: &Offer, codes: &[String]) -> Result<()> {
        for code in codes {
            self.scan(offer, code, json!({"gate": "North", "device": "Door 1"}))
                .await?;
        }
        let Some(bar) = &offer.bar else { return Ok(()) };
        for code in codes {
            let at_bar = json!({"checkpoint_id": bar, "device": "Door 2"});
            self.scan(offer, code, at_bar).await?;
        }
        let Some(code) = codes.first() else {
            return Ok(());
        };
        let leaves = json!({"checkpoint_id": bar, "device": "Door 2", "direction": "exit"});
        self.scan(offer, code, leaves).await
    }

    async fn scan(&self, offer: &Offer, code: &str, mut scan: Value) -> Result<()> {
        scan["code"] = code.into();
        scan["event_id"] = offer.event["id"].clone();
        scan["nonce"] = Uuid::now_v7().to_string().into();
        let said = self.api.send(offer.host, "/check-ins", scan).await?;
        ensure!(said["result"] == "ok", "a ticket is not let in: {said}");
        Ok(())
    }

    /// The last visitor offers a ticket to the first one, as a transfer.
    async fn offer(&self, taken: &[(&Visitor, String)]) -> Result<()> {
        let [(to, _), .., (from, order)] = taken else {
            return Ok(());
        };
        let path = format!("/orders/{order}/tickets");
        let tickets = self.api.get(from.who, &path).await?;
        let ticket = text(&tickets["data"][0], "id")?;
        let path = format!("/tickets/{ticket}/transfers");
        let body = json!({"to_handle": to.handle});
        self.api.send(from.who, &path, body).await.map(drop)
    }

    /// Lowers the capacity to the number of sold tickets, and puts some visitors on the waiting list.
    async fn sell_out(&self, offer: &Offer, visitors: &[Visitor]) -> Result<()> {
        let path = format!("/ticket-types/{}", offer.kind);
        let kind = self.api.get(offer.host, &path).await?;
        let body = json!({"capacity": kind["sold"]});
        self.api.change(offer.host, &path, body).await?;
        for visitor in visitors.iter().rev().take(WAITING) {
            let body = json!({"event_id": offer.event["id"], "ticket_type_id": offer.kind});
            self.api
                .send(visitor.who, "/waitlist-entries", body)
                .await?;
        }
        Ok(())
    }
}

fn cart(offer: &Offer, quantity: i64) -> Value {
    json!({"event_id": offer.event["id"], "items": [{"ticket_type_id": offer.kind, "quantity": quantity}]})
}
