//! The worker: polls for jobs, runs a few at a time, reports to the queue that it is alive, and stops when asked to.

mod attempt;

use super::{CatchUp, Job, WOKEN, Work, store};
use crate::{cx::Db, error::Error};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{MissedTickBehavior, interval_at, timeout_at},
};
use uuid::Uuid;

#[derive(Clone, Copy, Debug)]
pub struct WorkerConfig {
    /// How many jobs run at the same time.
    pub at_once: usize,
    /// How often to poll for jobs. Jobs enqueued by this process are picked up at once.
    pub poll: Duration,
    /// A worker that has not reported for this long loses its jobs to others.
    pub lease: Duration,
    /// How long running jobs may continue after the signal to stop.
    pub grace: Duration,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            at_once: 4,
            poll: Duration::from_millis(250),
            lease: Duration::from_secs(25),
            grace: Duration::from_secs(20),
        }
    }
}

/// How often to check which periodic jobs are due.
const TICK: Duration = Duration::from_secs(1);

/// How often to register again which jobs consume which events.
const SUBSCRIBE: Duration = Duration::from_secs(60 * 60);

/// How many events are turned into jobs at once.
const RELAYED_AT_ONCE: i32 = 500;

/// Runs until `stop` turns true. `work` must have been [checked](Work::check).
pub async fn run(db: Db, work: Arc<Work>, config: WorkerConfig, mut stop: watch::Receiver<bool>) {
    let mut worker = Worker::new(db, work, config);
    let mut poll = ticker(config.poll);
    let mut beat = ticker(config.lease / 3);
    let mut tick = ticker(TICK);
    let mut subscribe = ticker(SUBSCRIBE);
    // Before the first job runs, whichever ticker fires first.
    worker.subscribe().await;
    worker.beat().await;
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            _ = subscribe.tick() => worker.subscribe().await,
            _ = beat.tick() => worker.beat().await,
            Some(ended) = worker.running.join_next_with_id() => {
                worker.forget(ended);
                worker.fill().await;
            }
            _ = tick.tick() => worker.tick().await,
            () = WOKEN.notified() => worker.look().await,
            _ = poll.tick() => worker.look().await,
        }
    }
    worker.stop(beat).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, so nobody can ask to stop any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A ticker whose first tick comes after one period instead of at once.
