//! The real spec: the sum of all migrations is the schema.

use super::blank::{Blank, limits};
use super::repository::{Repository, script};
use crate::support::catalogue::difference;
use generated::migrations::MIGRATIONS;
use kernel::migrate::{down, up};
use std::path::Path;

#[tokio::test]
async fn the_sum_of_all_migrations_is_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let script =
        std::fs::read_to_string(root.join("generated/schema.sql")).expect("generated/schema.sql");
    let (migrated, made) = (Blank::new().await, Blank::new().await);
    up(&migrated.options(), MIGRATIONS, &limits())
        .await
        .unwrap_or_else(|e| panic!("up: {e}"));
    made.run(&script).await;
    let wanted = made.catalogue().await;
    let differences = difference(&migrated.catalogue().await, &wanted);
    assert!(differences.is_empty(), "{}", differences.join("\n"));

    down(&migrated.options(), MIGRATIONS, 0, &limits())
        .await
        .unwrap_or_else(|e| panic!("down: {e}"));
    let left = migrated.catalogue().await;
    assert!(
        left.iter().all(|line| line.starts_with("extension ")),
        "{}",
        left.join("\n")
    );

    up(&migrated.options(), MIGRATIONS, &limits())
        .await
        .unwrap_or_else(|e| panic!("up again: {e}"));
    let differences = difference(&migrated.catalogue().await, &wanted);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The second application has its database too.
#[tokio::test]
async fn the_library_is_made_by_its_first_migration() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("library");
    let model = codegen::load(&root).unwrap_or_else(|said| panic!("{said}"));
    let mut repository = Repository::default();
    repository.generate(&model).expect("the first migration");
    let (migrated, made) = (Blank::new().await, Blank::new().await);
    up(&migrated.options(), &repository.list(), &limits())
        .await
        .unwrap_or_else(|e| panic!("up: {e}"));
    made.run(&script(&model)).await;
    let differences = difference(&migrated.catalogue().await, &made.catalogue().await);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
