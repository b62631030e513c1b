//! What programs written by hand name in the database. The version that is still running fails where it is gone, and
//! the generator doesn't see whether it names it.

use super::world::{Edit, after, step, world};
use codegen::emit::schema::schema;
use codegen::migrate::{Past, next};
use codegen::model::Model;

fn class(from: &[Edit], to: &[Edit]) -> (u8, String) {
    let plan = step(from, to)
        .unwrap_or_else(|refused| panic!("{refused:#?}"))
        .plan;
    (plan.worst().exit_code(), plan.render())
}

const LIST: &str = "unique: [[organization, user]]\n";

/// `insert … on conflict (user_id)` needs a unique index of just these columns that covers the row.
#[test]
fn a_unique_rule_that_is_gone_or_covers_less_is_breaking() {
    let alone = ("member", "user: user, set me", "user: user, unique, set me");
    let field = (
        "user",
        "handle: text(3..40), unique, search",
        "handle: text(3..40), search",
    );
    let some = (
        "member",
        LIST,
        "unique:\n  - organization, user where state == active\n",
    );
    let other = ("member", LIST, "unique: [[organization, state]]\n");
    let gone = ("member", LIST, "");
    let cases: [(&str, &[Edit], &[Edit], u8); 7] = [
        ("a relation", &[alone], &[], 4),
        ("a field", &[], &[field], 4),
        ("a list", &[], &[gone], 4),
        ("a list for some rows", &[], &[some], 4),
        ("other columns", &[], &[other], 4),
        ("the list that the relation says too", &[alone], &[alone], 0),
        ("nothing", &[], &[], 0),
    ];
    for (what, from, to, code) in cases {
        let (found, told) = class(from, to);
        assert_eq!(found, code, "{what}: {told}");
    }
    // The order of the columns means nothing to `on conflict`.
    let turned = ("member", LIST, "unique: [[user, organization]]\n");
    let (_, told) = class(&[], &[turned]);
    assert!(told.contains("  safe: drop index"), "{told}");
}

/// A module asks `cx.holds(&EVENT, "host", id)` by name.
#[test]
fn a_condition_that_is_gone_is_breaking() {
    let more: Edit = (
        "city",
        "  read: anyone\n",
        "  guide: me holds platformAdmin\n  read: anyone\n",
    );
    let create: Edit = ("city", "create: me holds platformAdmin", "create: guide");
    let renamed: [Edit; 2] = [
        (
            "city",
            "  read: anyone\n",
            "  leader: me holds platformAdmin\n  read: anyone\n",
        ),
        ("city", "create: me holds platformAdmin", "create: leader"),
    ];
    let (code, told) = class(&[more, create], &[]);
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("sec.holds_city"), "{told}");
    let (code, told) = class(&[more, create], &renamed);
    assert_eq!(code, 4, "{told}");
    let (code, told) = class(&[], &[more, create]);
    assert_eq!(code, 0, "{told}");
    // What it asks is told under Access.
    let other: Edit = (
        "city",
        "  admin: me holds cityAdmin of this\n",
        "  admin: me holds platformAdmin or me holds cityAdmin of this\n",
    );
    let (code, told) = class(&[], &[other]);
    assert_eq!(code, 0, "{told}");
}

const MODULE: &str = "    write: [event, organization]\n";

#[test]
fn a_job_that_requests_may_no_longer_ask_for_is_breaking() {
    let with = |jobs: &str| format!("{MODULE}    on_request: [{jobs}]\n");
    let (one, two, other) = (with("charge"), with("charge, refund"), with("refund"));
    for (before, after, code) in [
        (two.as_str(), one.as_str(), 4),
        (&one, MODULE, 4),
        (&one, &other, 4),
        (&one, &two, 0),
        (MODULE, &one, 0),
        (&one, &one, 0),
    ] {
        let (found, told) = class(&[("app", MODULE, before)], &[("app", MODULE, after)]);
        assert_eq!(found, code, "{before} {after}: {told}");
    }
}

#[test]
fn what_a_module_may_no_longer_read_or_write_is_breaking() {
    let help = "  helper:\n    doc: Helps.\n    read: [organization, city]\n    write: [event]\n";
    let both = format!("{MODULE}{help}");
    for (after, code) in [
        (both.clone(), 0),
        (both.replace(", city", ""), 4),
        (
            both.replace("read: [organization, city]", "read: [city]"),
            4,
        ),
        (
            both.replace("write: [event]\n", "write:\n      event: [title]\n"),
            4,
        ),
        (
            both.replace(
                "    read: [organization, city]\n    write: [event]\n",
                "    read: [organization, city, event]\n",
            ),
            4,
        ),
        (both.replace(", city", ", city, member"), 0),
        (MODULE.to_owned(), 4),
    ] {
        let (found, told) = class(&[("app", MODULE, &both)], &[("app", MODULE, &after)]);
        assert_eq!(found, code, "{after}: {told}");
    }
    let (found, told) = class(
        &[("app", MODULE, &both.replace(", city", ""))],
        &[("app", MODULE, &both)],
    );
    assert_eq!(found, 0, "{told}");
}

/// Of each entity: whichever unique rule, condition or job is taken away, the plan calls it breaking.
#[test]
fn each_that_is_taken_away_is_breaking() {
    let old = world(&[]);
    let past = after(&next(&Past::default(), &old, &schema(&old)).unwrap());
    let mut tried = 0;
    let mut breaking = |change: &dyn Fn(&mut Model) -> bool| {
        let mut new = old.clone();
        if !change(&mut new) {
            return;
        }
        tried += 1;
        let next = next(&past, &new, &schema(&new)).unwrap();
        assert_eq!(next.plan.worst().exit_code(), 4, "{}", next.plan.render());
    };
    for id in 0..old.entities.len() {
        for n in 0..old.entities[id].unique.len() {
            breaking(&|new| {
                new.entities[id].unique.remove(n);
                true
            });
        }
        for n in 0..old.entities[id].fields.len() {
            breaking(&|new| std::mem::take(&mut new.entities[id].fields[n].unique));
        }
        for n in 0..old.entities[id].conditions.len() {
            breaking(&|new| {
                new.entities[id].conditions[n].name.push_str("_too");
                !old.entities[id].internal
            });
        }
    }
    assert!(tried >= 8, "{tried}");
}
