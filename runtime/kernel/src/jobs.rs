//! Jobs: work that is done after a transaction and because of it, at least once.
//!
//! The queue consists of tables and functions of the database (`jobs.queue`), so a job is enqueued in the transaction
//! that needs it and disappears if that is rolled back. A worker leases jobs, runs them, retries those that failed,
//! and keeps those that failed too often as dead. The worker polls and does not use LISTEN/NOTIFY, so it works behind
//! a connection pooler.
//!
//! Knows names and payloads of jobs, not what they do.

mod backoff;
mod dead;
mod events;
mod new;
mod run;
mod schedule;
mod store;
mod worker;

pub use dead::{Dead, Revived, dead, discard, revive};
pub use events::{Consumer, Event, tell};
pub use new::{NewJob, cancel};
pub use run::{Failure, Run};
pub use schedule::{CatchUp, Periodic, Schedule};
pub use store::{Figures, cascade, figures, purge, purge_events, purge_requests};
pub use worker::{WorkerConfig, run};

use futures_util::future::BoxFuture;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::Notify;

/// The result of an attempt, as its handler returns it.
pub type Outcome = Result<(), Failure>;

/// A kind of job, as a module declares it.
#[derive(Clone)]
pub struct Job {
    name: &'static str,
    attempts: u32,
    timeout: Duration,
    shown: &'static [&'static str],
    handler: Arc<dyn Fn(Arc<Run>) -> BoxFuture<'static, Outcome> + Send + Sync>,
}

impl Job {
    /// `name` is `<module>.<job>`. The handler may run again after it has finished, because the process may die before
    /// that is recorded. Only what it does in [`Run::commit`] is done exactly once.
    pub fn new<F>(
        name: &'static str,
        handler: impl Fn(Arc<Run>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        Self {
            name,
            attempts: 20,
            timeout: Duration::from_secs(60),
            shown: &[],
            handler: Arc::new(move |run| Box::pin(handler(run))),
        }
    }

    /// A job of a module, of which each run gets a clone.
    pub fn of<M, F>(
        module: &M,
        name: &'static str,
        handler: impl Fn(M, Arc<Run>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        M: Clone + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let module = module.clone();
        Self::new(name, move |run| handler(module.clone(), run))
    }

    /// The number of attempts after which the job is dead (default 20, which take about a day and a half; at most 100).
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// An attempt that takes longer counts as failed (default one minute).
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The payload members that administrators may see of a dead job. Of the others only the names are shown.
    pub fn shown(self, shown: &'static [&'static str]) -> Self {
        Self { shown, ..self }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The name of the module that the transactions of this job run as.
    fn module(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(module, _)| module)
    }
}

/// All jobs, schedules and consumers of a worker.
#[derive(Clone, Default)]
pub struct Work {
    pub jobs: Vec<Job>,
    pub periodic: Vec<Periodic>,
    pub consumers: Vec<Consumer>,
}

impl Work {
    /// Checks the declarations. A mistake is one of the program and is found when it starts.
    pub fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for job in &self.jobs {
            if !is_name(job.name) {
                return Err(format!("`{}` is not called `<module>.<job>`", job.name));
            }
            if !(1..=100).contains(&job.attempts) {
                return Err(format!("`{}` has between 1 and 100 attempts", job.name));
            }
            if !names.insert(job.name) {
                return Err(format!("there are two jobs `{}`", job.name));
            }
        }
        let mut ticking = BTreeSet::new();
        for periodic in &self.periodic {
            periodic.check()?;
            if !names.contains(periodic.job) {
                return Err(format!(
                    "there is no job `{}` to run now and then",
                    periodic.job
                ));
            }
            if !ticking.insert(periodic.job) {
                return Err(format!("`{}` has two schedules", periodic.job));
            }
        }
        for consumer in &self.consumers {
            if !names.contains(consumer.job) {
                return Err(format!(
                    "there is no job `{}` to consume events",
                    consumer.job
                ));
            }
        }
        Ok(())
    }

    fn job(&self, name: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.name == name)
    }
}

/// Whether this is `<module>.<job>`, both in small letters, digits and `_` after a first letter, as the queue demands.
fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        part.starts_with(|c: char| c.is_ascii_lowercase()) && part.chars().all(good)
    };
    name.split_once('.')
        .is_some_and(|(module, job)| part(module) && part(job))
}

/// Wakes the worker of this process after something was enqueued, so that it does not wait for its next poll.
static WOKEN: Notify = Notify::const_new();

pub(crate) fn wake() {
    WOKEN.notify_one();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &'static str) -> Job {
        Job::new(name, |_| async { Ok(()) })
    }

    #[test]
    fn declarations_are_checked() {
        let every = |job| Periodic {
            job,
            schedule: Schedule::Every(Duration::from_secs(1)),
            catch_up: CatchUp::None,
        };
        let check = |jobs: Vec<Job>, periodic: Vec<Periodic>| {
            let consumers = Vec::new();
            Work {
                jobs,
                periodic,
                consumers,
            }
            .check()
        };
        assert_eq!(
            check(vec![job("a.b"), job("a.c")], vec![every("a.b")]),
            Ok(())
        );
        for (jobs, periodic, said) in [
            (vec![job("b")], vec![], "not called"),
            (vec![job("A.b")], vec![], "not called"),
            (vec![job("a.b"), job("a.b")], vec![], "two jobs"),
            (vec![job("a.b").attempts(0)], vec![], "between 1 and 100"),
            (vec![job("a.b")], vec![every("a.c")], "no job"),
            (
                vec![job("a.b")],
                vec![every("a.b"), every("a.b")],
                "two schedules",
            ),
        ] {
            let error = check(jobs, periodic).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
