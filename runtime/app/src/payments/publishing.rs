//! Refuses to put tickets on sale online for a host whose account can't take payments, and tickets that nobody could
//! order at their price ([`sellable`]): when an event is published, when a ticket type of a published event is added,
//! restored or changes its price, and when a published event is restored.
//!
//! Runs in the caller's transaction with the caller's rights, since everyone who may publish an event may also read
//! the account of its host. Placing an order checks the account again, since it may lose its rights at any time.

use super::{Payments, connect};
use crate::{
    problems,
    tickets::sellable::{self, Kind},
};
use generated::ticket_type::{CreateTicketType, UpdateTicketType};
use kernel::{Cx, Error, Result, input::Patch};
use sqlx::Row;
use uuid::Uuid;

/// Tickets that would be on sale online.
struct Sold {
    host_type: String,
    host: Uuid,
    /// The names of the ticket types that cost something and are sold online.
    names: Vec<String>,
    /// Whether they are archived, so that their host can't change them.
    is_archived: bool,
}

impl Payments {
    /// Refuses to publish an event that has ticket types to be paid online while its host can't take payments. Without
    /// a payment provider nothing is paid online, so nothing is refused.
    pub async fn refuse_publishing(&self, cx: &mut Cx, event: Uuid) -> Result<()> {
        if self.provider.is_none() {
            return Ok(());
        }
        // Without it, the statement that publishes the event will give the right answer.
        let Some(sold) = Sold::of(cx, event).await? else {
            return Ok(());
        };
        sold.needs_account(cx).await?;
        sellable::refuse_all(cx, event).await
    }

    /// The same check for a ticket type that is added to a published event.
    pub async fn refuse_new_price(&self, cx: &mut Cx, kind: &CreateTicketType) -> Result<()> {
        if kind.price_cents == 0 || kind.door_only {
            return Ok(());
        }
        let new = Kind {
            id: Uuid::nil(),
            name: kind.name.clone(),
            price_cents: kind.price_cents,
            currency: kind.currency.clone(),
            per_user_limit: kind.per_user_limit,
            capacity: kind.capacity,
            sales_start: kind.sales_start,
        };
        self.refuse_price(cx, kind.event_id, new, Account::Checked)
            .await
    }

    /// The same check for a change of a ticket type that makes it cost something online: it was free, or sold at the door
    /// only. A change of what one that is sold online costs needs no account, which may have been lost since.
    pub async fn refuse_changed_price(
        &self,
        cx: &mut Cx,
        id: Uuid,
        change: &UpdateTicketType,
    ) -> Result<()> {
        if self.provider.is_none() {
            return Ok(());
        }
        let before = sqlx::query(
            "select t.event_id, t.id, t.name, t.price_cents, t.currency, t.per_user_limit, t.capacity, t.sales_start, t.door_only
             from app.ticket_types t where t.id = $1",
        );
        let Some(before) = before.bind(id).fetch_optional(cx.conn()).await? else {
            return Ok(());
        };
        let (event, door_only): (Uuid, bool) =
            (before.try_get("event_id")?, before.try_get("door_only")?);
        let before = sellable::kind(&before)?;
        let after = changed(&before, change);
        if after.price_cents == 0 || change.door_only.value().copied().unwrap_or(door_only) {
            return Ok(());
        }
        let was_paid = before.price_cents > 0 && !door_only;
        let costs = |kind: &Kind| (kind.price_cents, kind.per_user_limit, kind.currency.clone());
        match was_paid {
            true if costs(&after) == costs(&before) => Ok(()),
            true => self.refuse_price(cx, event, after, Account::Ignored).await,
            false => self.refuse_price(cx, event, after, Account::Checked).await,
        }
    }

    /// The same check for an archived ticket type of a published event that is restored.
    pub async fn refuse_restored_price(&self, cx: &mut Cx, id: Uuid) -> Result<()> {
        let found = sqlx::query(
            "select t.event_id, t.id, t.name, t.price_cents, t.currency, t.per_user_limit, t.capacity, t.sales_start
             from app.ticket_types t join app.events e on e.id = t.event_id
             where t.id = $1 and t.price_cents > 0 and not t.door_only and e.ends_at > now()",
        );
        let Some(row) = found.bind(id).fetch_optional(cx.conn()).await? else {
            return Ok(());
        };
        let kind = sellable::kind(&row)?;
        let event = row.try_get("event_id")?;
        self.refuse_price(cx, event, kind, Account::CheckedForArchived)
            .await
    }

