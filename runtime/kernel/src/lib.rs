//! The engine: everything that is the same for all entities, written once.
//!
//! Names no entity, role or country; those come as data from the generated crate.

pub mod actor;
pub mod audit;
pub mod auth;
pub mod caller;
pub mod config;
pub mod counters;
pub mod cx;
mod engine;
pub mod error;
pub mod etag;
pub mod failpoint;
pub mod http;
pub mod idempotency;
pub mod input;
pub mod jobs;
mod journey;
mod list;
pub mod member;
pub mod messages;
pub mod migrate;
pub mod mount;
pub mod openapi;
pub mod prelude;
pub mod problem;
pub mod problems;
pub mod quota;
pub mod resource;
pub mod rule;
pub mod serve;
pub mod value;

pub use actor::{Actor, Facts};
pub use caller::Caller;
pub use cx::{Cx, Db};
pub use error::{Error, Result};
pub use list::{cursor, own};
pub use member::{Member, Visitor};

/// The names that derive macros expand to, so that a crate that uses them needs no other dependency.
#[doc(hidden)]
pub mod private {
    pub use serde;
    pub use serde_json::{Value, json};
    pub use sqlx;
    pub use sqlx::postgres::{PgArguments, PgRow, PgValueRef};
    pub use utoipa::{
        PartialSchema, ToSchema,
        openapi::{RefOr, Schema},
    };

    pub type BoxDynError = sqlx::error::BoxDynError;
}
