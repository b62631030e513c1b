//! The module's jobs: deciding whether an email is sent, and sending it. One job each.
//!
//! A request only enqueues a job, for members' addresses and others alike, so that the time it takes reveals nothing.
//! The decision, the rows that it stores and the job that sends the email are one transaction.

use super::{Sessions, email::Change, recover::Reset, secret::Mailed, sign_up::Invitation};
use crate::mail::Template;
use delivery::mail::Undelivered;
use kernel::{
    Cx, Error, Result,
    jobs::{Failure, Job, NewJob, Outcome, Run},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

pub(super) const INVITE: &str = "sessions.invite";
pub(super) const RESET: &str = "sessions.reset";
pub(super) const CHANGE: &str = "sessions.change_address";
const MAIL: &str = "sessions.mail";

/// The link in an email: a page of the web app, with or without a token.
pub(super) enum Link<'a> {
    Page(&'static str),
    Token(&'static str, &'a Mailed),
}

/// To whom an email goes: the address, and the language of its reader.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub email: &'a str,
    pub locale: &'a str,
}

/// An email to be sent, as a job's payload. The payload is not encrypted, so it holds no token, only the number that
/// the token is derived from.
#[derive(Serialize, Deserialize)]
struct Letter {
    template: Template,
    to: String,
    /// The language of whoever reads it. Jobs of earlier versions have none; their mails are in English.
    #[serde(default)]
    locale: String,
    values: BTreeMap<String, String>,
    page: String,
    token_of: Option<String>,
}

/// The decisions that jobs make; the payload says about whom.
#[derive(Clone, Copy)]
enum Decision {
    Invite,
    Reset,
    Change,
}

impl Sessions {
    pub(super) fn all_jobs(&self) -> Vec<Job> {
        let decides = |name, decision| {
            Job::of(self, name, move |sessions, run| async move {
                sessions.decide(decision, &run).await
            })
        };
        let mail = Job::of(self, MAIL, |sessions, run| async move {
            sessions.deliver(&run).await
        });
        let purge = Job::of(self, "sessions.purge", |sessions, _| async move {
            Ok(sessions.purge_now().await.map(drop)?)
        });
        vec![
            decides(INVITE, Decision::Invite),
            decides(RESET, Decision::Reset),
            decides(CHANGE, Decision::Change),
            // Twelve attempts take about three hours, after which most links are no longer of use.
            mail.attempts(12).shown(&["template", "page"]),
            purge,
        ]
    }

    /// Decides in one transaction, together with the job that sends the email.
    async fn decide(&self, decision: Decision, run: &Run) -> Outcome {
        let mut cx = run.begin().await?;
        match decision {
            Decision::Invite => self.invite(&mut cx, &run.payload::<Invitation>()?).await?,
            Decision::Reset => self.send_reset(&mut cx, &run.payload::<Reset>()?).await?,
            Decision::Change => self.send_change(&mut cx, &run.payload::<Change>()?).await?,
        }
        Ok(run.commit(cx).await?)
    }

    /// Enqueues a job in a transaction of its own, since the request stores nothing else.
    pub(super) async fn enqueue(
        &self,
        name: &'static str,
        payload: impl Serialize,
        member: Option<Uuid>,
        request: Uuid,
    ) -> Result<()> {
        let mut job = NewJob::new(name, payload)?;
        if let Some(member) = member {
            job = job.on_behalf_of(member);
        }
        let job = &job;
        match member {
            Some(member) => {
                self.run_of_owner(member, request, move |cx| Box::pin(put(cx, job)))
                    .await
            }
            None => self.run(request, move |cx| Box::pin(put(cx, job))).await,
        }
    }

    /// Enqueues an email in this transaction. It is sent once the transaction is committed.
    pub(super) async fn mail(
        &self,
        cx: &mut Cx,
        template: Template,
        to: Reader<'_>,
        values: &[(&str, &str)],
        link: Link<'_>,
    ) -> Result<()> {
        let values = values.iter();
        let (page, token_of) = match link {
            Link::Page(page) => (page, None),
            Link::Token(page, token) => (page, Some(token.made_of().to_owned())),
        };
        let letter = Letter {
            template,
            to: to.email.to_owned(),
            locale: to.locale.to_owned(),
            values: values
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            page: page.to_owned(),
            token_of,
        };
        NewJob::new(MAIL, letter)?.put(cx).await?;
        Ok(())
    }

    async fn deliver(&self, run: &Run) -> Outcome {
        let mut letter: Letter = run.payload()?;
        let base = self.0.config.link_base.trim_end_matches('/');
        let mut link = format!("{base}/{}", letter.page);
        if let Some(number) = &letter.token_of {
            // In the fragment, which browsers don't send to servers, so that no server logs it.
            link += "#token=";
            link += self.0.key.mailed(number).token().expose_secret();
        }
        letter.values.insert("link".to_owned(), link);
        let Letter {
            template,
            to,
            locale,
            values,
            ..
        } = &letter;
        let mut mail = template.fill(to, locale, values).map_err(Failure::last)?;
        // A retried job sends the same message id.
        mail.id = run.id;
        match self.0.mailer.send(mail).await {
            Ok(_) => Ok(()),
            Err(Undelivered::Paused { reason, wait }) => {
                Err(Failure::retry_in(Error::internal(reason), wait))
            }
            Err(never @ Undelivered::Never(_)) => Err(Failure::last(Error::internal(never))),
            Err(later) => Err(Error::internal(later).into()),
        }
    }
}

async fn put(cx: &mut Cx, job: &NewJob) -> Result<()> {
    job.clone().put(cx).await?;
    Ok(())
}
