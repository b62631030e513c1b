//! `text(1..140)?, search, check ends_at > starts_at`

use super::lexer::Token;
use super::reader::{Parsed, Reader};
use super::values::values;
use super::{At, FieldLine, FieldModifier, FieldPhrase, TyPhrase, rule};
use crate::diag::Diagnostic;
use crate::model::{Future, NETWORKS, Ty};
use crate::names;
use crate::spec::yaml::Text;

/// First words of a field phrase. The grammar page must list all of them.
pub const TYPES: [&str; 29] = [
    "text",
    "int",
    "bigint",
    "decimal",
    "money",
    "bool",
    "time",
    "date",
    "uuid",
    "json",
    "url",
    "email",
    "phone",
    "social",
    "local_time",
    "code",
    "handle",
    "slug",
    "currency",
    "country",
    "locale",
    "timezone",
    "enum",
    "states",
    "point",
    "object",
    "list",
    "drop",
    "slug from",
];

pub const FIELD_MODIFIERS: [&str; 15] = [
    "unique", "moves", "search", "filter", "else", "sort", "fixed", "system", "read", "write",
    "redact", "future", "check", "was", "doc",
];

/// The greatest length of a text. Texts are stored and sent as a whole, so it is limited.
const TEXT_MAX: i64 = 1_000_000;
const LIST_COUNT_MAX: i64 = 1_000;

/// The largest amount of `money` whose bound is left out, in either direction: what cards can be charged in the currency
/// with the smallest units. Nine million of these fit into a bigint, so that one caller's huge amounts can't make the
/// sums overflow that others read.
const MONEY: i64 = 999_999_999_999;
/// The largest bound of `money`, for sums: the largest integer that all readers of JSON represent exactly, 2^53 - 1.
const MONEY_SUM: i64 = 9_007_199_254_740_991;

pub fn field(text: &Text) -> Parsed<FieldLine> {
    let mut r = Reader::new(text);
    if r.is_word("drop") {
        let span = r.skip();
        r.expect_end("`drop` stands alone: `old_name: drop`")?;
        return Ok(FieldLine::Drop(span));
    }
    let ty = ty(&mut r)?;
    let optional = r.take_sign("?").is_some();
    let default = match r.take_sign("=") {
        Some(_) if matches!(r.peek(), Some(Token::Sign("+"))) => {
            return Err(r.unexpected("a value", "").help(in_quotes(text)));
        }
        Some(_) => Some(r.take_literal()?),
        None => None,
    };
    if default.is_some() && r.is_sign("?") {
        return Err(r.unexpected(
            "the end",
            "`?` stands right after the type: `text(..20)? = x`",
        ));
    }
    let modifies =
        matches!(r.peek(), Some(Token::Word(word)) if FIELD_MODIFIERS.contains(&word.as_str()));
    if default.is_some() && !r.at_end() && !r.is_sign(",") && !modifies {
        return Err(r.unexpected("the end", "").help(in_quotes(text)));
    }
    let mut modifiers = Vec::new();
    while r.take_sign(",").is_some() {
        modifiers.push(modifier(&mut r)?);
    }
    r.expect_end("modifiers stand after commas: `text(..80), search, sort`")?;
    Ok(FieldLine::Field(Box::new(FieldPhrase {
        ty,
        optional,
        default,
        modifiers,
    })))
}

/// The help for a default that is more than one word, like `Europe/Zurich`.
fn in_quotes(text: &Text) -> String {
    let written = text.phrase.split_once('=').map_or("", |(_, rest)| rest);
    let value = written.split(',').next().unwrap_or_default().trim();
    match value.is_empty() || value.contains(['"', '\'']) {
        true => "a text stands in double quotes: `\"…\"`".to_owned(),
        false => format!("a default that is more than one word stands in quotes: `= \"{value}\"`"),
    }
}

