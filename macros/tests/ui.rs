//! What the compiler says to a wrong type: `tests/ui/<mistake>.rs` beside its `.stderr`.
//!
//! Not part of `cargo test`, because every case is a build of its own:
//! `cargo test -p macros --test ui -- --ignored` (`TRYBUILD=overwrite` writes the answers anew).

#[test]
#[ignore = "builds every case; run with --ignored"]
fn mistakes() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
