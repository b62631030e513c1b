//! The texts that tell the database who the caller is. Whatever is not a parameter in them is a literal, a UUID or a
//! checked static name.

use crate::caller::Caller;
use sqlx::{Arguments, error::BoxDynError, postgres::PgArguments};
use std::fmt::Write;
use uuid::Uuid;

/// `begin` and the caller, for a transaction of several statements. `action` must be a [name](is_name).
pub(super) fn enter(begin: &'static str, caller: &Caller, action: &'static str) -> String {
    let mut text = String::with_capacity(200);
    text.push_str(begin);
    text.push_str("; select sec.enter(");
    push_uuid(&mut text, caller.actor.user());
    text.push_str(", ");
    push_uuid(&mut text, caller.actor.session());
    let _ = write!(text, ", '{action}', '{}')", caller.request_id);
    text
}

/// The caller as a condition that names no row, with its arguments, for a statement that is a transaction by itself.
pub(super) fn push_condition(
    text: &mut String,
    caller: &Caller,
    action: &'static str,
    arguments: &mut PgArguments,
) -> Result<(), BoxDynError> {
    arguments.add(caller.actor.user())?;
    arguments.add(caller.actor.session())?;
    arguments.add(action)?;
    arguments.add(caller.request_id)?;
    let last = arguments.len();
    write!(
        text,
        "(select sec.enter(${}, ${}, ${}, ${last}) is not null)",
        last - 3,
        last - 2,
        last - 1
    )?;
    Ok(())
}

pub(super) fn push_uuid(text: &mut String, id: Option<Uuid>) {
    let _ = match id {
        Some(id) => write!(text, "'{id}'"),
        None => write!(text, "null"),
    };
}

/// Whether `text` may be put between quotes in a statement without escaping.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Actor;

    #[test]
    fn the_context_is_one_text_of_literals_and_uuids() {
        let caller = Caller {
            actor: Actor::User {
                id: Uuid::nil(),
                session: None,
            },
            request_id: Uuid::max(),
            ip: None,
        };
        assert_eq!(
            enter("begin", &caller, "update"),
            "begin; select sec.enter('00000000-0000-0000-0000-000000000000', null, 'update', \
             'ffffffff-ffff-ffff-ffff-ffffffffffff')"
        );
    }

    #[test]
    fn names_cannot_end_a_literal() {
        assert!(is_name("archive") && is_name("set_featured"));
        assert!(!is_name("x'; drop") && !is_name("") && !is_name("Archive"));
    }
}
