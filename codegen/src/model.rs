//! The resolved model: what the spec means once every name is known.
//!
//! Emitters read nothing else. It contains no YAML, no positions and no unresolved names, and everything in it has
//! passed `check`. It is plain data (serde), so `generated/model.json` can store the model of the last migration.

mod expr;
mod first;
mod guarded;
pub mod implied;
mod invariants;
mod literal;
mod lookup;
mod memo;
mod networks;
mod offer;
pub mod open;
mod transition;
pub mod whereabouts;

pub use expr::{Expr, OfWhat, Op, Value};
pub use first::First;
pub use invariants::{Check, Exclude, Keep, UniqueWhere};
pub use literal::Literal;
pub use lookup::ENDED_BY;
pub use memo::Memo;
pub use networks::NETWORKS;
pub use offer::Offer;
use serde::{Deserialize, Serialize};
pub use transition::{Assigned, Change, Set, Transition};

/// Index into [`Model::entities`].
pub type EntityId = usize;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// snake_case application name; names the database roles `<app>_app`, `<app>_job`, …
    pub app: String,
    pub title: String,
    pub doc: String,
    /// The entity whose rows sign in: members.
    pub identity: EntityId,
    /// The entity whose rows hold roles. It has a reference to `identity`, an enum field `role`
    /// and an optional polymorphic reference `scope`.
    pub assignments: EntityId,
    /// Which assignments count, `field == value` (`assignments: … where …`). `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Expr>,
    /// The entity whose rows are sign-ins (`sessions:`). It has a relation to `identity` and `revoked_at`.
    #[serde(default)]
    pub sessions: Option<EntityId>,
    pub roles: Vec<Role>,
    pub objects: Vec<Object>,
    pub modules: Vec<Module>,
    /// Reading order of the API document: tag → entities.
    pub tags: Vec<(String, Vec<EntityId>)>,
    /// In file-name order.
    pub entities: Vec<Entity>,
    /// SQL of modules written by hand: `spec/sql/<module>.sql`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_hand: Vec<crate::objects::Object>,
    /// Data that app.yaml allows to be deleted (`dropped:`): `entity` for a table, `entity.field` for the values of a
    /// column that changes its type.
    #[serde(default)]
    pub dropped: Vec<String>,
    /// Cached answers about the rules.
    #[serde(skip)]
    pub memo: Memo,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// As written in the spec: `orgAdmin`.
    pub name: String,
    /// The entities whose rows the role is held of; empty for a role held everywhere.
    pub scopes: Vec<EntityId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    pub name: String,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Module {
    pub name: String,
    pub doc: String,
    /// Other entities that the module's jobs may read (`reads`) and write (`writes`).
    pub reads: Vec<EntityId>,
    pub writes: Vec<EntityId>,
    /// Restrictions for those entities of which the module writes some columns only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub narrowed: Vec<Narrowed>,
    /// Jobs of the module that a request may enqueue on behalf of the caller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requested: Vec<String>,
}

impl Module {
    /// What the module may write of another entity; `None`: all of its writable columns.
    pub fn narrowed(&self, entity: EntityId) -> Option<&Narrowed> {
        self.narrowed.iter().find(|n| n.entity == entity)
    }
}

/// The columns of an entity that a module writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Narrowed {
    pub entity: EntityId,
    /// `None`: the module inserts no rows.
    pub create: Option<Vec<String>>,
    pub update: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    SoftDelete,
    Mutable,
    AppendOnly,
}

/// The usual number of objects on a page of a list.
pub const PAGE: u32 = 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// singular snake_case
    pub name: String,
    /// plural snake_case: table name in schema `app`; the path is this with `-` for `_`
    pub plural: String,
    pub doc: String,
    pub lifecycle: Lifecycle,
    /// Index into [`Model::modules`]: the only module that writes this entity.
    pub module: Option<usize>,
    /// No routes, no grants for the request role.
    pub internal: bool,
    /// Fields and references in spec order (mixins first, where `mixins:` stands before `fields:`),
    /// without the built-in columns id, status, version, created_at, updated_at.
    pub fields: Vec<Field>,
    pub belongs: Vec<Relation>,
    pub has: Vec<Has>,
    pub derived: Vec<Derived>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firsts: Vec<First>,
    /// Each a list of column names (relations already replaced by their columns).
    pub unique: Vec<Vec<String>>,
    /// The conditions of those lists that do not apply to all live rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_where: Vec<UniqueWhere>,
    pub exclude: Vec<Exclude>,
    pub index: Vec<Vec<String>>,
    pub checks: Vec<Check>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keeps: Vec<Keep>,
    pub transitions: Vec<Transition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
    /// Reusable conditions in spec order; a condition only names earlier ones.
    pub conditions: Vec<NamedExpr>,
    pub access: Access,
    /// Role (index into [`Model::roles`]) granted to the creator of a row.
    pub creator: Option<usize>,
    pub hooks: Vec<Hook>,
    /// Actions that put an event into the outbox: `create`, `archive`, verbs of transitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emits: Vec<String>,
    /// The number of objects on a page of a list.
    pub page: u32,
    /// The number of rows that one member may create in a day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<u32>,
    /// Every write goes to the audit log; false only for `internal` entities with `audit: off`.
    #[serde(default = "audited")]
    pub audit: bool,
    /// Rows outlive a crash of PostgreSQL; false only for `internal` entities with `wal: off`.
    #[serde(default = "audited", skip_serializing_if = "Clone::clone")]
    pub wal: bool,
    /// Former columns that the spec marks with `drop`.
    pub dropped: Vec<String>,
    pub was: Option<String>,
    /// Values of its enums and states that have a former name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renamed: Vec<RenamedValue>,
}

