//! The negative control of the comparison: leaves of every policy are switched off in the database, one at a time,
//! and the comparison must see it.
//!
//! Leaves are found in the texts of the policies themselves, so that none is missed because it is written in an
//! unexpected way.

use super::{
    differential::{disagreements, make},
    questions::{How, Question},
    unnoticed::{NOT_IN_THE_WORLDS, THE_SAME},
};
use crate::support::{self, Database, database::Content, is_new};
use codegen::model::Model;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};

struct Mutant {
    table: String,
    /// `events_update with check`
    clause: String,
    what: String,
    statement: String,
    /// The questions whose answers the leaf may change.
    asked: Vec<(How, String)>,
}

/// Worlds, tried one after the other, because one small world may not contain the case that reveals a broken leaf.
const SEEDS: [u64; 51] = [
    7, 1, 2, 4, 3, 6, 8, 5, 10, 12, 11, 13, 14, 16, 18, 20, 24, 28, 31, 37, 41, 43, 47, 53, 59, 61,
    67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 173, 9, 15, 17, 19, 21, 22, 23, 25, 26,
    27, 29, 30,
];
/// One in so many leaves of a clause is tried in each run, and always the first one.
const EVERY: usize = 6;

#[tokio::test]
async fn abuse_04_a_policy_with_a_leaf_switched_off_is_noticed() {
    let (mutants, clauses) = sample(all().await);
    let count = mutants.len();
    println!("{count} leaves of {clauses} clauses");
    assert!(clauses >= 100 && count > clauses, "{count} of {clauses}");
    all_are_noticed(mutants).await;
}

/// Trying all of them takes minutes.
#[tokio::test]
#[ignore = "minutes: cargo nextest run --run-ignored only every_leaf"]
async fn abuse_04_every_leaf_switched_off_is_noticed() {
    let mutants = all().await;
    assert!(mutants.len() >= 500, "{} leaves", mutants.len());
    all_are_noticed(mutants).await;
}

/// All leaves except those known not to be noticed, which must exist.
async fn all() -> Vec<Mutant> {
    let database = Database::new(Content::Empty).await;
    let mut mutants = mutants(database.superuser().await.looking()).await;
    let known = THE_SAME.iter().map(|(what, _)| what);
    let mut missing = Vec::new();
    for what in known.chain(&NOT_IN_THE_WORLDS) {
        let before = mutants.len();
        mutants.retain(|mutant| mutant.what != *what);
        if mutants.len() != before - 1 {
            missing.push(what);
        }
    }
    assert!(missing.is_empty(), "there are no such leaves: {missing:#?}");
    mutants
}

/// Some leaves of each clause of each policy, and the number of clauses.
fn sample(all: Vec<Mutant>) -> (Vec<Mutant>, usize) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut chosen = Vec::new();
    for mutant in all {
        let clause = mutant.clause.clone();
        let count = counts.entry(clause).or_default();
        if count.is_multiple_of(EVERY) {
            chosen.push(mutant);
        }
        *count += 1;
    }
    (chosen, counts.len())
}

async fn all_are_noticed(mut left: Vec<Mutant>) {
    let model = support::model();
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    for seed in SEEDS {
        if left.is_empty() {
            break;
        }
        let (_, questions) = make(&mut conn, model, seed).await;
        let mut unnoticed = Vec::new();
        for mutant in left {
            if !is_noticed(&mut conn, model, &mutant, &questions).await {
                unnoticed.push(mutant);
            }
        }
        sqlx::raw_sql("rollback").execute(&mut conn).await.unwrap();
        left = unnoticed;
    }
    // Which leaves of a new entity decide nothing is for people to find out: they are told, and nothing fails.
    let (new, left): (Vec<Mutant>, Vec<Mutant>) = left.into_iter().partition(is_of_new);
    let [new, left] = [new, left].map(|all| {
        let names = all.into_iter().map(|mutant| mutant.what);
        names.collect::<Vec<String>>()
    });
    println!("of new entities, not noticed: {new:#?}");
    assert!(left.is_empty(), "broken and not noticed: {left:#?}");
}

fn is_of_new(mutant: &Mutant) -> bool {
    let entities = support::model().entities.iter();
    let mut new = entities.filter(|entity| is_new(entity));
    new.any(|entity| entity.plural == mutant.table)
}

