//! The query string of a dashboard: from which day to which, in buckets of what length.

use axum::{extract::Query as Pairs, http::Uri};
use chrono::{NaiveDate, TimeDelta};
use kernel::{
    Error, Result,
    problem::{Item, Problem},
    problems,
};
use uuid::Uuid;

/// How long a period may be, and how long it is unless somebody says otherwise.
#[derive(Clone, Copy)]
pub struct Days {
    pub most: i64,
    pub usual: i64,
    /// The usual one ends today; or it begins today.
    pub ahead: bool,
}

/// What was asked for; nothing is taken for granted yet.
#[derive(Debug, Default)]
pub struct Period {
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    bucket: Option<String>,
    country: Option<Uuid>,
    city: Option<Uuid>,
}

/// A period, both days included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    pub from: NaiveDate,
    pub to: NaiveDate,
}

impl Period {
    /// All that is wrong with it at once. `known` are the parameters that the route has.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Self> {
        let Pairs(pairs) = Pairs::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Error::new(&problems::BAD_REQUEST))?;
        let mut period = Self::default();
        let mut wrong = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in pairs {
            let outcome = match name.as_str() {
                _ if seen.contains(&name) => Err(("repeated", "Give each parameter once.")),
                known_name if known.contains(&known_name) => period.set(&name, &value),
                _ => Err(("unknown", "This route has no such parameter.")),
            };
            if let Err((code, detail)) = outcome {
                wrong.push(Item::query(name.clone(), code, detail));
            }
            seen.push(name);
        }
        refused(wrong)?;
        Ok(period)
    }

    /// Of a list, which has read its own query string.
    pub fn of(from: Option<String>, to: Option<String>) -> Result<Self> {
        let mut period = Self::default();
        let mut wrong = Vec::new();
        for (name, value) in [("from", from), ("to", to)] {
            if let Some(value) = value
                && let Err((code, detail)) = period.set(name, &value)
            {
                wrong.push(Item::query(name.to_owned(), code, detail));
            }
        }
        refused(wrong)?;
        Ok(period)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), (&'static str, &'static str)> {
        const DAY: (&str, &str) = ("format", "Use a day, like `2030-06-01`.");
        let day = || {
            let day: NaiveDate = value.parse().ok().filter(|_| value.len() == 10)?;
            // Far enough from the ends of what the database counts in.
            (1900..=9000)
                .contains(&chrono::Datelike::year(&day))
                .then_some(day)
        };
        let uuid = || Uuid::try_parse(value).ok().filter(|_| value.len() == 36);
        match name {
            "from" => self.from = Some(day().ok_or(DAY)?),
            "to" => self.to = Some(day().ok_or(DAY)?),
            "bucket" if ["day", "hour", "month"].contains(&value) => {
                self.bucket = Some(value.to_owned());
            }
            "bucket" => return Err(("choice", "Use one of the lengths that the document names.")),
            "country_id" => self.country = Some(uuid().ok_or(("format", "Use a UUID."))?),
            _ => self.city = Some(uuid().ok_or(("format", "Use a UUID."))?),
        }
        Ok(())
    }

    /// One of these lengths, the first unless another was asked for.
    pub fn bucket(&self, of: [&'static str; 2]) -> Result<&'static str> {
        let Some(bucket) = &self.bucket else {
            return Ok(of[0]);
        };
        let found = of.into_iter().find(|name| name == bucket);
        found.ok_or_else(|| {
            let detail = "Use one of the lengths that the document names.";
            let item = Item::query("bucket".to_owned(), "choice", detail);
            Error::new(&problems::INVALID).item(item)
        })
    }

    pub fn country(&self) -> Option<Uuid> {
        self.country
    }

    pub fn city(&self) -> Option<Uuid> {
        self.city
    }

    /// The days that are asked for, where it is `today` now.
    pub fn between(&self, today: NaiveDate, days: Days) -> Result<Between> {
        let usual = TimeDelta::days(days.usual - 1);
        let (from, to) = match (self.from, self.to) {
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) if days.ahead => (from, from + usual),
            (Some(from), None) => (from, today.max(from)),
            (None, Some(to)) => (to - usual, to),
            (None, None) if days.ahead => (today, today + usual),
            (None, None) => (today - usual, today),
        };
        let length = (to - from).num_days() + 1;
        if length < 1 {
            let detail = "It begins before it ends.";
            refused(vec![Item::query("to".to_owned(), "range", detail)])?;
        }
        if length > days.most {
            let detail = format!("At most {} days, both included.", days.most);
            refused(vec![Item::query("to".to_owned(), "range", detail)])?;
        }
        Ok(Between { from, to })
    }
}

fn refused(wrong: Vec<Item>) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    let mut problem = Problem::new(&problems::INVALID);
    problem.errors = wrong;
    Err(problem.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAYS: Days = Days {
        most: 31,
        usual: 7,
        ahead: false,
    };

    fn read(text: &str) -> Result<Between> {
        let uri = format!("/x?{text}").parse().expect("a URI");
        let today = NaiveDate::from_ymd_opt(2030, 6, 15).expect("a day");
        Period::read(&uri, &["from", "to"])?.between(today, DAYS)
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
}
