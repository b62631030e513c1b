//! The query string of the list of dead jobs; all errors are reported at once.

use axum::extract::Query as Pairs;
use kernel::{
    Error, Result,
    cursor::{CursorKey, MAX_LENGTH, Scope},
    problem::{Item, Problem},
    problems,
};
use uuid::Uuid;

const LIMIT: usize = 20;
const LIMIT_MAX: usize = 100;
/// A job's name: the module's name, a dot, and the name within the module.
const NAME_MAX: usize = 127;

#[derive(Debug, Default)]
pub struct Query {
    name: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

impl Query {
    pub fn read(text: &str) -> Result<Self> {
        let uri = format!("/?{text}").parse().map_err(Error::internal)?;
        let Pairs(pairs) = Pairs::<Vec<(String, String)>>::try_from_uri(&uri)
            .map_err(|_| Error::new(&problems::BAD_REQUEST))?;
        let mut query = Self::default();
        let mut wrong = Vec::new();
        let mut seen = Vec::new();
        for (name, value) in pairs {
            if seen.contains(&name) {
                wrong.push(Item::query(name, "repeated", "Give each parameter once."));
                continue;
            }
            if let Err((code, detail)) = query.set(&name, value) {
                wrong.push(Item::query(name.clone(), code, detail));
            }
            seen.push(name);
        }
        if wrong.is_empty() {
            return Ok(query);
        }
        let mut problem = Problem::new(&problems::INVALID);
        problem.errors = wrong;
        Err(problem.into())
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), (&'static str, &'static str)> {
        match name {
            "name" if is_job(&value) => self.name = Some(value),
            "name" => return Err(("format", "Use the name of a job, like `sessions.mail`.")),
            "limit" => {
                let limit = value.parse().ok();
                let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit));
                self.limit = Some(limit.ok_or(("range", "Use a whole number from 1 to 100."))?);
            }
            "cursor" if (1..=MAX_LENGTH).contains(&value.len()) => self.cursor = Some(value),
            "cursor" => return Err(("length", "Send `next_cursor` of the page before.")),
            _ => return Err(("unknown", "This route has no such parameter.")),
        }
        Ok(())
    }

    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(LIMIT)
    }

    /// The place below which the page begins. None: the first page.
    pub fn before(&self, key: &CursorKey, user: Uuid) -> Result<Option<i64>> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let (place, _) = self.scope(key, user).open(cursor)?;
        let place = place.and_then(|place| place.parse().ok());
        Ok(Some(place.ok_or_else(|| Error::new(&problems::CURSOR))?))
    }

    /// The cursor for the page after the job at this place.
    pub fn cursor(&self, key: &CursorKey, user: Uuid, place: i64) -> String {
        self.scope(key, user)
            .seal(Some(&place.to_string()), Uuid::nil())
    }

    /// A cursor is only valid for the same filter and the same member.
    fn scope(&self, key: &CursorKey, user: Uuid) -> Scope {
        let mut scope = key.scope();
        scope.part(b"dead-jobs");
        scope.part(user.as_bytes());
        scope.part(self.name.as_deref().unwrap_or_default().as_bytes());
        scope
    }
}

fn is_job(value: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    (3..=NAME_MAX).contains(&value.len()) && value.chars().all(good)
}
