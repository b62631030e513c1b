//! Searches among many events, and their effect on other requests: `bench search`.
//!
//! PostgreSQL does most of the work here, so latencies are measured one request at a time. The effect of one caller's
//! searches on the others is measured in `attack`.

use crate::{
    attack::Attacked,
    prepare,
    rounds::{Tokens, first},
    servers::{GENERATED_SECURED, Keys, Server},
};
use anyhow::{Context, Result, ensure};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::Instant;

/// The questions: description and query.
const QUESTIONS: [(&str, &str); 17] = [
    ("a word of every second event", "q=concert"),
    ("a word of every hundredth", "q=marimba"),
    ("a word of the oldest fifth", "q=yesteryear"),
    ("a word of every fifth, not the newest tenth", "q=sometime"),
    ("a word of all but the newest tenth", "q=bygone"),
    ("half a word of the oldest fifth", "q=yestery"),
    ("a word of one event", "q=unicum"),
    ("no such word", "q=nowheretobefound"),
    ("half a common word", "q=conc"),
    ("a part of a name", "q=urcher"),
    ("two words", "q=concert%20marimba"),
    ("a common word in one city", "q=concert&city_id=CITY"),
    ("a common word by time", "q=concert&sort=starts_at"),
    ("near, 2 km", "near=47.4,8.4&radius_m=2000"),
    ("near, 100 km", "near=47.4,8.4&radius_m=100000"),
    ("a map of everything", "bbox=-180,-90,180,90"),
    ("counted", "count=exact"),
];

/// Events with a description of so many words out of twenty thousand, some far more frequent than others. The events
/// seem to be created over three years: ids begin with the time, and searches start with the newest.
const EVENTS: &str = "
    insert into app.organizations (city_id, name, slug, state)
      select c.id, 'Host in ' || c.slug, 'host-' || c.slug, 'approved' from app.cities c;
    set session_replication_role = replica;
    insert into app.events (id, city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state, location, category, description)
      select i.id, o.city_id, 'organization', o.id,
        case when n % 3 = 0 then 'Zürcher Jazz ' else 'Evening ' end || n, 'searched-' || n,
        now() + n * interval '1 minute', now() + (n + 60) * interval '1 minute', 'UTC', 'published',
        st_setsrid(st_makepoint(8 + random() * 0.8, 47 + random() * 0.8), 4326)::geography,
        (array['concert', 'festival', 'theatre', 'dance', 'film', 'exhibition', 'talk', 'workshop', 'food', 'market'])[n / 50 % 10 + 1],
        case when n % 2 = 0 then 'concert ' else '' end || case when n % 2 = 1 and abs(hashint4(n)) % 50 = 7 then 'marimba ' else '' end
          || case when n <= ROWS / 10 * 9 then 'bygone ' else '' end
          || case when n <= ROWS / 10 * 9 and n % 5 = 0 then 'sometime ' else '' end
          || case when n <= ROWS / 5 then 'yesteryear ' else '' end || case when n = ROWS / 2 then 'unicum ' else '' end
          || (select string_agg('word' || floor(power(random(), 3) * 20000)::int, ' ') from generate_series(1, WORDS + n * 0))
      from generate_series(1, ROWS) n
        join (select row_number() over (order by slug) as k, * from app.organizations) o on o.k = n / 7 % 50 + 1
        cross join lateral (
          select (lpad(to_hex(1700000000000 + n * (94600000000 / ROWS)), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid as id
        ) i;
    insert into counters.events (id) select e.id from app.events e on conflict do nothing;
    reset session_replication_role";

/// The index is dropped first, since filling the table with it would take most of the time.
const WITHOUT_INDEXES: &str = "drop index search.events_document_idx; truncate search.events;
    set maintenance_work_mem = '256MB'";

pub async fn run(
    admin: &str,
    rows: i32,
    requests: usize,
    pool: u32,
    keys: &Keys,
    tokens: &Tokens,
) -> Result<String> {
    let mut conn = PgConnection::connect(&prepare::on(admin, prepare::SECURED)).await?;
    let started = Instant::now();
    fill(&mut conn, rows, 200).await?;
    eprintln!("{rows} events in {:.0} s", started.elapsed().as_secs_f64());
    let city: String = sqlx::query_scalar("select id::text from app.cities where slug = 'city-3'")
        .fetch_one(&mut conn)
        .await?;
    let id: String = sqlx::query_scalar("select id::text from app.events limit 1")
        .fetch_one(&mut conn)
        .await?;
    let server = Server::start(GENERATED_SECURED, admin, pool, keys)?;
    let base = format!("http://127.0.0.1:{}", server.port);
    let client = reqwest::Client::new();
    let mut text =
        format!("| {rows} events | query | p50 ms | p95 ms | p99 ms |\n|---|---|--:|--:|--:|\n");
    for (what, query) in QUESTIONS {
        let path = format!("{base}/events?{}", query.replace("CITY", &city));
        let [p50, p95, p99] = latencies(&client, &path, None, requests).await?;
        eprintln!("{what:30} {p50:8.1} {p95:8.1} {p99:8.1}");
        text.push_str(&format!(
            "| {what} | `{query}` | {p50:.1} | {p95:.1} | {p99:.1} |\n"
        ));
    }
    let attacked = Attacked {
        base: &base,
        client: &client,
        read: format!("{base}/events/{id}"),
        reader: first(&tokens.of_none),
        attacker: first(&tokens.of_one),
        requests: requests * 10,
    };
    text.push_str(&format!("\n{}", attacked.measure(&city).await?));
    Ok(text)
}

/// Fills the database with events. The search documents are written by the same statement as in the migration for
/// tables with rows.
pub async fn fill(conn: &mut PgConnection, rows: i32, words: i32) -> Result<()> {
    let text = EVENTS
        .replace("ROWS", &rows.to_string())
        .replace("WORDS", &words.to_string());
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut *conn)
        .await?;
    let schema = include_str!("../../generated/schema.sql");
    let start = schema
        .find("insert into search.events (")
        .context("documents of events")?;
    sqlx::raw_sql(WITHOUT_INDEXES).execute(&mut *conn).await?;
    // First the documents, then their index.
    let mut statements = schema[start..].split_inclusive(';');
    for begins in ["insert into", "create index"] {
        let statement = statements.next().context("a statement")?.trim();
        ensure!(statement.starts_with(begins), "{statement}");
        let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut *conn)
            .await?;
        let written = begins != "insert into" || done.rows_affected() >= rows as u64;
        ensure!(written, "documents of all events");
    }
    for table in ["app.events", "search.events", "app.organizations"] {
        sqlx::raw_sql(AssertSqlSafe(format!("vacuum analyze {table}")))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// p50, p95 and p99 in milliseconds, with one request at a time; the first ones warm up and are left out.
pub async fn latencies(
    client: &reqwest::Client,
    path: &str,
    token: Option<&str>,
    requests: usize,
) -> Result<[f64; 3]> {
    let mut all = Vec::with_capacity(requests);
    for number in 0..requests + 5 {
        let started = Instant::now();
        let mut request = client.get(path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        let status = answer.status();
        answer.bytes().await?;
        ensure!(status == 200, "{path}: {status}");
        if number >= 5 {
            all.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(percentiles(all))
}

/// p50, p95 and p99 of at least one value.
pub fn percentiles(mut all: Vec<f64>) -> [f64; 3] {
    all.sort_by(f64::total_cmp);
    let at = |part: f64| all[((all.len() as f64 * part) as usize).min(all.len() - 1)];
    [at(0.5), at(0.95), at(0.99)]
}
