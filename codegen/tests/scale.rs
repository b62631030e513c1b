//! Big specs: what is asked about rules grows with their number, and so does what is written.
//!
//! Counts answers and bytes, no time: a chain of `of` multiplied the work at every level once.

use codegen::diag::Sources;
use codegen::emit;
use codegen::tree::Tree;
use std::fmt::Write;

const APP: &str = "\
app: big
title: Big
doc: A big application.
identity: user
assignments: grant_row
roles:
  admin: everywhere
";

fn sources() -> Sources {
    let mut sources = Sources::default();
    sources.add("spec/app.yaml", APP);
    sources.add(
        "spec/entities/user.yaml",
        "entity: user\ndoc: Somebody.\nfields:\n  name: text(1..80)\naccess:\n  read: signed_in\n",
    );
    sources.add(
        "spec/entities/grant_row.yaml",
        "entity: grant_row\ndoc: Roles.\nfields:\n  role: enum(admin)\nbelongs:\n  user: user\naccess:\n  admin: me holds admin\n  read: admin\n  create: admin\n  delete: admin\n",
    );
    sources
}

/// Each level's rules are about the level above, named as often as somebody may write it.
fn chain(depth: usize, rules: &str) -> Sources {
    let mut sources = sources();
    for level in 0..depth {
        // Only what anyone may read can be searched.
        let search = if rules.contains("read: mine\n") {
            ""
        } else {
            ", search"
        };
        let mut text = format!(
            "entity: e{level}\ndoc: A level.\nfields:\n  title: text(1..80){search}\n  open: bool = true\n  hot: bool = false\nbelongs:\n  owner: user\n"
        );
        if level == 0 {
            text.push_str("access:\n  mine: me is owner\n  shown: open\n  read: shown or mine\n  update: mine\n  delete: mine\n");
        } else {
            let _ = write!(text, "  parent: e{}\naccess:\n{rules}", level - 1);
        }
        sources.add(format!("spec/entities/e{level}.yaml"), text);
    }
    sources
}

const RULES: [&str; 4] = [
    // The caller is somebody above.
    "  mine: mine of parent or me is owner\n  read: open or mine\n  update: mine\n  delete: mine\n",
    // Twice the same, each time with something else beside it.
    "  mine: (open and mine of parent) or (hot and mine of parent) or me is owner\n  read: mine\n  update: mine\n  delete: update of parent\n",
    // What anyone may see depends on the levels above.
    "  shown: (open and shown of parent) or (hot and shown of parent)\n  read: shown or (hot and read of parent)\n  update: me is owner\n  delete: update of parent\n",
    // Denied by what is above, and different for each action.
    "  mine: me is owner\n  read: read of parent and not hot\n  update: mine or update of parent\n  delete: delete of parent or (update of parent and mine)\n  suspend: update of parent\n",
];

/// Entities that have nothing to do with each other.
fn flat(count: usize) -> Sources {
    let mut sources = sources();
    for n in 0..count {
        sources.add(
            format!("spec/entities/e{n:04}.yaml"),
            format!(
                "entity: e{n:04}\ndoc: One of many.\nfields:\n  title: text(1..80), search, sort\n  kind: enum(a, b) = a, filter\n  size: int?, read mine\nbelongs:\n  owner: user, set me\naccess:\n  mine: me is owner or me holds admin\n  read: anyone\n  create: signed_in\n  update: mine\n  delete: mine\n"
            ),
        );
    }
    sources
}

/// Answers found, bytes of the database, bytes of everything.
fn work(sources: &Sources) -> [usize; 3] {
    let model = codegen::load_sources(sources).unwrap_or_else(|said| panic!("{said}"));
    let schema = emit::schema::schema(&model);
    let mut tree = Tree::default();
    emit::emit(&model, &schema, &[], &mut tree);
    let sql = tree.get("generated/schema.sql").unwrap().len();
    let all = tree.files().map(|(_, text)| text.len()).sum();
    [model.memo.len(), sql, all]
}

#[test]
fn a_level_of_of_costs_the_same_at_every_depth() {
    for rules in RULES {
        let [at_8, at_16, at_24] = [8, 16, 24].map(|depth| work(&chain(depth, rules)));
        for (what, n) in ["answers", "bytes of SQL", "bytes"].iter().zip(0..) {
            let (first, second) = (at_16[n] - at_8[n], at_24[n] - at_16[n]);
            assert!(
                second <= first + first / 4,
                "{what}: levels 8 to 16 cost {first}, 16 to 24 cost {second}, with\n{rules}"
            );
        }
    }
}

#[test]
fn flat_entities_cost_the_same_in_any_number() {
    let [at_50, at_100, at_150] = [50, 100, 150].map(|count| work(&flat(count)));
    for n in 0..3 {
        let (first, second) = (at_100[n] - at_50[n], at_150[n] - at_100[n]);
        assert!(second <= first + first / 10, "{first} then {second}");
    }
}

/// For a look by hand: `cargo test -p codegen --test scale -- --ignored --nocapture`.
#[test]
#[ignore = "prints how long it takes"]
fn how_long_it_takes() {
    for (n, rules) in RULES.iter().enumerate() {
        let started = std::time::Instant::now();
        let found = work(&chain(20, rules));
        println!("depth 20, rules {n}: {:?}, {found:?}", started.elapsed());
    }
    let started = std::time::Instant::now();
    let found = work(&flat(1000));
    println!("1000 entities: {:?}, {found:?}", started.elapsed());
}
