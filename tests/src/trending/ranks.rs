//! Ranks: how they are computed, that they order events like plain decayed sums, and what they cost.

use super::stage::{Stage, array, run};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::collections::HashMap;
use uuid::Uuid;

/// In hours.
const HALF_LIFE: f64 = 24.0;

/// The actions that count, by event: weight, and how many hours ago.
type Log = HashMap<Uuid, Vec<(f64, f64)>>;

/// The plain decayed sum, this many hours from now.
fn sum(actions: &[(f64, f64)], later: f64) -> f64 {
    let one = |(weight, ago): &(f64, f64)| weight * (-(ago + later) / HALF_LIFE).exp2();
    actions.iter().map(one).sum()
}

/// Likes at random times of the last month, by many members for many events.
async fn random(stage: &Stage, events: usize, people: usize, actions: usize) -> Log {
    fastrand::seed(11);
    let (events, people) = (
        stage.events(stage.host, events).await,
        stage.people(people).await,
    );
    // The same time in all statements: it is seconds later in each, which is enough to change the order of two events.
    let now: String = stage.one("select now()::text").await;
    let mut log = Log::new();
    let mut seen = std::collections::HashSet::new();
    let mut rows = Vec::new();
    while rows.len() < actions {
        // Every event has some, and a few have much more than others.
        let any = (events.len() as f64 * fastrand::f64().powi(3)) as usize;
        let event = *events.get(rows.len()).unwrap_or(&events[any]);
        let person = people[fastrand::usize(..people.len())];
        if !seen.insert((person, event)) {
            continue;
        }
        let minutes = fastrand::u32(..60 * 24 * 30);
        log.entry(event)
            .or_default()
            .push((1.0, f64::from(minutes) / 60.0));
        rows.push(format!(
            "('{person}', '{event}', timestamptz '{now}' - interval '{minutes} minutes')"
        ));
    }
    for rows in rows.chunks(4000) {
        stage
            .sql(format!(
                "insert into app.likes (user_id, event_id, created_at) values {}",
                rows.join(",")
            ))
            .await;
    }
    log
}

#[tokio::test]
async fn tr1_a_rank_stands_beside_the_event_and_a_like_leaves_the_event_alone() {
    let stage = Stage::new().await;
    let event = stage.events(stage.host, 1).await[0];
    let person = stage.people(1).await[0];
    let place = format!("select ctid || ' ' || xmin from app.events where id = '{event}'");
    let before: String = stage.one(place.clone()).await;
    stage.like(person, event).await;
    stage.rank().await;
    assert_eq!(stage.one::<String>(place).await, before);
    // The formula: ln w + ln 2 / h (t - landmark)
    let formula: f64 = stage
        .one(format!(
            "select ln(1.0::float8) + ln(2::float8) / 24 * extract(epoch from created_at - timestamptz '2026-01-01 00:00Z')::float8 / 3600
             from app.likes where event_id = '{event}'"
        ))
        .await;
    let rank = stage.rank_of(event).await.expect("a rank");
    assert!((rank - formula).abs() < 1e-9, "{rank} {formula}");
    // The row of the event contains nothing of it.
    let columns: i64 = stage
        .one("select count(*) from information_schema.columns where table_schema = 'app' and table_name = 'events' and column_name ~ 'rank|trend'")
        .await;
    assert_eq!(columns, 0);
}

#[tokio::test]
async fn tr2_ranks_order_events_as_exact_sums_do_now_and_later() {
    let stage = Stage::changed(|parts| {
        parts.modules.trending.trending_actions_a_day = u16::MAX;
    })
    .await;
    let log = random(&stage, 2_000, 300, 12_000).await;
    stage.rank().await;
    let ranks = stage.ranks().await;
    assert_eq!(ranks.len(), log.len());
    assert_eq!(log.len(), 2_000);
    let mut by_rank: Vec<Uuid> = ranks.keys().copied().collect();
    by_rank.sort_by(|a, b| ranks[b].total_cmp(&ranks[a]));
    for later in [0.0, 30.0 * 24.0, 60.0 * 24.0] {
        let sums: Vec<f64> = by_rank.iter().map(|id| sum(&log[id], later)).collect();
        assert!(sums.iter().all(|one| one.is_finite() && *one > 0.0));
        let wrong = sums
            .windows(2)
            .filter(|pair| pair[0] < pair[1] * (1.0 - 1e-9))
            .count();
        assert_eq!(wrong, 0, "{later} hours later");
    }
    // The control: another half-life results in another order.
    let other = |id: &Uuid| {
        let one = |(weight, ago): &(f64, f64)| weight * (-ago / 240.0).exp2();
        log[id].iter().map(one).sum::<f64>()
    };
    assert!(
        by_rank
            .windows(2)
            .any(|pair| other(&pair[0]) < other(&pair[1]))
    );
    // Twenty years ahead cause no overflow, and times before the fixed day are negative numbers.
    for time in ["2046-12-31", "1990-01-01"] {
        let term: f64 = stage
            .one(format!(
                "select app.rank_term(4, timestamptz '{time} 00:00Z', 6)"
            ))
            .await;
        let kept: f64 = stage
            .one(format!("select ({term}::numeric(20, 12))::float8"))
            .await;
        assert!(term.is_finite() && (term - kept).abs() < 1e-9, "{time}");
    }
}

