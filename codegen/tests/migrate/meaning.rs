//! Changes after which no value that exists means anything are refused; those after which all do are not.

use super::world::{Edit, refused, step};

const CAPACITY: &str = "  capacity: int(1..1000000)?";
const HOME: &str = "  home: city?, on archive detach, movable";

#[test]
fn numbers_and_booleans_are_no_words() {
    let said = refused(&[("event", CAPACITY, "  capacity: enum(small, big)?")]);
    assert_eq!(
        said,
        "event.capacity: no value of `capacity` that exists is one of these words\n\
         = give the field another name, move the values, and write `capacity: drop` a release later\n"
    );
    let edits: [&[Edit]; 2] = [
        &[("event", CAPACITY, "  capacity: text(1..9)?")],
        // Texts may be these words.
        &[(
            "user",
            "  handle: text(3..40), unique, search",
            "  handle: enum(ana, bo), unique",
        )],
    ];
    for edit in edits {
        step(&[], edit).unwrap_or_else(|refused| panic!("{refused:#?}"));
    }
}

#[test]
fn rows_lead_where_they_led() {
    let said = refused(&[(
        "user",
        HOME,
        "  home: organization?, on archive detach, movable",
    )]);
    assert_eq!(
        said,
        "user.home: the rows that exist lead to `city`, and `home` does so no longer\n\
         = give the relation another name, and write `home: drop`; if `city` is the same under a new name, write `was: city` in its file\n"
    );
    let said = refused(&[(
        "user",
        HOME,
        "  home: one of organization | event?, on archive detach, movable",
    )]);
    assert!(said.contains("`home` does so no longer"), "{said}");
    let several = "  home: one of organization | city?, on archive detach, movable";
    step(&[], &[("user", HOME, several)]).unwrap_or_else(|refused| panic!("{refused:#?}"));
}