fn modifier(r: &mut Reader) -> Parsed<At<FieldModifier>> {
    let start = r.span();
    let name = match r.peek() {
        Some(Token::Word(word)) => word.clone(),
        _ => return Err(r.unknown("modifier", &FIELD_MODIFIERS)),
    };
    if !FIELD_MODIFIERS.contains(&name.as_str()) {
        return Err(r.unknown("modifier", &FIELD_MODIFIERS));
    }
    r.skip();
    let it = match name.as_str() {
        "unique" => FieldModifier::Unique,
        "moves" => FieldModifier::Moves,
        "search" => FieldModifier::Search,
        "filter" => FieldModifier::Filter,
        "else" => beside(r)?,
        "sort" => FieldModifier::Sort,
        "fixed" => FieldModifier::Fixed,
        "system" => FieldModifier::System,
        "redact" => FieldModifier::Redact,
        "future" => future(r)?,
        "read" => FieldModifier::Read(rule::any(r)?),
        "write" => FieldModifier::Write(rule::any(r)?),
        "check" => FieldModifier::Check(rule::any(r)?),
        "doc" => FieldModifier::Doc(r.expect_sentence()?),
        _ => FieldModifier::Was(r.expect_name("the former name", "write `was old_name`")?),
    };
    Ok(At {
        it,
        span: start.to(r.last_span()),
    })
}

/// `future`, `future on create`
fn future(r: &mut Reader) -> Parsed<FieldModifier> {
    let Some(_) = r.take_word("on") else {
        return Ok(FieldModifier::Future(Future::Always));
    };
    r.expect_word(
        "create",
        "write `future`, or `future on create` if a change may set any time",
    )?;
    Ok(FieldModifier::Future(Future::OnCreate))
}

/// `else venue.location`
fn beside(r: &mut Reader) -> Parsed<FieldModifier> {
    let help = "write the relation and the place there: `else venue.location`";
    let relation = r.expect_name("a relation", help)?;
    r.expect_sign(".", help)?;
    let field = r.expect_name("a field", help)?;
    Ok(FieldModifier::Else(relation, field))
}

/// Reads the first word of a field phrase, which is its type.
fn type_name(r: &mut Reader) -> Parsed<String> {
    let help = "start with the type: `text(1..80)`, `int`, `time`, `enum(a, b)` …";
    let name = match r.peek() {
        Some(Token::Word(word)) => word.clone(),
        _ => return Err(r.unexpected("a type", help)),
    };
    if !TYPES.contains(&name.as_str()) {
        let known = TYPES
            .iter()
            .copied()
            .filter(|t| !t.contains(' ') && *t != "drop");
        let at = r.skip();
        // A modifier of other languages that stands before the type there.
        let near = match (super::foreign::modifier(&name), r.peek()) {
            (Some(mend), Some(Token::Word(ty)))
                if mend.contains('?') && TYPES.contains(&ty.as_str()) =>
            {
                Some("begin with the type, and put `?` behind it if there may be no value, as in `text(..80)?`".to_owned())
            }
            _ => known_as(&name).map(|right| format!("write `{}`", bounded(r, right))),
        };
        return Err(Diagnostic::at(at, format!("unknown type `{name}`"))
            .help(near.unwrap_or_else(|| names::suggest(&name, known, "types"))));
    }
    r.skip();
    Ok(name)
}

