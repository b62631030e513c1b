//! Quotas: the number of rows that a member may create in a day, counted by the database.

use super::world::{attempt, enter, event_values, new, scalar, world};
use crate::support::{
    Answer, Client, TestServer,
    database::{Content, Database},
    model,
};
use codegen::model::{Entity, Expr, Model, Relation};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;
use uuid::Uuid;

const AT_ONCE: usize = 8;

async fn run(conn: &mut PgConnection, text: String) {
    sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Sets the count of rows that the member has created today.
async fn used(server: &TestServer, member: Uuid, entity: &str, used: u32) {
    let mut conn = server.superuser().await;
    let text = format!(
        "insert into requests.quotas (principal, entity, day, used)
         values ('{member}', '{entity}', (now() at time zone 'UTC')::date, {used})
         on conflict (principal, entity) do update set day = excluded.day, used = excluded.used"
    );
    run(&mut conn, text).await;
}

fn quota(entity: &str) -> u32 {
    let (_, entity) = model().entity(entity).expect("an entity");
    entity.quota.expect("a quota")
}

/// Likes different events at the same time. Returns how many likes were created, and how many refused because of the
/// quota.
async fn like(client: &Client, events: &[Uuid]) -> (usize, usize) {
    let likes = events
        .iter()
        .map(|event| client.post("/likes", json!({"event_id": event})));
    let answers: Vec<Answer> = futures_util::future::join_all(likes).await;
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.status, 429, "{}", refused.text);
        assert_eq!(refused.problem(), "quota-exceeded");
        let detail = refused.json["detail"].as_str().expect("a detail");
        assert!(detail.contains("midnight"), "{detail}");
        let seconds: u32 = refused.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=86_400).contains(&seconds), "{seconds}");
        let policy = format!("\"likes_quota\";q={};w=86400", quota("like"));
        assert_eq!(refused.header("ratelimit-policy"), Some(policy.as_str()));
    }
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    (made, answers.len() - made)
}

/// Whoever creates an object is given a role of it, which counts too: the quota is that of another entity.
#[tokio::test]
async fn the_quota_of_roles_is_told_to_the_creator_of_an_object() {
    let server = TestServer::start().await;
    let ada = server.member("ada_of_many").await;
    let city = server.city("melbourne").await;
    used(&server, ada.id, "role_assignment", quota("role_assignment")).await;
    let body = json!({"city_id": city, "name": "Choir"});
    let refused = ada.client.post("/communities", body).await.expect(429);
    assert_eq!(refused.problem(), "quota-exceeded", "{}", refused.text);
    let detail = refused.json["detail"].as_str().expect("a detail");
    assert!(detail.contains("role assignments"), "{detail}");
    let policy = format!(
        "\"role_assignments_quota\";q={};w=86400",
        quota("role_assignment")
    );
    assert_eq!(refused.header("ratelimit-policy"), Some(policy.as_str()));
}

#[tokio::test]
async fn nobody_creates_more_than_their_quota_not_even_at_the_same_moment() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let events: Vec<Uuid> =
        sqlx::query_scalar("select e.id from app.events_public e order by e.id limit 32")
            .fetch_all(&mut conn)
            .await
            .expect("events");
    let parts: Vec<&[Uuid]> = events.chunks(AT_ONCE).collect();
    let (one, other) = (
        server.member("quota_one").await,
        server.member("quota_two").await,
    );
    let limit = quota("like");

    used(&server, one.id, "like", limit - 3).await;
    assert_eq!(like(&one.client, parts[0]).await, (3, AT_ONCE - 3));
    assert_eq!(
        like(&one.client, parts[1]).await,
        (0, AT_ONCE),
        "the quota is used up"
    );
    assert_eq!(
        like(&other.client, parts[0]).await,
        (AT_ONCE, 0),
        "another member"
    );
    run(
        &mut conn,
        "update requests.quotas set day = day - 1".to_owned(),
    )
    .await;
    assert_eq!(
        like(&one.client, parts[1]).await,
        (AT_ONCE, 0),
        "another day"
    );

    // The negative control: without the trigger there is no quota.
    used(&server, one.id, "like", limit).await;
    run(
        &mut conn,
        "alter table app.likes disable trigger likes_quota".to_owned(),
    )
    .await;
    assert_eq!(like(&one.client, parts[2]).await, (AT_ONCE, 0));
}

