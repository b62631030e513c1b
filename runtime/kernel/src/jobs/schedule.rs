//! When a periodic job is due, and what happens to due times that passed while no worker ran.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use std::{str::FromStr, time::Duration};

/// A periodic job: enqueued once for each due time, by all processes together.
#[derive(Clone, Copy, Debug)]
pub struct Periodic {
    /// Name of the job; its payload has the due time as `tick`.
    pub job: &'static str,
    pub schedule: Schedule,
    pub catch_up: CatchUp,
}

#[derive(Clone, Copy, Debug)]
pub enum Schedule {
    /// At multiples of this interval, counted from 1970.
    Every(Duration),
    /// A cron expression of five fields, or six with seconds first, in a time zone (`Europe/Zurich`, `UTC`). A time
    /// that the clocks skip in spring runs afterwards; an hour that comes twice in autumn counts once.
    Cron {
        expression: &'static str,
        zone: &'static str,
    },
}

/// What happens to due times that were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// They are skipped.
    None,
    /// The job runs once for the last of them.
    Last,
    /// The job runs for each of them.
    All,
}

/// A due time older than this counts as missed.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// How many runs are enqueued at once; the rest follows in the next round.
const AT_ONCE: usize = 1000;

/// The runs to enqueue, and the time up to which these are all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub runs: Vec<DateTime<Utc>>,
    pub upto: DateTime<Utc>,
}

impl Periodic {
    /// A job that runs at multiples of this interval. After a pause of all workers it runs once.
    pub const fn every(job: &'static str, interval: Duration) -> Self {
        Self {
            job,
            schedule: Schedule::Every(interval),
            catch_up: CatchUp::Last,
        }
    }

