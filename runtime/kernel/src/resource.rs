//! What generated code tells the engine about one entity: texts, rules and a few function pointers.
//!
//! One `static Resource` per entity, no generics: the request journeys are compiled once for all of them.
//! Knows no entity, runs nothing.

mod expand;
mod guarded;

pub use expand::{ACTIONS, Expand, Expanded};
pub use guarded::{GuardedColumn, GuardedUpdate};

use crate::{
    actor::Actor,
    input::{Format, Input},
    rule::Rule,
};
use sqlx::postgres::PgRow;
use std::borrow::Cow;

/// One entity as the engine sees it.
#[derive(Clone, Copy)]
pub struct Resource {
    /// `event`
    pub name: &'static str,
    /// `events`; also the table in schema `app` (with `_`).
    pub plural: &'static str,
    /// `events`, with `-` for `_`
    pub path: &'static str,
    pub lifecycle: Lifecycle,
    /// Whether some callers may not read some column: after a write, the answer is then read again through `sql.get`.
    pub guarded: bool,
    /// Whether some callers may create an object that they may not read.
    pub created_unseen: bool,
    /// Whether some callers may change an object into one that they may not read.
    pub hides: bool,
    /// Whether an answer with one object has `allowed_actions`.
    pub acts: bool,
    /// Default page size, 1..=100.
    pub page: u32,
    pub sql: Sql,
    pub rules: Rules,
    pub filters: &'static [Filter],
    /// The columns whose ids are part of the search documents, so that `q=` can be combined with filters on them.
    pub within: &'static [&'static str],
    /// Whether every row that anonymous callers may read may be read by all other callers too.
    pub public_to_all: bool,
    pub sorts: &'static [Sort],
    pub expands: &'static [Expand],
    pub children: &'static [Child],
    pub together: &'static [Together],
    pub transitions: &'static [Transition],
    /// The answer for each constraint by which the database may refuse a change.
    pub constraints: &'static [Constraint],
    /// Writes the row as members of a JSON object; see [`Resource::write`]. `Scope::One` answers carry `allowed_actions`.
    pub encode: fn(&PgRow, &mut Vec<u8>) -> Result<(), sqlx::Error>,
    /// `None`: there is no such route.
    pub create: Option<Decode>,
    /// Reads the body of PUT and PATCH alike; `None`: there are no such routes.
    pub update: Option<Decode>,
    /// Properties of an answer that no update changes. A body may repeat them.
    pub fixed: &'static [&'static str],
    /// Properties that change without an update, such as counters. Their values in a body are ignored.
    pub moving: &'static [&'static str],
    /// Actions with a hook: `create`, `update`, `archive`, verbs.
    pub hooks: &'static [&'static str],
}

impl Resource {
    /// Writes the row as a JSON object that starts with the entity's name: `{"object":"event","id":…}`.
    pub fn write(&self, row: &PgRow, out: &mut Vec<u8>) -> Result<(), sqlx::Error> {
        out.extend_from_slice(b"{\"object\":\"");
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'"');
        (self.encode)(row, out)?;
        out.push(b'}');
        Ok(())
    }

    /// The statement that reads one object, with the actions that this caller may do.
    pub fn get_text(&self, actor: &Actor) -> &'static str {
        match actor {
            Actor::Anonymous if !self.sql.get_anonymous.is_empty() => self.sql.get_anonymous,
            _ => self.sql.get,
        }
    }

    /// The statement of a list, with `rest` (`where …`, `order by …`) in its place.
    pub fn list_text(&self, rest: &str) -> String {
        [self.sql.list, rest, self.sql.list_end].concat()
    }

    /// Like [`Resource::get_text`], for several objects: `$1` is the list of their ids.
    pub fn get_several_text(&self, actor: &Actor) -> String {
        let start = self.get_text(actor).trim_end_matches("t.id = $1");
        [start, "t.id = any($1)"].concat()
    }

    /// The statement that reads the objects whose ids `pick` returns. `by_ids` ends with its list of ids.
    pub fn by_picked_text(&self, pick: &str) -> String {
        let start = self.sql.by_ids.trim_end_matches("any($1)");
        [start, "any(array(", pick, "))"].concat()
    }

    /// The statement of the update for the properties that the body gives (`Input::given`).
    pub fn update_text(&self, given: &[&str]) -> Cow<'static, str> {
        match self.sql.update_guarded {
            Some(update) if update.concerns(given) => update.text(given).into(),
            _ => self.sql.update.into(),
        }
    }
}

/// Reads a request body, checks every field, and reports all mistakes at once.
pub type Decode = fn(&[u8], crate::input::Mode) -> Result<Box<dyn Input>, crate::input::Invalid>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    SoftDelete,
    Mutable,
    AppendOnly,
}