/// The table of counts is unlogged: it is empty after a crash of PostgreSQL, and on a standby that takes over.
#[tokio::test]
async fn counts_that_a_crash_takes_are_made_again_from_the_log() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let events: Vec<Uuid> =
        sqlx::query_scalar("select e.id from app.events_public e order by e.id limit 8")
            .fetch_all(&mut conn)
            .await
            .expect("events");
    let member = server.member("quota_kept").await;
    let counted = async |events: &[Uuid]| -> i32 {
        assert_eq!(like(&member.client, events).await, (events.len(), 0));
        let text = "select used from requests.quotas where principal = $1 and entity = 'like'";
        sqlx::query_scalar(text)
            .bind(member.id)
            .fetch_one(&mut server.superuser().await)
            .await
            .expect("a count")
    };
    assert_eq!(counted(&events[..4]).await, 4);
    run(&mut conn, "truncate requests.quotas".to_owned()).await;
    assert_eq!(counted(&events[4..6]).await, 6);
    assert_eq!(counted(&events[6..7]).await, 7);

    // If the counts of the day before exist, there was no crash since, and the audit log is not read.
    let text = format!(
        "update requests.quotas set day = day - 1; delete from requests.quotas where principal = '{}'",
        member.id
    );
    run(&mut conn, text).await;
    assert_eq!(counted(&events[7..8]).await, 1);
    let unlogged =
        "select relpersistence = 'u' from pg_class where oid = 'requests.quotas'::regclass";
    let is_unlogged: bool = sqlx::query_scalar(unlogged)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert!(is_unlogged);
}

/// Claim: entries of other days are not read, neither by a sequential scan nor with the index over objects, which is
/// not ordered by time.
#[tokio::test]
async fn counts_are_made_again_of_the_newest_entries() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let member = Uuid::now_v7();
    let text = format!(
        "insert into audit.audit_logs (entity_type, entity_id, action, performed_by, performed_role, changed, created_at)
         select 'like', sec.uuid_v7(), 'create', case when n % 100 = 0 then '{member}'::uuid end, 'member', '{{}}',
           case when n <= 60000 then now() - interval '2 days' else now() end
         from generate_series(1, 62000) n;
         select brin_summarize_new_values('audit.audit_logs_id_idx');
         analyze audit.audit_logs"
    );
    run(&mut conn, text).await;
    // The number of sequential scans, of scans of the index over objects and of the one over ids, and of fetched
    // entries.
    let scans = "select array[pg_stat_get_xact_numscans('audit.audit_logs'::regclass),
        pg_stat_get_xact_numscans('audit.audit_logs_entity_idx'::regclass),
        pg_stat_get_xact_numscans(to_regclass('audit.audit_logs_id_idx')),
        pg_stat_get_xact_tuples_fetched('audit.audit_logs'::regclass)]::bigint[]";
    let counted = async |conn: &mut PgConnection| -> Vec<i64> {
        let before: Vec<Option<i64>> = scalar(&mut *conn, scans).await;
        let today = format!("select audit.created_today('{member}', 'like')");
        let today: i64 = scalar(&mut *conn, today).await;
        assert_eq!(today, 20);
        let after: Vec<Option<i64>> = scalar(&mut *conn, scans).await;
        let of = |counts: &[Option<i64>], at: usize| counts[at].unwrap_or(0);
        (0..4).map(|at| of(&after, at) - of(&before, at)).collect()
    };
    run(&mut conn, "begin".to_owned()).await;
    let found = counted(&mut conn).await;
    assert_eq!(found[..3], [0, 0, 2], "{found:?}");
    assert!(found[3] < 20_000, "{found:?}");
    // Negative control: without the index over ids, the entries of other days are read.
    run(&mut conn, "drop index audit.audit_logs_id_idx".to_owned()).await;
    let found = counted(&mut conn).await;
    assert!(found[0] + found[1] > 0, "{found:?}");
}