    /// A job that runs at the times of a cron expression in UTC. After a pause of all workers it runs once.
    pub const fn cron(job: &'static str, expression: &'static str) -> Self {
        Self {
            job,
            schedule: Schedule::Cron {
                expression,
                zone: "UTC",
            },
            catch_up: CatchUp::Last,
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let now = DateTime::UNIX_EPOCH;
        match self.schedule {
            Schedule::Every(every) if every < Duration::from_secs(1) => Err(format!(
                "`{}` can't come round in less than a second",
                self.job
            )),
            Schedule::Every(_) => Ok(()),
            Schedule::Cron { expression, zone } => next(expression, zone, now)
                .map(drop)
                .map_err(|error| format!("the schedule of `{}`: {error}", self.job)),
        }
    }

    /// `None`: nothing is due since `last`.
    pub(super) fn due(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<Due> {
        let ticks = match self.catch_up {
            CatchUp::All => self.ticks(last, now),
            CatchUp::None | CatchUp::Last => self.newest(last, now).into_iter().collect(),
        };
        let upto = *ticks.last()?;
        let forgotten = self.catch_up == CatchUp::None && now - upto > LATE;
        Some(Due {
            runs: if forgotten { Vec::new() } else { ticks },
            upto,
        })
    }

    /// The oldest due times in (last, now].
    fn ticks(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let next = |last: &DateTime<Utc>| self.next(*last).filter(|tick| *tick <= now);
        std::iter::successors(next(&last), next)
            .take(AT_ONCE)
            .collect()
    }

    fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.schedule {
            Schedule::Every(every) => {
                Some(multiple(every, after)? + TimeDelta::from_std(every).ok()?)
            }
            Schedule::Cron { expression, zone } => next(expression, zone, after).ok(),
        }
    }

    fn newest(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let newest = match self.schedule {
            Schedule::Every(every) => multiple(every, now),
            Schedule::Cron { expression, zone } => previous(expression, zone, now).ok(),
        };
        newest.filter(|newest| *newest > last)
    }
}

/// The last multiple of `every` that is not after `time`.
fn multiple(every: Duration, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let every = i64::try_from(every.as_millis()).ok()?;
    DateTime::from_timestamp_millis(time.timestamp_millis().div_euclid(every) * every)
}

fn next(expression: &str, zone: &str, after: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let (cron, zone) = parsed(expression, zone)?;
    let next = cron.find_next_occurrence(&after.with_timezone(&zone), false);
    next.map(|next| next.to_utc()).map_err(|e| e.to_string())
}

/// The last occurrence that is not after `time`.
fn previous(expression: &str, zone: &str, time: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let (cron, zone) = parsed(expression, zone)?;
    let previous = cron.find_previous_occurrence(&time.with_timezone(&zone), true);
    previous
        .map(|previous| previous.to_utc())
        .map_err(|e| e.to_string())
}

fn parsed(expression: &str, zone: &str) -> Result<(Cron, Tz), String> {
    let cron = Cron::from_str(expression).map_err(|e| format!("`{expression}`: {e}"))?;
    let zone = zone
        .parse()
        .map_err(|_| format!("there is no time zone `{zone}`"))?;
    Ok((cron, zone))
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn cron(expression: &'static str, zone: &'static str, catch_up: CatchUp) -> Periodic {
        Periodic {
            job: "a.b",
            schedule: Schedule::Cron { expression, zone },
            catch_up,
        }
    }

    fn every(seconds: u64, catch_up: CatchUp) -> Periodic {
        Periodic {
            job: "a.b",
            schedule: Schedule::Every(Duration::from_secs(seconds)),
            catch_up,
        }
    }

    #[test]
    fn six_hours_of_nobody_working_are_caught_up_with_as_declared() {
        let (last, now) = (time("2026-03-01T00:00:00Z"), time("2026-03-01T06:00:30Z"));
        for make in [
            |catch_up| cron("0 * * * *", "UTC", catch_up),
            |catch_up| every(3600, catch_up),
        ] {
            let all = make(CatchUp::All).due(last, now).unwrap();
            assert_eq!(all.runs.len(), 6);
            assert_eq!(
                (all.runs[0], all.upto),
                (time("2026-03-01T01:00:00Z"), time("2026-03-01T06:00:00Z"))
            );
            let one = make(CatchUp::Last).due(last, now).unwrap();
            assert_eq!(one.runs, [time("2026-03-01T06:00:00Z")]);
            // Half a minute late counts as on time; two minutes do not.
            assert_eq!(make(CatchUp::None).due(last, now), Some(one));
            let late = make(CatchUp::None)
                .due(last, now + TimeDelta::minutes(2))
                .unwrap();
            assert_eq!(
                (late.runs.len(), late.upto),
                (0, time("2026-03-01T06:00:00Z"))
            );
            assert_eq!(make(CatchUp::Last).due(all.upto, now), None);
        }
    }

    #[test]
    fn a_long_backlog_comes_in_parts_and_loses_nothing() {
        let schedule = every(1, CatchUp::All);
        let (mut last, now) = (time("2026-03-01T00:00:00Z"), time("2026-03-01T01:00:00Z"));
        let mut runs = 0;
        while let Some(due) = schedule.due(last, now) {
            assert!(due.runs.windows(2).all(|pair| pair[0] < pair[1]) && due.runs[0] > last);
            (last, runs) = (due.upto, runs + due.runs.len());
        }
        assert_eq!((last, runs), (now, 3600));
    }

    /// A daily job runs once a day, whatever the clocks do; the last due time found is the latest of all.
    #[test]
    fn clocks_that_change_neither_lose_nor_double_a_day() {
        for (zone, from) in [
            ("Europe/Zurich", "2026-03-20T00:00:00Z"),
            ("Europe/Zurich", "2026-10-18T00:00:00Z"),
            ("Australia/Sydney", "2026-03-29T00:00:00Z"),
            ("Australia/Sydney", "2026-09-27T00:00:00Z"),
            ("America/New_York", "2026-03-01T00:00:00Z"),
            ("UTC", "2026-03-01T00:00:00Z"),
        ] {
            for expression in ["30 2 * * *", "30 3 * * *", "0 12 * * *"] {
                let last = time(from);
                let now = last + TimeDelta::days(14);
                let all = cron(expression, zone, CatchUp::All).due(last, now).unwrap();
                assert_eq!(
                    all.runs.len(),
                    14,
                    "{expression} {zone} {from}: {:?}",
                    all.runs
                );
                let newest = cron(expression, zone, CatchUp::Last)
                    .due(last, now)
                    .unwrap();
                assert_eq!(newest.upto, all.upto, "{expression} {zone}");
            }
        }
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        assert!(cron("0 25 * * *", "UTC", CatchUp::All).check().is_err());
        assert!(cron("0 0 30 2 *", "UTC", CatchUp::All).check().is_err());
        assert!(
            cron("0 1 * * *", "Europe/Atlantis", CatchUp::All)
                .check()
                .is_err()
        );
        assert!(every(0, CatchUp::All).check().is_err());
        assert!(cron("*/10 * * * * *", "UTC", CatchUp::All).check().is_ok());
    }
}