/// Statement texts. `t` is always the entity's table. Empty text: the action does not exist.
#[derive(Clone, Copy)]
pub struct Sql {
    /// `select <columns>[, allowed_actions] from … where t.id = $1`
    pub get: &'static str,
    /// Like `get`, for anonymous callers if none of them may do anything: `allowed_actions` is then empty. Otherwise
    /// an empty text.
    pub get_anonymous: &'static str,
    /// `select <columns> from …` without `where`: the list builder completes it.
    pub list: &'static str,
    /// If some callers may not read some columns, `list` ends inside of a sub-select, and this text closes it: those
    /// columns are only read for the rows of the page.
    pub list_end: &'static str,
    /// For lists of which most callers may read few rows: how those are found.
    pub ways: Option<&'static Ways>,
    /// `select <columns> from … where t.id = any($1)`
    pub by_ids: &'static str,
    /// `insert into … returning <columns>` (guarded: `returning t.id, t.version`); arguments in the order of `Input::bind`.
    pub create: &'static str,
    /// `update … where t.id = $1 and <$2 is null or holds the version> returning <columns>` (guarded: `t.id, t.version`);
    /// then per updatable column a boolean "is given" and the value.
    /// Guarded columns stay untouched; see [`Resource::update_text`].
    pub update: &'static str,
    /// For entities with updatable columns that some callers may not read.
    pub update_guarded: Option<&'static GuardedUpdate>,
    /// `$1` id, `$2` the versions that will do, or null for any; `returning t.version`
    pub archive: &'static str,
    pub restore: &'static str,
    pub suspend: &'static str,
    pub unsuspend: &'static str,
    /// `select t.version, <status or 'active'> as status, <state or null> as state, array of the actions
    /// whose rule holds for this row (`update`, `delete`, `restore`, `suspend`, verbs) as may … where t.id = $1`
    pub probe: &'static str,
    /// How to find the country of national telephone numbers in a body. `None` if they are not accepted.
    pub national: Option<National>,
}

/// The ways in which rows name the caller. Every row that a caller may read is found by one of them, unless the caller
/// fulfils `walks`; not every row that is found may be read.
#[derive(Clone, Copy, Debug)]
pub struct Ways {
    /// The condition for callers who may read rows that don't name them, or of whom very many rows may be: they read
    /// the table in the order of the list, where a page is full soon.
    pub walks: &'static str,
    /// Queries for ids that depend on the caller: `select sec.mine_event_admin()`
    pub sets: &'static [&'static str],
    /// A column (`t.event_id`), and the position of the set of ids that it may have; `None`: the caller's own id.
    pub by: &'static [(&'static str, Option<usize>)],
}

/// How to find the country that a telephone number without a country code belongs to.
#[derive(Clone, Copy, Debug)]
pub struct National {
    /// The fields with telephone numbers: `phone`, or `social_links.whatsapp` within an object.
    pub fields: &'static [&'static str],
    /// The property of a body that leads to the country: a relation (`city_id`) or the country itself (`country`).
    /// Empty if a body has no such property.
    pub by: &'static str,
    /// Whether `by` is a relation.
    pub by_id: bool,
    /// The statement `select <ISO 3166-1> as country`, null if unknown. `$1` is the value of `by` or null, `$2` the id
    /// of the object or null, `$3` the caller's id or null.
    pub country: &'static str,
}

impl Sql {
    /// No statements; an entity's own statements replace those for the actions that it has.
    pub const NONE: Sql = Sql {
        get: "",
        get_anonymous: "",
        list: "",
        list_end: "",
        ways: None,
        by_ids: "",
        create: "",
        update: "",
        update_guarded: None,
        archive: "",
        restore: "",
        suspend: "",
        unsuspend: "",
        probe: "",
        national: None,
    };
}

#[derive(Clone, Copy)]
pub struct Rules {
    pub read: &'static Rule,
    pub create: &'static Rule,
    pub update: &'static Rule,
    pub delete: &'static Rule,
    pub restore: &'static Rule,
    pub suspend: &'static Rule,
}

/// A query parameter of the list.
#[derive(Debug)]
pub struct Filter {
    /// `city_id`, `starts_at`, `q`, `near`
    pub param: &'static str,
    /// SQL expression compared: `t.city_id`; for Search the function `app.events_search`; for Point the projection
    /// view `app.events_public`.
    pub sql: &'static str,
    pub kind: Kind,
    /// The SQL expression that is null for objects without a value, for `.null=`; empty if every object has a value.
    pub null: &'static str,
    /// For a Point: the view of the objects without a location of their own, at the location of a related object; or
    /// empty.
    pub beside: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Uuid,
    Text,
    /// A text of this format; the value sent is first brought into the form that is stored.
    Formatted(Format),
    /// Closed set; the values are in the API document.
    Enum(&'static [&'static str]),
    /// Several values of a closed set, separated by commas or in repeated parameters; only for lists written by hand.
    Set(&'static [&'static str]),
    Int,
    Bigint,
    Decimal,
    Bool,
    Time,
    Date,
    /// `q=`: words, beginnings of words and, in names, parts of words.
    Search,
    /// `near=lat,lng&radius_m=` and `bbox=west,south,east,north` over the public projection's column (same name).
    Point,
}

/// `sort=name` ascending, `sort=-name` descending; the id breaks ties.
#[derive(Debug)]
pub struct Sort {
    pub name: &'static str,
    /// `t.starts_at`, `counts.like_count`
    pub sql: &'static str,
    pub kind: Kind,
}

