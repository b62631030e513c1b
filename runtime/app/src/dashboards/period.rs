//! The query parameters of a dashboard: the first and last day of the period, and the length of its buckets.

use axum::{extract::Query as Pairs, http::Uri};
use chrono::{NaiveDate, TimeDelta, Utc};
use kernel::{
    Error, Result,
    own::Asked,
    problem::{Item, refuse},
    problems,
    value::parse_id,
};
use uuid::Uuid;

/// The maximum and the default length of a period, in days.
#[derive(Clone, Copy, Debug)]
pub struct Days {
    pub most: i64,
    pub usual: i64,
    /// Whether the default period begins today; otherwise it ends today.
    pub ahead: bool,
}

/// The parameters that a route accepts.
pub struct Takes {
    /// The names of the parameters.
    pub parameters: &'static [&'static str],
    /// The possible lengths of buckets, and the lengths of periods with such buckets. The first is the default.
    pub buckets: &'static [(&'static str, Days)],
}

/// The requested period; defaults are not yet filled in.
#[derive(Debug)]
pub struct Period {
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    bucket: &'static str,
    days: Days,
    country: Option<Uuid>,
    city: Option<Uuid>,
}

/// A period; both days are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    pub from: NaiveDate,
    pub to: NaiveDate,
}

/// The code and the sentence of an error.
type Fault = (&'static str, &'static str);

impl Period {
    /// Parses the query string; reports all errors at once.
    pub fn read(uri: &Uri, takes: &Takes) -> Result<Self> {
        Self::read_on(uri, takes, earliest_today())
    }

    fn read_on(uri: &Uri, takes: &Takes, earliest: NaiveDate) -> Result<Self> {
        let Pairs(pairs) = Pairs::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Error::new(&problems::BAD_REQUEST))?;
        let mut period = Self::new(takes.buckets[0]);
        let mut wrong = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in pairs {
            let outcome = match name.as_str() {
                _ if seen.contains(&name) => Err(("repeated", "Give each parameter once.")),
                "bucket" if takes.parameters.contains(&"bucket") => {
                    if let Err(detail) = period.set_bucket(&value, takes) {
                        wrong.push(Item::query(name.clone(), "choice", detail));
                    }
                    Ok(())
                }
                known if takes.parameters.contains(&known) => period.set(&name, &value),
                _ => Err(("unknown", "This route has no such parameter.")),
            };
            if let Err((code, detail)) = outcome {
                wrong.push(Item::query(name.clone(), code, detail));
            }
            seen.push(name);
        }
        // The length is not checked if one of the ends is invalid.
        let is_end = |item: &Item| matches!(item.parameter.as_deref(), Some("from" | "to"));
        if !wrong.iter().any(is_end) {
            wrong.extend(period.misfit(earliest));
        }
        refuse(wrong)?;
        Ok(period)
    }

    /// The period of a list, whose query string is parsed by its own rules. Errors are reported together with the
    /// list's.
    pub fn of(asked: &mut Asked, days: Days) -> Self {
        let mut period = Self::new(("day", days));
        let mut is_known = true;
        for name in ["from", "to"] {
            if let Some(value) = asked.text(name)
                && let Err((code, detail)) = period.set(name, &value)
            {
                asked.refuse(name, code, detail);
                is_known = false;
            }
        }
        if is_known && let Some(item) = period.misfit(earliest_today()) {
            asked.refuse("to", item.code, item.detail);
        }
        period
    }

    fn new((bucket, days): (&'static str, Days)) -> Self {
        Self {
            from: None,
            to: None,
            bucket,
            days,
            country: None,
            city: None,
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        const DAY: Fault = ("format", "Use a day, like `2030-06-01`.");
        const ID: Fault = ("format", "Use a UUID.");
        let day = || {
            let day: NaiveDate = value.parse().ok().filter(|_| value.len() == 10)?;
            // Years that are well within the range of the database's dates.
            (1900..=9000)
                .contains(&chrono::Datelike::year(&day))
                .then_some(day)
        };
        match name {
            "from" => self.from = Some(day().ok_or(DAY)?),
            "to" => self.to = Some(day().ok_or(DAY)?),
            "country_id" => self.country = Some(parse_id(value).ok_or(ID)?),
            _ => self.city = Some(parse_id(value).ok_or(ID)?),
        }
        Ok(())
    }

    fn set_bucket(&mut self, value: &str, takes: &Takes) -> Result<(), String> {
        let mut known = takes.buckets.iter().copied();
        let found = known.find(|(name, _)| *name == value);
        (self.bucket, self.days) = found.ok_or_else(|| {
            let names: Vec<&str> = takes.buckets.iter().map(|(name, _)| *name).collect();
            format!("Use one of: {}.", names.join(", "))
        })?;
        Ok(())
    }

    /// The length of the buckets.
    pub fn bucket(&self) -> &'static str {
        self.bucket
    }

    pub fn country(&self) -> Option<Uuid> {
        self.country
    }

    pub fn city(&self) -> Option<Uuid> {
        self.city
    }

    /// The requested days, with defaults relative to `today`. An error if the period is too long.
    pub fn between(&self, today: NaiveDate) -> Result<Between> {
        refuse(self.misfit(today).into_iter().collect())?;
        Ok(self.ends(today))
    }

    fn ends(&self, today: NaiveDate) -> Between {
        let usual = TimeDelta::days(self.days.usual - 1);
        let (from, to) = match (self.from, self.to) {
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) if self.days.ahead => (from, from + usual),
            (Some(from), None) => (from, today.max(from)),
            (None, Some(to)) => (to - usual, to),
            (None, None) if self.days.ahead => (today, today + usual),
            (None, None) => (today - usual, today),
        };
        Between { from, to }
    }

    /// Why the period is invalid: it ends before it begins, or is too long.
    fn misfit(&self, today: NaiveDate) -> Option<Item> {
        let Between { from, to } = self.ends(today);
        let most = self.days.most;
        let detail = match (to - from).num_days() + 1 {
            ..1 => "`to` must not be before `from`.".to_owned(),
            length if length > most => format!("At most {most} days, both included."),
            _ => return None,
        };
        Some(Item::query("to", "range", detail))
    }
}

