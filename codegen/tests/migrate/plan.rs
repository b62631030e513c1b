//! What a plan says: which steps break the running version, and who may do more or less.

use super::world::{Edit, step};

/// Whatever the version that is still running does with a column or a role, and will not be allowed any more.
#[test]
fn what_stops_the_running_version_is_breaking() {
    let capacity = "  capacity: int(1..1000000)?";
    let rows = "unique: [[city, slug]]";
    let cases: [(&str, Edit); 11] = [
        (
            "the last read rule goes, and its function",
            (
                "event",
                "door_code: text(4..12)?, read host or city_admin,",
                "door_code: text(4..12)?,",
            ),
        ),
        (
            "a read rule",
            ("event", capacity, "  capacity: int(1..1000000)?, read host"),
        ),
        (
            "fixed",
            ("event", capacity, "  capacity: int(1..1000000)?, fixed"),
        ),
        (
            "system",
            ("event", capacity, "  capacity: int(1..1000000)?, system"),
        ),
        ("another app", ("app", "app: fixture", "app: renamed")),
        (
            "a check of rows",
            (
                "event",
                rows,
                "unique: [[city, slug]]\ncheck:\n  apart: ends_at > starts_at",
            ),
        ),
        (
            "a unique list",
            ("event", rows, "unique: [[city, slug], [host, starts_at]]"),
        ),
        (
            "a unique field",
            (
                "event",
                "  ends_at: time, check",
                "  ends_at: time, unique, check",
            ),
        ),
        ("nobody creates", ("event", "  create: host\n", "")),
        (
            "whoever creates a row says whose it is",
            ("member", "  user: user, set me\n", "  user: user\n"),
        ),
        (
            "a check of an old and a filled new column",
            (
                "event",
                "  featured:",
                "  least: int = 1, check capacity == null or least <= capacity\n  featured:",
            ),
        ),
    ];
    for (what, edit) in cases {
        let edits = match what {
            "nobody creates" => vec![
                edit,
                ("event", "hooks: [create, publish]", "hooks: [publish]"),
            ],
            _ => vec![edit],
        };
        let next = step(&[], &edits).unwrap_or_else(|refused| panic!("{what}: {refused:#?}"));
        assert_eq!(
            next.plan.worst().exit_code(),
            4,
            "{what}: {}",
            next.plan.render()
        );
    }
}

#[test]
fn what_the_running_version_does_not_notice_is_safe() {
    let cases: [(&str, Edit); 2] = [
        (
            "not system",
            (
                "event",
                "featured: bool = false, system",
                "featured: bool = false",
            ),
        ),
        (
            "a check of a new column",
            (
                "event",
                "  featured:",
                "  least: int?, check capacity == null or least <= capacity\n  featured:",
            ),
        ),
    ];
    // A field that a transition sets stays `system`.
    let feature = "  feature: set featured = true, by city_admin\n";
    let from = [("event", feature, "")];
    for (what, edit) in cases {
        let next = step(&from, &[from[0], edit]);
        let next = next.unwrap_or_else(|refused| panic!("{what}: {refused:#?}"));
        assert_eq!(
            next.plan.worst().exit_code(),
            0,
            "{what}: {}",
            next.plan.render()
        );
    }
}

/// Over fewer rows a rule refuses nothing new. What the running version may notice is that `on conflict` no longer
/// finds the index that is dropped, which `exclude` never was.
#[test]
fn a_rule_for_some_rows_is_breaking_only_where_it_becomes_stricter() {
    let rows = "unique: [[organization, user]]";
    let list = |filter: &str| format!("unique:\n  - organization, user where {filter}");
    let cases = [
        ("none", rows.to_owned(), list("state == active"), false),
        ("any", list("state == active"), rows.to_owned(), true),
        (
            "fewer",
            list("state in (active, pending)"),
            list("state == active"),
            false,
        ),
        (
            "more",
            list("state == active"),
            list("state in (active, pending)"),
            true,
        ),
        (
            "others",
            list("state == active"),
            list("state != active"),
            true,
        ),
    ];
    for (what, before, after, stricter) in cases {
        let to = ("member", rows, after.as_str());
        let next = step(&[("member", rows, &before)], &[to])
            .unwrap_or_else(|refused| panic!("{what}: {refused:#?}"));
        let plan = next.plan.render();
        assert_eq!(
            plan.contains("blocking, breaking: create index"),
            stricter,
            "{what}: {plan}"
        );
        let widened = what == "any";
        assert_eq!(
            plan.contains("  breaking: drop index"),
            !widened,
            "{what}: {plan}"
        );
        assert_eq!(next.plan.worst().exit_code(), 4, "{what}: {plan}");
    }
    let index = "index: [[city, starts_at]]";
    let range = |filter: &str| format!("{index}\nexclude:\n  - host, starts_at..ends_at{filter}");
    let (all, some) = (range(""), range(" where state == published"));
    for (before, after, code) in [(&all, &some, 3), (&some, &all, 4)] {
        let next = step(&[("event", index, before)], &[("event", index, after)]).unwrap();
        let plan = next.plan.render();
        assert_eq!(next.plan.worst().exit_code(), code, "{plan}");
    }
}