fn ty(r: &mut Reader) -> Parsed<At<TyPhrase>> {
    let start = r.span();
    let name = type_name(r)?;
    let it = match name.as_str() {
        "text" => {
            let (min, max) = text_bounds(r, start, "text(1..140)")?;
            TyPhrase::Known(Ty::Text { min, max })
        }
        "int" => {
            let (min, max) = bounds(r, i64::from(i32::MIN), i64::from(i32::MAX), "int(1..100)")?;
            TyPhrase::Known(Ty::Int { min, max })
        }
        "bigint" => {
            let (min, max) = bounds(r, i64::MIN, i64::MAX, "bigint(0..)")?;
            TyPhrase::Known(Ty::Bigint { min, max })
        }
        "money" => {
            let (min, max) = bounds(r, -MONEY_SUM, MONEY_SUM, "money(0..)")?;
            let most = max.unwrap_or(MONEY.max(min.unwrap_or(0)));
            let least = min.unwrap_or((-MONEY).min(most));
            TyPhrase::Known(Ty::Money {
                min: Some(least),
                max: Some(most),
            })
        }
        "decimal" => TyPhrase::Known(Ty::Decimal { places: places(r)? }),
        "bool" => TyPhrase::Known(Ty::Bool),
        "time" => TyPhrase::Known(Ty::Time),
        "date" => TyPhrase::Known(Ty::Date),
        "uuid" => TyPhrase::Known(Ty::Uuid),
        "json" => TyPhrase::Known(Ty::Json),
        "url" => TyPhrase::Known(Ty::Url),
        "email" => TyPhrase::Known(Ty::Email),
        "phone" => TyPhrase::Known(Ty::Phone),
        "social" => TyPhrase::Known(Ty::Social {
            network: network(r)?,
        }),
        "local_time" => TyPhrase::Known(Ty::LocalTime),
        "code" => {
            let (min, max) = text_bounds(r, start, "code(3..40)")?;
            TyPhrase::Known(Ty::Code { min, max })
        }
        "handle" => {
            let (min, max) = text_bounds(r, start, "handle(3..30)")?;
            TyPhrase::Known(Ty::Handle { min, max })
        }
        "currency" => TyPhrase::Known(Ty::Currency),
        "country" => TyPhrase::Known(Ty::Country),
        "locale" => TyPhrase::Known(Ty::Locale),
        "timezone" => TyPhrase::Known(Ty::Timezone),
        "point" => TyPhrase::Known(Ty::Point),
        "slug" => match r.take_word("from") {
            Some(_) => TyPhrase::SlugFrom(r.expect_name("a field", "write `slug from title`")?),
            None => TyPhrase::Known(Ty::Slug { from: None }),
        },
        "enum" => TyPhrase::Enum(values(r, "enum(a, b)")?),
        "states" => TyPhrase::States(values(r, "states(draft, published)")?),
        "object" => {
            TyPhrase::Object(r.expect_name("the name of an object", "write `object social_links`")?)
        }
        "list" => text_list(r)?,
        _ => {
            return Err(Diagnostic::at(start, "`drop` stands alone").help("write `old_name: drop`"));
        }
    };
    Ok(At {
        it,
        span: start.to(r.last_span()),
    })
}

/// The suggested type, with the bound that a foreign type like `varchar(80)` has.
fn bounded(r: &mut Reader, right: &str) -> String {
    let number = |r: &mut Reader| r.take_integer().ok().flatten().map(|number| number.it);
    if !right.starts_with("text(") || r.take_sign("(").is_none() {
        return right.to_owned();
    }
    let first = number(r);
    let range = r.take_sign("..").is_some();
    match (first, range, number(r)) {
        (Some(min), true, Some(max)) => format!("text({min}..{max})"),
        (Some(max), false, _) | (None, true, Some(max)) => format!("text(..{max})"),
        _ => right.to_owned(),
    }
}

/// The spec's type for a name that other languages use.
fn known_as(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "string" | "str" | "varchar" | "char" => "text(..200)",
        "integer" | "i32" | "number" | "smallint" => "int",
        "i64" | "long" => "bigint",
        "float" | "double" | "real" | "numeric" => "decimal(2)",
        "boolean" => "bool",
        "timestamp" | "timestamptz" | "datetime" => "time",
        "jsonb" => "json",
        "array" => "list text(..80)(..20)",
        "location" | "geography" | "geometry" => "point",
        _ => return None,
    })
}

/// Least and greatest value, each `None` if not given.
type Bounds = (Option<At<i64>>, Option<At<i64>>);

/// Parses `(min..max)`; either may be missing.
fn range(r: &mut Reader, example: &str) -> Parsed<Bounds> {
    let help = format!("write bounds like `{example}`");
    r.expect_sign("(", &help)?;
    let min = r.take_integer()?;
    r.expect_sign("..", &help)?;
    let max = r.take_integer()?;
    if min.is_none() && max.is_none() {
        return Err(r.unexpected("a bound", &help));
    }
    r.expect_sign(")", &help)?;
    if let (Some(min), Some(max)) = (&min, &max)
        && min.it > max.it
    {
        return Err(Diagnostic::at(
            min.span.to(max.span),
            format!("{} is more than {}", min.it, max.it),
        )
        .help(format!(
            "the smaller bound comes first: `{}..{}`",
            max.it, min.it
        )));
    }
    Ok((min, max))
}

