//! The diagrams of `docs/money.md` show the states that the spec has, and the transitions where the spec declares them.

use crate::support::{model, root};
use codegen::model::{Change, Entity, Ty};
use std::{collections::BTreeSet, fs};

/// The rows of the diagram under "States", and the entity that each describes.
const ROWS: [(&str, &str); 12] = [
    ("payment (transaction)", "transaction"),
    ("refund", "refund"),
    ("transfer", "transfer"),
    ("dispute", "dispute"),
    ("subscription", "subscription"),
    ("hold of credits", "wallet_hold"),
    ("ticket", "ticket"),
    ("ticket transfer", "ticket_transfer"),
    ("waiting list entry", "waitlist_entry"),
    ("city's share", "revenue_share"),
    ("event from Stripe", "stripe_event"),
    ("proposed commission", "commission_proposal"),
];

/// Where the names of the rows end.
const NAMES_END: usize = 24;

/// States that no row ever has. A transferred ticket stays valid: its holder and secret version change.
const NEVER: [(&str, &str); 1] = [("ticket", "transferred")];

/// The drawings that have a section of their own.
const DRAWINGS: [(&str, &str); 2] = [
    ("\n## Orders\n", "order"),
    ("\n## Featured places\n", "promotion"),
];

type Edges = BTreeSet<(String, String)>;

#[test]
fn diagrams_have_the_states_and_transitions_of_the_spec() {
    let page = fs::read_to_string(root().join("docs/money.md")).expect("a page");
    assert_eq!(faults(&page), Vec::<String>::new());

    // The control: a state that is left out or that does not exist, and a transition more or less.
    for (from, to) in [
        ("open ─▶ closed (five", "open ─▶ shut (five"),
        ("taken | expired", "taken"),
        ("proposed ─▶ accepted |", "accepted ─▶ proposed |"),
        (
            "accepted | declined | withdrawn\n```",
            "accepted | declined\n```",
        ),
        ("▶ charged_back ", "▶ returned "),
        ("rejected ◀", "refused ◀"),
    ] {
        assert!(page.contains(from), "{from}");
        assert!(!faults(&page.replace(from, to)).is_empty(), "{from}");
    }
}

fn faults(page: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (heading, name) in DRAWINGS {
        let drawn = block(page, heading);
        faults.extend(missing(name, &words(drawn)));
    }
    let mut told = BTreeSet::new();
    for (label, text) in rows(block(page, "\n### States\n")) {
        let Some((_, name)) = ROWS.iter().find(|(known, _)| *known == label) else {
            faults.push(format!("{label} is of no known entity"));
            continue;
        };
        told.insert(*name);
        faults.extend(missing(name, &words(&text)));
        // The drawing of payments takes three lines.
        if *name != "transaction" {
            faults.extend(wrong(entity(name), &edges(&text)));
        }
    }
    let rows = ROWS.iter().filter(|(_, name)| !told.contains(name));
    faults.extend(rows.map(|(label, _)| format!("{label} is not in the diagram")));
    faults
}

/// The states that a diagram leaves out.
fn missing(name: &str, words: &BTreeSet<String>) -> Vec<String> {
    let states = states(entity(name)).into_iter();
    let left_out =
        states.filter(|state| !words.contains(state) && !NEVER.contains(&(name, state.as_str())));
    left_out
        .map(|state| format!("{name}: {state} is left out"))
        .collect()
}

/// Edges between states that do not exist, and those that differ from the transitions of the spec if it declares any.
fn wrong(entity: &Entity, edges: &Edges) -> Vec<String> {
    let states = states(entity);
    let ends = edges.iter().flat_map(|(from, to)| [from, to]);
    let mut wrong: Vec<String> = ends
        .filter(|state| !states.contains(*state))
        .map(|state| format!("{}: there is no state {state}", entity.name))
        .collect();
    let declared: Edges = entity
        .transitions
        .iter()
        .filter_map(|transition| match &transition.change {
            Change::State { from, to, .. } => Some((from, to)),
            Change::Set(_) => None,
        })
        .flat_map(|(from, to)| from.iter().map(|from| (from.clone(), to.clone())))
        .collect();
    if !declared.is_empty() {
        let different = declared.symmetric_difference(edges);
        wrong.extend(different.map(|(from, to)| format!("{}: {from} to {to}", entity.name)));
    }
    wrong
}

fn entity(name: &str) -> &'static Entity {
    let mut all = model().entities.iter();
    all.find(|entity| entity.name == name).expect("an entity")
}

/// Payments have `status`, as in the tables that clients know; the others have `state`.
fn states(entity: &Entity) -> BTreeSet<String> {
    let field = ["state", "status"]
        .iter()
        .find_map(|name| entity.field(name));
    match field.map(|field| &field.ty) {
        Some(Ty::States { values } | Ty::Enum { values }) => values.iter().cloned().collect(),
        _ => panic!("{} has no states", entity.name),
    }
}

/// The first block of preformatted text after the heading.
fn block<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, after) = page.split_once(heading).expect("the heading");
    after.split("```").nth(1).expect("a diagram")
}

/// Each row with its name; lines without a name continue the row above.
fn rows(block: &str) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        let label: String = line.chars().take(NAMES_END).collect();
        let text: String = line.chars().skip(NAMES_END).collect();
        match rows.last_mut() {
            Some((_, above)) if label.trim_matches([' ', '│']).is_empty() => {
                *above += "   ";
                *above += &text;
            }
            _ => rows.push((label.trim().to_owned(), text)),
        }
    }
    rows
}

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.map(str::to_owned).collect()
}

/// The edges of a row such as `a ─▶ b | c (why) ─▶ d   b, c ─▶ a`. Sentences have no arrows.
fn edges(text: &str) -> Edges {
    let mut edges = Edges::new();
    for chain in without_remarks(text).split("   ") {
        let steps: Vec<Vec<&str>> = chain
            .split("─▶")
            .map(|step| step.split(['|', ',']).map(str::trim).collect())
            .collect();
        for pair in steps.windows(2) {
            for from in &pair[0] {
                let to = pair[1]
                    .iter()
                    .map(|to| ((*from).to_owned(), (*to).to_owned()));
                edges.extend(to);
            }
        }
    }
    edges
}

fn without_remarks(text: &str) -> String {
    let mut depth = 0;
    let mut kept = String::new();
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}