/// The check of the rows that hold such objects is made anew and looks at all of them.
#[test]
fn a_change_of_an_object_is_validated_and_has_its_class() {
    let keys = "    website: url?\n    instagram: url?\n";
    let cases = [
        ("a key more", format!("{keys}    x: url?\n"), 0),
        ("a key less", "    website: url?\n".to_owned(), 4),
        ("a key that must be there", format!("{keys}    x: url\n"), 4),
        ("a shorter text", format!("{keys}    name: text(..5)?\n"), 4),
        ("a longer text", format!("{keys}    name: text(..50)?\n"), 0),
    ];
    for (what, after, code) in cases {
        let before = match what {
            "a shorter text" | "a longer text" => format!("{keys}    name: text(..20)?\n"),
            _ => keys.to_owned(),
        };
        let next = step(&[("app", keys, &before)], &[("app", keys, &after)]).unwrap();
        let text = next.plan.render();
        assert_eq!(next.plan.worst().exit_code(), code, "{what}: {text}");
        assert!(
            text.contains(
                "add constraint app.organizations.organizations_links_format for new rows"
            ),
            "{what}: {text}"
        );
        assert!(
            text.contains("validate organizations_links_format of app.organizations"),
            "{text}"
        );
    }
}

#[test]
fn the_plan_says_who_may_do_more_and_who_less() {
    let access = |edits: &[Edit]| {
        let next = step(&[], edits).unwrap_or_else(|refused| panic!("{refused:#?}"));
        let lines = next.plan.access.iter().map(ToString::to_string);
        lines.collect::<Vec<_>>().join("\n")
    };
    let wider = access(&[(
        "event",
        "  create: host\n",
        "  create: host or city_admin\n",
    )]);
    assert!(
        wider.starts_with("event: create widened: was `host`"),
        "{wider}"
    );
    assert_eq!(wider.lines().count(), 1, "{wider}");
    let narrower = access(&[(
        "event",
        "  update: host or city_admin",
        "  update: city_admin",
    )]);
    assert!(narrower.starts_with("event: update narrowed"), "{narrower}");
    let other = access(&[("event", "  create: host\n", "  create: city_admin\n")]);
    assert!(other.starts_with("event: create changed"), "{other}");
    let same = access(&[(
        "event",
        "  update: host or city_admin",
        "  update: city_admin or host",
    )]);
    assert_eq!(same, "");
    // A condition that other entities ask for.
    let below = access(&[(
        "organization",
        "  admin: me holds orgAdmin of this or me holds cityAdmin of city",
        "  admin: me holds orgAdmin of this",
    )]);
    assert!(below.contains("organization: update narrowed"), "{below}");
    assert!(below.contains("member: read narrowed"), "{below}");
    let fields = access(&[(
        "event",
        "door_code: text(4..12)?, read host or city_admin, write host",
        "door_code: text(4..12)?, read host",
    )]);
    assert!(
        fields.contains("event: read of door_code narrowed"),
        "{fields}"
    );
    assert!(
        fields.contains("event: update of door_code widened"),
        "{fields}"
    );
    let opened = access(&[
        (
            "event",
            "featured: bool = false, system",
            "featured: bool = false",
        ),
        (
            "event",
            "  feature: set featured = true, by city_admin\n",
            "",
        ),
    ]);
    assert!(
        opened.contains("event: update of featured widened: was nobody"),
        "{opened}"
    );
    assert!(opened.contains("event: feature narrowed"), "{opened}");
}

/// What widens access and is no rule of an action.
#[test]
fn the_plan_says_what_else_gives_more() {
    let accepted = [
        (
            "app",
            "assignments: role_assignment\n",
            "assignments: role_assignment where state == accepted\n",
        ),
        (
            "role_assignment",
            "internal: true\nfields:\n",
            "fields:\n  state: states(offered, accepted) = offered\n",
        ),
        (
            "role_assignment",
            "  scope: one of organization | city?, on archive cascade\n",
            "  scope: one of organization | city?, on archive cascade\ntransitions:\n  accept: offered -> accepted, by me is user\n\
             access:\n  read: me is user\n  create: me holds platformAdmin\n",
        ),
    ];
    let all_roles = [
        (
            "app",
            "assignments: role_assignment\n",
            "assignments: role_assignment\n",
        ),
        accepted[1],
        accepted[2],
    ];
    let narrow = (
        "app",
        "write: [event, organization]",
        "write: {event: [featured], organization: [verified]}",
    );
    let cases: [(&str, &[Edit], &[Edit]); 8] = [
        (
            "roles that count widened: was `state` is `accepted`; now all",
            &accepted,
            &all_roles,
        ),
        (
            "event: publish widened",
            &[],
            &[("event", ", by host, when starts_at > now()", ", by host")],
        ),
        (
            "event: publish widened",
            &[],
            &[(
                "event",
                "publish: draft ->",
                "publish: draft | cancelled ->",
            )],
        ),
        (
            "member: choice of user widened: was nobody",
            &[],
            &[("member", "  user: user, set me\n", "  user: user\n")],
        ),
        (
            "event: change of city widened: was nobody",
            &[],
            &[(
                "event",
                "  city: city, filter\n",
                "  city: city, filter, movable\n",
            )],
        ),
        (
            "module billing: writes widened: was update event.featured, update organization.verified; now all of event, \
             update organization.verified",
            &[narrow],
            &[(
                "app",
                "write: [event, organization]",
                "write: {event: all, organization: [verified]}",
            )],
        ),
        (
            "module billing: reads widened: was nothing; now city",
            &[],
            &[(
                "app",
                "write: [event, organization]",
                "write: [event, organization]\n    read: [city]",
            )],
        ),
        (
            "event: values in the audit log widened",
            &[CAPACITY_REDACTED],
            &[],
        ),
    ];
    for (expected, from, to) in cases {
        let next = step(from, to).unwrap_or_else(|refused| panic!("{expected}: {refused:#?}"));
        let lines: Vec<String> = next.plan.access.iter().map(ToString::to_string).collect();
        assert!(
            lines.iter().any(|line| line.starts_with(expected)),
            "{expected}: {lines:#?}"
        );
        // And the other way round nothing is given.
        let back = step(to, from).unwrap_or_else(|refused| panic!("{expected}: {refused:#?}"));
        let lines: Vec<String> = back.plan.access.iter().map(ToString::to_string).collect();
        let what = expected.split(" widened").next().expect("what");
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with(&format!("{what} narrowed"))),
            "{expected}: {lines:#?}"
        );
    }
}

