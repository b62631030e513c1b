//! Hand-written code takes the names of the spec's constraints from `generated`: a change of the spec that renames one
//! then fails to compile, instead of turning a refusal into a fault of the server.

use super::sources;
use std::collections::BTreeSet;

/// The names in the modules `constraint` of generated code.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, text) in sources("generated/src") {
        let (_, modules) = text.split_once("pub mod constraint {").unwrap_or_default();
        let lines = modules.lines().take_while(|line| !line.starts_with('}'));
        let values = lines.filter_map(|line| line.split_once("&str = \"")?.1.strip_suffix("\";"));
        names.extend(values.map(str::to_owned));
    }
    names
}

fn literals<'n>(text: &str, names: &'n BTreeSet<String>) -> Vec<&'n String> {
    let is_there = |name: &&String| text.contains(&format!("\"{name}\""));
    names.iter().filter(is_there).collect()
}

#[test]
fn no_name_of_a_constraint_is_written_twice() {
    let names = names();
    for kind in ["_key", "_check"] {
        let count = names.iter().filter(|name| name.ends_with(kind)).count();
        assert!(count > 20, "{count} {kind}");
    }
    for (path, text) in sources("runtime/app/src") {
        let found = literals(&text, &names);
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
    // The negative control: a literal is found.
    let written = literals("Some(\"users_email_key\") => {}", &names);
    assert_eq!(written, ["users_email_key"]);
}
