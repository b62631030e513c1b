//! Names: which are allowed, how they are converted, and which one was probably meant.
//!
//! The only place that knows reserved words and PostgreSQL's limit of 63 bytes.

mod reserved;

pub use reserved::{
    is_plpgsql_reserved, is_rust_reserved, is_sql_column_only, is_sql_reserved, is_system_column,
    is_type_reserved, types,
};

/// PostgreSQL truncates longer identifiers without an error.
pub const NAME_BYTES_MAX: usize = 63;

/// The longest suffix in the names of constraints of a column.
const ENDING_BYTES_MAX: usize = "_duplicate".len();

/// `^[a-z][a-z0-9_]{0,62}$`
pub fn is_name(word: &str) -> bool {
    word.len() <= NAME_BYTES_MAX
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Role names and enum values may also have capitals: `orgAdmin`, `AU`.
pub fn is_word(word: &str) -> bool {
    word.len() <= NAME_BYTES_MAX
        && word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether `<table>_<column>_<kind>` fits into an identifier.
pub fn fits_constraint(table: &str, column: &str) -> bool {
    table.len() + "_".len() + column.len() + ENDING_BYTES_MAX <= NAME_BYTES_MAX
}

/// Whether `<table>_<columns>_key` fits into an identifier.
pub fn fits_index(table: &str, columns: &[String]) -> bool {
    table.len() + columns.iter().map(|c| c.len() + 1).sum::<usize>() + "_key".len()
        <= NAME_BYTES_MAX
}

pub fn plural(singular: &str) -> String {
    format!("{singular}s")
}

/// `orgAdmin` → `org_admin`
pub fn snake(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 2);
    for (n, c) in word.chars().enumerate() {
        if c.is_ascii_uppercase() && n > 0 && !out.ends_with('_') {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// `ticket_type`, `orgAdmin` → `TicketType`, `OrgAdmin`
pub fn pascal(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    for part in word.split('_') {
        let mut chars = part.chars();
        if let Some(first) = chars.next() {
            out.extend(first.to_uppercase());
            out.push_str(chars.as_str());
        }
    }
    out
}

/// `ticket_types` → `ticket-types`
pub fn kebab(word: &str) -> String {
    word.replace('_', "-")
}

/// Whether YAML 1.1 parsers take the word, standing alone, for a boolean or null.
pub fn is_yaml_word(word: &str) -> bool {
    matches!(
        word.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null" | "~"
    )
}

/// Words of the rule language, which can't name conditions, fields or relations.
pub fn is_rule_word(word: &str) -> bool {
    matches!(
        word,
        "anyone"
            | "signed_in"
            | "nobody"
            | "me"
            | "this"
            | "is"
            | "holds"
            | "and"
            | "or"
            | "not"
            | "in"
            | "of"
            | "where"
            | "as"
            | "null"
            | "true"
            | "false"
            | "now"
    )
}

/// Names that generated SQL uses beside columns: parameters (`p_id`), variables (`v_base`) and the alias `parent`.
pub fn is_generated_variable(word: &str) -> bool {
    word.starts_with("p_") || word.starts_with("v_") || word == "parent"
}

/// Names of columns that every table may have.
pub fn is_builtin_column(word: &str) -> bool {
    matches!(
        word,
        "id" | "object"
            | "status"
            | "version"
            | "created_at"
            | "updated_at"
            | "live_key"
            | "open_key"
            | "live_ref"
            | "archived_from"
            | "archived_with"
            | "still_archived"
            | "allowed_actions"
    )
}

/// Words that cannot be a Rust field name even as `r#…`.
pub fn is_rust_unraw(word: &str) -> bool {
    matches!(word, "self" | "super" | "crate" | "_")
}

/// The known name that an unknown one was probably meant to be.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.len() / 3).clamp(1, 3);
    let plain = word.to_ascii_lowercase().replace(['_', '-'], "");
    known
        .into_iter()
        .filter(|k| *k != word)
        .map(|k| {
            (
                distance(&plain, &k.to_ascii_lowercase().replace(['_', '-'], "")),
                k,
            )
        })
        .filter(|(d, _)| *d <= allowed)
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// A question like "did you mean `x`?", or the list of all known names.
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>, kind: &str) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = closest(word, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    match known.as_slice() {
        [] => format!("there are no {kind} here"),
        few if few.len() <= 24 => format!("{kind}: {}", quoted(few)),
        many => format!("none of the {} {kind} is called `{word}`", many.len()),
    }
}

/// `` `a`, `b`, `c` ``
pub fn quoted<S: AsRef<str>>(words: &[S]) -> String {
    words
        .iter()
        .map(|w| format!("`{}`", w.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Number of edits (insert, delete, replace, swap of neighbours) from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["orgAdmin", "cityAdmin", "platformAdmin"];
        assert_eq!(closest("orgadmin", known), Some("orgAdmin"));
        assert_eq!(closest("ogrAdmin", known), Some("orgAdmin"));
        assert_eq!(closest("owner", known), None);
    }

    #[test]
    fn case_changes() {
        assert_eq!(snake("orgAdmin"), "org_admin");
        assert_eq!(pascal("ticket_type"), "TicketType");
        assert_eq!(pascal("orgAdmin"), "OrgAdmin");
        assert_eq!(kebab("ticket_types"), "ticket-types");
    }
}
