//! Random pairs of specs: from any set of changes to any other, with rows, and back.

use super::blank::{Blank, limits};
use super::repository::{Edit, Repository, script, try_world};
use super::rows::ROWS;
use crate::support::catalogue::difference;
use codegen::model::Model;
use kernel::migrate::{down, up};

/// Changes that don't overlap in the text of the spec.
const CHANGES: [Edit; 21] = [
    (
        "event",
        "  capacity: int(1..1000000)?",
        "  seats: bigint(1..)?, was capacity, filter",
    ),
    (
        "event",
        "  price_cents: money(0..)?",
        "  price_cents: money(0..) = 0, sort",
    ),
    (
        "event",
        "  featured: bool = false, system",
        "  featured: bool = true, system, filter\n  mood: enum(calm, loud) = calm",
    ),
    (
        "event",
        "  title: text(1..140), search, sort",
        "  title: text(1..200), search",
    ),
    (
        "event",
        "  starts_at: time, filter, sort",
        "  starts_at: time, filter, sort, future",
    ),
    ("event", "ends_at > starts_at", "ends_at >= starts_at"),
    (
        "event",
        "index: [[city, starts_at]]",
        "index: [[city, ends_at], [starts_at]]",
    ),
    (
        "event",
        "  delete: host or city_admin",
        "  delete: city_admin",
    ),
    (
        "event",
        ", read host or city_admin, write host, redact",
        ", redact",
    ),
    (
        "organization",
        "count(members where state == active)",
        "count(members), sort",
    ),
    (
        "organization",
        "  name: text(1..80)",
        "  name: text(1..80), search\n  motto: text(..40)?",
    ),
    (
        "organization",
        "  members: member* via organization",
        "  members: member* via organization\n  events: event* via host",
    ),
    (
        "member",
        "  user: user, set me",
        "  user: user, set me\n  patron: user?, on archive detach",
    ),
    (
        "user",
        "  home: city?, on archive detach, movable",
        "  town: city?, on archive detach, movable, was home",
    ),
    (
        "user",
        "  is_public: bool = true",
        "  is_public: bool = true\n  bio: text(..500)?, search",
    ),
    (
        "city",
        "  population: int(0..)?",
        "  people: int(0..)?, was population\n  place: point?, filter",
    ),
    (
        "member",
        "access:\n",
        "keep:\n  somebody: one per organization where state == active\naccess:\n",
    ),
    ("app", "    instagram: url?", "    blog: url?"),
    (
        "event",
        "when starts_at > now()",
        "when starts_at > now() and city.status == active",
    ),
    (
        "member",
        "unique: [[organization, user]]",
        "unique:\n  - organization, user where state == active",
    ),
    (
        "event",
        "hooks: [create, publish]",
        "hooks: [create, publish]\nexclude:\n  - city, slug, starts_at..ends_at where state != draft",
    ),
];

