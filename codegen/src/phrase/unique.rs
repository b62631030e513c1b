//! `event, user where state != cancelled` and `room, starts_at..ends_at where state in (held, booked)`

use super::reader::{Parsed, Reader};
use super::{ExcludePhrase, Rule, UniquePhrase, Word, rule};
use crate::spec::yaml::Text;

/// Parses the columns of a unique set. Without a condition they are written as a YAML list: `[city, slug]`.
pub fn unique(text: &Text) -> Parsed<UniquePhrase> {
    let mut r = Reader::new(text);
    let help = "write `[city, slug]`, or `event, user where state != cancelled`";
    let mut columns = vec![r.expect_name("a field or relation", help)?];
    while r.take_sign(",").is_some() {
        columns.push(r.expect_name("a field or relation", help)?);
    }
    let without = format!("write `[{}]`, or add `where …`", names(&columns));
    r.expect_word("where", &without)?;
    let filter = Some(rule::any(&mut r)?);
    r.expect_end(rule::JOIN)?;
    Ok(UniquePhrase { columns, filter })
}

pub fn exclude(text: &Text) -> Parsed<ExcludePhrase> {
    let mut r = Reader::new(text);
    let help = "write `scope, valid_from..valid_to`: what must be equal, then the range that must not overlap";
    let mut columns = Vec::new();
    loop {
        let name = r.expect_name("a field or relation", help)?;
        if r.take_sign("..").is_some() {
            let to = r.expect_name("the field where the range ends", help)?;
            let filter = filter(&mut r)?;
            r.expect_end(if filter.is_some() { rule::JOIN } else { help })?;
            return Ok(ExcludePhrase {
                columns,
                from: name,
                to,
                filter,
            });
        }
        columns.push(name);
        r.expect_sign(",", help)?;
    }
}

fn names(columns: &[Word]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.it.as_str()).collect();
    names.join(", ")
}

fn filter(r: &mut Reader) -> Parsed<Option<Rule>> {
    match r.take_word("where") {
        Some(_) => Ok(Some(rule::any(r)?)),
        None => Ok(None),
    }
}
