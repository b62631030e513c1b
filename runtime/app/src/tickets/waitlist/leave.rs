//! Links in emails by which the recipient leaves a waiting list without signing in.
//!
//! The token names the entry, so it is valid for no other entry, and no longer once the entry stops waiting: a member
//! who joins again has another entry. It also contains a hash of the address that the mail was sent to: once the member
//! has another address, links in mails to the old one do nothing. A GET shows a page with a question, a POST leaves.

use super::super::Tickets;
use crate::{
    module::{Module, Parts},
    signed_links::{ADDRESS_BYTES, Links, Pages, Token},
};
use axum::{extract::State, response::Response};
use kernel::{Error, Result, Visitor, http::ConfigError};
use minijinja::HtmlEscape;
use sqlx::Row;
use uuid::Uuid;

pub const PATH: &str = "/waitlist-entries/leave";

const PAGES: &[Pages] = &[
    Pages {
        language: "en",
        question: "Leave the waiting list of {}?",
        button: "Leave",
        done: "Done. You are no longer on this waiting list. You can join it again.",
    },
    Pages {
        language: "de",
        question: "Die Warteliste von {} verlassen?",
        button: "Verlassen",
        done: "Erledigt. Du stehst nicht mehr auf dieser Warteliste. Du kannst dich wieder eintragen.",
    },
];

/// Creates the links for emails, and reads their tokens.
#[derive(Clone)]
pub struct Leaving(Links);

impl Leaving {
    pub fn new(parts: &Parts) -> Result<Self, ConfigError> {
        Ok(Self(Links::new(parts, "waiting list", PATH)?))
    }

    /// `to` is the address that the mail is sent to.
    pub fn url(&self, entry: Uuid, to: &str) -> url::Url {
        let mut said = entry.as_bytes().to_vec();
        said.extend(self.0.address(to));
        self.0.url(&said)
    }

    /// The entry, and the hash of the address that the mail was sent to.
    fn read(&self, token: &str) -> Result<(Uuid, Vec<u8>)> {
        let mut said = self.0.read(token).ok_or_else(Error::not_found)?;
        if said.len() != 16 + ADDRESS_BYTES {
            return Err(Error::not_found());
        }
        let address = said.split_off(16);
        let entry = Uuid::from_slice(&said).map_err(|_| Error::not_found())?;
        Ok((entry, address))
    }
}

/// Show the page for leaving a waiting list
///
/// Target of the link in an email. Changes nothing, since mail programs open links by themselves.
#[utoipa::path(get, path = "/waitlist-entries/leave", operation_id = "showLeavingWaitlist", tag = "Waitlist entries", security(()),
    params(("token" = String, Query, description = "Token in the link", example = "AaIefKPIc32bde--1JzPyHvSWxK6_zdtwv2Iq0n3mBk")),
    responses(
        (status = 200, description = "A page with a button; nothing is changed", content_type = "text/html", body = String,
            example = json!("<p>Leave the waiting list of A full house?</p><form method=\"post\"><button>Leave</button></form>")),
        (status = 404, description = "The token is invalid, its entry is no longer waiting, or the member's email address has changed")))]
pub async fn show(
    State(tickets): State<Tickets>,
    _: Visitor,
    Token(token): Token,
) -> Result<Response> {
    let left = tickets.left_by(&token).await?;
    let event = HtmlEscape(&left.title).to_string();
    Ok(Pages::of(PAGES, &left.locale).ask(&event))
}

/// Leave a waiting list by the link in an email
///
/// Needs no session and no body. A place offered to the member is offered to the next one.
#[utoipa::path(post, path = "/waitlist-entries/leave", operation_id = "leaveWaitlist", tag = "Waitlist entries", security(()),
    params(("token" = String, Query, description = "Token in the link", example = "AaIefKPIc32bde--1JzPyHvSWxK6_zdtwv2Iq0n3mBk")),
    responses(
        (status = 200, description = "The member has left the waiting list", content_type = "text/html", body = String,
            example = json!("<p>Done. You are no longer on this waiting list. You can join it again.</p>")),
        (status = 404, description = "The token is invalid, its entry is no longer waiting, or the member's email address has changed")))]
pub async fn leave(
    State(tickets): State<Tickets>,
    _: Visitor,
    Token(token): Token,
) -> Result<Response> {
    let left = tickets.left_by(&token).await?;
    tickets.leave(left.entry).await?;
    Ok(Pages::of(PAGES, &left.locale).done())
}

/// What a link leaves.
struct Left {
    entry: Uuid,
    /// The title of the event.
    title: String,
    /// The member's.
    locale: String,
}

impl Tickets {
    /// The entry that a token names, which still waits, if the member still has the address that it was mailed to.
    async fn left_by(&self, token: &str) -> Result<Left> {
        let (entry, address) = self.leaving.read(token)?;
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let found = sqlx::query_as::<_, (String, String, String)>(
                    "select e.title, u.email::text, u.locale from app.waitlist_entries w join app.events e on e.id = w.event_id
                     join app.users u on u.id = w.user_id
                     where w.id = $1 and w.status = 'active' and w.state in ('waiting', 'offered')",
                );
                Ok(found.bind(entry).fetch_optional(cx.conn()).await?)
            })
        });
        let (title, email, locale) = run.await?.ok_or_else(Error::not_found)?;
        match self.leaving.0.is_address(&email, &address) {
            true => Ok(Left {
                entry,
                title,
                locale,
            }),
            false => Err(Error::not_found()),
        }
    }

    /// Archives the entry, then offers the place that was held for it to the next one. In two transactions, because
    /// buyers lock a ticket type before its entries. If the second one fails, the next purchase or the job makes up
    /// for it.
    async fn leave(&self, entry: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let left = sqlx::query(
                    "update app.waitlist_entries set status = 'archived'
                     where id = $1 and status = 'active' and state in ('waiting', 'offered') returning offered_type_id",
                );
                let left = left.bind(entry).fetch_optional(cx.conn()).await?;
                let left = left.ok_or_else(Error::not_found)?;
                Ok(left.try_get("offered_type_id")?)
            })
        });
        let kind: Option<Uuid> = run.await?;
        if let Some(kind) = kind
            && let Err(error) = self.offer_places(kind).await
        {
            tracing::warn!(%error, "a place that somebody left is offered later");
        }
        Ok(())
    }
}
