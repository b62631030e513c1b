//! Statements about a table other than `create table` are undone once the spec no longer has them, and search
//! documents are computed again when a function that they use changes.

use std::path::Path;

use super::super::beside::{beside, contrary};
use super::super::change::{Renames, tables};
use super::super::diff::{Direction, diff};
use super::super::op::Op;
use super::{column, schema, table};
use crate::emit::schema::schema as emitted;
use crate::objects::{Kind, Object, Schema};

fn spec(path: &str) -> Schema {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    emitted(&crate::load(&root).unwrap_or_else(|said| panic!("{said}")))
}

/// Each statement of each table is one that all tables have, or one that can be undone. Otherwise, a new kind of
/// statement would stay in force in the database after its removal from the spec.
#[test]
fn what_a_table_says_can_be_taken_back() {
    let always = |s: &str| {
        s.starts_with("alter table ")
            && (s.contains(" owner to ") || s.ends_with(" row level security;"))
    };
    let mut found = 0;
    for path in ["..", "../tests/library", "tests/good/lifecycles"] {
        let schema = spec(path);
        for said in tables(&schema).flat_map(|table| beside(&table.create)) {
            assert!(always(said) || contrary(said).is_some(), "{said}");
            found += usize::from(!always(said));
        }
    }
    assert!(found > 100, "{found}");
}

fn saying(beside: &str) -> Schema {
    let mut table = table("t1", vec![column("id", "uuid"), column("c1", "text")]);
    table.create.push_str(beside);
    schema(vec![table])
}

fn between(old: &Schema, new: &Schema) -> Vec<String> {
    let ops = diff(old, new, &Renames::default(), &Direction::Up);
    ops.iter().map(Op::sql).collect()
}

#[test]
fn of_a_statement_that_is_gone_the_contrary_is_run() {
    let cases = [
        (
            "\ncomment on column app.t1.c1 is 'x; y';",
            "comment on column app.t1.c1 is null;",
        ),
        (
            "\nalter table app.t1 set (fillfactor = 80);",
            "alter table app.t1 reset (fillfactor);",
        ),
        (
            "\nalter table app.t1 set unlogged;",
            "alter table app.t1 set logged;",
        ),
    ];
    for (said, contrary) in cases {
        assert_eq!(between(&saying(said), &saying("")), [contrary]);
        assert_eq!(between(&saying(""), &saying(said)), [said.trim()]);
    }
    // A statement that sets the same property again replaces the old value, so nothing is undone.
    let (one, other) = (
        "\ncomment on table app.t1 is 'one';",
        "\ncomment on table app.t1 is 'other';",
    );
    assert_eq!(between(&saying(one), &saying(other)), [other.trim()]);
    // Dropping a column drops its comment.
    let gone = between(
        &saying("\ncomment on column app.t1.c1 is 'x';"),
        &schema(vec![table("t1", vec![column("id", "uuid")])]),
    );
    assert_eq!(gone, ["alter table app.t1 drop column c1;"]);
}

#[test]
fn a_function_that_nobody_might_call_can_be_called_by_everybody() {
    let function = |rest: &str| {
        let create = format!(
            "create function sec.f1() returns int\n  language sql as $$ select 1 $$;{rest}"
        );
        schema(vec![super::object(
            Kind::Function,
            None,
            "sec.f1()",
            &create,
        )])
    };
    let closed = function("\nrevoke execute on function sec.f1() from public;");
    assert_eq!(
        between(&closed, &function("")),
        ["grant execute on function sec.f1() to public;"]
    );
}

/// A down migration writes rows before it creates the documents again.
#[test]
fn what_writes_search_documents_is_away_while_they_are() {
    let old = spec("../tests/library");
    let mut new = old.clone();
    let documents = |o: &&mut Object| o.name == "search.books";
    let table = new.objects.iter_mut().find(documents).expect("a table");
    table.create = table.create.replacen("not null", "not null ", 1);
    let ops = diff(&old, &new, &Renames::default(), &Direction::Up);
    let dropped: Vec<&str> = (ops.iter())
        .filter_map(|op| match op {
            Op::Drop { object } => Some(object.name.as_str()),
            _ => None,
        })
        .collect();
    let away = |name: &str| dropped.contains(&name);
    assert!(away("search.books"), "{dropped:?}");
    let writers: Vec<&Object> = (old.objects.iter())
        .filter(|o| o.kind == Kind::Trigger && o.create.contains("books_document("))
        .collect();
    assert!(!writers.is_empty());
    for trigger in writers {
        assert!(away(&trigger.name), "{}: {dropped:?}", trigger.name);
    }
}

/// The index of search documents contains the results of `sec.eras` for each row, so it is of no use to a changed
/// function.
#[test]
fn search_documents_are_made_anew_with_the_functions_that_they_hold_answers_of() {
    let old = spec("../tests/library");
    let mut new = old.clone();
    let eras = (new.objects.iter_mut()).find(|o| o.name == "sec.eras(uuid)");
    let eras = eras.expect("the function");
    eras.create = eras.create.replacen("begin", "begin\n  -- Otherwise.", 1);
    let documents = |o: &Object| o.kind == Kind::View && o.create.contains("sec.eras(id)");
    let wanted: Vec<&str> = (old.objects.iter())
        .filter(|o| documents(o))
        .map(|o| o.name.as_str())
        .collect();
    assert!(!wanted.is_empty());
    let ops = diff(&old, &new, &Renames::default(), &Direction::Up);
    let made: Vec<&str> = (ops.iter())
        .filter_map(|op| match op {
            Op::Create { object, .. } if documents(object) => Some(object.name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(made, wanted);
}