/// `GET /<parent>/{id}/<path>`: the child's list, held to this parent.
pub struct Child {
    pub path: &'static str,
    /// entity name of the child
    pub entity: &'static str,
    /// `t.event_id`, or the generated column of a `one of`: `t.entity_event_id`
    pub sql: &'static str,
}

/// Child objects that a body may contain, created together with their parent.
pub struct Together {
    /// The list in the body: `ticket_types`
    pub name: &'static str,
    /// entity name of the objects
    pub entity: &'static str,
    /// The column by which they refer to the parent: `event_id`
    pub column: &'static str,
    /// `host_type`
    pub type_column: Option<&'static str>,
    /// The greatest number of child objects in one body.
    pub max: usize,
}

pub struct Transition {
    /// `publish`
    pub name: &'static str,
    pub rule: &'static Rule,
    /// `$1` id, `$2` the versions that will do, or null for any; `returning t.version`
    pub sql: &'static str,
    /// states it starts from; empty for `set`
    pub from: &'static [&'static str],
    /// readable text of the `when` guard, for the 409
    pub when: Option<&'static str>,
    pub reason: bool,
}

pub struct Constraint {
    pub name: &'static str,
    pub answer: Answer,
    /// JSON pointer of the field to blame: `/slug`
    pub pointer: &'static str,
    pub detail: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 409
    Conflict,
    /// 422
    Invalid,
    /// 422 like `Invalid` for a caller who changes the field to blame; otherwise 409, because the violated check
    /// belongs to another row, which counts this row.
    Counted,
    /// 422: a time that has to be in the future when it is set or changed
    Future,
    /// 422: a time that has to be in the future when the row is created
    FutureOnCreate,
    /// 422, the one text for references that are missing, archived or unreadable
    Reference,
    /// 409: the last row of its kind can't be removed
    Kept,
    /// 429: the member has created as many as allowed in a day
    Quota,
    /// 409: a row that would be archived together with this row may not be archived
    Blocked,
}

impl Filter {
    pub const fn new(param: &'static str, sql: &'static str, kind: Kind) -> Self {
        Filter {
            param,
            sql,
            kind,
            null: "",
            beside: "",
        }
    }

    /// Objects without a location of their own are found at the location in this view.
    pub const fn or_in(self, beside: &'static str) -> Self {
        Filter { beside, ..self }
    }

    /// Allows `.null=`; `null` is the SQL expression that is null for objects without a value.
    pub const fn nullable(self, null: &'static str) -> Self {
        Filter { null, ..self }
    }
}

impl Sort {
    pub const fn new(name: &'static str, sql: &'static str, kind: Kind) -> Self {
        Sort { name, sql, kind }
    }

    /// The id that breaks ties: of the same table, so that one index gives the order.
    pub fn id(&self) -> &'static str {
        match self.sql.starts_with("counts.") {
            true => "counts.id",
            false => "t.id",
        }
    }
}

impl Child {
    pub const fn new(path: &'static str, entity: &'static str, sql: &'static str) -> Self {
        Child { path, entity, sql }
    }
}

impl Constraint {
    pub const fn conflict(name: &'static str, pointer: &'static str, detail: &'static str) -> Self {
        Constraint {
            name,
            answer: Answer::Conflict,
            pointer,
            detail,
        }
    }
    pub const fn invalid(name: &'static str, pointer: &'static str, detail: &'static str) -> Self {
        Constraint {
            name,
            answer: Answer::Invalid,
            pointer,
            detail,
        }
    }
    pub const fn counted(name: &'static str, pointer: &'static str, detail: &'static str) -> Self {
        Self {
            name,
            answer: Answer::Counted,
            pointer,
            detail,
        }
    }
    pub const fn future(name: &'static str, pointer: &'static str, detail: &'static str) -> Self {
        Self {
            name,
            answer: Answer::Future,
            pointer,
            detail,
        }
    }
    pub const fn future_on_create(
        name: &'static str,
        pointer: &'static str,
        detail: &'static str,
    ) -> Self {
        Self {
            name,
            answer: Answer::FutureOnCreate,
            pointer,
            detail,
        }
    }
    /// The caller has created as many objects as allowed in a day.
    pub const fn quota(name: &'static str, detail: &'static str) -> Self {
        Self {
            name,
            answer: Answer::Quota,
            pointer: "",
            detail,
        }
    }

    pub const fn kept(name: &'static str, detail: &'static str) -> Self {
        Constraint {
            name,
            answer: Answer::Kept,
            pointer: "",
            detail,
        }
    }
    pub const fn blocked(name: &'static str, detail: &'static str) -> Self {
        Constraint {
            name,
            answer: Answer::Blocked,
            pointer: "",
            detail,
        }
    }
    pub const fn reference(name: &'static str, pointer: &'static str) -> Self {
        Constraint {
            name,
            answer: Answer::Reference,
            pointer,
            detail: "does not refer to anything you can use here",
        }
    }
}
