//! The engine: what is the same for every entity, written once.
//!
//! Names no entity, no role and no country; those come as data from the generated crate.

pub mod input;
pub mod prelude;
pub mod resource;
pub mod rule;
pub mod value;

/// What expansions of the derives name, so that a crate using them needs no dependency but this one.
#[doc(hidden)]
pub mod private {
    pub use serde;
    pub use sqlx;
    pub use sqlx::postgres::{PgArguments, PgRow, PgValueRef};

    pub type BoxDynError = sqlx::error::BoxDynError;
}
