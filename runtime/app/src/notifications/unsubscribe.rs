//! One-click unsubscribing from mail (RFC 8058): a link in the mail that needs no session and never expires.
//!
//! The signed token in the link names the member, the types of the mail, which are several for a digest, and a hash of
//! the address that the mail was sent to: once the member has another address, links in mails to the old one do
//! nothing. A POST turns mail of these types off and may be repeated; a GET only shows a page that asks for confirmation,
//! because mail programs and scanners open links by themselves.

use super::Notifications;
use crate::{
    module::{Module, Parts},
    signed_links::{ADDRESS_BYTES, Links, Pages, Token},
};
use axum::{extract::State, response::Response};
use kernel::{Error, Result, Visitor, http::ConfigError, messages::Channel};
use url::Url;
use uuid::Uuid;

/// The separator between types, whose names are words.
const AND: &str = ",";

const PAGES: &[Pages] = &[
    Pages {
        language: "en",
        question: "No more mail of this kind: {}",
        button: "Unsubscribe",
        done: "Done. There is no more mail of this kind. Your settings bring it back.",
    },
    Pages {
        language: "de",
        question: "Keine Mails dieser Art mehr: {}",
        button: "Abbestellen",
        done: "Erledigt. Mails dieser Art kommen nicht mehr. In deinen Einstellungen kannst du das wieder ändern.",
    },
];

/// How types of messages are called in German. In English their names are words already.
const GERMAN: &[(&str, &str)] = &[
    ("broadcast", "Nachrichten von Veranstaltern"),
    ("community", "Communitys"),
    ("event_cancelled", "abgesagte Veranstaltungen"),
    ("event_changed", "geänderte Veranstaltungen"),
    ("event_reminder", "Erinnerungen an Veranstaltungen"),
    ("follow", "neue Follower"),
    ("lead", "Anfragen"),
    ("new_event", "neue Veranstaltungen"),
    ("order", "Bestellungen"),
    ("promotion", "hervorgehobene Plätze"),
    ("quote", "Angebote"),
    ("review", "Bewertungen"),
    ("role", "Rollen"),
    ("security", "Sicherheit"),
    ("system", "Mitteilungen der Plattform"),
    ("ticket", "Tickets"),
    ("waitlist", "Wartelisten"),
    ("wallet", "Guthaben"),
];

#[derive(Clone)]
pub(super) struct Unsubscribing(Links);

impl Unsubscribing {
    pub(super) fn new(parts: &Parts) -> Result<Self, ConfigError> {
        let links = Links::new(parts, "unsubscribe", "/notifications/unsubscribe")?;
        Ok(Self(links))
    }

    /// `to` is the address that the mail is sent to.
    pub(super) fn url(&self, member: Uuid, to: &str, types: &[String]) -> Url {
        let mut said = member.as_bytes().to_vec();
        said.extend(self.0.address(to));
        said.extend(types.join(AND).as_bytes());
        self.0.url(&said)
    }

    /// What a token says. `None`: the token was not signed by us.
    fn read(&self, token: &str) -> Option<Said> {
        let said = self.0.read(token)?;
        let (member, rest) = said.split_at_checked(16)?;
        let (address, types) = rest.split_at_checked(ADDRESS_BYTES)?;
        let types = std::str::from_utf8(types).ok()?.split(AND);
        Some(Said {
            member: Uuid::from_slice(member).ok()?,
            address: address.to_vec(),
            types: types.map(str::to_owned).collect(),
        })
    }
}

/// The contents of a token.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    member: Uuid,
    /// The hash of the address that the mail was sent to.
    address: Vec<u8>,
    types: Vec<String>,
}

/// Show the unsubscribe page
///
/// Target of the link in mails: an HTML page with a button. Changes nothing, so that programs that prefetch links don't
/// unsubscribe members.
#[utoipa::path(get, path = "/notifications/unsubscribe", operation_id = "showUnsubscribing", tag = "Notifications", security(()),
    params(("token" = String, Query, description = "Token from the link")),
    responses(
        (status = 200, description = "A page with a button; nothing is changed", content_type = "text/html", body = String),
        (status = 404, description = "The token is invalid, or the member's address has changed since")))]
pub(super) async fn show(
    State(notifications): State<Notifications>,
    _: Visitor,
    Token(token): Token,
) -> Result<Response> {
    let (said, pages) = notifications.said(&token).await?;
    let types = said.types.iter().map(|ty| called(ty, pages.language));
    let types: Vec<String> = types.collect();
    Ok(pages.ask(&types.join(", ")))
}

/// Unsubscribe from mail
///
/// One-click unsubscribing for mail programs (RFC 8058): without session and confirmation; the body is ignored. For a
/// digest, mail of all its types is turned off, except types that can't be turned off.
#[utoipa::path(post, path = "/notifications/unsubscribe", operation_id = "unsubscribe", tag = "Notifications", security(()),
    params(("token" = String, Query, description = "Token from the link")),
    responses(
        (status = 200, description = "Mail of these types is turned off", content_type = "text/html", body = String),
        (status = 404, description = "The token is invalid, or the member's address has changed since")))]
