//! `generated/` and `migrations/` are what the spec says, byte for byte, with nothing left over.

use std::path::Path;

#[test]
fn generated_files_are_what_the_spec_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tree = codegen::generate(&root).unwrap_or_else(|said| panic!("{said}"));
    let differences: Vec<String> = tree.check(&root).iter().map(ToString::to_string).collect();
    assert!(
        differences.is_empty(),
        "{}\nrun: cargo gen",
        differences.join("\n")
    );
}
