//! Every word of an entity, a field and a reference is added to a spec and removed again. After each migration the
//! catalogue is the same as that of a database created from the spec at once. A word whose removal emitted no
//! statement would stay in force.

mod plain;

use super::cases::there_and_back;
use super::repository::Edit;
use super::rows::ROWS;
use codegen::grammar::words;
use plain::{ALL_ROWS, PLAIN};
use std::collections::BTreeSet;

const KEY: &str = "key of an entity";
const ACTION: &str = "action";
const FIELD: &str = "modifier of a field";
const RELATION: &str = "modifier of a relation";
const HAS: &str = "modifier of a `has`";
const FUNCTION: &str = "function of a derived value";
const DERIVED: &str = "modifier of a derived value";
const CHECK: &str = "modifier of a check";
const TRANSITION: &str = "part of a transition";

/// The words that are tried by some edits of the spec.
struct Added {
    words: &'static [(&'static str, &'static str)],
    edits: &'static [Edit<'static>],
}

const fn added(
    words: &'static [(&'static str, &'static str)],
    edits: &'static [Edit<'static>],
) -> Added {
    Added { words, edits }
}

/// All of these are added together, in one spec.
const WORDS: [Added; 41] = [
    added(
        &[(FIELD, "unique")],
        &[(
            "gig",
            "f_unique: text(1..20)?",
            "f_unique: text(1..20)?, unique",
        )],
    ),
    added(
        &[(FIELD, "moves")],
        &[(
            "gig",
            "f_moves: text(1..20)?, unique",
            "f_moves: text(1..20)?, unique, moves",
        )],
    ),
    added(
        &[(FIELD, "search")],
        &[(
            "gig",
            "f_search: text(1..20)?",
            "f_search: text(1..20)?, search",
        )],
    ),
    added(
        &[(FIELD, "filter")],
        &[("gig", "f_filter: uuid?", "f_filter: uuid?, filter")],
    ),
    added(
        &[(FIELD, "else")],
        &[(
            "gig",
            "f_else: point?, filter",
            "f_else: point?, filter, else city.place",
        )],
    ),
    added(
        &[(FIELD, "sort")],
        &[("gig", "f_sort: int = 0", "f_sort: int = 0, sort")],
    ),
    added(
        &[(FIELD, "fixed")],
        &[("gig", "f_fixed: int?", "f_fixed: int?, fixed")],
    ),
    added(
        &[(FIELD, "system")],
        &[("gig", "f_system: int?", "f_system: int?, system")],
    ),
    added(
        &[(FIELD, "read")],
        &[("gig", "f_read: int?", "f_read: int?, read mine")],
    ),
    added(
        &[(FIELD, "write")],
        &[("gig", "f_write: int?", "f_write: int?, write mine")],
    ),
    added(
        &[(FIELD, "redact")],
        &[(
            "gig",
            "f_redact: text(1..20)?",
            "f_redact: text(1..20)?, redact",
        )],
    ),
    added(
        &[(FIELD, "future")],
        &[("gig", "f_future: time?", "f_future: time?, future")],
    ),
    added(
        &[(FIELD, "check")],
        &[("gig", "f_check: int?", "f_check: int?, check f_check > 3")],
    ),
    added(
        &[(FIELD, "doc")],
        &[("gig", "f_doc: int?", "f_doc: int?, doc \"How many.\"")],
    ),
    added(
        &[(RELATION, "same")],
        &[(
            "gig",
            "r_same: organization?",
            "r_same: organization?, same city",
        )],
    ),
    added(
        &[(RELATION, "on archive")],
        &[(
            "gig",
            "r_archive: city?",
            "r_archive: city?, on archive detach",
        )],
    ),
    added(
        &[(RELATION, "on end")],
        &[("gig", "r_end: user?", "r_end: user?, on end set ended_at")],
    ),
    added(
        &[(RELATION, "movable")],
        &[("gig", "r_movable: city?", "r_movable: city?, movable")],
    ),
    added(
        &[(RELATION, "set me")],
        &[("gig", "r_me: user?", "r_me: user?, set me")],
    ),
    added(
        &[(RELATION, "set session")],
        &[(
            "gig",
            "r_session: sign_in?",
            "r_session: sign_in?, set session",
        )],
    ),
    added(
        &[(RELATION, "system")],
        &[("gig", "r_system: city?", "r_system: city?, system")],
    ),
    added(
        &[(RELATION, "unique")],
        &[("gig", "r_unique: city?", "r_unique: city?, unique")],
    ),
    added(
        &[(RELATION, "filter")],
        &[("gig", "r_filter: city?", "r_filter: city?, filter")],
    ),
    added(
        &[(RELATION, "hidden")],
        &[("gig", "r_hidden: city?", "r_hidden: city?, hidden")],
    ),
    added(
        &[(RELATION, "read")],
        &[("gig", "r_read: city?", "r_read: city?, read mine")],
    ),
    added(
        &[(RELATION, "doc")],
        &[("gig", "r_doc: city?", "r_doc: city?, doc \"Where.\"")],
    ),
    added(
        &[(KEY, "doc")],
        &[(
            "gig",
            "doc: Something that takes place.",
            "doc: Something else.",
        )],
    ),
    added(
        &[(KEY, "module")],
        &[
            ("chit", "lifecycle:", "module: billing\nlifecycle:"),
            ("chit", "  create: signed_in\n", ""),
            ("chit", ", set me", ""),
        ],
    ),
    added(
        &[(KEY, "internal"), (KEY, "access"), (ACTION, "read")],
        &[(
            "card",
            "access:\n  read: me is owner\n  update: me is owner\n",
            "internal: true\n",
        )],
    ),
    added(
        &[
            (KEY, "has"),
            (KEY, "derived"),
            (HAS, "create with"),
            (FUNCTION, "count"),
            (FUNCTION, "sum"),
            (FUNCTION, "avg"),
            (DERIVED, "sort"),
            (DERIVED, "filter"),
            (DERIVED, "delta"),
        ],
        &[(
            "gig",
            "access:\n",
            "has:\n  lots: lot* via gig, create with (..5)\nderived:\n  lot_count: count(lots), sort, filter\n  \
             price_sum: sum(lots.price), delta\n  price_avg: avg(lots.price)\n  busy: lot_count > 3\naccess:\n",
        )],
    ),
    added(
        &[(KEY, "unique")],
        &[("lot", "access:\n", "unique: [[gig, price]]\naccess:\n")],
    ),
    added(
        &[(KEY, "exclude")],
        &[(
            "gig",
            "access:\n",
            "exclude:\n  - city, starts_at..ends_at\naccess:\n",
        )],
    ),
    added(
        &[(KEY, "index")],
        &[("lot", "access:\n", "index: [[gig, part]]\naccess:\n")],
    ),
    added(
        &[(KEY, "check"), (CHECK, "doc")],
        &[(
            "lot",
            "access:\n",
            "check:\n  small: part <= price, doc \"A part is no more than the whole.\"\naccess:\n",
        )],
    ),
    added(
        &[(KEY, "keep")],
        &[(
            "lot",
            "access:\n",
            "keep:\n  one: one per gig where price == 0\naccess:\n",
        )],
    ),
    added(
        &[
            (KEY, "transitions"),
            (TRANSITION, "set"),
            (TRANSITION, "by"),
            (TRANSITION, "when"),
            (TRANSITION, "reason"),
        ],
        &[(
            "gig",
            "access:\n",
            "transitions:\n  shut: open -> shut, set ended_at = now(), by mine, when starts_at > now(), reason\naccess:\n",
        )],
    ),
    added(
        &[(KEY, "hooks"), (KEY, "emit"), (KEY, "page"), (KEY, "quota")],
        &[(
            "lot",
            "access:\n",
            "hooks: [create]\nemit: [create, update]\npage: 50\nquota: 50 a day\naccess:\n",
        )],
    ),
    added(
        &[(KEY, "audit"), (KEY, "wal")],
        &[
            (
                "ping",
                "internal: true\n",
                "internal: true\naudit: off\nwal: off\n",
            ),
            (
                "pong",
                "internal: true\n",
                "internal: true\naudit: off\nwal: off\n",
            ),
        ],
    ),
    added(
        &[(ACTION, "restore"), (ACTION, "suspend")],
        &[(
            "lot",
            "  delete: mine\n",
            "  delete: mine\n  restore: mine\n  suspend: me holds platformAdmin\n  deny update: price > 3\n",
        )],
    ),
    added(
        &[(ACTION, "create"), (ACTION, "update"), (ACTION, "delete")],
        &[(
            "city",
            "  create: me holds platformAdmin\n  update: admin\n",
            "  update: admin\n  delete: admin\n",
        )],
    ),
    added(
        &[(KEY, "creator")],
        &[("organization", "creator: orgAdmin\n", "")],
    ),
];

