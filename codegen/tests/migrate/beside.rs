//! Spec words that emit statements about a table other than `create table`: adding them, removing them, and reverting
//! both.

use super::world::{Edit, step};

const PING: &str = "entity: ping\ndoc: Something to look at.\nlifecycle: mutable\ninternal: true\nmodule: billing\naudit: off\n\
                    fields:\n  made_at: time\nbelongs:\n  event: event?, on archive detach\n";

fn pings(rest: &str) -> String {
    PING.replace("audit: off\n", &format!("audit: off\n{rest}"))
}

/// The class of the migration, and the statements of its first file, up and down, without the comments at its
/// beginning.
fn both_ways(from: &[Edit], to: &[Edit]) -> (u8, Vec<String>, Vec<String>) {
    let next = step(from, to).unwrap_or_else(|refused| panic!("{refused:#?}"));
    let lines = |text: &str| {
        let said = text
            .lines()
            .filter(|l| !l.starts_with("--") && !l.is_empty());
        said.map(str::to_owned).collect::<Vec<_>>()
    };
    let [migration] = &next.plan.migrations[..] else {
        panic!("one migration: {}", next.plan.render());
    };
    let code = next.plan.worst().exit_code();
    (code, lines(&migration.up), lines(&migration.down))
}

#[test]
fn rows_leave_the_write_ahead_log_and_enter_it_again() {
    let (with, without) = (pings(""), pings("wal: off\n"));
    let (with, without) = (
        [("ping", "", with.as_str())],
        [("ping", "", without.as_str())],
    );
    let (set, unset) = (
        ["alter table app.pings set logged;".to_owned()],
        ["alter table app.pings set unlogged;".to_owned()],
    );
    // Class 3, since the table is rewritten, and every program that uses it waits meanwhile.
    let (code, up, down) = both_ways(&with, &without);
    assert_eq!((code, &up[..], &down[..]), (3, &unset[..], &set[..]));
    let (code, up, down) = both_ways(&without, &with);
    assert_eq!((code, &up[..], &down[..]), (3, &set[..], &unset[..]));
}

/// Two tables with a foreign key between them become logged one after the other, so the foreign key is dropped first
/// and added last.
#[test]
fn a_reference_waits_until_both_tables_have_left_the_log() {
    let pong = |wal: &str| {
        format!(
            "entity: pong\ndoc: An answer.\nlifecycle: mutable\ninternal: true\nmodule: billing\naudit: off\n{wal}\
             fields:\n  made_at: time\nbelongs:\n  ping: ping\n"
        )
    };
    let (off, on) = ("wal: off\n", "");
    let spec = |wal: &str| (pings(wal), pong(wal));
    let ((ping, answer), (ping_off, answer_off)) = (spec(on), spec(off));
    let (from, to) = (
        [
            ("ping", "", ping_off.as_str()),
            ("pong", "", answer_off.as_str()),
        ],
        [("ping", "", ping.as_str()), ("pong", "", answer.as_str())],
    );
    let next = step(&from, &to).unwrap_or_else(|refused| panic!("{refused:#?}"));
    for text in [&next.plan.migrations[0].up, &next.plan.migrations[0].down] {
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
        let gone = at("drop constraint pongs_ping_id_fkey;");
        let back = at("add constraint pongs_ping_id_fkey");
        for table in ["pings", "pongs"] {
            let set = at(&format!("alter table app.{table} set "));
            assert!(gone < set && set < back, "{text}");
        }
    }
}

/// The fill factor of a table and the comment of a column.
#[test]
fn what_is_said_of_a_table_is_taken_back() {
    let capacity = "  capacity: int(1..1000000)?";
    let told = "  capacity: int(1..1000000)?, doc \"How many fit in.\"";
    let comment = "comment on column app.events.capacity is 'How many fit in.';".to_owned();
    let none = "comment on column app.events.capacity is null;".to_owned();
    let (from, to) = ([("event", capacity, told)], []);
    let (code, up, down) = both_ways(&from, &to);
    assert_eq!((code, up, down), (0, vec![none], vec![comment]));
}
