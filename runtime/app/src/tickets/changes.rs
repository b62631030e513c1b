//! Lists of tickets that can also be read as changes: all tickets in the order of their ids, or those that have changed
//! since `changed_since`, in the order of the changes.
//!
//! A client reads all tickets once, and passes the `as_of` of that answer as `changed_since` the next time. `as_of` is
//! that of the first page and lies before the beginning of every transaction that had not ended then, so that changes
//! committed late are included the next time.

use chrono::{DateTime, Utc};
use kernel::{
    Cx, Result,
    own::{Asked, parameter},
    resource::{Filter, Kind},
};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// By how much `as_of` lies in the past at least. Open transactions of servers are taken into account in addition;
/// changes made by hand are not.
const TOLD_AGAIN: &str = "2 minutes";

pub(super) const CHANGED_SINCE: Filter = parameter("changed_since", Kind::Time);

/// The position at which a page ended, for both orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub as_of: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [as_of, changed_at] = [self.as_of, self.changed_at].map(|time| time.to_rfc3339());
        write!(f, "{as_of} {changed_at}")
    }
}

impl FromStr for Mark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (as_of, changed_at) = text.split_once(' ').ok_or(())?;
        Ok(Self {
            as_of: as_of.parse().map_err(drop)?,
            changed_at: changed_at.parse().map_err(drop)?,
        })
    }
}

/// The position of the requested page.
#[derive(Clone, Copy)]
pub(super) struct Walk {
    changed_since: Option<DateTime<Utc>>,
    before: Option<(Mark, Uuid)>,
    pub rows: i64,
}

impl Walk {
    pub fn of(asked: &Asked) -> Result<Self> {
        Ok(Self {
            changed_since: asked.begin("changed_since"),
            before: asked.after()?,
            rows: asked.rows(),
        })
    }

    /// All tickets whose ids follow `after`, in the order of their ids.
    pub fn behind(after: Option<Uuid>, rows: i64) -> Self {
        let mark = Mark {
            as_of: DateTime::UNIX_EPOCH,
            changed_at: DateTime::UNIX_EPOCH,
        };
        Self {
            changed_since: None,
            before: after.map(|id| (mark, id)),
            rows,
        }
    }

    /// The page has changes after this time, and of the same time those with ids after [`Walk::after`]. None: the list
    /// is in the order of ids.
    pub fn changed(&self) -> Option<DateTime<Utc>> {
        let begin = self.changed_since?;
        Some(self.before.map_or(begin, |(mark, _)| mark.changed_at))
    }

    /// The id after which the page begins; nil, which is smaller than every id, on the first page.
    pub fn after(&self) -> Uuid {
        self.before.map(|(_, id)| id).unwrap_or_default()
    }

    /// The `as_of` of the answer. Must be called before the tickets are read, so that every transaction whose changes
    /// are not visible yet is still seen as open.
    pub async fn as_of(&self, cx: &mut Cx) -> Result<DateTime<Utc>> {
        if let Some((mark, _)) = self.before {
            return Ok(mark.as_of);
        }
        let as_of = sqlx::query_scalar("select app.changes_told_until($1::text::interval)")
            .bind(TOLD_AGAIN);
        Ok(as_of.fetch_one(cx.conn()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is_one() {
        let mark = Mark {
            as_of: "2040-05-01T18:00:00.000001Z".parse().unwrap(),
            changed_at: "2040-05-01T18:00:00Z".parse().unwrap(),
        };
        assert_eq!(mark.to_string().parse(), Ok(mark));
        // The marks of cursors from before `changed_since` existed.
        for old in ["", "2040-05-01T18:00:00+00:00"] {
            assert_eq!(old.parse::<Mark>(), Err(()));
        }
    }
}