/// `TR3_ROUNDS` sets a greater number of rounds, as `script/soak` does; each takes back or restores about half of 160
/// likes.
#[tokio::test]
async fn tr3_what_is_done_and_undone_many_times_is_added_up_exactly() {
    let rounds = std::env::var("TR3_ROUNDS").ok();
    let rounds: usize = rounds.map_or(60, |text| text.parse().expect("a number"));
    let stage = Stage::changed(|parts| {
        parts.modules.trending.trending_actions_a_day = u16::MAX;
    })
    .await;
    let (events, people) = (stage.events(stage.host, 4).await, stage.people(40).await);
    let (all_events, all_people) = (array(&events), array(&people));
    stage
        .sql(format!(
            "insert into app.likes (user_id, event_id, created_at)
             select u, e, now() - random() * interval '20 days' from unnest({all_people}) u, unnest({all_events}) e"
        ))
        .await;
    stage.rank().await;
    let before = stage.ranks().await;
    fastrand::seed(5);
    for _ in 0..rounds {
        // Some members take their likes back, and some restore theirs.
        let (percent, seed) = (fastrand::u32(10..90), fastrand::u32(..));
        stage
            .sql(format!(
                "update app.likes set status = case status when 'active' then 'archived' else 'active' end
                 where abs(hashtext(id::text || '{seed}')) % 100 < {percent}"
            ))
            .await;
        stage.rank().await;
    }
    assert_eq!(off(&stage).await, 0.0, "the rank is exact");
    assert_eq!(stage.compare().await, 0);
    // With all likes restored, ranks are as before; with none, there are no ranks.
    stage.sql("update app.likes set status = 'active'").await;
    stage.rank().await;
    for (event, rank) in stage.ranks().await {
        assert!((rank - before[&event]).abs() < 1e-9, "{event}");
    }
    stage.sql("update app.likes set status = 'archived'").await;
    stage.rank().await;
    assert!(stage.ranks().await.is_empty());
    let actions: i64 = stage
        .one("select sum(actions)::int8 from app.event_ranks")
        .await;
    assert_eq!(actions, 0);
    assert_eq!(stage.compare().await, 0);
    // The negative control: without the trigger an unlike is missed until ranks are compared and corrected.
    stage.sql("update app.likes set status = 'active'").await;
    stage.rank().await;
    stage
        .sql("alter table app.likes disable trigger likes_trend_changed")
        .await;
    stage.unlike(people[0], events[0]).await;
    stage.rank().await;
    assert_eq!(
        off(&stage).await,
        0.0,
        "the rank agrees with the stored actions"
    );
    assert_eq!(stage.compare().await, 1, "but not with the likes");
    assert_eq!(stage.compare().await, 0);
}

/// The largest difference between a stored rank and one recomputed from all actions, if it is more than rounding.
async fn off(stage: &Stage) -> f64 {
    let off: f64 = stage
        .one("select coalesce(max(abs(rank::float8 - app.exact_rank(event_id, 24))), 0) from app.event_ranks where rank is not null")
        .await;
    if off < 1e-6 { 0.0 } else { off }
}

/// Inserts ten thousand events of each of five cities, without running triggers.
async fn crowd(conn: &mut PgConnection, stage: &Stage) {
    let text = format!(
        "set session_replication_role = replica;
         insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
         select c.id, 'organization', '{}', 'E', 'e-' || n, now(), now() + interval '9 days', 'UTC', 'published'
         from (select id from app.cities order by (id = '{}') desc, id limit 5) c, generate_series(1, 10000) n",
        stage.host, stage.city
    );
    run(&mut *conn, text).await;
    run(
        &mut *conn,
        "insert into counters.events (id) select id from app.events on conflict do nothing;
         insert into app.event_ranks (event_id, city_id, host_id, rank, spread_rank, actions, shown_until)
         select id, city_id, host_id, x, x, 1, ends_at from (select *, (random() * 500)::numeric(20, 12) as x from app.events) e;
         reset session_replication_role;
         analyze app.event_ranks; analyze app.events"
            .to_owned(),
    )
    .await;
}