async fn is_noticed(
    conn: &mut PgConnection,
    model: &Model,
    mutant: &Mutant,
    questions: &[Question],
) -> bool {
    let statement = AssertSqlSafe(format!("savepoint mutant; {}", mutant.statement));
    let done = sqlx::raw_sql(statement).execute(&mut *conn).await;
    done.unwrap_or_else(|error| panic!("{}: {error}", mutant.what));
    let mut noticed = false;
    'asked: for (how, action) in &mutant.asked {
        for question in questions {
            if question.how == *how
                && question.action == action
                && model.entities[question.entity].plural == mutant.table
                && !disagreements(conn, model, question).await.is_empty()
            {
                noticed = true;
                break 'asked;
            }
        }
    }
    sqlx::raw_sql("rollback to savepoint mutant")
        .execute(conn)
        .await
        .unwrap();
    noticed
}

/// A policy of the request role: table, name, command, USING, WITH CHECK.
type Policy = (String, String, String, Option<String>, Option<String>);

async fn mutants(conn: &mut PgConnection) -> Vec<Mutant> {
    let policies: Vec<Policy> = sqlx::query_as(
        "select tablename::text, policyname::text, cmd, qual, with_check from pg_policies
         where schemaname = 'app' and 'culturepass_app' = any (roles) order by tablename, cmd",
    )
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    let open = changeable(conn).await;
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (table, policy, command, using, check) in policies {
        for (clause, text) in [("using", &using), ("with check", &check)] {
            let Some(text) = text else { continue };
            for leaf in leaves(text) {
                let words = &text[leaf.from..leaf.to];
                let off = if leaf.joined == Joined::Or {
                    "false"
                } else {
                    "true"
                };
                let place = Place {
                    command: &command,
                    words,
                    off,
                    others: text,
                };
                let action = action(&text[..leaf.from]).to_owned();
                // The guard limits these actions to their effect too: `database::actions` shows it without the guard.
                if clause == "with check" && command == "UPDATE" && action != "update" {
                    continue;
                }
                let repeats = clause == "with check"
                    && is_repeated(words, using.as_deref(), open.get(&table));
                if off == "true" && repeats || place.says_the_same() {
                    continue;
                }
                if !seen.insert((table.clone(), command.clone(), clause, words.to_owned())) {
                    continue;
                }
                let broken = format!("{}{off}{}", &text[..leaf.from], &text[leaf.to..]);
                let asked = match (command.as_str(), clause) {
                    ("SELECT", _) => vec![
                        (How::Read, "read".to_owned()),
                        (How::Read, "restore".to_owned()),
                    ],
                    ("INSERT", _) => vec![(How::Create, "create".to_owned())],
                    (_, "using") => vec![(How::Blind, action.clone())],
                    _ => vec![(How::Do, action.clone())],
                };
                found.push(Mutant {
                    clause: format!("{policy} {clause}"),
                    what: format!("{policy} {clause} {action}: {} -> {off}", one_line(words)),
                    statement: format!("alter policy {policy} on app.{table} {clause} ({broken})"),
                    table: table.clone(),
                    asked,
                });
            }
        }
    }
    found
}

fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The columns of each table that the request role may update.
async fn changeable(conn: &mut PgConnection) -> BTreeMap<String, BTreeSet<String>> {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select table_name::text, column_name::text from information_schema.column_privileges
         where table_schema = 'app' and grantee = 'culturepass_app' and privilege_type = 'UPDATE'",
    )
    .fetch_all(conn)
    .await
    .unwrap();
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, column) in columns {
        tables.entry(table).or_default().insert(column);
    }
    tables
}

/// A condition of WITH CHECK that USING has too, about columns that can't be updated: without it the policy decides
/// the same.
fn is_repeated(words: &str, using: Option<&str>, open: Option<&BTreeSet<String>>) -> bool {
    let mut columns = words.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    using.is_some_and(|using| using.contains(words))
        && !columns.any(|word| open.is_some_and(|open| open.contains(word)))
}

/// A leaf that is switched off, and its policy.
struct Place<'a> {
    command: &'a str,
    words: &'a str,
    off: &'a str,
    others: &'a str,
}

