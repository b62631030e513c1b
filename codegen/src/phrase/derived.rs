//! `count(likes where state == active), sort`, `capacity != null and ticket_count >= capacity`

use super::lexer::Token;
use super::reader::{Parsed, Reader};
use super::{DerivedForm, DerivedPhrase, Rule, rule};
use crate::diag::Diagnostic;
use crate::spec::yaml::Text;

pub const AGGREGATES: [&str; 3] = ["count", "sum", "avg"];
pub const DERIVED_MODIFIERS: [&str; 3] = ["sort", "filter", "delta"];

pub fn derived(text: &Text) -> Parsed<DerivedPhrase> {
    let mut r = Reader::new(text);
    let aggregate = match (r.peek(), r.peek_second()) {
        (Some(Token::Word(word)), Some(Token::Sign("("))) if word != "not" => Some(word.clone()),
        _ => None,
    };
    let kind = match aggregate {
        Some(name) if AGGREGATES.contains(&name.as_str()) => {
            r.skip();
            r.skip();
            aggregated(&mut r, &name)?
        }
        Some(name) if name != "now" => {
            return Err(
                Diagnostic::at(r.span(), format!("unknown function `{name}`"))
                    .help(crate::names::suggest(&name, AGGREGATES, "functions")),
            );
        }
        _ => DerivedForm::Flag(rule::any(&mut r)?),
    };
    let mut phrase = DerivedPhrase {
        kind,
        sort: None,
        filter: None,
        delta: None,
    };
    while r.take_sign(",").is_some() {
        if let Some(span) = r.take_word("sort") {
            phrase.sort = Some(span);
        } else if let Some(span) = r.take_word("filter") {
            phrase.filter = Some(span);
        } else if let Some(span) = r.take_word("delta") {
            phrase.delta = Some(span);
        } else {
            return Err(r.unknown("modifier", &DERIVED_MODIFIERS));
        }
    }
    r.expect_end("modifiers stand after commas: `count(likes), sort`")?;
    Ok(phrase)
}

/// Parses the argument of an aggregate function, after the opening parenthesis.
fn aggregated(r: &mut Reader, function: &str) -> Parsed<DerivedForm> {
    let help = match function {
        "count" => "write `count(likes)` or `count(likes where state == active)`",
        "sum" => "write `sum(tickets.quantity)`",
        _ => "write `avg(reviews.rating)`",
    };
    let has = r.expect_name("a name from `has`", help)?;
    if function == "count" {
        let filter = filter(r)?;
        r.expect_sign(")", help)?;
        return Ok(DerivedForm::Count { has, filter });
    }
    r.expect_sign(".", help)?;
    let field = r.expect_name("a field of the child", help)?;
    let filter = filter(r)?;
    r.expect_sign(")", help)?;
    Ok(if function == "sum" {
        DerivedForm::Sum { has, field, filter }
    } else {
        DerivedForm::Avg { has, field, filter }
    })
}

fn filter(r: &mut Reader) -> Parsed<Option<Rule>> {
    match r.take_word("where") {
        Some(_) => Ok(Some(r.nested(rule::any)?)),
        None => Ok(None),
    }
}
