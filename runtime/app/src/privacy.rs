//! Closed accounts: for a while they can be opened again, then what was personal about them is erased.
//!
//! What that is, is said by the database (`spec/sql/privacy.sql`). Closing an account is archiving the member, which ends
//! sessions, roles, likes and the like at once; pictures are deleted by the module `media`.

mod settings;

pub use settings::Settings;

use crate::{
    clock::Clock,
    module::{Module, Parts},
};
use chrono::TimeDelta;
use kernel::{
    Db, Result,
    http::ConfigError,
    jobs::{CatchUp, Job, Periodic, Schedule},
};
use std::time::Duration;
use uuid::Uuid;

const ERASE: &str = "privacy.erase";

/// Members that are looked for at once.
const AT_ONCE: i64 = 100;

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Privacy {
    db: Db,
    clock: Clock,
    settings: Settings,
}

impl Module for Privacy {
    const NAME: &'static str = "privacy";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            clock: parts.clock.clone(),
            settings,
        })
    }

    fn jobs(&self) -> Vec<Job> {
        let privacy = self.clone();
        let erase = move |_| {
            let privacy = privacy.clone();
            async move { Ok(privacy.erase().await.map(drop)?) }
        };
        vec![Job::new(ERASE, erase)]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![Periodic {
            job: ERASE,
            schedule: Schedule::Every(Duration::from_secs(3600)),
            catch_up: CatchUp::Last,
        }]
    }
}

impl Privacy {
    /// Everybody whose account has been closed for long enough, each in a transaction of their own. How many.
    pub async fn erase(&self) -> Result<u64> {
        let before =
            self.clock.now() - TimeDelta::days(self.settings.privacy_erase_after_days.into());
        let mut erased = 0;
        loop {
            // Nobody changes a closed account, so its last change is its closing.
            let find = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let due = sqlx::query_scalar(
                        "select id from app.users where status = 'archived' and erased_at is null and updated_at < $1 order by id limit $2",
                    );
                    let due: Vec<Uuid> = due.bind(before).bind(AT_ONCE).fetch_all(cx.conn()).await?;
                    Ok(due)
                })
            });
            let due = find.await?;
            for member in &due {
                let member = *member;
                let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                    Box::pin(async move {
                        let erase = sqlx::query_scalar("select app.erase_member($1)").bind(member);
                        let done: bool = erase.fetch_one(cx.conn()).await?;
                        Ok(done)
                    })
                });
                erased += u64::from(run.await?);
            }
            if (due.len() as i64) < AT_ONCE {
                return Ok(erased);
            }
        }
    }
}