impl Place<'_> {
    /// Leaves without which a policy decides the same, at least for rows of finished transactions.
    fn says_the_same(&self) -> bool {
        let inserts = self.command == "INSERT" && self.off == "true";
        let bare = self.words.trim_start_matches('(');
        // It stands beside a condition on the id, which implies the entity: no two tables share an id.
        let of_a_kind = self.off == "true"
            && bare
                .split_once("_type = '")
                .is_some_and(|(column, rest)| !column.contains(' ') && rest.ends_with("'::text)"));
        // The constraint `role_fits_scope` requires the same.
        let role_of_scope = self.off == "true"
            && ["(role = 'cityAdmin'::text)", "(role = 'orgAdmin'::text)"].contains(&self.words);
        // The creator and the session of a row are in columns that no body contains: the default is the caller, or
        // null for anonymous callers, whom the comparison with null refuses.
        let maker = inserts
            && (self.words.ends_with("= sec.uid())")
                || self.words.contains("IS DISTINCT FROM sec.session()"));
        let signed_in = inserts
            && self.words == "(sec.uid() IS NOT NULL)"
            && self.others.contains("= sec.uid())");
        // Only relevant in the transaction that has created the row; creating through HTTP would fail without it.
        let just_made = ["sec.created()", "sec.changed()"]
            .iter()
            .any(|call| self.words.contains(call));
        // Callers who may restore a row see it in every status.
        let archived = self.command == "SELECT" && self.words == "(status = 'archived'::text)";
        of_a_kind || role_of_scope || maker || signed_in || just_made || archived
    }
}

/// In an UPDATE policy: the action whose case a place in the text belongs to.
fn action(before: &str) -> &str {
    let case = before.rsplit_once("WHEN '").map(|(_, rest)| rest);
    case.and_then(|rest| rest.split('\'').next()).unwrap_or("")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joined {
    And,
    Or,
    Alone,
}

#[derive(Debug, PartialEq, Eq)]
struct Leaf {
    from: usize,
    to: usize,
    joined: Joined,
}

/// The innermost operands of `and` and `or`, and decisions that consist of one condition.
fn leaves(text: &str) -> Vec<Leaf> {
    let mut found = Vec::new();
    if !text.trim_start().starts_with("CASE") {
        descend(text, 0, text.len(), Joined::Alone, &mut found);
        return found;
    }
    let mut from = 0;
    while let Some(then) = text[from..].find(" THEN ") {
        let start = from + then + " THEN ".len();
        let end = start + text[start..].find('\n').expect("another case");
        descend(text, start, end, Joined::Alone, &mut found);
        from = end;
    }
    found
}

fn descend(text: &str, from: usize, to: usize, joined: Joined, found: &mut Vec<Leaf>) {
    let (parts, word) = operands(text, from, to);
    if parts.len() > 1 {
        for (from, to) in parts {
            descend(text, from, to, word, found);
        }
        return;
    }
    let before = found.len();
    for (from, to) in groups(text, from, to) {
        inner(text, from, to, found);
    }
    if found.len() == before {
        found.push(Leaf { from, to, joined });
    }
}

/// Like [`descend`], but a text without operands is part of a leaf and not a leaf itself.
fn inner(text: &str, from: usize, to: usize, found: &mut Vec<Leaf>) {
    let (parts, word) = operands(text, from, to);
    for (from, to) in &parts {
        if parts.len() > 1 {
            descend(text, *from, *to, word, found);
        }
    }
    if parts.len() == 1 {
        for (from, to) in groups(text, from, to) {
            inner(text, from, to, found);
        }
    }
}

/// The operands of `and` or `or` outside of all parentheses.
fn operands(text: &str, from: usize, to: usize) -> (Vec<(usize, usize)>, Joined) {
    let (mut parts, mut start, mut joined) = (Vec::new(), from, Joined::Alone);
    for (at, depth) in outside_quotes(text, from, to) {
        for (word, kind) in [(" AND ", Joined::And), (" OR ", Joined::Or)] {
            if depth == 0 && text[at..to].starts_with(word) {
                parts.push((start, at));
                start = at + word.len();
                joined = kind;
            }
        }
    }
    parts.push((start, to));
    (parts, joined)
}

/// The contents of the outermost parentheses.
fn groups(text: &str, from: usize, to: usize) -> Vec<(usize, usize)> {
    let (mut groups, mut start) = (Vec::new(), from);
    for (at, depth) in outside_quotes(text, from, to) {
        match (text.as_bytes()[at], depth) {
            (b'(', 1) => start = at + 1,
            (b')', 0) => groups.push((start, at)),
            _ => {}
        }
    }
    groups
}

/// Every position outside of quoted texts, and its nesting depth in parentheses.
fn outside_quotes(text: &str, from: usize, to: usize) -> Vec<(usize, i32)> {
    let (mut places, mut depth, mut quoted) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate().take(to).skip(from) {
        quoted ^= byte == b'\'';
        if quoted {
            continue;
        }
        depth += i32::from(byte == b'(') - i32::from(byte == b')');
        places.push((at, depth));
    }
    places
}
