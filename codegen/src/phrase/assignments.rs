//! `role_assignment`, `role_assignment where state == accepted`

use super::reader::{Parsed, Reader};
use super::{AssignmentsPhrase, rule};
use crate::spec::yaml::Text;

pub fn assignments(text: &Text) -> Parsed<AssignmentsPhrase> {
    let mut r = Reader::new(text);
    let help = "write the name of an entity, perhaps `where <field> == <value>`";
    let entity = r.expect_name("an entity", help)?;
    let counted = match r.take_word("where") {
        Some(_) => Some(rule::any(&mut r)?),
        None => None,
    };
    r.expect_end(help)?;
    Ok(AssignmentsPhrase { entity, counted })
}
