//! What the triggers demand of a transition: changes of it in a plan, and the statements that they compare.

use super::world::{Edit, step, world};
use codegen::emit::schema::schema;

const FEATURE: &str = "  feature: set featured = true, by city_admin";

#[test]
fn another_effect_of_a_transition_is_breaking_and_told() {
    let publish = "draft -> published, by host,";
    let hide = |to: &str| format!("{FEATURE}\n  hide: draft -> {to}, by host");
    let (published, cancelled) = (hide("published"), hide("cancelled"));
    let sets = [(
        "event",
        publish,
        "draft -> published, set featured = true, by host,",
    )];
    let cases: [(&[Edit], &[Edit]); 5] = [
        (
            &[("event", FEATURE, &published)],
            &[("event", FEATURE, &cancelled)],
        ),
        (&[], &sets),
        (&sets, &[]),
        (
            &sets,
            &[(
                "event",
                publish,
                "draft -> published, set featured = false, by host,",
            )],
        ),
        (&[("event", "or city_admin, reason", "or city_admin")], &[]),
    ];
    for (from, to) in cases {
        let next = step(from, to).unwrap_or_else(|refused| panic!("{refused:#?}"));
        let told = next.plan.render();
        assert_eq!(next.plan.worst().exit_code(), 4, "{told}");
        assert!(told.contains("event: effect of "), "{told}");
    }
}

#[test]
fn other_rules_of_a_transition_and_no_reason_are_safe() {
    for edit in [
        (FEATURE, "  feature: set featured = true, by host"),
        (", by host or city_admin, reason", ", by host or city_admin"),
    ] {
        let next = step(&[], &[("event", edit.0, edit.1)]);
        let plan = next.unwrap_or_else(|refused| panic!("{refused:#?}")).plan;
        assert_eq!(plan.worst().exit_code(), 0, "{}", plan.render());
        assert!(!plan.render().contains("effect of"), "{}", plan.render());
    }
}

/// The running version makes a transition that the database doesn't know any more, or leaves a slug to it that it
/// doesn't make any more, or may name the columns of a unique rule in `on conflict`.
#[test]
fn what_the_running_version_still_needs_is_breaking() {
    let hooks = ("event", "hooks: [create, publish]", "hooks: [create]");
    let publish = "  publish: draft -> published, by host, when starts_at > now()\n";
    let renamed = publish.replace("publish:", "announce:");
    let cases: [(&[Edit], u8); 3] = [
        (&[("event", publish, &renamed), hooks], 4),
        (&[("event", "slug from title", "slug")], 4),
        (&[("event", "unique: [[city, slug]]\n", "")], 4),
    ];
    for (to, class) in cases {
        let plan = step(&[], to)
            .unwrap_or_else(|refused| panic!("{refused:#?}"))
            .plan;
        assert_eq!(plan.worst().exit_code(), class, "{}", plan.render());
    }
    let back = step(&[("event", "slug from title", "slug")], &[]);
    let plan = back.unwrap_or_else(|refused| panic!("{refused:#?}")).plan;
    assert_eq!(plan.worst().exit_code(), 0, "{}", plan.render());
}

#[test]
fn a_new_keep_is_breaking() {
    let keep = "keep:\n  somebody: one per organization where state == active\naccess:\n";
    let next = step(&[], &[("member", "access:\n", keep)]);
    let plan = next.unwrap_or_else(|refused| panic!("{refused:#?}")).plan;
    assert_eq!(plan.worst().exit_code(), 4, "{}", plan.render());
}

/// The running version answers the error of a quota that it doesn't know as an error of its own.
#[test]
fn a_new_or_lower_quota_is_breaking_and_told() {
    let quota = |n: u32| format!("quota: {n} a day\naccess:\n");
    let (few, many) = (quota(5), quota(50));
    let none = "access:\n";
    for (from, to, class, line) in [
        (
            none,
            few.as_str(),
            4,
            "narrowed: was any number; now 5 a day",
        ),
        (&many, &few, 4, "narrowed: was 50 a day; now 5 a day"),
        (&few, &many, 0, "widened: was 5 a day; now 50 a day"),
        (&few, none, 0, "widened: was 5 a day; now any number"),
    ] {
        let next = step(&[("member", none, from)], &[("member", none, to)]);
        let plan = next.unwrap_or_else(|refused| panic!("{refused:#?}")).plan;
        let told = plan.render();
        assert_eq!(plan.worst().exit_code(), class, "{told}");
        let line = format!("member: rows that one member creates {line}");
        assert!(told.contains(&line), "{told}");
    }
}

fn sql(edits: &[Edit]) -> String {
    let schema = schema(&world(edits));
    let texts = schema.objects.iter().map(|o| o.create.as_str());
    texts.collect::<Vec<_>>().join("\n")
}