pub(super) async fn stop(
    State(notifications): State<Notifications>,
    _: Visitor,
    Token(token): Token,
) -> Result<Response> {
    let (said, pages) = notifications.said(&token).await?;
    notifications.turn_off(said.member, said.types).await?;
    Ok(pages.done())
}

/// The name of a type in the language of a page.
fn called(ty: &str, language: &str) -> String {
    let known = GERMAN.iter().find(|(name, _)| *name == ty);
    match known.filter(|_| language == "de") {
        Some((_, name)) => (*name).to_owned(),
        None => ty.replace('_', " "),
    }
}

impl Notifications {
    /// What a token says, and the pages in the member's language. 404 if it was not signed by us, or was mailed to an
    /// address that the member no longer has. A closed account has no address to compare with once it is erased: its links
    /// are answered, and change nothing.
    async fn said(&self, token: &str) -> Result<(Said, &'static Pages)> {
        let said = self.unsubscribing.read(token);
        let said = said.ok_or_else(Error::not_found)?;
        let member = said.member;
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let found = sqlx::query_as::<_, (String, bool, String)>(
                    "select email::text, status = 'archived', locale from app.users where id = $1",
                );
                Ok(found.bind(member).fetch_optional(cx.conn()).await?)
            })
        });
        let (email, is_closed, locale) = run.await?.ok_or_else(Error::not_found)?;
        match is_closed || self.unsubscribing.0.is_address(&email, &said.address) {
            true => Ok((said, Pages::of(PAGES, &locale))),
            false => Err(Error::not_found()),
        }
    }

    /// Turns off mail of these types for a member.
    pub(super) async fn turn_off(&self, member: Uuid, types: Vec<String>) -> Result<()> {
        let types = &types;
        self.db
            .run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    sqlx::query(
                        "update app.notification_preferences set enabled = false
                         where user_id = $1 and channel = $2 and type = any($3) and status = 'active'",
                    )
                    .bind(member)
                    .bind(Channel::Email.name())
                    .bind(types)
                    .execute(cx.conn())
                    .await?;
                    // Of two concurrent requests only one inserts the row. Nothing is inserted for an account that is
                    // gone; a suspended one may come back, and remembers what its member did not want.
                    sqlx::query(
                        "insert into app.notification_preferences (user_id, channel, type, enabled)
                         select u.id, $2, t.type, false from app.users u cross join unnest($3::text[]) t(type)
                         where u.id = $1 and u.status <> 'archived' and not exists (
                           select from app.notification_preferences p
                           where p.user_id = u.id and p.channel = $2 and p.type = t.type and p.status = 'active'
                         )
                         order by t.type
                         on conflict do nothing",
                    )
                    .bind(member)
                    .bind(Channel::Email.name())
                    .bind(types)
                    .execute(cx.conn())
                    .await?;
                    Ok(())
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NO7: the pages are in the language of the mails that lead there.
    #[test]
    fn no7_the_page_of_a_mail_is_in_its_language() {
        for ty in generated::messages::TYPES {
            let german = called(ty.name, "de");
            assert!(GERMAN.iter().any(|(_, name)| *name == german), "{german}");
        }
        for message in generated::messages::MESSAGES {
            for wording in message.wordings {
                let pages = Pages::of(PAGES, wording.locale);
                assert_eq!(wording.locale.split('-').next(), Some(pages.language));
            }
        }
        assert_eq!(Pages::of(PAGES, "pt-BR").language, "en");
        assert_eq!(Pages::of(PAGES, "de-CH").button, "Abbestellen");
        assert_eq!(called("new_event", "en"), "new event");
    }

    #[test]
    fn no4_a_token_is_good_for_one_member_and_the_types_of_its_mail() {
        let ours = Unsubscribing(Links::tried("key"));
        let others = Unsubscribing(Links::tried("other"));
        let member = Uuid::now_v7();
        let types = ["new_event", "new_follower"].map(str::to_owned);
        let token = |from: &Unsubscribing| {
            let url = from.url(member, "ana@example.org", &types);
            url.query_pairs().next().unwrap().1.into_owned()
        };
        let said = ours.read(&token(&ours)).expect("ours");
        assert_eq!((said.member, &said.types[..]), (member, &types[..]));
        assert_eq!(said.address, ours.0.address("ana@example.org"));
        assert_eq!(ours.read(&token(&others)), None);
        // Signed, but too short to contain a member's id, or the hash of an address.
        for short in [&b"nobody"[..], &[7; 23]] {
            let url = ours.0.url(short);
            let short = url.query_pairs().next().unwrap().1.into_owned();
            assert_eq!(ours.read(&short), None);
        }
    }
}
