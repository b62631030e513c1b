//! Times of a refused body that have to be in the future and are not.
//!
//! Triggers of the tables refuse them (`future` in the spec), one at a time; here they are found together. What is past
//! is decided by the database's clock, as in the triggers.

use crate::{
    cx::Cx,
    error::Result,
    problem::Item,
    resource::{Answer, Constraint, Resource},
    value::{parse_date, parse_time},
};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value};

/// The code of these errors.
pub(super) const CODE: &str = "range";

/// The errors of the values that are not in the future, without those that are known to be wrong. `shown` is the object
/// to be changed, as the caller sees it; `None` for a new one. A value that it has already may be sent again.
pub(super) async fn past(
    cx: &mut Cx,
    resource: &Resource,
    shown: Option<&[u8]>,
    body: &Map<String, Value>,
    unsound: &[String],
) -> Result<Vec<Item>> {
    let applies = |rule: &&Constraint| match rule.answer {
        Answer::Future => true,
        Answer::FutureOnCreate => shown.is_none(),
        _ => false,
    };
    let mut rules = resource.constraints.iter().filter(applies).peekable();
    if rules.peek().is_none() {
        return Ok(Vec::new());
    }
    let shown: Map<String, Value> = shown
        .and_then(|shown| serde_json::from_slice(shown).ok())
        .unwrap_or_default();
    let sent: Vec<(&Constraint, Moment)> = rules
        .filter_map(|rule| {
            let name = rule.pointer.strip_prefix('/')?;
            let sent = Moment::of(body, name)?;
            let is_new = Moment::of(&shown, name) != Some(sent);
            let is_sound = !unsound.iter().any(|known| known == name);
            (is_new && is_sound).then_some((rule, sent))
        })
        .collect();
    if sent.is_empty() {
        return Ok(Vec::new());
    }
    let now: DateTime<Utc> = sqlx::query_scalar("select now()")
        .fetch_one(cx.conn())
        .await?;
    let past = sent.into_iter().filter(|(_, sent)| sent.is_past(now));
    Ok(past
        .map(|(rule, _)| Item::body(rule.pointer, CODE, rule.detail))
        .collect())
}

/// A value as the database stores it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// Microseconds since 1970.
    Time(i64),
    Date(NaiveDate),
}

impl Moment {
    /// `None` for null, and for what is refused as no time at all.
    fn of(object: &Map<String, Value>, name: &str) -> Option<Self> {
        let text = object.get(name)?.as_str()?;
        let time = parse_time(text).map(|time| Self::Time(time.timestamp_micros()));
        time.or_else(|| parse_date(text).map(Self::Date))
    }

    /// A date is a day of universal time.
    fn is_past(self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Time(time) => time <= now.timestamp_micros(),
            Self::Date(date) => date <= now.date_naive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_present_is_not_in_the_future() {
        let now = parse_time("2026-05-01T18:00:00Z").expect("a time");
        for (sent, is_past) in [
            ("2026-05-01T18:00:00Z", true),
            ("2026-05-01T20:00:00+02:00", true),
            ("2026-05-01T18:00:00.000001Z", false),
            ("2026-05-01T17:00:00-02:00", false),
            ("2026-05-01", true),
            ("2026-05-02", false),
        ] {
            let body = json!({"at": sent});
            let sent_at = Moment::of(body.as_object().expect("an object"), "at");
            assert_eq!(sent_at.map(|at| at.is_past(now)), Some(is_past), "{sent}");
        }
        let none = json!({"at": null, "text": "soon"});
        for name in ["at", "text", "other"] {
            assert_eq!(Moment::of(none.as_object().expect("an object"), name), None);
        }
    }
}