#[tokio::test]
async fn tr4_a_page_is_read_from_the_index_and_few_pages_of_it() {
    let stage = Stage::new().await;
    let mut conn = stage.server.superuser().await;
    crowd(&mut conn, &stage).await;
    let question = |more: &str| {
        format!(
            "select event_id from app.trending('{}', false, false, null, null, null, 21, false){more}",
            stage.city
        )
    };
    let mut request = stage.server.database.request_role().await;
    for _ in 0..2 {
        let text = format!("explain (analyze, buffers, format json) {}", question(""));
        let row = sqlx::query(AssertSqlSafe(text))
            .fetch_one(&mut request)
            .await
            .expect("a plan");
        let plan: serde_json::Value = row.get(0);
        let plan = &plan[0]["Plan"];
        assert_eq!(plan["Actual Rows"], 21);
        let buffers = ["Shared Hit Blocks", "Shared Read Blocks"]
            .map(|kind| plan[kind].as_i64().unwrap_or(0));
        // The first query of a session also reads the catalogue.
        if buffers.iter().sum::<i64>() <= 100 {
            let reads = scans(&mut conn, &question("")).await;
            assert_eq!(reads.0, 0, "the table is not read completely");
            assert!(reads.1 > 0, "{reads:?}");
            // Stored ranks read at most a hundredth of the rows that computing the same order reads.
            let computed = format!(
                "select e.id from app.events e join counters.events n on n.id = e.id
                 where e.city_id = '{}' and e.status = 'active' and e.state = 'published' and e.ends_at > now()
                 order by power(n.like_count, 0.8) / power(extract(epoch from now() - e.created_at) / 3600 + 2, 1.8) desc limit 21",
                stage.city
            );
            let (ranked, computed) = (
                rows(&mut conn, &question("")).await,
                rows(&mut conn, &computed).await,
            );
            assert!(computed >= 100 * ranked, "{computed}, {ranked}");
            // The negative control: without its index the query reads far more.
            run(
                &mut conn,
                "drop index app.event_ranks_city_id_rank_event_id_idx".to_owned(),
            )
            .await;
            assert!(scans(&mut conn, &question("")).await.2 > 5_000);
            return;
        }
    }
    panic!("more than a hundred buffers");
}

/// The number of rows of events and their ranks that a query reads.
async fn rows(conn: &mut PgConnection, question: &str) -> i64 {
    let [.., events] = figures(conn, question, "events").await;
    let [.., ranks] = figures(conn, question, "event_ranks").await;
    events + ranks
}

/// In one transaction: the number of sequential and of index scans of the table, and the rows they read.
async fn scans(conn: &mut PgConnection, question: &str) -> (i64, i64, i64) {
    let [whole, by_index, rows] = figures(conn, question, "event_ranks").await;
    (whole, by_index, rows)
}

/// The number of sequential scans, of index scans and of rows read that a query needs of a table. The view also shows
/// what earlier transactions of the connection have read and not yet reported, hence the difference.
async fn figures(conn: &mut PgConnection, question: &str, table: &str) -> [i64; 3] {
    let text = format!(
        "select seq_scan, idx_scan, seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables
         where schemaname = 'app' and relname = '{table}'"
    );
    let counted = async |conn: &mut PgConnection| -> [i64; 3] {
        let row = sqlx::query(AssertSqlSafe(text.clone()))
            .fetch_one(conn)
            .await;
        let row = row.expect("figures");
        [row.get(0), row.get(1), row.get(2)]
    };
    run(&mut *conn, "begin".to_owned()).await;
    let before = counted(conn).await;
    sqlx::query(AssertSqlSafe(question.to_owned()))
        .fetch_all(&mut *conn)
        .await
        .expect("a page");
    let after = counted(conn).await;
    run(&mut *conn, "rollback".to_owned()).await;
    std::array::from_fn(|at| after[at] - before[at])
}

#[tokio::test]
async fn tr5_nothing_is_written_because_time_passes() {
    let stage = Stage::new().await;
    let events = stage.events(stage.host, 5).await;
    let people = stage.people(9).await;
    for (n, event) in events.iter().enumerate() {
        stage.likes(&people[..n + 1], *event).await;
    }
    stage.rank().await;
    let rows = "select string_agg(ctid::text || xmin::text, ',' order by id) from app.event_ranks";
    let before: String = stage.one(rows).await;
    let order = stage.trending("").await;
    for _ in 0..20 {
        assert_eq!(stage.rank().await, 0);
    }
    assert_eq!(stage.compare().await, 0);
    assert_eq!(stage.one::<String>(rows).await, before);
    assert_eq!(stage.trending("").await, order);
    // The control: a change is noticed.
    stage.like(people[8], events[0]).await;
    stage.rank().await;
    assert_ne!(stage.one::<String>(rows).await, before);
}