const CAPACITY_REDACTED: Edit = (
    "event",
    "capacity: int(1..1000000)?",
    "capacity: int(1..1000000)?, redact",
);

const STATES: &str = "  state: states(draft, published, cancelled) = draft, filter";

/// Everything that names the value: states, default, transitions, rules, a count of them above.
const RENAMED: [Edit; 4] = [
    (
        "event",
        STATES,
        "  state: states(proposal was draft, published, cancelled) = proposal, filter",
    ),
    (
        "event",
        "publish: draft -> published",
        "publish: proposal -> published",
    ),
    (
        "event",
        "cancel: draft | published",
        "cancel: proposal | published",
    ),
    ("event", "read: state != draft", "read: state != proposal"),
];

/// The rows are told the new word, and nothing else changes for anybody: no rule is another, nothing is counted anew.
#[test]
fn a_value_under_a_new_name_is_only_a_name() {
    let counted = |word: &str| {
        format!(
            "has:\n  events: event* via city\nderived:\n  draft_count: count(events where state == {word})\naccess:"
        )
    };
    let (before, after) = (counted("draft"), counted("proposal"));
    let from = [("city", "access:", before.as_str())];
    let to: Vec<Edit> = RENAMED
        .into_iter()
        .chain([("city", "access:", after.as_str())])
        .collect();
    let next = step(&from, &to).unwrap_or_else(|refused| panic!("{refused:#?}"));
    let plan = next.plan.render();
    assert_eq!(next.plan.worst().exit_code(), 4, "{plan}");
    assert_eq!(next.plan.access, [], "{plan}");
    assert!(!plan.contains("again"), "{plan}");
    let up = &next.plan.migrations[0].up;
    assert!(
        up.contains("update app.events set state = 'proposal' where state = 'draft';"),
        "{up}"
    );
    let down = &next.plan.migrations[0].down;
    assert!(
        down.contains("update app.events set state = 'draft' where state = 'proposal';"),
        "{down}"
    );
}

/// Once it is done, `was` says nothing any more; and a value that was there before is no new name.
#[test]
fn a_value_is_renamed_once() {
    let kept = step(&RENAMED, &RENAMED).unwrap();
    assert_eq!(kept.plan.migrations.len(), 0);
    let both = STATES.replacen("draft,", "draft, proposal,", 1);
    let reached = "  publish: draft | proposal -> published, by host, when starts_at > now()\n  park: draft -> proposal, by host";
    let publish = "  publish: draft -> published, by host, when starts_at > now()";
    let from = [
        ("event", STATES, both.as_str()),
        ("event", publish, reached),
    ];
    let said = super::world::refused_after(&from, &RENAMED);
    assert!(
        said.contains("event.state: `draft` and `proposal` were both values of `state`"),
        "{said}"
    );
}

/// A role is a word of the assignments and a name of app.yaml.
#[test]
fn a_role_under_a_new_name_lets_nobody_in_or_out() {
    let role = "role: enum(orgAdmin, cityAdmin, platformAdmin)";
    let to = [
        (
            "role_assignment",
            role,
            "role: enum(orgAdmin, cityKeeper was cityAdmin, platformAdmin)",
        ),
        ("app", "cityAdmin", "cityKeeper"),
        ("city", "cityAdmin", "cityKeeper"),
        ("organization", "cityAdmin", "cityKeeper"),
        ("event", "me holds cityAdmin", "me holds cityKeeper"),
    ];
    let next = step(&[], &to).unwrap_or_else(|refused| panic!("{refused:#?}"));
    assert_eq!(next.plan.access, [], "{}", next.plan.render());
}
