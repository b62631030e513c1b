//! Reads SQL text as far as migrations need it: statements, words, function signatures.
//!
//! Knows quoting, but no grammar. False positives are allowed, false negatives are not: a dependency that does not
//! exist costs a `drop` and a `create`, while a missed one makes the migration fail.

/// The statements of a text, each with its `;`, comments before it included.
pub fn statements(sql: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, piece) in pieces(sql) {
        if piece == Piece::Code(b';') {
            found.push(sql[start..=at].trim());
            start = at + 1;
        }
    }
    if !sql[start..].trim().is_empty() {
        found.push(sql[start..].trim());
    }
    found
}

/// Whether `word` occurs as a whole word; it may contain dots (`sec.uid`).
pub fn mentions(sql: &str, word: &str) -> bool {
    occurrences(sql, word).next().is_some()
}

/// Replaces whole words, except in string literals.
pub fn rename(sql: &str, from: &str, to: &str) -> String {
    let literal: Vec<bool> = {
        let mut inside = vec![true; sql.len()];
        for (at, piece) in pieces(sql) {
            if matches!(piece, Piece::Code(_) | Piece::Body) {
                inside[at] = false;
            }
        }
        inside
    };
    let mut out = String::with_capacity(sql.len());
    let mut done = 0;
    for at in occurrences(sql, from) {
        if at < done || literal[at] {
            continue;
        }
        out.push_str(&sql[done..at]);
        out.push_str(to);
        done = at + from.len();
    }
    out.push_str(&sql[done..]);
    out
}

/// The part of a function that `create or replace function` can't change: everything from its name to its return type.
pub fn signature(create: &str) -> String {
    const AFTER: [&str; 16] = [
        "language",
        "as",
        "immutable",
        "stable",
        "volatile",
        "strict",
        "security",
        "parallel",
        "cost",
        "rows",
        "set",
        "leakproof",
        "called",
        "window",
        "support",
        "return",
    ];
    let lower = create.to_lowercase();
    let from = lower.find("function").map_or(0, |at| at + "function".len());
    let mut depth = 0_i32;
    let mut words = Vec::new();
    let mut seen_returns = false;
    for word in
        lower[from..].split_inclusive(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ','))
    {
        let bare = word.trim_matches(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ','));
        if depth == 0 && seen_returns && AFTER.contains(&bare) {
            break;
        }
        seen_returns |= bare == "returns";
        depth += i32::from(word.ends_with('(')) - i32::from(word.ends_with(')'));
        words.push(word.split_whitespace().collect::<String>());
    }
    words.retain(|w| !w.is_empty());
    words.join(" ")
}

/// `sec.enter(uuid,uuid)` → `sec.enter`; other names as they are.
pub fn base_name(name: &str) -> &str {
    name.split('(').next().unwrap_or(name)
}

/// `app.events.events_select` → `events_select`.
pub fn last_name(name: &str) -> &str {
    base_name(name).rsplit('.').next().unwrap_or(name)
}

/// `app.events` → `events`.
pub fn bare_table(table: &str) -> &str {
    table.rsplit('.').next().unwrap_or(table)
}

/// The `revoke` statement that undoes a `grant` statement.
pub fn revoke(grant: &str) -> Option<String> {
    let rest = grant.strip_prefix("grant ")?;
    let (what, whom) = rest.rsplit_once(" to ")?;
    Some(format!("revoke {what} from {whom}"))
}

/// The `grant` statement that undoes a `revoke` statement.
pub fn grant(revoke: &str) -> Option<String> {
    let rest = revoke.strip_prefix("revoke ")?;
    let (what, whom) = rest.rsplit_once(" from ")?;
    Some(format!("grant {what} to {whom}"))
}

/// The words of a text, for set comparison.
pub fn words(sql: &str) -> Vec<&str> {
    sql.split(|c: char| !is_word(c))
        .filter(|w| !w.is_empty())
        .collect()
}

fn occurrences<'a>(sql: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    sql.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            let before = sql[..at].chars().next_back();
            let after = sql[at + word.len()..].chars().next();
            !word.is_empty() && !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[derive(Clone, Copy, PartialEq)]
enum Piece {
    Code(u8),
    /// Inside dollar quotes, which contain code too, but where a `;` doesn't end the statement.
    Body,
}

/// The position and kind of each byte that belongs to neither a literal nor a comment.
fn pieces(sql: &str) -> Vec<(usize, Piece)> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &sql[at..];
        let skip = if rest.starts_with("--") {
            rest.find('\n').map_or(rest.len(), |n| n + 1)
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |n| n + 2)
        } else if let Some(text) = rest.strip_prefix('\'') {
            text.find('\'').map_or(rest.len(), |n| n + 2)
        } else if let Some(tag) = dollar_tag(rest) {
            let body = &rest[tag.len()..];
            let end = body.find(tag).unwrap_or(body.len());
            let inner = at + tag.len();
            found.extend(
                pieces(&body[..end])
                    .into_iter()
                    .map(|(n, _)| (inner + n, Piece::Body)),
            );
            (tag.len() + end + tag.len()).min(rest.len())
        } else {
            found.push((at, Piece::Code(bytes[at])));
            rest.chars().next().map_or(1, char::len_utf8)
        };
        at += skip;
    }
    found
}

fn dollar_tag(rest: &str) -> Option<&str> {
    let name = rest.strip_prefix('$')?;
    let end = name.find('$')?;
    name[..end].chars().all(is_word).then(|| &rest[..end + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_outside_quotes() {
        let sql = "create function f() returns int language sql as $$ select 1; $$;\n-- a; b\nselect ';';";
        assert_eq!(statements(sql).len(), 2);
    }

    #[test]
    fn dollar_quotes_end_at_their_own_tag() {
        let sql = "create function f() returns text as $body$\nselect '$$ x; '; -- it's $$;\n$body$;\nselect state;";
        assert_eq!(statements(sql).len(), 2);
        assert_eq!(
            rename(
                "as $body$ state = '$$ state' or state $body$",
                "state",
                "phase"
            ),
            "as $body$ phase = '$$ state' or phase $body$"
        );
    }

    #[test]
    fn words_are_whole() {
        assert!(mentions("sec.enter(a)", "sec.enter"));
        assert!(!mentions("sec.enter_job(a)", "sec.enter"));
        assert!(mentions("t.status in ('x')", "status"));
        assert!(!mentions("live_status", "status"));
    }

    #[test]
    fn a_rename_spares_literals() {
        assert_eq!(
            rename("state in ('state') and $$ state $$", "state", "phase"),
            "phase in ('state') and $$ phase $$"
        );
    }

    #[test]
    fn a_signature_ends_at_the_return_type() {
        let one = signature(
            "create or replace function sec.f(a uuid, b text default 'x') returns table(x int, y text)\nlanguage sql as $$ select 1 $$;",
        );
        let two = signature(
            "create function sec.f(a uuid,\n b text default 'x') returns table(x int, y text) stable security definer as $$ select 2 $$;",
        );
        let three = signature(
            "create function sec.f(a uuid, b text default 'x') returns table(x int) stable as $$ $$;",
        );
        assert_eq!(one, two);
        assert_ne!(one, three);
    }

    #[test]
    fn grants_are_taken_back() {
        assert_eq!(
            revoke("grant execute on function sec.f(uuid) to a, b;").as_deref(),
            Some("revoke execute on function sec.f(uuid) from a, b;")
        );
    }
}
