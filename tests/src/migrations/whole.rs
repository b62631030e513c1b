//! The real spec: all migrations together result in the schema.

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

/// The same for the database of the second application.
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

/// Of the fixtures of the generator: with every type, and with names and texts that SQL has other uses for.
#[tokio::test]
async fn the_fixtures_of_the_generator_are_made_and_unmade() {
    for case in ["lifecycles", "names", "types", "world"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../codegen/tests/good");
        let model = codegen::load(&root.join(case)).unwrap_or_else(|said| panic!("{said}"));
        let mut repository = Repository::default();
        repository.generate(&model).expect("the first migration");
        let database = Blank::new().await;
        up(&database.options(), &repository.list(), &limits())
            .await
            .unwrap_or_else(|e| panic!("{case}: up: {e}"));
        down(&database.options(), &repository.list(), 0, &limits())
            .await
            .unwrap_or_else(|e| panic!("{case}: down: {e}"));
    }
}

/// Many small changes of the real spec at once, on the rows of the sample data.
#[tokio::test]
async fn the_real_spec_changes_in_many_places() {
    let seed = std::env::var("MIGRATION_SEED")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    let base = read_spec();
    let changed = change_in_many_places(&base, seed);
    let (old, new) = (
        model(&base).expect("the spec"),
        model(&changed).expect("the changed spec"),
    );
    let mut repository = Repository::default();
    repository.generate(&old).expect("the first migration");
    let database = Blank::new().await;
    up(&database.options(), &repository.list(), &limits())
        .await
        .expect("the foundation");
    let mut conn = database.connect().await;
    server::seed::reference::load(&mut conn)
        .await
        .expect("reference data");
    server::seed::demo::load(&mut conn)
        .await
        .expect("demonstration data");
    let before = database.catalogue().await;

    assert!(
        repository
            .generate(&new)
            .unwrap_or_else(|refused| panic!("{refused:#?}"))
            > 0
    );
    let (list, made) = (repository.list(), Blank::new().await);
    made.run(&script(&new)).await;
    let wanted = made.catalogue().await;
    for _ in 0..2 {
        up(&database.options(), &list, &limits())
            .await
            .unwrap_or_else(|e| panic!("seed {seed}: up: {e}"));
        let differences = difference(&database.catalogue().await, &wanted);
        assert!(
            differences.is_empty(),
            "seed {seed}, up:\n{}",
            differences.join("\n")
        );
        down(&database.options(), &list, 1, &limits())
            .await
            .unwrap_or_else(|e| panic!("seed {seed}: down: {e}"));
        let found = database
            .catalogue()
            .await
            .into_iter()
            .map(|line| line.trim_end_matches(" NOT VALID").to_owned());
        let differences = difference(&sorted(found.collect()), &before);
        assert!(
            differences.is_empty(),
            "seed {seed}, down:\n{}",
            differences.join("\n")
        );
    }
}

type Spec = Vec<(String, String)>;

fn read_spec() -> Spec {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
    let entities = std::fs::read_dir(root.join("entities")).expect("spec/entities");
    let mut paths: Vec<_> = entities.map(|e| e.expect("a file").path()).collect();
    paths.sort_unstable();
    paths.insert(0, root.join("app.yaml"));
    let read = |path: &std::path::PathBuf| {
        let name = path.strip_prefix(&root).expect("below spec").display();
        (
            format!("spec/{name}"),
            std::fs::read_to_string(path).expect("a text"),
        )
    };
    paths.iter().map(read).collect()
}

fn model(spec: &Spec) -> Result<codegen::model::Model, codegen::diag::Diagnostics> {
    let mut sources = codegen::diag::Sources::default();
    for (path, text) in spec {
        sources.add(path, text);
    }
    codegen::load_sources(&sources)
}

/// Renames, drops, lengthens and adds fields wherever the rest of the spec allows it.
fn change_in_many_places(base: &Spec, seed: u64) -> Spec {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut spec = base.clone();
    let (mut tried, mut done) = (0, 0);
    while tried < 60 && done < 25 {
        tried += 1;
        let file = random.usize(1..spec.len());
        let text = &spec[file].1;
        let Some(section) = text.find("\nfields:\n") else {
            continue;
        };
        let lines: Vec<&str> = text[section + 9..]
            .lines()
            .take_while(|l| l.starts_with("  ") || l.is_empty())
            .filter(|l| l.contains(": ") && !l.contains('#'))
            .collect();
        if lines.is_empty() {
            continue;
        }
        let line = lines[random.usize(..lines.len())];
        let (name, phrase) = line.trim().split_once(':').expect("a field");
        let phrase = phrase.trim();
        let changed = match random.u8(..4) {
            0 => format!("  {name}_x: {phrase}, was {name}"),
            1 => format!("  {name}: drop"),
            2 => format!("{line}\n  extra_{tried}: int(0..) = {tried}, filter, sort"),
            _ => format!("{line}\n  more_{tried}: text(..50)?"),
        };
        let mut next = spec.clone();
        next[file].1 = text.replacen(&format!("\n{line}\n"), &format!("\n{changed}\n"), 1);
        if next[file].1 != *text && model(&next).is_ok() {
            spec = next;
            done += 1;
        }
    }
    assert!(done > 5, "only {done} changes");
    spec
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}
