//! The table of what each event ends. A new kind of credential adds a column, a new event a line.
//!
//! Suspending and archiving an account are not listed: generated routes do that, and the database ends what depends on
//! the account (`on end` in the specs of this module). In the same way it ends what depends on a session: its access
//! and refresh tokens, and the devices that were registered in it.

use super::Sessions;
use kernel::{Cx, Error, Result, problems};
use uuid::Uuid;

/// An event that ends sessions or credentials of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    SignedOut,
    SignedOutEverywhere,
    PasswordChanged,
    PasswordReset,
    AddressChanged,
    IdentityUnlinked(Uuid),
    TokenReused,
}

/// Which sessions of the member are ended. `This` is the session that the event comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    This,
    Others,
    All,
    OfIdentity(Uuid),
}

struct Ends {
    sessions: Which,
    /// Whether earlier credentials are ended: unopened links in emails, tokens of issuers that were issued before, and
    /// the secret address of the calendar. An intruder may have made them. A trigger on `credentials.valid_from` ends
    /// open offers of tickets and roles with them (`spec/sql/sessions.offers.sql`).
    issued_before: bool,
    /// Whether identities at issuers are unlinked. An owner who still has the address can link one again by signing in
    /// there.
    identities: bool,
    because: &'static str,
}

impl Event {
    fn ends(self) -> Ends {
        let ends = |sessions, issued_before, identities, because| Ends {
            sessions,
            issued_before,
            identities,
            because,
        };
        #[rustfmt::skip]
        let ends = match self {
            //                                         sessions              issued  identities
            Self::SignedOut            => ends(Which::This,            false, false, "signed_out"),
            Self::SignedOutEverywhere  => ends(Which::All,             true,  false, "signed_out_everywhere"),
            Self::PasswordChanged      => ends(Which::Others,          true,  false, "password_changed"),
            Self::PasswordReset        => ends(Which::All,             true,  true,  "password_reset"),
            Self::AddressChanged       => ends(Which::Others,          true,  true,  "address_changed"),
            Self::IdentityUnlinked(id) => ends(Which::OfIdentity(id),  false, false, "identity_unlinked"),
            Self::TokenReused          => ends(Which::This,            true,  false, "token_reused"),
        };
        ends
    }
}

impl Sessions {
    /// Ends everything that the event ends. `session` is the session that the event comes from.
    pub(super) async fn end_all(
        &self,
        cx: &mut Cx,
        user: Uuid,
        session: Option<Uuid>,
        event: Event,
    ) -> Result<()> {
        let ends = event.ends();
        self.lock_account(cx, user).await?;
        self.end_sessions(cx, user, session, &ends).await?;
        if ends.issued_before {
            self.end_issued(cx, user).await?;
        }
        let one = match event {
            Event::IdentityUnlinked(id) => Some(id),
            _ => None,
        };
        if ends.identities || one.is_some() {
            sqlx::query(
                "update app.external_identities set unlinked_at = now()
                 where user_id = $1 and unlinked_at is null and ($2::uuid is null or id = $2)",
            )
            .bind(user)
            .bind(one)
            .execute(cx.conn())
            .await?;
        }
        Ok(())
    }

    /// Locks the account exclusively for code that ends sessions or credentials. Code that creates a session or a link
    /// takes a shared lock ([`Sessions::hold_account`]), so that of the two the later one sees what the earlier one
    /// has done.
    pub(super) async fn lock_account(&self, cx: &mut Cx, user: Uuid) -> Result<()> {
        sqlx::query("select from app.users where id = $1 for no key update")
            .bind(user)
            .execute(cx.conn())
            .await?;
        Ok(())
    }

    /// Locks the account for code that creates something that events end. Returns the account's status, or None if
    /// there is no such account. What that code depends on must be read afterwards.
    pub(super) async fn hold_account(&self, cx: &mut Cx, user: Uuid) -> Result<Option<String>> {
        Ok(
            sqlx::query_scalar("select status from app.users where id = $1 for share")
                .bind(user)
                .fetch_optional(cx.conn())
                .await?,
        )
    }

    /// Refuses a session that has ended since the transaction began. To be called once the account is locked: whoever has
    /// just signed out everywhere must not find that a session of theirs has changed the password afterwards.
    pub(super) async fn refuse_ended(&self, cx: &mut Cx, session: Option<Uuid>) -> Result<()> {
        let is_live: bool = sqlx::query_scalar(
            "select exists (select from app.sessions where id = $1 and revoked_at is null)",
        )
        .bind(session)
        .fetch_one(cx.conn())
        .await?;
        match is_live {
            true => Ok(()),
            false => Err(Error::new(&problems::SESSION_REVOKED)),
        }
    }

    /// Ends the sessions of the event. If earlier credentials are ended, so are all sessions of external issuers, also
    /// the caller's.
    async fn end_sessions(
        &self,
        cx: &mut Cx,
        user: Uuid,
        session: Option<Uuid>,
        ends: &Ends,
    ) -> Result<()> {
        let (which, identity) = match ends.sessions {
            Which::This => ("this", None),
            Which::Others => ("others", None),
            Which::All => ("all", None),
            Which::OfIdentity(id) => ("identity", Some(id)),
        };
        sqlx::query(
            "update app.sessions set revoked_at = now(), revoked_because = $3
             where user_id = $1 and revoked_at is null and (($6 and external_identity_id is not null) or case $4
               when 'this' then id = $2
               when 'others' then id is distinct from $2
               when 'identity' then external_identity_id = $5
               else true
             end)",
        )
        .bind(user)
        .bind(session)
        .bind(ends.because)
        .bind(which)
        .bind(identity)
        .bind(ends.issued_before)
        .execute(cx.conn())
        .await?;
        Ok(())
    }

    async fn end_issued(&self, cx: &mut Cx, user: Uuid) -> Result<()> {
        // Links carry a digest of what they were issued for, which includes this time, so earlier links become void.
        sqlx::query(
            "insert into app.credentials (user_id, valid_from) values ($1, clock_timestamp())
             on conflict (user_id) do update set valid_from = excluded.valid_from",
        )
        .bind(user)
        .execute(cx.conn())
        .await?;
        sqlx::query(
            "update app.email_tokens set used_at = now() where user_id = $1 and used_at is null",
        )
        .bind(user)
        .execute(cx.conn())
        .await?;
        sqlx::query(
            "update app.calendar_feeds set ended_at = now() where user_id = $1 and ended_at is null",
        )
        .bind(user)
        .execute(cx.conn())
        .await?;
        Ok(())
    }
}