/// The running version doesn't know the rule. A field that it doesn't write may have any.
#[test]
fn times_that_have_to_be_in_the_future_are_breaking_and_told() {
    const FIELD: &str = "  starts_at: time, filter, sort";
    let line = |more: &str| format!("{FIELD}{more}");
    let (always, created) = (line(", future"), line(", future on create"));
    let renamed = "  begins_at: time, filter, sort, future, was starts_at";
    let added = line("\n  open_until: time?, future");
    let cases: [(&str, &str, u8, &str); 6] = [
        (
            FIELD,
            &always,
            4,
            "event: values of starts_at narrowed: was any time; now future",
        ),
        (
            FIELD,
            &created,
            4,
            "narrowed: was any time; now future on create",
        ),
        (
            &created,
            &always,
            4,
            "narrowed: was future on create; now future",
        ),
        (
            &always,
            &created,
            0,
            "widened: was future; now future on create",
        ),
        (&always, FIELD, 0, "widened: was future; now any time"),
        (FIELD, &added, 0, ""),
    ];
    for (from, to, class, line) in cases {
        let next = step(&[("event", FIELD, from)], &[("event", FIELD, to)]);
        let plan = next.unwrap_or_else(|refused| panic!("{refused:#?}")).plan;
        let told = plan.render();
        assert_eq!(plan.worst().exit_code(), class, "{told}");
        assert!(told.contains(line), "{told}");
    }
    // A renamed field is breaking by itself, but its rule is no news.
    let renamed: [Edit; 2] = [
        ("event", FIELD, renamed),
        ("event", "starts_at > now()", "begins_at > now()"),
    ];
    let rest: [Edit; 2] = [
        ("event", "ends_at > starts_at", "ends_at > begins_at"),
        ("event", "[city, starts_at]", "[city, begins_at]"),
    ];
    let to: Vec<Edit> = renamed.into_iter().chain(rest).collect();
    let next = step(&[("event", FIELD, &always)], &to);
    let told = next
        .unwrap_or_else(|refused| panic!("{refused:#?}"))
        .plan
        .render();
    assert!(!told.contains("values of"), "{told}");
}

/// A date is the day in universal time, never `now()` itself.
#[test]
fn a_guard_compares_a_date_with_the_day() {
    let field = "  featured: bool = false, system\n";
    let sql = sql(&[
        (
            "event",
            field,
            "  featured: bool = false, system\n  seen_on: date?, system\n",
        ),
        (
            "event",
            FEATURE,
            "  feature: set featured = true, set seen_on = now(), by city_admin",
        ),
    ]);
    assert!(sql.contains("new.seen_on is distinct from (now() at time zone 'UTC')::date"));
}

#[test]
fn sums_that_may_exceed_their_type_are_computed_in_a_wider_one() {
    let unique = "unique: [[city, slug]]";
    let field = "  capacity: int(1..1000000)?";
    let with = |ty: &str| {
        let fields = format!("{field}\n  seats: {ty}?\n  stands: {ty}?");
        let check = format!("{unique}\ncheck:\n  enough: seats + stands > 3");
        sql(&[("event", field, &fields), ("event", unique, &check)])
    };
    assert!(with("int").contains("seats::bigint + stands"));
    assert!(with("bigint").contains("seats::numeric + stands"));
    assert!(with("int(0..100)").contains("(seats + stands)"));
}

/// Rules whose words stay the same, but that hold for others now.
#[test]
fn what_rules_stand_on_is_told_when_it_changes() {
    let counted = |rows: &str| {
        format!(
            "has:\n  events: event* via city\nderived:\n  event_count: count(events{rows})\naccess:"
        )
    };
    let (all, some) = (counted(""), counted(" where state == published"));
    let read = ("city", "update: admin", "update: admin and event_count < 3");
    let counters: [&[Edit]; 2] = [
        &[("city", "access:", &some), read],
        &[("city", "access:", &all), read],
    ];
    let scope = "  scope: one of organization | city?, on archive cascade";
    let given = |more: &str| {
        format!("{scope}\naccess:\n  read: anyone\n  create: me holds platformAdmin{more}")
    };
    let (by_one, by_more) = (given(""), given(" or role == orgAdmin and signed_in"));
    let public = ("role_assignment", "internal: true\n", "");
    let suspend = (
        "user",
        "update: self",
        "update: self\n  suspend: me outranks this",
    );
    let givers: [&[Edit]; 2] = [
        &[public, suspend, ("role_assignment", scope, &by_one)],
        &[public, suspend, ("role_assignment", scope, &by_more)],
    ];
    let cases: [(&[Edit], &[Edit], &str); 4] = [
        (
            givers[0],
            givers[1],
            "`me outranks`, by who may give a role, widened: was the caller holds `platformAdmin`; now",
        ),
        (
            counters[0],
            counters[1],
            "city: event_count, which rules read, changed: was count(events where `state` is `published`); now count(events)",
        ),
        (
            &[],
            &[(
                "event",
                "same city, on archive cascade",
                "same city, on archive restrict",
            )],
            "event: what archiving the host does changed: was archives this too, in the states that its `delete` rule allows; now nothing, it is refused",
        ),
        (
            &[],
            &[("app", "sessions: sign_in\n", "")],
            "requests of members widened: was not after their sign_in is revoked; now whatever became of their session",
        ),
    ];
    for (from, to, line) in cases {
        let next = step(from, to).unwrap_or_else(|refused| panic!("{refused:#?}"));
        let told = next.plan.render();
        assert!(told.contains(line), "{told}");
        let same = step(to, to).unwrap_or_else(|refused| panic!("{refused:#?}"));
        assert!(!same.plan.render().contains(line));
    }
}
