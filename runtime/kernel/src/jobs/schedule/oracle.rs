//! JB9: compares schedules with an oracle that tests every minute by itself, without the code that computes the next
//! due time.

use super::*;
use chrono::{Datelike, LocalResult, NaiveDate, TimeZone, Timelike};
use proptest::{collection::vec, prelude::*, sample::select};
use std::collections::BTreeMap;

/// One field of an expression.
#[derive(Clone, Debug)]
enum Field {
    Any,
    Step(u32),
    Values(Vec<u32>),
    Range(u32, u32),
}

impl Field {
    fn text(&self) -> String {
        match self {
            Self::Any => "*".to_owned(),
            Self::Step(step) => format!("*/{step}"),
            Self::Values(values) => {
                let values: Vec<String> = values.iter().map(u32::to_string).collect();
                values.join(",")
            }
            Self::Range(first, last) => format!("{first}-{last}"),
        }
    }

    fn holds(&self, value: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Step(step) => value.is_multiple_of(*step),
            Self::Values(values) => values.contains(&value),
            Self::Range(first, last) => (*first..=*last).contains(&value),
        }
    }
}

fn values(least: u32, most: u32) -> impl Strategy<Value = Field> {
    let range = (least..=most, least..=most);
    prop_oneof![
        vec(least..=most, 1..4).prop_map(Field::Values),
        range.prop_map(|(a, b)| Field::Range(a.min(b), a.max(b))),
    ]
}

/// Of a clock.
fn hand(most: u32) -> impl Strategy<Value = Field> {
    prop_oneof![
        Just(Field::Any),
        (2_u32..=12).prop_map(Field::Step),
        values(0, most)
    ]
}

#[derive(Clone, Debug)]
struct Fields {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Fields {
    /// Days of the month and of the week are not both said: what that means is told differently everywhere.
    fn some() -> impl Strategy<Value = Self> {
        let days = prop_oneof![
            Just((Field::Any, Field::Any)),
            values(1, 28).prop_map(|day| (day, Field::Any)),
            values(0, 6).prop_map(|weekday| (Field::Any, weekday)),
        ];
        let month = prop_oneof![3 => Just(Field::Any), 1 => values(1, 12)];
        (hand(59), hand(23), days, month).prop_map(|(minute, hour, (day, weekday), month)| Self {
            minute,
            hour,
            day,
            month,
            weekday,
        })
    }

    fn expression(&self) -> &'static str {
        let fields = [
            &self.minute,
            &self.hour,
            &self.day,
            &self.month,
            &self.weekday,
        ];
        leaked(fields.map(Field::text).join(" "))
    }

    fn hold(&self, time: DateTime<Tz>) -> bool {
        self.minute.holds(time.minute())
            && self.hour.holds(time.hour())
            && self.day.holds(time.day())
            && self.month.holds(time.month())
            && self.weekday.holds(time.weekday().num_days_from_sunday())
    }

    /// Each minute of (last, now] at which they hold.
    fn between(&self, zone: Tz, last: DateTime<Utc>, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let first = last.timestamp().div_euclid(60) + 1;
        let minutes = first..=now.timestamp().div_euclid(60);
        let times = minutes.filter_map(|minute| DateTime::from_timestamp(minute * 60, 0));
        times
            .filter(|time| self.hold(time.with_timezone(&zone)))
            .collect()
    }
}

/// Schedules live as long as the program.
fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn periodic(schedule: Schedule, catch_up: CatchUp) -> Periodic {
    Periodic {
        job: "a.b",
        schedule,
        catch_up,
    }
}

/// Everything in (last, now], part by part.
fn all(schedule: Schedule, mut last: DateTime<Utc>, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let all = periodic(schedule, CatchUp::All);
    let mut runs = Vec::new();
    while let Some(due) = all.due(last, now) {
        last = due.upto;
        runs.extend(due.runs);
    }
    runs
}

fn newest(schedule: Schedule, last: DateTime<Utc>, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let due = periodic(schedule, CatchUp::Last).due(last, now);
    due.map(|due| due.runs).unwrap_or_default()
}

/// Some second of 2026 and 2027.
fn some_time() -> impl Strategy<Value = DateTime<Utc>> {
    (1_767_225_600_i64..1_830_297_600)
        .prop_map(|second| DateTime::from_timestamp(second, 0).expect("a time"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Where clocks never change.
    #[test]
    fn jb9_an_expression_means_every_minute_that_it_says(
        fields in Fields::some(), last in some_time(), seconds in 0_i64..200_000,
        zone in select(&["UTC", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Honolulu"][..])
    ) {
        let schedule = Schedule::Cron { expression: fields.expression(), zone };
        let now = last + TimeDelta::seconds(seconds);
        let expected = fields.between(zone.parse().expect("a zone"), last, now);
        prop_assert_eq!(all(schedule, last, now), &expected[..]);
        let last_one = expected.last().copied();
        prop_assert_eq!(newest(schedule, last, now), Vec::from_iter(last_one));
    }

    #[test]
    fn jb9_every_so_often_is_at_each_multiple(
        every in 1_u64..5_000, last in some_time(), seconds in 0_i64..20_000
    ) {
        let schedule = Schedule::Every(Duration::from_secs(every));
        let now = last + TimeDelta::seconds(seconds);
        let all_seconds = last.timestamp() + 1..=now.timestamp();
        let expected: Vec<_> = all_seconds
            .filter(|second| second.rem_euclid(every as i64) == 0)
            .filter_map(|second| DateTime::from_timestamp(second, 0))
            .collect();
        prop_assert_eq!(all(schedule, last, now), &expected[..]);
        prop_assert_eq!(newest(schedule, last, now), Vec::from_iter(expected.last().copied()));
    }

    /// Where they do: once a day, at that time unless the clocks skip it, whenever somebody looked in between.
    #[test]
    fn jb9_a_daily_time_comes_once_a_day(
        hour in 0_u32..24, minute in 0_u32..60, last in some_time(), split in 0_i64..1_728_000,
        zone in select(&["Europe/Zurich", "Australia/Sydney", "America/New_York", "Pacific/Auckland"][..])
    ) {
        let expression = leaked(format!("{minute} {hour} * * *"));
        let schedule = Schedule::Cron { expression, zone };
        let now = last + TimeDelta::days(20);
        let runs = all(schedule, last, now);
        let zone: Tz = zone.parse().expect("a zone");
        let mut days = BTreeMap::<NaiveDate, usize>::new();
        for run in &runs {
            let local = run.with_timezone(&zone);
            *days.entry(local.date_naive()).or_default() += 1;
            let meant = local.date_naive().and_hms_opt(hour, minute, 0).expect("a time");
            if !matches!(zone.from_local_datetime(&meant), LocalResult::None) {
                prop_assert_eq!(local.naive_local(), meant);
            }
        }
        // The first and the last day may lie in the time in part.
        let whole = last.with_timezone(&zone).date_naive().iter_days().skip(1).take(18);
        for day in whole {
            prop_assert_eq!(days.get(&day), Some(&1), "{} {}", day, expression);
        }
        let between = last + TimeDelta::seconds(split);
        let mut parts = all(schedule, last, between);
        parts.extend(all(schedule, between, now));
        prop_assert_eq!(parts, runs);
    }
}