fn bounds(
    r: &mut Reader,
    least: i64,
    most: i64,
    example: &str,
) -> Parsed<(Option<i64>, Option<i64>)> {
    if !r.is_sign("(") {
        return Ok((None, None));
    }
    let (min, max) = range(r, example)?;
    for bound in [&min, &max].into_iter().flatten() {
        if bound.it < least || bound.it > most {
            return Err(
                Diagnostic::at(bound.span, format!("{} does not fit this type", bound.it))
                    .help(format!("it holds {least} to {most}; `bigint` holds more")),
            );
        }
    }
    Ok((min.map(|b| b.it), max.map(|b| b.it)))
}

fn text_bounds(r: &mut Reader, start: crate::diag::Span, example: &str) -> Parsed<(u32, u32)> {
    let unbounded = |span| {
        Diagnostic::at(span, "a text without a greatest length").help(format!(
            "every text is bounded: `{example}`, or `text(..2000)` for long ones"
        ))
    };
    if r.is_sign("?") && matches!(r.peek_second(), Some(Token::Sign("("))) {
        return Err(Diagnostic::at(r.span(), "`?` before the length")
            .help(format!("it stands at the end: `{example}?`")));
    }
    if r.is_sign("[") {
        return Err(Diagnostic::at(r.span(), "`[` is no sign of the language")
            .help("write `list text(..80)(..20)`, with the greatest length and count"));
    }
    if !r.is_sign("(") {
        return Err(unbounded(start));
    }
    let (min, max) = range(r, example)?;
    let Some(max) = max else {
        return Err(unbounded(start.to(r.last_span())));
    };
    for bound in [min.as_ref(), Some(&max)].into_iter().flatten() {
        if bound.it < 0 || bound.it > TEXT_MAX {
            return Err(
                Diagnostic::at(bound.span, format!("a length of {}", bound.it))
                    .help(format!("lengths are 0 to {TEXT_MAX}")),
            );
        }
    }
    Ok((min.map_or(0, |m| m.it as u32), max.it as u32))
}

/// `social(instagram)`
fn network(r: &mut Reader) -> Parsed<String> {
    let help = "write the network: `social(instagram)`";
    r.expect_sign("(", help)?;
    let name = r.expect_name("a network", help)?;
    if !NETWORKS.contains(&name.it.as_str()) {
        return Err(
            Diagnostic::at(name.span, format!("unknown network `{}`", name.it))
                .help(names::suggest(&name.it, NETWORKS, "networks")),
        );
    }
    r.expect_sign(")", help)?;
    Ok(name.it)
}

fn places(r: &mut Reader) -> Parsed<u32> {
    let help = "write the number of decimal places: `decimal(2)`";
    r.expect_sign("(", help)?;
    let Some(places) = r.take_integer()? else {
        return Err(r.unexpected("a number of places", help));
    };
    if !(0..=12).contains(&places.it) {
        return Err(
            Diagnostic::at(places.span, format!("{} decimal places", places.it))
                .help("0 to 12 are possible"),
        );
    }
    r.expect_sign(")", help)?;
    Ok(places.it as u32)
}

/// `text(..80)(..20)`
fn text_list(r: &mut Reader) -> Parsed<TyPhrase> {
    let example = "list text(..80)(..20)";
    let start = r.expect_word("text", &format!("lists hold texts: `{example}`"))?;
    let (min, max) = text_bounds(r, start, example)?;
    if min > 0 {
        let texts = start.to(r.last_span());
        return Err(
            Diagnostic::at(texts, "texts of a list have no least length").help(format!(
                "write `list text(..{max})(..20)`; a hook of the entity can refuse shorter ones"
            )),
        );
    }
    let (least, count) = range(r, example)?;
    if let Some(least) = least {
        return Err(
            Diagnostic::at(least.span, "a list has no least count").help(format!(
                "write `list text(..{max})(..20)`; a hook of the entity can refuse fewer"
            )),
        );
    }
    match count {
        Some(count) if (1..=LIST_COUNT_MAX).contains(&count.it) => {
            Ok(TyPhrase::Known(Ty::TextList {
                max,
                count: count.it as u32,
            }))
        }
        count => Err(Diagnostic::at(
            count.map_or(r.last_span(), |c| c.span),
            "a list without a greatest count",
        )
        .help(format!(
            "write `{example}`: texts of at most 80, at most 20 of them ({LIST_COUNT_MAX} at most)"
        ))),
    }
}
