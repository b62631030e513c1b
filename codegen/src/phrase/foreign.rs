//! How to write here what other languages have a word or a form for.

use super::lexer::Token;
use super::reader::{Parsed, Reader};
use super::{Form, OperandForm, Rule};
use crate::diag::Diagnostic;

/// Corrections of words that are no modifiers and no parts of a transition here.
pub fn modifier(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "optional" | "nullable" | "null" => "write `?` after the type, as in `int?`",
        "required" | "not" | "notnull" | "not_null" | "mandatory" => {
            "remove it: without `?` after the type a value is required"
        }
        "default" | "defaults" => "write the default after the type, as in `int = 3`",
        "index" | "indexed" => "write `filter` or `sort`, or an `index:` of the entity",
        "readonly" | "read_only" | "generated" | "computed" => "write `system`",
        "immutable" | "const" | "final" | "write_once" | "frozen" => "write `fixed`",
        "private" | "secret" | "internal" => "write who may read it: `read <rule>`",
        "sensitive" | "masked" | "encrypted" => "write `redact`",
        "searchable" | "fulltext" => "write `search`",
        "sortable" | "orderable" => "write `sort`",
        "filterable" => "write `filter`",
        "description" | "comment" | "label" => "write `doc \"…\"`",
        "rename" | "renamed" | "formerly" => "write `was old_name`",
        "cascade" | "on_delete" | "ondelete" => "write `on archive cascade`",
        "mutable" | "editable" => "write `movable`",
        "immovable" | "unmovable" => {
            "remove it: without `movable` a relation stays as it was created"
        }
        "if" | "unless" => "write `when <expression>`",
        "allow" | "for" | "who" => "write `by <rule>`",
        _ => return None,
    })
}

/// Corrections of words that are no conditions here.
pub fn condition(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "everyone" | "everybody" | "public" | "all" | "any" | "anybody" | "anonymous" | "world" => {
            "write `anyone`"
        }
        "authenticated" | "logged_in" | "user" | "member" | "members" | "users" => {
            "write `signed_in`"
        }
        "none" | "never" | "noone" | "no_one" => "write `nobody`",
        "owner" | "creator" | "author" | "self" | "mine" => {
            "write `me is <relation>`, with a relation that leads to the caller"
        }
        _ => return None,
    })
}

/// Corrections of words that are no values here.
pub fn value(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "nil" | "none" | "null" | "undefined" => "write `null`",
        "current_timestamp" | "current_date" | "current_time" | "today" | "localtimestamp" => {
            "write `now()`"
        }
        "true" => "write `true`",
        "false" => "write `false`",
        _ => return None,
    })
}

/// The action that other languages call so.
pub fn action(word: &str) -> Option<&'static str> {
    Some(match word {
        "list" | "get" | "show" | "view" | "select" | "see" | "index" | "fetch" => "read",
        "write" | "edit" | "modify" | "change" | "patch" | "put" | "save" => "update",
        "insert" | "add" | "new" | "post" | "make" => "create",
        "remove" | "destroy" | "drop" | "erase" | "trash" => "delete",
        "unarchive" | "undelete" | "recover" | "revive" => "restore",
        "ban" | "block" | "moderate" | "hide" | "disable" => "suspend",
        _ => return None,
    })
}

/// The key of an entity that other languages call so.
pub fn key(word: &str) -> Option<&'static str> {
    Some(match word {
        "permissions" | "policy" | "policies" | "rules" | "acl" | "auth" => "access",
        "relations" | "relationships" | "references" | "parents" | "associations" => "belongs",
        "has_many" | "children" | "collections" => "has",
        "actions" | "events" | "verbs" | "workflow" => "transitions",
        "description" | "comment" | "summary" => "doc",
        "attributes" | "columns" | "properties" | "props" => "fields",
        "constraints" | "validations" | "validate" | "invariants" => "check",
        "computed" | "virtual" | "aggregates" | "counters" => "derived",
        "uniques" | "unique_together" | "keys" => "unique",
        "table" | "table_name" | "collection" => "plural",
        "name" | "model" => "entity",
        "limit" | "rate_limit" => "quota",
        "renamed_from" => "was",
        _ => return None,
    })
}

/// Refuses what follows a part of a rule in other languages. `part` has been read.
pub(super) fn after(r: &Reader, part: &Rule) -> Parsed<()> {
    let at = |message: String, help: String| {
        let span = part.span.to(r.span());
        Err(Diagnostic::at(span, message).help(help))
    };
    let name = match &part.form {
        Form::Name(name) => name.as_str(),
        Form::Compare { right, .. } => match &right.form {
            OperandForm::Name(name) => name.as_str(),
            _ => "",
        },
        _ => "",
    };
    match (&part.form, r.peek()) {
        (_, Some(Token::Sign("|"))) => {
            Err(Diagnostic::at(r.span(), "`|` does not join conditions").help("write `or`"))
        }
        (_, Some(Token::Word(word))) if is_capital(word, &["and", "or"]) => Err(Diagnostic::at(
            r.span(),
            format!("`{word}` in capital letters"),
        )
        .help(format!("write `{}`", word.to_ascii_lowercase()))),
        (Form::Name(not), Some(Token::Word(_) | Token::Sign("("))) if is_capital(not, &["not"]) => {
            at(
                format!("`{not}` in capital letters"),
                "write `not`".to_owned(),
            )
        }
        (_, Some(Token::Sign("("))) if !name.is_empty() => match name.to_ascii_lowercase().as_str()
        {
            "now" | "current_timestamp" | "today" => at(
                format!("`{name}()` is no value"),
                "write `now()`".to_owned(),
            ),
            _ => at(
                format!("`{name}(…)`: a rule has no functions but `now()`"),
                "compare fields with values, or keep the result in a field".to_owned(),
            ),
        },
        (Form::MeIs(role), Some(Token::Word(of))) if of == "of" => at(
            "`me is` asks for a relation, which has no `of`".to_owned(),
            format!(
                "write `me holds {0} of …` for a role; or name a condition of the other entity: `<condition> of …`",
                role.it
            ),
        ),
        (Form::MeIn { has, .. }, Some(Token::Word(of))) if of == "of" => at(
            "`me in` asks for rows below this one".to_owned(),
            format!(
                "give the other entity a condition `me in {}`, and write `<condition> of …` here",
                has.it
            ),
        ),
        (Form::Compare { .. }, Some(Token::Sign("<" | "<=" | ">" | ">=" | "==" | "!="))) => at(
            "a comparison has two sides".to_owned(),
            "compare twice and join both with `and`".to_owned(),
        ),
        _ => Ok(()),
    }
}

/// Whether it is one of these words with capital letters.
fn is_capital(word: &str, words: &[&str]) -> bool {
    words
        .iter()
        .any(|small| word.eq_ignore_ascii_case(small) && word != *small)
}
