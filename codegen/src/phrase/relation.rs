//! `one of organization | community?, same city, on archive cascade` and `like* via event`

use super::lexer::Token;
use super::reader::{Parsed, Reader};
use super::{At, HasPhrase, OnEndPhrase, RelationLine, RelationModifier, RelationPhrase, rule};
use crate::diag::Diagnostic;
use crate::model::OnArchive;
use crate::spec::yaml::Text;

pub const RELATION_MODIFIERS: [&str; 13] = [
    "same",
    "on archive",
    "on end",
    "movable",
    "set me",
    "set session",
    "system",
    "unique",
    "filter",
    "hidden",
    "was",
    "read",
    "doc",
];

pub const HAS_MODIFIERS: [&str; 1] = ["create with"];

/// The greatest number in `create with`: one request creates all of them in one statement.
const CREATED_WITH_MAX: i64 = 100;

pub fn relation(text: &Text) -> Parsed<RelationLine> {
    let mut r = Reader::new(text);
    if r.is_word("drop") && r.peek_second().is_none() {
        return Ok(RelationLine::Drop(r.skip()));
    }
    let help = "write `city`, `venue?` or `one of organization | community`";
    let polymorphic =
        r.is_word("one") && matches!(r.peek_second(), Some(Token::Word(w)) if w == "of");
    if polymorphic {
        r.skip();
        r.skip();
    }
    let mut targets = vec![r.expect_name("an entity", help)?];
    while polymorphic && r.take_sign("|").is_some() {
        let target = r.expect_name("an entity", help)?;
        if let Some(first) = targets.iter().find(|t| t.it == target.it) {
            return Err(
                Diagnostic::at(target.span, format!("`{}` is here twice", target.it))
                    .also(first.span, "first written here")
                    .help("keep one of the two"),
            );
        }
        targets.push(target);
    }
    if r.is_sign("|") {
        return Err(Diagnostic::at(r.span(), "several targets without `one of`")
            .help(format!("write `one of {} | …`", targets[0].it)));
    }
    if r.is_sign("*") {
        return Err(Diagnostic::at(r.span(), "`*` in `belongs`")
            .help("a row belongs to one other row; the many side is named under `has:` of the other entity"));
    }
    if polymorphic && r.is_word("or") {
        let told = Diagnostic::at(r.span(), "`or` between entities");
        return Err(told.help(format!("write `one of {} | …`", targets[0].it)));
    }
    let optional = r.take_sign("?").is_some();
    if polymorphic && optional && r.is_sign("|") {
        let told = Diagnostic::at(r.span(), "a `?` before the last entity");
        return Err(told.help("one `?` after the last of them makes the whole relation optional"));
    }
    let mut modifiers = Vec::new();
    while r.take_sign(",").is_some() {
        let told = modifier(&mut r);
        // Whoever names another entity after a comma means one more target.
        modifiers.push(match told {
            Err(wrong) if polymorphic && modifiers.is_empty() && is_unknown(&wrong) => {
                let also = "; entities are separated by `|`: `one of a | b`";
                let help = wrong.help.clone().unwrap_or_default() + also;
                return Err(wrong.help(help));
            }
            told => told?,
        });
    }
    r.expect_end("modifiers stand after commas: `city, on archive restrict, filter`")?;
    Ok(RelationLine::Relation(Box::new(RelationPhrase {
        targets,
        polymorphic,
        optional,
        modifiers,
    })))
}

pub fn has(text: &Text) -> Parsed<HasPhrase> {
    let mut r = Reader::new(text);
    let help = "write `like* via event`: the child entity, `*`, `via`, and the child's relation to this entity";
    let child = r.expect_name("an entity", help)?;
    r.expect_sign("*", help)?;
    r.expect_word("via", help)?;
    let via = r.expect_name("a relation of the child", help)?;
    let create_with = match r.take_sign(",") {
        Some(_) if r.is_word("create") => Some(create_with(&mut r)?),
        Some(_) => return Err(r.unknown("modifier", &HAS_MODIFIERS)),
        None => None,
    };
    r.expect_end(help)?;
    Ok(HasPhrase {
        child,
        via,
        create_with,
    })
}

