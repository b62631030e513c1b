//! The query string of the audit log's list; all mistakes at once.

use axum::extract::Query as Pairs;
use kernel::{
    Error, Result,
    audit::Asked,
    cursor::{CursorKey, MAX_LENGTH, Scope},
    problem::{Item, Problem},
    problems,
};
use uuid::Uuid;

const LIMIT: i32 = 20;
const LIMIT_MAX: i32 = 100;

#[derive(Debug, Default)]
pub struct Query {
    entity_type: Option<String>,
    entity_id: Option<Uuid>,
    performed_by: Option<Uuid>,
    limit: Option<i32>,
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
            if let Err((code, detail)) = query.set(&name, &value) {
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

    fn set(&mut self, name: &str, value: &str) -> Result<(), (&'static str, &'static str)> {
        let id = || {
            let id = Uuid::try_parse(value).ok().filter(|_| value.len() == 36);
            id.ok_or(("format", "Use a UUID."))
        };
        match name {
            "entity_type" => self.entity_type = Some(kind(value)?),
            "entity_id" => self.entity_id = Some(id()?),
            "performed_by" => self.performed_by = Some(id()?),
            "limit" => self.limit = Some(limit(value)?),
            "cursor" if (1..=MAX_LENGTH).contains(&value.len()) => {
                self.cursor = Some(value.to_owned());
            }
            "cursor" => return Err(("length", "Send `next_cursor` of the page before.")),
            _ => return Err(("unknown", "This route has no such parameter.")),
        }
        Ok(())
    }

    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(LIMIT) as usize
    }

    /// With one entry more than the page has, which says whether there is another page.
    pub fn asked(&self, key: &CursorKey, user: Uuid) -> Result<Asked> {
        let before = match &self.cursor {
            None => None,
            Some(cursor) => Some(self.place(key, user, cursor)?),
        };
        Ok(Asked {
            entity_type: self.entity_type.clone(),
            entity_id: self.entity_id,
            performed_by: self.performed_by,
            before,
            limit: self.limit.unwrap_or(LIMIT) + 1,
        })
    }

    /// The page ends with the entry of this id.
    pub fn cursor(&self, key: &CursorKey, user: Uuid, last: i64) -> String {
        self.scope(key, user)
            .seal(Some(&last.to_string()), Uuid::nil())
    }

    fn place(&self, key: &CursorKey, user: Uuid, cursor: &str) -> Result<i64> {
        let (last, _) = self.scope(key, user).open(cursor)?;
        last.and_then(|last| last.parse().ok())
            .ok_or_else(|| Error::new(&problems::CURSOR))
    }

    /// A cursor belongs to its filters and its reader.
    fn scope(&self, key: &CursorKey, user: Uuid) -> Scope {
        let mut scope = key.scope();
        scope.part(b"audit-logs");
        scope.part(user.as_bytes());
        scope.part(self.entity_type.as_deref().unwrap_or_default().as_bytes());
        for id in [self.entity_id, self.performed_by] {
            scope.part(id.as_ref().map_or(&[][..], |id| id.as_bytes()));
        }
        scope
    }
}

fn kind(value: &str) -> Result<String, (&'static str, &'static str)> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if (1..=63).contains(&value.len()) && value.chars().all(is_name) {
        Ok(value.to_owned())
    } else {
        Err(("format", "Use the name of an entity, like `event`."))
    }
}

fn limit(value: &str) -> Result<i32, (&'static str, &'static str)> {
    let limit = value.parse().ok();
    limit
        .filter(|limit| (1..=LIMIT_MAX).contains(limit))
        .ok_or(("range", "Use a whole number from 1 to 100."))
}