#[tokio::test]
async fn any_spec_leads_to_any_other_and_back() {
    let rounds: u64 = std::env::var("MIGRATION_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(6);
    let mut tried = 0;
    for seed in 1.. {
        if tried == rounds {
            break;
        }
        let (from, mut to) = (handful(seed * 2), handful(seed * 2 + 1));
        rename_moods(&from, &mut to);
        let (Ok(old), Ok(mut new)) = (try_world(&from), try_world(&to)) else {
            continue;
        };
        state_losses(&old, &mut new);
        if leads(seed, &old, &new).await {
            tried += 1;
        }
        assert!(seed < rounds * 20, "too few pairs are allowed");
    }
}

async fn leads(seed: u64, old: &Model, new: &Model) -> bool {
    let mut repository = Repository::default();
    repository.generate(old).expect("the first migration");
    let database = Blank::new().await;
    up(&database.options(), &repository.list(), &limits())
        .await
        .expect("the foundation");
    database.run(&rows(old)).await;
    let before = database.catalogue().await;
    match repository.generate(new) {
        Ok(0) | Err(_) => return false,
        Ok(_) => {}
    }
    let list = repository.list();
    let made = Blank::new().await;
    made.run(&script(new)).await;
    let wanted = made.catalogue().await;
    for again in ["", " again"] {
        up(&database.options(), &list, &limits())
            .await
            .unwrap_or_else(|e| panic!("seed {seed}: up{again}: {e}"));
        let differences = difference(&database.catalogue().await, &wanted);
        assert!(
            differences.is_empty(),
            "seed {seed}, up{again}:\n{}",
            differences.join("\n")
        );
        if again.is_empty() {
            down(&database.options(), &list, 1, &limits())
                .await
                .unwrap_or_else(|e| panic!("seed {seed}: down: {e}"));
            let differences = difference(&database.catalogue().await, &before);
            let real: Vec<&String> = differences
                .iter()
                .filter(|line| !line.starts_with("- constraint") || !line.ends_with("NOT VALID"))
                .collect();
            assert!(
                real.iter().all(|l| l.starts_with("+ constraint")),
                "seed {seed}, down:\n{}",
                differences.join("\n")
            );
        }
    }
    true
}

/// The rows use the names of fields in the base world.
fn rows(model: &Model) -> String {
    let has = |entity: &str, field: &str| {
        model
            .entity(entity)
            .is_some_and(|(_, e)| e.field(field).is_some())
    };
    let mut rows = ROWS.to_owned();
    if has("event", "seats") {
        rows = rows.replace("ends_at, capacity,", "ends_at, seats,");
    }
    if has("city", "people") {
        rows = rows.replace("(id, name, population)", "(id, name, people)");
    }
    if model
        .entity("user")
        .is_some_and(|(_, e)| e.relation("town").is_some())
    {
        rows = rows.replace("home_id", "town_id");
    }
    rows
}

/// States every loss in the spec.
fn state_losses(old: &Model, new: &mut Model) {
    for entity in &mut new.entities {
        let Some((_, before)) = old.entity(&entity.name) else {
            continue;
        };
        let kept: Vec<&String> = entity
            .fields
            .iter()
            .flat_map(|f| f.was.iter().chain([&f.name]))
            .collect();
        let gone = before
            .fields
            .iter()
            .map(|f| &f.name)
            .filter(|name| !kept.contains(name));
        let relations: Vec<&String> = entity
            .belongs
            .iter()
            .flat_map(|r| r.was.iter().chain([&r.name]))
            .collect();
        let cut = before
            .belongs
            .iter()
            .map(|r| &r.name)
            .filter(|name| !relations.contains(name));
        let dropped: Vec<String> = gone.chain(cut).cloned().collect();
        entity.dropped.extend(dropped);
        new.dropped.extend(
            entity
                .fields
                .iter()
                .filter(|f| {
                    let mut names = [Some(f.name.as_str()), f.was.as_deref()].into_iter();
                    names.any(|name| before.field(name.unwrap_or_default()).is_some())
                })
                .map(|f| format!("{}.{}", entity.name, f.name)),
        );
    }
}

/// If both worlds have moods, renames one of them in the second.
fn rename_moods(from: &[Edit], to: &mut [Edit]) {
    let has_moods = |edit: &Edit| edit.2.contains(MOODS);
    if !from.iter().any(has_moods) {
        return;
    }
    for edit in to.iter_mut().filter(|edit| has_moods(edit)) {
        edit.2 = RENAMED_MOODS;
    }
}

const MOODS: &str = "mood: enum(calm, loud) = calm";
const RENAMED_MOODS: &str =
    "  featured: bool = true, system, filter\n  mood: enum(quiet was calm, loud) = quiet";

fn handful(seed: u64) -> Vec<Edit<'static>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..8 {
        next();
    }
    CHANGES.into_iter().filter(|_| next() % 3 == 0).collect()
}
