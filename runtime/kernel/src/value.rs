//! Values that are more than a scalar of Rust, and how columns become JSON. Knows no entity.

mod cell;
mod json;
mod point;
mod time;

pub use cell::{Cell, Column, column, encode_row, write_text};
pub use json::{Json, object_from_sql, object_to_sql, write_object};
pub use point::Point;
pub use time::{parse_date, parse_time, write_time};

use uuid::Uuid;

/// An id as answers spell it. UUIDs in another notation (with braces, as `urn:`, without hyphens) are no ids of ours: the
/// same id would have several addresses and make several cache keys.
pub fn parse_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_notation() {
        let id = "019caddd-0f20-7b8e-a1f8-0bd70ae0784c";
        assert_eq!(parse_id(id).map(|id| id.to_string()), Some(id.to_owned()));
        for other in [
            "",
            "019caddd0f207b8ea1f80bd70ae0784c",
            "{019caddd-0f20-7b8e-a1f8-0bd70ae0784c}",
            "urn:uuid:019caddd-0f20-7b8e-a1f8-0bd70ae0784c",
            "019caddd-0f20-7b8e-a1f8-0bd70ae0784g",
        ] {
            assert_eq!(parse_id(other), None, "{other}");
        }
    }
}
