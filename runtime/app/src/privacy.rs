//! Closed accounts: they can be reopened for a while, then their personal data are erased.
//!
//! Which data of the tables are erased is defined in the database (`spec/sql/privacy.sql`); what jobs and stored answers
//! contain is erased here, in the same transaction. Closing an account means archiving the member, which ends sessions,
//! roles, likes and the like at once; pictures are deleted by the module `media`.

mod settings;

pub use settings::Settings;

use crate::module::{Module, Parts, each};
use chrono::{DateTime, Utc};
use kernel::{
    Cx, Db, Result,
    http::ConfigError,
    jobs::{Job, Periodic},
};
use std::time::Duration;
use uuid::Uuid;

const ERASE: &str = "privacy.erase";

/// The number of members that one query returns.
const AT_ONCE: i64 = 100;

/// Whose data a job contains.
#[derive(Clone, Copy)]
enum Of {
    Address,
    Member,
}

/// The jobs whose payloads contain names or addresses, and the place in the payload that says whose. They wait or are dead.
const JOBS: [(&str, &[&str], Of); 5] = [
    ("sessions.invite", &["email"], Of::Address),
    ("sessions.reset", &["email"], Of::Address),
    ("sessions.change_address", &["user"], Of::Member),
    ("sessions.mail", &["to"], Of::Address),
    ("notifications.tell_part", &["data", "user"], Of::Member),
];

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Privacy {
    db: Db,
    settings: Settings,
}

impl Module for Privacy {
    const NAME: &'static str = "privacy";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            settings,
        })
    }

    fn jobs(&self) -> Vec<Job> {
        let erase = |privacy: Self, _| async move { Ok(privacy.erase().await.map(drop)?) };
        vec![Job::of(self, ERASE, erase)]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![Periodic::every(ERASE, Duration::from_hours(1))]
    }
}

impl Privacy {
    /// Erases all members whose accounts have been closed for long enough, each in a transaction of its own. Returns
    /// how many.
    pub async fn erase(&self) -> Result<u64> {
        let days = i32::from(self.settings.privacy_erase_after_days);
        let (mut erased, mut failed, mut after) = (0, None, Uuid::nil());
        loop {
            // A closed account does not change, so the time of its last change is that of its closing. The age is
            // computed by the database's clock, so that a server whose clock is ahead erases nothing too early.
            let find = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let due = sqlx::query_scalar(
                        "select id from app.users where status = 'archived' and erased_at is null and closed_at < now() - make_interval(days => $1)
                           and id > $3 order by id limit $2",
                    );
                    let due = due.bind(days).bind(AT_ONCE).bind(after);
                    let due: Vec<Uuid> = due.fetch_all(cx.conn()).await?;
                    Ok(due)
                })
            });
            let due = find.await?;
            let some = each(due.iter().copied(), |member| self.erase_one(member)).await;
            match some {
                Ok(some) => erased += some,
                Err(error) => failed = Some(error),
            }
            match due.last() {
                Some(last) if due.len() as i64 == AT_ONCE => after = *last,
                _ => return failed.map_or(Ok(erased), Err),
            }
        }
    }

    async fn erase_one(&self, member: Uuid) -> Result<u64> {
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let erase = sqlx::query_as("select email, closed_at from app.erase_member($1)");
                let erased = erase.bind(member).fetch_optional(cx.conn()).await?;
                let Some(account) = erased else {
                    return Ok(false);
                };
                forget(cx, member, account).await?;
                Ok(true)
            })
        });
        Ok(u64::from(run.await?))
    }
}

/// Deletes the answers that were stored for the member's requests, and jobs with the member's data. What was enqueued after
/// the account was closed may be for the next owner of its address.
async fn forget(
    cx: &mut Cx,
    member: Uuid,
    (email, closed_at): (String, DateTime<Utc>),
) -> Result<()> {
    sqlx::query("select requests.forget($1)")
        .bind(member)
        .execute(cx.conn())
        .await?;
    for (job, place, of) in JOBS {
        let (whose, until) = match of {
            Of::Address => (email.clone(), Some(closed_at)),
            Of::Member => (member.to_string(), None),
        };
        sqlx::query("select jobs.forget($1, $2, $3, coalesce($4, now()))")
            .bind(job)
            .bind(place)
            .bind(whose)
            .bind(until)
            .execute(cx.conn())
            .await?;
    }
    Ok(())
}
