//! Rules and references that refuse what the running version writes, because it knows nothing of their columns.

use super::world::{Edit, step};

/// The running version writes the reference without saying where it leads.
#[test]
fn a_reference_that_leads_to_one_of_several_is_breaking() {
    const SHELF: &str = "entity: shelf\nplural: shelves\nlifecycle: mutable\ndoc: A shelf.\nfields:\n  name: text(1..9)\naccess:\n  read: anyone\n";
    let badge = |owner: &str| {
        format!(
            "entity: badge\ndoc: A badge.\nfields:\n  name: text(1..9)\nbelongs:\n  owner: {owner}\naccess:\n  read: anyone\n"
        )
    };
    let shelf: Edit = ("shelf", "", SHELF);
    for mark in ["", "?"] {
        let (one, several) = (
            badge(&format!("shelf{mark}")),
            badge(&format!("one of shelf{mark}")),
        );
        let next = step(
            &[shelf, ("badge", "", &one)],
            &[shelf, ("badge", "", &several)],
        );
        let plan = next.unwrap_or_else(|refused| panic!("{refused:#?}")).plan;
        assert_eq!(plan.worst().exit_code(), 4, "{}", plan.render());
    }
}

/// The running version leaves new columns null. `!= null` asks for a value, and a missing reference is a value of its
/// own for `unique` and `exclude`; to other rules a null is nothing.
#[test]
fn a_rule_that_refuses_nulls_of_new_columns_is_breaking() {
    let list = "unique: [[city, slug]]";
    let index = "index: [[city, starts_at]]";
    let belongs = "belongs:\n  venue: user?, on archive restrict";
    let check = |rule: &str| format!("{list}\ncheck:\n  told: {rule}");
    let exclude = |rule: &str| format!("{index}\nexclude:\n  - city, starts_at..ends_at{rule}");
    let field = ("event", "  featured:", "  note: text(1..20)?\n  featured:");
    let told = check("capacity == null or note != null");
    let gone = check("capacity == null or note == null");
    let equal = check("capacity == null or not note == \"x\"");
    let reference: Edit = ("event", "belongs:", belongs);
    let taken = "unique: [[city, slug], [host, venue]]";
    let noted = "unique: [[city, slug], [host, note]]";
    let filled = "unique:\n  - [city, slug]\n  - host where note != null";
    let unfilled = "unique:\n  - [city, slug]\n  - host where note == null";
    let room = exclude("\n  - venue, starts_at..ends_at");
    let room_if = exclude("\n  - venue, starts_at..ends_at where venue != null");
    let cases: [(Edit, Edit, bool); 9] = [
        (field, ("event", list, &told), true),
        (field, ("event", list, &gone), false),
        (field, ("event", list, &equal), false),
        (reference, ("event", list, taken), true),
        (field, ("event", list, noted), false),
        (field, ("event", list, filled), false),
        (field, ("event", list, unfilled), true),
        (reference, ("event", index, &room), true),
        (reference, ("event", index, &room_if), false),
    ];
    // An `exclude` demands an order of its times as well, which the first one does.
    let before = exclude("");
    for (new, rule, breaks) in cases {
        let from: &[Edit] = match rule.1 == index {
            true => &[("event", index, &before)],
            false => &[],
        };
        let next = step(from, &[new, rule]).unwrap_or_else(|refused| panic!("{refused:#?}"));
        let plan = next.plan.render();
        let worst = next.plan.worst().exit_code();
        assert_eq!(worst == 4, breaks, "{}: {plan}", rule.2);
    }
}