/// After a crash, the first member who creates something stores the day since which counts are complete. Other members
/// don't wait for that transaction.
#[tokio::test]
async fn counts_are_made_again_side_by_side() {
    let world = world().await;
    let pool = &world.database.superuser;
    let values = event_values(world.city, world.organization, None, "Konzert");
    let other = new(pool, &values).await;
    world.admin("truncate requests.quotas").await.unwrap();
    let like = |user: Uuid, event: Uuid| {
        format!("insert into app.likes (user_id, event_id) values ('{user}', '{event}')")
    };
    let counted = "select count(*) from requests.quotas";

    let mut first = pool.begin().await.unwrap();
    enter(&mut first, Some(world.ana), "create").await;
    attempt(&mut *first, like(world.ana, world.event))
        .await
        .unwrap();
    let mut second = pool.begin().await.unwrap();
    enter(&mut second, Some(world.ben), "create").await;
    attempt(&mut *second, "set local lock_timeout = '3s'")
        .await
        .unwrap();
    attempt(&mut *second, like(world.ben, other))
        .await
        .expect("the second member need not wait");
    second.commit().await.unwrap();
    assert_eq!(world.look::<i64>(counted).await, 1);
    first.commit().await.unwrap();
    assert_eq!(
        world.look::<i64>(counted).await,
        3,
        "both members, and the start"
    );

    // Negative control: if another transaction has inserted that row without taking the advisory lock, a member waits
    // for it.
    world.admin("truncate requests.quotas").await.unwrap();
    let mut first = pool.begin().await.unwrap();
    let note = "insert into requests.quotas values ('00000000-0000-0000-0000-000000000000', '', current_date, 0)";
    attempt(&mut *first, note).await.unwrap();
    let mut second = pool.begin().await.unwrap();
    enter(&mut second, Some(world.host), "create").await;
    attempt(&mut *second, "set local lock_timeout = '200ms'")
        .await
        .unwrap();
    let waited = attempt(&mut *second, like(world.host, other)).await;
    assert!(waited.is_err());
}

#[tokio::test]
async fn every_quota_of_the_spec_has_its_trigger() {
    let server = TestServer::start().await;
    let found: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "select c.relname::text, t.tgargs from pg_trigger t join pg_class c on c.oid = t.tgrelid
         where t.tgfoid = 'requests.count_created'::regproc and t.tgenabled = 'O'",
    )
    .fetch_all(&mut server.superuser().await)
    .await
    .expect("triggers");
    let found: BTreeSet<(String, String)> = found
        .into_iter()
        .map(|(table, arguments)| {
            (
                table,
                String::from_utf8_lossy(&arguments).replace('\0', " "),
            )
        })
        .collect();
    let expected: BTreeSet<(String, String)> = (model().entities.iter())
        .filter_map(|e| Some((e.plural.clone(), format!("{} {} ", e.name, e.quota?))))
        .collect();
    assert_eq!(found, expected);
    assert!(expected.len() > 10, "{expected:?}");
}

/// Whether an entity can be created only by holders of a role that is granted by others, and not by creating
/// something.
fn only_by_roles(model: &Model, entity: &Entity, rule: &Expr) -> bool {
    let each = |part: &Expr| only_by_roles(model, entity, part);
    match rule {
        Expr::Nobody => true,
        Expr::MeHolds { role, .. } => model.entities.iter().all(|e| e.creator != Some(*role)),
        Expr::All(parts) => parts.iter().any(each),
        Expr::Any(parts) => parts.iter().all(each),
        Expr::Condition(index) => each(&entity.conditions[*index].expr),
        _ => false,
    }
}

/// Whether a member can have only one row for ever: it belongs to the member, is unique, and can't be archived.
fn is_one_each(entity: &Entity) -> bool {
    let theirs = |relation: &Relation| relation.set_me && relation.unique;
    entity.access.delete.is_none() && entity.belongs.iter().any(theirs)
}

/// The entities of which members could create an unlimited number of rows.
fn endless<'a>(model: &Model, entities: &'a [Entity]) -> Vec<&'a str> {
    let open = |entity: &&Entity| {
        let create = entity.access.create.as_ref().filter(|_| !entity.internal);
        create.is_some_and(|rule| !only_by_roles(model, entity, rule))
    };
    let endless = entities
        .iter()
        .filter(open)
        .filter(|entity| entity.quota.is_none() && !is_one_each(entity));
    endless.map(|entity| entity.name.as_str()).collect()
}

/// Rows that modules create are limited by the modules: orders by rate limits, pictures by bytes and per minute,
/// offers by the number of tickets.
#[test]
fn whatever_any_member_may_create_has_a_quota_or_is_one_for_each() {
    let model = model();
    assert_eq!(endless(model, &model.entities), Vec::<&str>::new());
    // An entity with one row per member needs no quota, and is found if that uniqueness is removed.
    let without = |change: fn(&mut Entity)| {
        let mut entities = model.entities.clone();
        entities.iter_mut().for_each(change);
        let found = endless(model, &entities);
        found
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let unbounded = without(|entity| {
        for relation in &mut entity.belongs {
            relation.unique = false;
        }
    });
    assert_eq!(unbounded, BTreeSet::from(["referral".to_owned()]));
    let uncounted = without(|entity| entity.quota = None);
    assert!(uncounted.len() > 15, "{uncounted:?}");
    assert!(
        !uncounted.contains("city") && !uncounted.contains("referral"),
        "{uncounted:?}"
    );
}
