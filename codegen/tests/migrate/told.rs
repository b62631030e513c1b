//! What a plan says of constraints under new names, and of words that give or take without being rules.

use super::world::{Edit, RENAMED, step};

fn plan(from: &[Edit], to: &[Edit]) -> (u8, Vec<String>) {
    let next = step(from, to).unwrap_or_else(|refused| panic!("{refused:#?}"));
    let lines = next.plan.access.iter().map(ToString::to_string).collect();
    (next.plan.worst().exit_code(), lines)
}

/// The running version recognizes refusals by the name of the constraint. It answers 500 to a check that it doesn't know.
#[test]
fn a_constraint_under_a_new_name_is_breaking() {
    let check = |name: &'static str| {
        (
            "event",
            "index: [[city, starts_at]]",
            match name {
                "fits" => "index: [[city, starts_at]]\ncheck:\n  fits: capacity != 13",
                _ => "index: [[city, starts_at]]\ncheck:\n  lucky: capacity != 13",
            },
        )
    };
    assert_eq!(plan(&[check("fits")], &[check("lucky")]).0, 4);
    let turned = ("event", "unique: [[city, slug]]", "unique: [[slug, city]]");
    assert_eq!(plan(&[], &[turned]).0, 4);
    // An index that only finds rows refuses nothing, whatever it is called.
    let doc = (
        "event",
        "doc: A dated happening in a city.",
        "doc: Something with a date.",
    );
    assert_eq!(plan(&[], &[doc]).0, 0);
}

#[test]
fn what_the_end_of_another_row_does_is_told() {
    let along = (
        "member",
        "  user: user, set me\n",
        "  user: user, set me, on archive cascade\n",
    );
    let ends = (
        "member",
        "  user: user, set me\n",
        "  user: user, set me, on end archive\n",
    );
    let (_, lines) = plan(&[along], &[ends]);
    let expected = [
        "member: what archiving the user does changed: was archives this too, in the states that its `delete` rule \
         allows; now archives this too, in any state",
        "member: what the end of the user does changed: was nothing; now archives this too, in any state",
    ];
    assert_eq!(lines, expected);
    // A session that is revoked archives nothing and ends what depends on it.
    let sessions = (
        "member",
        "  user: user, set me\n",
        "  user: user, set me\n  via: sign_in?, set session, on end archive\n",
    );
    let (_, lines) = plan(&[], &[sessions]);
    let expected = "member: what the end of the via does changed: was nothing; now archives this too, in any state";
    assert_eq!(lines, [expected]);
    let (_, lines) = plan(&[sessions], &[sessions]);
    assert!(lines.is_empty(), "{lines:#?}");
}

#[test]
fn what_protected_a_row_is_told_when_it_goes() {
    let keep = (
        "role_assignment",
        "belongs:\n",
        "keep:\n  last: one everywhere where role == platformAdmin\nbelongs:\n",
    );
    let (class, lines) = plan(&[keep], &[]);
    let what = "role_assignment: ending the last of `keep: last`";
    assert_eq!(
        (class, lines),
        (0, vec![format!("{what} widened: was refused; now allowed")])
    );
    let (class, lines) = plan(&[], &[keep]);
    assert_eq!(
        (class, lines),
        (
            4,
            vec![format!("{what} narrowed: was allowed; now refused")]
        )
    );
    let moves = (
        "user",
        "handle: text(3..40), unique, search",
        "handle: text(3..40), unique, moves, search",
    );
    let what = "user: creating with the handle of another row";
    let widened = format!("{what} widened: was refused; now archives that row");
    assert_eq!(plan(&[], &[moves]).1, [widened]);
    let narrowed = format!("{what} narrowed: was archives that row; now refused");
    assert_eq!(plan(&[moves], &[]).1, [narrowed]);
}

/// The log masks fields with a `read` rule whether or not they are `redact`.
#[test]
fn the_audit_log_shows_no_more_of_a_field_with_a_read_rule() {
    let shown = ("event", ", write host, redact", ", write host");
    assert!(plan(&[], &[shown]).1.is_empty());
    let open = (
        "event",
        "read host or city_admin, write host, redact",
        "write host",
    );
    let (_, lines) = plan(&[], &[open]);
    let of_log = |line: &&String| line.contains("values in the audit log widened");
    assert_eq!(lines.iter().filter(of_log).count(), 1, "{lines:#?}");
}

#[test]
fn what_a_reference_may_lead_to_is_told() {
    let same = ("event", ", same city, on archive", ", on archive");
    let what = "event: what host may lead to";
    let widened = format!("{what} widened: was one with the same city; now any");
    assert_eq!(plan(&[], &[same]).1, [widened]);
    let narrowed = format!("{what} narrowed: was any; now one with the same city");
    assert_eq!(plan(&[same], &[]).1, [narrowed]);
    let more = (
        "event",
        "one of organization, same",
        "one of organization | member, same",
    );
    let (_, lines) = plan(&[], &[more]);
    let widened = format!("{what} widened: was organization; now member, organization");
    assert!(lines.contains(&widened), "{lines:#?}");
    // An entity under a new name is the same one.
    let (_, lines) = plan(&[], &RENAMED);
    assert!(
        !lines.iter().any(|line| line.contains("lead to")),
        "{lines:#?}"
    );
}