fn is_unknown(wrong: &Diagnostic) -> bool {
    wrong.message.starts_with("unknown modifier")
}

fn modifier(r: &mut Reader) -> Parsed<At<RelationModifier>> {
    let start = r.span();
    let known = |word: &str| {
        let mut firsts = RELATION_MODIFIERS.iter().map(|m| m.split(' ').next());
        firsts.any(|first| first == Some(word))
    };
    let name = match r.peek() {
        Some(Token::Word(word)) if known(word) => word.clone(),
        _ => return Err(r.unknown("modifier", &RELATION_MODIFIERS)),
    };
    r.skip();
    let it = match name.as_str() {
        "movable" => RelationModifier::Movable,
        "system" => RelationModifier::System,
        "unique" => RelationModifier::Unique,
        "filter" => RelationModifier::Filter,
        "hidden" => RelationModifier::Hidden,
        "same" => RelationModifier::Same(r.expect_name(
            "a relation",
            "write `same city`: both rows have the same city",
        )?),
        "on" if r.is_word("end") => RelationModifier::OnEnd(on_end(r)?),
        "on" => RelationModifier::OnArchive(on_archive(r)?),
        "set" if r.take_word("session").is_some() => RelationModifier::SetSession,
        "set" => {
            r.expect_word(
                "me",
                "write `set me`: the signed-in user, or `set session`: their session",
            )?;
            RelationModifier::SetMe
        }
        "was" => RelationModifier::Was(r.expect_name("the former name", "write `was old_name`")?),
        "doc" => RelationModifier::Doc(r.expect_sentence()?),
        "read" => RelationModifier::Read(rule::any(r)?),
        listed => unreachable!("`{listed}` is in the list of modifiers"),
    };
    let span = start.to(r.last_span());
    Ok(At { it, span })
}

fn on_archive(r: &mut Reader) -> Parsed<OnArchive> {
    r.expect_word(
        "archive",
        "write `on archive restrict`, `on archive cascade` or `on archive detach`; or `on end …`",
    )?;
    let what = match r.peek() {
        Some(Token::Word(w)) if w == "restrict" => OnArchive::Restrict,
        Some(Token::Word(w)) if w == "cascade" => OnArchive::Cascade,
        Some(Token::Word(w)) if w == "detach" => OnArchive::Detach,
        _ => return Err(r.unknown("choice", &["restrict", "cascade", "detach"])),
    };
    r.skip();
    if what == OnArchive::Cascade && r.is_word("always") {
        r.skip();
        return Ok(OnArchive::CascadeAlways);
    }
    Ok(what)
}

fn on_end(r: &mut Reader) -> Parsed<OnEndPhrase> {
    let help = "write `on end archive`, or `on end set` and a time of this entity";
    r.expect_word("end", help)?;
    if r.take_word("archive").is_some() {
        return Ok(OnEndPhrase::Archive);
    }
    if r.take_word("set").is_none() {
        return Err(r.unknown("choice", &["archive", "set"]));
    }
    Ok(OnEndPhrase::Set(r.expect_name("a field", help)?))
}

fn create_with(r: &mut Reader) -> Parsed<At<i64>> {
    let help =
        "write `create with (..20)`: whoever creates the row may create up to 20 of these with it";
    let start = r.skip();
    r.expect_word("with", help)?;
    r.expect_sign("(", help)?;
    r.expect_sign("..", help)?;
    let Some(max) = r.take_integer()? else {
        return Err(r.unexpected("a number", help));
    };
    let span = start.to(r.expect_sign(")", help)?);
    if !(1..=CREATED_WITH_MAX).contains(&max.it) {
        return Err(Diagnostic::at(
            max.span,
            format!("{} rows cannot be created with another", max.it),
        )
        .help(format!("choose 1 to {CREATED_WITH_MAX}")));
    }
    Ok(At { it: max.it, span })
}
