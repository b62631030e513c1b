//! Rust value → argument of a statement.

use super::Patch;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::{Arguments, Encode, Type, error::BoxDynError};

/// One argument.
pub fn bind<'q, T>(arguments: &mut PgArguments, value: &'q T) -> Result<(), BoxDynError>
where
    T: Encode<'q, Postgres> + Type<Postgres>,
{
    arguments.add(value)
}

/// Two arguments: whether the value is given, and the value.
pub fn bind_patch<'q, T>(
    arguments: &mut PgArguments,
    value: &'q Patch<T>,
) -> Result<(), BoxDynError>
where
    T: Encode<'q, Postgres> + Type<Postgres>,
{
    arguments.add(!value.is_absent())?;
    arguments.add(value.value())
}