fn ticker(period: Duration) -> tokio::time::Interval {
    let mut interval = interval_at(tokio::time::Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

struct Worker {
    id: Uuid,
    db: Db,
    work: Arc<Work>,
    names: Vec<&'static str>,
    config: WorkerConfig,
    running: JoinSet<()>,
    /// The job of each running task, and the handle to abort it.
    jobs: HashMap<Id, (Uuid, AbortHandle)>,
    /// When this worker last reported to the queue.
    heard: Instant,
    /// Whether the queue knows which events are consumed.
    subscribed: bool,
}

impl Worker {
    fn new(db: Db, work: Arc<Work>, config: WorkerConfig) -> Self {
        Self {
            id: Uuid::now_v7(),
            names: work.jobs.iter().map(Job::name).collect(),
            db,
            work,
            config,
            running: JoinSet::new(),
            jobs: HashMap::new(),
            heard: Instant::now(),
            subscribed: false,
        }
    }

    async fn subscribe(&mut self) {
        match store::subscribe(&self.db, &self.work.consumers).await {
            Ok(()) => self.subscribed = true,
            Err(error) => report("say which events are consumed", &error),
        }
    }

    /// Turns new events into jobs and leases jobs that are due. No event becomes a job before the queue knows the
    /// consumers of this version: those that it does not know yet would miss the event.
    async fn look(&mut self) {
        if !self.subscribed {
            self.subscribe().await;
        }
        if self.subscribed
            && !self.work.consumers.is_empty()
            && let Err(error) = store::relay(&self.db, RELAYED_AT_ONCE).await
        {
            report("turn events into jobs", &error);
        }
        self.fill().await;
    }

    /// Leases as many jobs as there is room for.
    async fn fill(&mut self) {
        while let Some(ended) = self.running.try_join_next_with_id() {
            self.forget(ended);
        }
        let room = self.config.at_once.saturating_sub(self.running.len());
        if room == 0 {
            return;
        }
        let claimed = store::claim(&self.db, self.id, &self.names, room, self.config.lease).await;
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => return report("look for jobs", &error),
        };
        for claimed in claimed {
            let Some(job) = self.work.job(&claimed.name).cloned() else {
                continue;
            };
            let id = claimed.id;
            crate::failpoint::reach("job.claimed");
            let attempt = attempt::run(self.db.clone(), self.id, job, claimed);
            let handle = self.running.spawn(attempt);
            self.jobs.insert(handle.id(), (id, handle));
        }
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => error.id(),
        };
        self.jobs.remove(&id);
    }

    /// Reports that this worker is alive, aborts jobs that another worker has taken over, and takes over those of
    /// workers that stopped reporting.
    async fn beat(&mut self) {
        let ids: Vec<Uuid> = self.jobs.values().map(|(id, _)| *id).collect();
        if ids.is_empty() {
            self.heard = Instant::now();
        } else {
            match store::heartbeat(&self.db, self.id, &ids, self.config.lease).await {
                Ok(held) => {
                    self.heard = Instant::now();
                    self.abort(|id| !held.contains(&id));
                }
                Err(error) => {
                    report("say that this worker is alive", &error);
                    if self.heard.elapsed() > self.config.lease {
                        self.abort(|_| true);
                    }
                }
            }
        }
        match store::rescue(&self.db).await {
            Ok(0) => {}
            Ok(jobs) => tracing::warn!(jobs, "jobs were taken back from workers that are gone"),
            Err(error) => report("look for workers that are gone", &error),
        }
    }

    /// A job that has completed in the meantime is no longer in the queue either; its task ends by itself.
    fn abort(&self, which: impl Fn(Uuid) -> bool) {
        for (id, handle) in self.jobs.values().filter(|(id, _)| which(*id)) {
            if !handle.is_finished() {
                tracing::debug!(job = %id, "this worker does not have the job any more");
                handle.abort();
            }
        }
    }

    async fn tick(&mut self) {
        let names: Vec<&'static str> = self.work.periodic.iter().map(|one| one.job).collect();
        if names.is_empty() {
            return;
        }
        let ticks = match store::ticks(&self.db, &names).await {
            Ok(ticks) => ticks,
            Err(error) => return report("look at the time", &error),
        };
        let mut enqueued = false;
        for tick in ticks {
            let periodic = self.work.periodic.iter().find(|one| one.job == tick.name);
            let Some(periodic) = periodic else { continue };
            let Some(due) = periodic.due(tick.last_tick, tick.seen_at) else {
                continue;
            };
            let each = periodic.catch_up == CatchUp::All;
            match store::tick(&self.db, &tick, due.upto, &due.runs, each).await {
                Ok(ticked) => enqueued |= ticked,
                Err(error) => report("enqueue what comes round again", &error),
            }
        }
        if enqueued {
            self.fill().await;
        }
    }

    /// Lets running jobs finish for a while, then gives the others back to the queue.
    async fn stop(mut self, mut beat: tokio::time::Interval) {
        let until = tokio::time::Instant::now() + self.config.grace;
        while !self.running.is_empty() {
            tokio::select! {
                _ = beat.tick() => self.beat().await,
                ended = timeout_at(until, self.running.join_next_with_id()) => match ended {
                    Ok(Some(ended)) => self.forget(ended),
                    Ok(None) => break,
                    Err(_) => return self.give_back().await,
                },
            }
        }
    }

    async fn give_back(mut self) {
        let ids: Vec<Uuid> = self.jobs.values().map(|(id, _)| *id).collect();
        self.running.shutdown().await;
        match store::release(&self.db, self.id, &ids).await {
            Ok(jobs) => tracing::warn!(jobs, "stopping: unfinished jobs were given back"),
            Err(error) => report("give unfinished jobs back", &error),
        }
    }
}

/// Logs an error of the worker itself; it continues, because the next round may succeed. While the database is away there
/// are many rounds a second, so the same is reported only now and then.
fn report(what: &'static str, error: &Error) {
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(left_out) = due(&mut reported, what, Instant::now()) else {
        return;
    };
    let cause = error.cause();
    tracing::error!(what, %error, cause, left_out, "the queue of jobs");
}

/// When each kind of error was last reported, and how often it was left out since then.
type Reported = BTreeMap<&'static str, (Instant, u64)>;

static REPORTED: Mutex<Reported> = Mutex::new(BTreeMap::new());

const REPORTED_EVERY: Duration = Duration::from_secs(10);

/// How many errors of this kind were left out, if one is to be reported now.
fn due(reported: &mut Reported, what: &'static str, now: Instant) -> Option<u64> {
    match reported.get_mut(what) {
        Some((last, left_out)) if now.duration_since(*last) < REPORTED_EVERY => {
            *left_out += 1;
            None
        }
        before => {
            let left_out = before.map_or(0, |(_, left_out)| *left_out);
            reported.insert(what, (now, 0));
            Some(left_out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_error_is_reported_now_and_then_with_how_many_were_left_out() {
        let (mut reported, start) = (Reported::new(), Instant::now());
        let mut said =
            |what, seconds| due(&mut reported, what, start + Duration::from_secs(seconds));
        assert_eq!(said("look for jobs", 0), Some(0));
        assert_eq!(said("look for jobs", 1), None);
        assert_eq!(said("look at the time", 1), Some(0));
        assert_eq!(said("look for jobs", 9), None);
        assert_eq!(said("look for jobs", 10), Some(2));
        assert_eq!(said("look for jobs", 3600), Some(0));
    }
}