/// `enum(a, b was old_b)`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenamedValue {
    pub field: String,
    pub from: String,
    pub to: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub ty: Ty,
    pub optional: bool,
    pub default: Option<Literal>,
    pub unique: bool,
    /// A new row takes the value over, and the row that had it before is archived.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moves: bool,
    pub search: bool,
    pub filter: bool,
    /// Whether bodies may only give values that are later than now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub future: Option<Future>,
    /// The point of a related row that is used when this one is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
    pub sort: bool,
    pub fixed: bool,
    pub system: bool,
    pub redact: bool,
    pub read: Option<Expr>,
    pub write: Option<Expr>,
    pub check: Option<Expr>,
    pub was: Option<String>,
    /// What the field means, if its name does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
}

/// Which values of a time must be later than now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Future {
    /// `future`: that of a new row, and a changed one.
    Always,
    /// `future on create`: that of a new row.
    OnCreate,
}

/// `else venue.location`: the point of a related row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    pub relation: String,
    pub field: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ty {
    /// Lengths in characters; `max` is always there.
    Text {
        min: u32,
        max: u32,
    },
    Int {
        min: Option<i64>,
        max: Option<i64>,
    },
    Bigint {
        min: Option<i64>,
        max: Option<i64>,
    },
    Decimal {
        places: u32,
    },
    /// In minor units of the currency (cents).
    Money {
        min: Option<i64>,
        max: Option<i64>,
    },
    Bool,
    Time,
    Date,
    Uuid,
    Json,
    Url,
    Email,
    Phone,
    /// `from`: the field it is made of when the body has none.
    Slug {
        from: Option<String>,
    },
    /// A page of one of [`NETWORKS`].
    Social {
        network: String,
    },
    /// A time of day in hours and minutes.
    LocalTime,
    /// A code that people type, compared without case and blanks.
    Code {
        min: u32,
        max: u32,
    },
    /// A member's name in addresses: small letters, digits and `_`. Typed with or without `@`, in any case.
    Handle {
        min: u32,
        max: u32,
    },
    Currency,
    Country,
    Locale,
    Timezone,
    Enum {
        values: Vec<String>,
    },
    States {
        values: Vec<String>,
    },
    Point,
    /// Index into [`Model::objects`].
    Object {
        object: usize,
    },
    TextList {
        max: u32,
        count: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnArchive {
    Restrict,
    /// Archived too, if its own `delete` rule allows a row in this state to be archived.
    Cascade,
    /// Archived too, whatever its state.
    CascadeAlways,
    Detach,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEnd {
    Archive,
    /// The field is set to the time of the end. An optional one is set once, a required one each time.
    Set(String),
}

/// A reference to one entity (`targets.len() == 1`, column `<name>_id`) or to one of several
/// (columns `<name>_type`, `<name>_id`, and a generated column `<name>_<target>_id` each).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    pub name: String,
    pub targets: Vec<EntityId>,
    /// `one of` was written, even with one target.
    pub polymorphic: bool,
    pub optional: bool,
    /// Names of relations that must be equal on both sides (`same city`); for every target that
    /// has that relation a composite foreign key is made.
    pub same: Vec<String>,
    pub on_archive: OnArchive,
    /// What happens to the row when the row that it refers to has ended: suspended or archived; a session: revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_end: Option<OnEnd>,
    pub movable: bool,
    pub set_me: bool,
    /// The session of the caller.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set_session: bool,
    pub system: bool,
    pub unique: bool,
    pub filter: bool,
    pub hidden: bool,
    /// The row is about this user, and others may restore it unless the user archived it themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consents: bool,
    pub read: Option<Expr>,
    pub was: Option<String>,
    /// What the relation means, if its name does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
}

/// The other end of a relation: `likes: like* via event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Has {
    /// The name, also used as the path segment (with `-` for `_`).
    pub name: String,
    pub child: EntityId,
    /// Name of the child's relation.
    pub via: String,
    /// The greatest number of children in a body that creates this row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_with: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Derived {
    pub name: String,
    pub kind: DerivedKind,
    pub sort: bool,
    pub filter: bool,
    /// Changes are noted and added up later, so that concurrent changes do not wait for each other.
    #[serde(default)]
    pub delta: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DerivedKind {
    /// `has` is an index into [`Entity::has`]. Counted over live children for which `filter` holds.
    Count { has: usize, filter: Option<Expr> },
    Sum {
        has: usize,
        field: String,
        filter: Option<Expr>,
    },
    /// With one decimal place; null without values.
    Avg {
        has: usize,
        field: String,
        filter: Option<Expr>,
    },
    /// A boolean over own columns, computed when read.
    Flag { expr: Expr },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedExpr {
    pub name: String,
    pub expr: Expr,
}

/// Actions without a rule are denied to everybody. `deny` rules are already included (`grant and not deny`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Access {
    pub read: Option<Expr>,
    pub create: Option<Expr>,
    pub update: Option<Expr>,
    pub delete: Option<Expr>,
    pub restore: Option<Expr>,
    pub suspend: Option<Expr>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    Create,
    Update,
    Archive,
    Restore,
    Transition(String),
}

fn audited() -> bool {
    true
}