    /// The same check for a published event that is restored, and for the ticket types that come back with it.
    pub async fn refuse_restored_event(&self, cx: &mut Cx, event: Uuid) -> Result<()> {
        if self.provider.is_none() {
            return Ok(());
        }
        let kinds = sellable::returning(cx, event).await?;
        // Without it, the statement that restores the event will give the right answer.
        let Some(mut sold) = Sold::of(cx, event).await? else {
            return Ok(());
        };
        sold.names = kinds.iter().map(|kind| kind.name.clone()).collect();
        sold.is_archived = true;
        sold.needs_account(cx).await?;
        sellable::refuse_these(cx, event, &kinds).await
    }

    async fn refuse_price(
        &self,
        cx: &mut Cx,
        event: Uuid,
        kind: Kind,
        account: Account,
    ) -> Result<()> {
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
        if account != Account::Ignored {
            let sold = Sold {
                host_type,
                host,
                names: vec![kind.name.clone()],
                is_archived: account == Account::CheckedForArchived,
            };
            sold.needs_account(cx).await?;
        }
        sellable::refuse_one(cx, event, kind).await
    }
}

/// Whether the account of the host is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Account {
    Checked,
    CheckedForArchived,
    Ignored,
}

/// The type as it would be after the change.
fn changed(before: &Kind, change: &UpdateTicketType) -> Kind {
    let number = |given: &Patch<i32>, before| given.value().copied().unwrap_or(before);
    Kind {
        id: before.id,
        name: before.name.clone(),
        price_cents: change
            .price_cents
            .value()
            .copied()
            .unwrap_or(before.price_cents),
        currency: change.currency.value().unwrap_or(&before.currency).clone(),
        per_user_limit: number(&change.per_user_limit, before.per_user_limit),
        capacity: number(&change.capacity, before.capacity),
        sales_start: match change.sales_start.is_absent() {
            true => before.sales_start,
            false => change.sales_start.value().copied(),
        },
    }
}

/// Why buyers can't pay the host of an event, and what it can do. None: they can, or there is nothing to pay online.
pub async fn unpayable(cx: &mut Cx, event: Uuid) -> Result<Option<String>> {
    match Sold::of(cx, event).await? {
        Some(sold) => sold.obstacle(cx).await,
        None => Ok(None),
    }
}

impl Sold {
    /// None: the caller can't see the event.
    async fn of(cx: &mut Cx, event: Uuid) -> Result<Option<Self>> {
        let found: Option<(String, Uuid, Vec<String>)> = sqlx::query_as(
            "select e.host_type, e.host_id, array(
               select t.name from app.ticket_types t
               where t.event_id = e.id and t.status = 'active' and t.price_cents > 0 and not t.door_only order by t.name)
             from app.events e where e.id = $1",
        )
        .bind(event)
        .fetch_optional(cx.conn())
        .await?;
        Ok(found.map(|(host_type, host, names)| Self {
            host_type,
            host,
            names,
            is_archived: false,
        }))
    }

    async fn needs_account(&self, cx: &mut Cx) -> Result<()> {
        match self.obstacle(cx).await? {
            Some(detail) => Err(Error::new(&problems::HOST_UNPAYABLE).detail(detail)),
            None => Ok(()),
        }
    }

    async fn obstacle(&self, cx: &mut Cx) -> Result<Option<String>> {
        let is_ready = self.names.is_empty()
            || connect::ready(cx, &self.host_type, self.host)
                .await?
                .is_some();
        Ok((!is_ready).then(|| self.what_to_do()))
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
                "Open its account by `POST /{path}/{}/onboarding`; `GET /connected-accounts` says what is still missing.",
                self.host
            ),
            None => "Communities and institutions have none.".to_owned(),
        };
        let otherwise = match self.is_archived {
            true => {
                "Archived tickets can't be changed: to do without, make others that are free or `door_only`."
            }
            false => {
                "To do without, set `door_only` of tickets that are sold at the door, or `price_cents` to 0."
            }
        };
        format!(
            "The host has no account that takes payments, and {} cost something. {way} {otherwise}",
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
                is_archived: false,
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