/// A day that is not later than today in any time zone. A period that is too long for it is too long in every zone;
/// the zone that applies is only known after the permission check.
fn earliest_today() -> NaiveDate {
    Utc::now().date_naive() - TimeDelta::days(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAYS: Days = Days {
        most: 31,
        usual: 7,
        ahead: false,
    };

    const TAKES: Takes = Takes {
        parameters: &["from", "to"],
        buckets: &[("day", DAYS)],
    };

    fn read(text: &str) -> Result<Between> {
        let uri = format!("/x?{text}").parse().expect("a URI");
        let today = NaiveDate::from_ymd_opt(2030, 6, 15).expect("a day");
        Period::read_on(&uri, &TAKES, today)?.between(today)
    }

    #[test]
    fn a_period_is_bounded_and_has_both_ends() {
        let shown = |text: &str| {
            let Between { from, to } = read(text).expect(text);
            format!("{from} {to}")
        };
        assert_eq!(shown(""), "2030-06-09 2030-06-15");
        assert_eq!(shown("from=2030-06-01"), "2030-06-01 2030-06-15");
        assert_eq!(shown("to=2030-01-07"), "2030-01-01 2030-01-07");
        assert_eq!(
            shown("from=2030-01-01&to=2030-01-31"),
            "2030-01-01 2030-01-31"
        );
        assert_eq!(
            shown("from=2030-01-01&to=2030-01-01"),
            "2030-01-01 2030-01-01"
        );
        for wrong in [
            "from=2030-01-01&to=2030-02-01",
            "from=2030-01-01",
            "from=2030-01-02&to=2030-01-01",
            "from=2030-1-2",
            "from=9999-12-31",
            "from=2030-01-01&from=2030-01-01",
            "city_id=0",
        ] {
            assert_eq!(read(wrong).expect_err(wrong).status(), 422, "{wrong}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        const HOURS: Days = Days { most: 2, ..DAYS };
        const TAKES: Takes = Takes {
            parameters: &["bucket", "from", "to", "city_id"],
            buckets: &[("day", DAYS), ("hour", HOURS)],
        };
        let told = |text: &str| -> Vec<String> {
            let uri = format!("/x?{text}").parse().expect("a URI");
            let refused = Period::read(&uri, &TAKES).expect_err(text);
            let items = refused.problem().errors.iter();
            items
                .map(|item| format!("{} {}", item.parameter.as_deref().expect("one"), item.code))
                .collect()
        };
        for (text, all) in [
            (
                "bucket=week&from=2030-01-01&to=2030-02-01&city_id=1&x=1",
                &["bucket choice", "city_id format", "x unknown", "to range"][..],
            ),
            (
                "from=2030-01-02&to=2030-01-01&bucket=hour&bucket=day",
                &["bucket repeated", "to range"],
            ),
            (
                "from=2030-01-01&to=2030-01-03&bucket=hour&x=1",
                &["x unknown", "to range"],
            ),
            // Up to today, whatever day that is.
            ("from=2000-01-01&x=1", &["x unknown", "to range"]),
            ("from=soon&to=2030-01-03", &["from format"]),
        ] {
            assert_eq!(told(text), all, "{text}");
        }
    }
}