/// Words that other tests cover, or that can only be removed with a statement of the loss in the spec.
const ELSEWHERE: [(&str, &str); 10] = [
    (KEY, "first"),
    (KEY, "offers"),
    (KEY, "entity"),
    (KEY, "was"),
    (KEY, "plural"),
    (KEY, "fields"),
    (KEY, "belongs"),
    (KEY, "lifecycle"),
    (KEY, "mixins"),
    (FIELD, "was"),
];

fn all() -> Vec<Edit<'static>> {
    let added = WORDS.iter().flat_map(|added| added.edits);
    PLAIN.into_iter().chain(added.copied()).collect()
}

#[test]
fn every_word_is_tried() {
    let tried: BTreeSet<(&str, &str)> = (WORDS.iter().flat_map(|added| added.words))
        .chain(&ELSEWHERE)
        .chain(&[(RELATION, "was")])
        .copied()
        .collect();
    let kinds = [
        KEY, ACTION, FIELD, RELATION, HAS, FUNCTION, DERIVED, CHECK, TRANSITION,
    ];
    let all: BTreeSet<(&str, &str)> = words()
        .iter()
        .filter(|(kind, _)| kinds.contains(kind))
        .flat_map(|(kind, words)| words.iter().map(|word| (*kind, *word)))
        .collect();
    let missing: Vec<_> = all.difference(&tried).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let unknown: Vec<_> = tried.difference(&all).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[tokio::test]
async fn all_words_are_added() {
    let rows = format!("{ROWS}{ALL_ROWS}");
    there_and_back(&PLAIN, &all(), &rows, &[]).await;
}

#[tokio::test]
async fn all_words_are_taken_away() {
    there_and_back(&all(), &PLAIN, ROWS, &[]).await;
}

/// Words whose removal loses data, which the spec has to state.
#[tokio::test]
async fn words_that_bring_columns_are_added() {
    let to: Vec<Edit> = PLAIN
        .into_iter()
        .chain([
            ("chit", "lifecycle: append_only", "lifecycle: mutable"),
            ("lot", "fields:\n", "mixins: [profile]\nfields:\n"),
            ("lot", "entity: lot\n", "entity: lot\nplural: lotz\n"),
        ])
        .collect();
    let rows = format!("{ROWS}{ALL_ROWS}");
    there_and_back(
        &PLAIN,
        &to,
        &rows,
        &[("select count(*) from app.lotz", "3")],
    )
    .await;
}
