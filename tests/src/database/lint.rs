//! The catalogue holds no surprises, and the lint would see them.

use super::world::{attempt, rows};
use crate::support::database;
use sqlx::Row;

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
            "create function app.door2() returns int language sql security definer set search_path = '' as 'select 1'",
            "definer function for everybody",
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
            "alter function sec.enter(uuid, uuid, text, text) reset search_path",
            "without search path",
        ),
        (
            "grant execute on function sec.enter(uuid, uuid, text, text) to public",
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
        (
            "drop index app.likes_event_id_idx; drop index app.likes_live_event_id_idx",
            "without index",
        ),
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
