//! The catalogue satisfies the lint, and the lint would notice mistakes.

use super::world::{attempt, rows};
use crate::support::{database, model};
use codegen::model::{Entity, Model};
use sqlx::Row;
use std::collections::BTreeSet;

const LINT: &str = include_str!("../../sql/catalogue-lint.sql");

async fn problems(database: &crate::support::Pools) -> Vec<String> {
    rows(&database.superuser, LINT)
        .await
        .iter()
        .map(|row| row.get(0))
        .collect()
}

#[tokio::test]
async fn abuse_60_the_catalogue_has_no_problem() {
    assert_eq!(problems(&database().await).await, Vec::<String>::new());
}

#[tokio::test]
async fn abuse_60_a_migration_that_opens_a_door_is_seen() {
    let database = database().await;
    let mistakes = [
        ("create table app.bare (id uuid primary key)", "not forced"),
        (
            "create table app.bare2 (id uuid primary key); alter table app.bare2 enable row level security; \
             alter table app.bare2 force row level security",
            "not owned by the owner role",
        ),
        (
            "create function app.door() returns setof app.users language sql security definer as 'select * from app.users'",
            "without search path",
        ),
        (
            "create function app.door2() returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 1'",
            "definer function for everybody",
        ),
        (
            "create function app.slow() returns int language sql stable set search_path = pg_catalog, pg_temp as 'select 1'",
            "planned at each call",
        ),
        (
            "create view app.strangers_public as select * from app.users",
            "owner's rights",
        ),
        (
            "create policy every on app.likes to culturepass_app using (true)",
            "for all commands",
        ),
        (
            "grant create on schema sec to culturepass_job",
            "may create in",
        ),
        (
            "alter table app.events no force row level security",
            "not forced",
        ),
        (
            "alter table app.events owner to culturepass_app",
            "a request role owns",
        ),
        (
            "create policy more on app.events for select to culturepass_app using (true)",
            "more than one",
        ),
        (
            "create policy public on app.likes for insert with check (true)",
            "to everybody",
        ),
        (
            "drop policy likes_select on app.likes; create policy likes_select on app.likes for select to culturepass_app \
          using (likes.user_id = sec.uid())",
            "once per row",
        ),
        (
            "alter function sec.enter(uuid, uuid, text, uuid) reset search_path",
            "without search path",
        ),
        (
            "grant execute on function sec.enter(uuid, uuid, text, uuid) to public",
            "for everybody",
        ),
        (
            "grant delete on app.likes to culturepass_app",
            "whole table",
        ),
        (
            "grant update (version) on app.likes to culturepass_app",
            "bookkeeping",
        ),
        (
            "create view app.leak as select * from app.users",
            "owner's rights",
        ),
        (
            "grant usage on schema audit to culturepass_app; grant select on audit.audit_logs to culturepass_app",
            "audit log",
        ),
        (
            "create index superfluous on app.events (title)",
            "index that another one serves",
        ),
        (
            "grant update (like_count) on counters.events to culturepass_app",
            "writes counters",
        ),
        (
            "grant usage on schema search to culturepass_app; grant select on search.events to culturepass_app",
            "search documents",
        ),
        ("drop index app.likes_event_id_idx", "without index"),
    ];
    for (mistake, seen) in mistakes {
        attempt(&database.superuser, mistake)
            .await
            .unwrap_or_else(|e| panic!("{mistake}: {e}"));
        let problems = problems(&database).await;
        assert!(
            problems.iter().any(|p| p.contains(seen)),
            "{mistake}: {problems:?}"
        );
    }
}

/// The columns that the job role may write, according to the catalogue: `update app.events.title`.
async fn granted(database: &crate::support::Pools) -> BTreeSet<String> {
    let text = "select p || ' ' || c.relname || '.' || a.attname from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        cross join unnest(array['insert', 'update']) p
        where c.relnamespace = 'app'::regnamespace and c.relkind = 'r'
          and has_column_privilege('culturepass_job', c.oid, a.attnum, p)";
    let rows = rows(&database.superuser, text).await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// The columns of an entity that modules declare to write in `app.yaml`, if no module writes the whole entity.
fn declared(model: &Model, id: usize) -> BTreeSet<String> {
    let entity = &model.entities[id];
    let mut lines = BTreeSet::new();
    for narrowed in model.modules.iter().filter_map(|m| m.narrowed(id)) {
        for (privilege, names) in [
            ("insert", narrowed.create.as_deref().unwrap_or_default()),
            ("update", &narrowed.update),
        ] {
            let columns = names.iter().flat_map(|name| columns(entity, name));
            lines.extend(columns.map(|c| format!("{privilege} {}.{c}", entity.plural)));
        }
        if narrowed.create.is_some() {
            lines.insert(format!("insert {}.id", entity.plural));
        }
    }
    lines
}

fn columns(entity: &Entity, name: &str) -> Vec<String> {
    match entity.relation(name) {
        Some(relation) => {
            let ty = relation.type_column();
            ty.into_iter().chain([relation.id_column()]).collect()
        }
        None => vec![name.to_owned()],
    }
}

/// The differences between the two, for every entity that no module writes as a whole.
async fn undeclared(database: &crate::support::Pools) -> Vec<String> {
    let (model, granted) = (model(), granted(database).await);
    let mut wrong = Vec::new();
    for (id, entity) in model.entities.iter().enumerate() {
        let whole = |m: &codegen::model::Module| m.writes.contains(&id) && m.narrowed(id).is_none();
        if entity.module.is_some() || model.modules.iter().any(whole) {
            continue;
        }
        let of_this = |line: &&String| {
            let table = line.split([' ', '.']).nth(1);
            table == Some(entity.plural.as_str())
        };
        let found: BTreeSet<String> = granted.iter().filter(of_this).cloned().collect();
        wrong.extend(found.symmetric_difference(&declared(model, id)).cloned());
    }
    wrong
}

/// The job role, which all modules share, has no privilege to write what no module declares.
#[tokio::test]
async fn modules_write_what_they_say_they_write() {
    let database = database().await;
    assert_eq!(undeclared(&database).await, Vec::<String>::new());
    let mistake = "grant update (title, featured_until) on app.events to culturepass_job";
    attempt(&database.superuser, mistake).await.unwrap();
    assert_eq!(undeclared(&database).await, ["update events.title"]);
}
