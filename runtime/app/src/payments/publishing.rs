//! Refuses to put tickets on sale online for a host whose account can't take payments: when an event is published, and
//! when a ticket type of a published event starts to cost something.
//!
//! Runs in the caller's transaction with the caller's rights, since everyone who may publish an event may also read
//! the account of its host. Placing an order checks the account again, since it may lose its rights at any time.

use super::{Payments, connect};
use crate::problems;
use generated::ticket_type::{CreateTicketType, UpdateTicketType};
use kernel::{Cx, Error, Result};
use uuid::Uuid;

/// Tickets that would be on sale online.
struct Sold {
    host_type: String,
    host: Uuid,
    /// The names of the ticket types that cost something and are sold online.
    names: Vec<String>,
}

impl Payments {
    /// Refuses to publish an event that has ticket types to be paid online while its host can't take payments. Without
    /// a payment provider nothing is paid online, so nothing is refused.
    pub async fn refuse_publishing(&self, cx: &mut Cx, event: Uuid) -> Result<()> {
        if self.provider.is_none() {
            return Ok(());
        }
        let found: Option<(String, Uuid, Vec<String>)> = sqlx::query_as(
            "select e.host_type, e.host_id, array(
               select t.name from app.ticket_types t
               where t.event_id = e.id and t.status = 'active' and t.price_cents > 0 and not t.door_only order by t.name)
             from app.events e where e.id = $1",
        )
        .bind(event)
        .fetch_optional(cx.conn())
        .await?;
        // The caller can't see the event: the statement that publishes it will give the right answer.
        let Some((host_type, host, names)) = found else {
            return Ok(());
        };
        let sold = Sold {
            host_type,
            host,
            names,
        };
        sold.needs_account(cx).await
    }

    /// The same check for a ticket type that is added to a published event.
    pub async fn refuse_new_price(&self, cx: &mut Cx, kind: &CreateTicketType) -> Result<()> {
        match kind.price_cents > 0 && !kind.door_only {
            true => self.refuse_price(cx, kind.event_id, &kind.name).await,
            false => Ok(()),
        }
    }

    /// The same check for a change that makes a ticket type cost something online: it was free, or sold at the door
    /// only.
    pub async fn refuse_changed_price(
        &self,
        cx: &mut Cx,
        id: Uuid,
        change: &UpdateTicketType,
    ) -> Result<()> {
        if self.provider.is_none() {
            return Ok(());
        }
        let before: Option<(Uuid, String, i64, bool)> = sqlx::query_as(
            "select t.event_id, t.name, t.price_cents, t.door_only from app.ticket_types t where t.id = $1",
        )
        .bind(id)
        .fetch_optional(cx.conn())
        .await?;
        let Some((event, name, price, door_only)) = before else {
            return Ok(());
        };
        let price_then = change.price_cents.value().copied().unwrap_or(price);
        let door_then = change.door_only.value().copied().unwrap_or(door_only);
        let was_paid = price > 0 && !door_only;
        match price_then > 0 && !door_then && !was_paid {
            true => self.refuse_price(cx, event, &name).await,
            false => Ok(()),
        }
    }

    async fn refuse_price(&self, cx: &mut Cx, event: Uuid, name: &str) -> Result<()> {
        if self.provider.is_none() {
            return Ok(());
        }
        let found: Option<(String, Uuid)> = sqlx::query_as(
            "select e.host_type, e.host_id from app.events e where e.id = $1 and e.state = 'published'",
        )
        .bind(event)
        .fetch_optional(cx.conn())
        .await?;
        let Some((host_type, host)) = found else {
            return Ok(());
        };
        let sold = Sold {
            host_type,
            host,
            names: vec![name.to_owned()],
        };
        sold.needs_account(cx).await
    }
}

impl Sold {
    async fn needs_account(&self, cx: &mut Cx) -> Result<()> {
        if self.names.is_empty()
            || connect::ready(cx, &self.host_type, self.host)
                .await?
                .is_some()
        {
            return Ok(());
        }
        Err(Error::new(&problems::HOST_UNPAYABLE).detail(self.what_to_do()))
    }

    fn what_to_do(&self) -> String {
        let names: Vec<String> = self.names.iter().map(|name| format!("`{name}`")).collect();
        let path = match self.host_type.as_str() {
            "organization" => Some("organizations"),
            "business" => Some("businesses"),
            _ => None,
        };
        let way = match path {
            Some(path) => format!(
                "Open its account by `POST /{path}/{}/onboarding`; `GET /connected-accounts` says what is still missing. Until \
                 then set `door_only` of tickets that are sold at the door",
                self.host
            ),
            None => "Communities and institutions have none: set `door_only` of tickets that are sold at the door"
                .to_owned(),
        };
        format!(
            "The host has no account that takes payments, and {} cost something. {way}, or `price_cents` to 0.",
            names.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_a_host_is_told_what_to_do() {
        let told = |host_type: &str| {
            let sold = Sold {
                host_type: host_type.to_owned(),
                host: Uuid::nil(),
                names: vec!["Seat".to_owned(), "Balcony".to_owned()],
            };
            sold.what_to_do()
        };
        let business = told("business");
        let nil = Uuid::nil();
        let path = format!("`POST /businesses/{nil}/onboarding`");
        assert!(business.contains(&path), "{business}");
        assert!(business.contains("`Seat`, `Balcony`"), "{business}");
        let community = told("community");
        assert!(!community.contains("onboarding"), "{community}");
        assert!(community.contains("`door_only`"), "{community}");
    }
}
