//! Ranks and feeds: `bench trending`. A page of trending events by the index, compared with the same order computed at
//! request time; feeds computed at request time; and the cost of recording a like for the ranks.
//!
//! pgbench runs the same functions as the server, with the owner's login, so row-level security policies do not apply.

use crate::{
    limit,
    rounds::middle,
    search::percentiles,
    world::{self, Aim, Line, World},
};
use anyhow::Result;
use sqlx::PgConnection;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Half a million events of fifty cities and five thousand hosts; one member follows two hundred of the hosts, another
/// all.
const WORLD: &str = "
  set session_replication_role = replica;
  create table public.bench_cities (n int primary key, id uuid not null);
  insert into public.bench_cities
    select row_number() over (order by c.id), c.id from (select id from app.cities order by id limit 50) c;
  create table public.bench_hosts (n int primary key, id uuid not null);
  with made as (
    insert into app.organizations (city_id, name, slug, state)
      select c.id, 'Host ' || k, 'bench-host-' || k, 'approved'
      from generate_series(0, 4999) k join public.bench_cities c on c.n = k % 50 + 1 returning id
  )
  insert into public.bench_hosts select row_number() over (order by id), id from made;
  insert into app.events (title, slug, starts_at, ends_at, timezone, state, city_id, host_type, host_id, created_at)
    select 'Event ' || k, 'bench-event-' || k, now() + random() * interval '60 days', now() + interval '61 days', 'UTC', 'published',
      o.city_id, 'organization', o.id, now() - random() * interval '30 days'
    from generate_series(1, EVENTS) k join public.bench_hosts h on h.n = k % 5000 + 1 join app.organizations o on o.id = h.id;
  insert into counters.events (id, like_count)
    select e.id, (random() * 500)::int from app.events e where e.slug like 'bench-event-%' on conflict do nothing;
  insert into app.event_ranks (event_id, city_id, host_id, rank, spread_rank, actions, shown_until)
    select e.id, e.city_id, e.host_id, x, x, 1, e.ends_at
    from (select *, (random() * 300)::numeric(20, 12) as x from app.events where slug like 'bench-event-%') e;
  insert into app.event_announcements (event_id, at, host_id, shown_until)
    select e.id, e.created_at, e.host_id, e.ends_at from app.events e where e.slug like 'bench-event-%';
  insert into app.users (id, handle, display_name, email)
    select ('d0000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'bench_fan_' || n, 'Fan', 'fan' || n || '@example.org'
    from generate_series(1, 20000) n;
  insert into app.follows (follower_id, entity_type, entity_id)
    select ('d0000000-0000-7000-8000-' || lpad(u::text, 12, '0'))::uuid, 'organization', h.id
    from (values (1, 200), (2, 5000)) f(u, many) join public.bench_hosts h on h.n <= f.many;
  create table public.bench_events (n int primary key, id uuid not null);
  insert into public.bench_events
    select row_number() over (order by e.id), e.id from (select id from app.events where slug like 'bench-event-%' limit 10000) e;
  reset session_replication_role";

const FEED: &str =
    "begin;\nselect set_config('app.user_id', 'd0000000-0000-7000-8000-00000000000FAN', true);
select app.feed(null, null, 21);\ncommit;\n";

const LIKE: &str = "\\set u random(1, 20000)\n\\set e random(1, 10000)
insert into app.likes (user_id, event_id)
  select ('d0000000-0000-7000-8000-' || lpad((:u)::int::text, 12, '0'))::uuid, e.id from public.bench_events e where e.n = :e
  on conflict do nothing;\n";

/// The measurements, in the order of the report: a name, a statement to run before, and pgbench's script.
const SCRIPTS: [(&str, &str, &str); 6] = [
    (
        "TR4: twenty of a city's 10,000, by their ranks",
        "",
        "\\set c random(1, 50)
select t.event_id from public.bench_cities c, app.trending(c.id, false, false, null, null, null, 21, false) t where c.n = :c;\n",
    ),
    (
        "the same, computed when it is read",
        "",
        "\\set c random(1, 50)
select e.id from public.bench_cities c join app.events e on e.city_id = c.id join counters.events n on n.id = e.id
where c.n = :c and e.status = 'active' and e.state = 'published' and e.ends_at > now()
order by power(n.like_count, 0.8) / power(extract(epoch from now() - e.created_at) / 3600 + 2, 1.8) desc limit 21;\n",
    ),
    ("SG6: feed of 200 followed", "", FEED),
    ("SG6: feed of 5,000 followed", "", FEED),
    (
        "a like, noted for the ranks",
        "alter table app.likes enable trigger likes_trend",
        LIKE,
    ),
    (
        "a like that is not",
        "alter table app.likes disable trigger likes_trend",
        LIKE,
    ),
];

/// The scripts that are also measured with one transaction at a time: index, quantile, and its aim in milliseconds (0:
/// no aim).
const TIMED: [(usize, f64, f64); 4] = [
    (0, 0.99, 5.0),
    (1, 0.99, 0.0),
    (2, 0.95, 50.0),
    (3, 0.95, 100.0),
];

/// The number of transactions of each; fewer for slow ones.
const TRANSACTIONS: [usize; 4] = [5_000, 20, 1_000, 300];

/// Returns the medians of the rounds as a Markdown table. Every other round runs in the reverse order.
pub async fn run(world: &World, rounds: u32, seconds: u32) -> Result<String> {
    let url = world.url();
    let mut conn = world.connect().await?;
    fill(&mut conn, 500_000).await?;
    let mut lines = timed(&world.files, &url)?;
    let mut rates = vec![Vec::new(); SCRIPTS.len()];
    for round in 1..=rounds {
        let mut order: Vec<usize> = (0..SCRIPTS.len()).collect();
        if round.is_multiple_of(2) {
            order.reverse();
        }
        for n in order {
            sqlx::raw_sql(SCRIPTS[n].1).execute(&mut conn).await?;
            let file = written(&world.files, n)?;
            let rate = limit::pgbench_by(16, &file, &url, seconds)?.transactions_per_second;
            eprintln!("round {round} {rate:8.0}/s {}", SCRIPTS[n].0);
            rates[n].push(rate);
        }
        sqlx::raw_sql("checkpoint").execute(&mut conn).await?;
    }
    sqlx::raw_sql("alter table app.likes enable trigger likes_trend")
        .execute(&mut conn)
        .await?;
    for ((name, ..), rates) in SCRIPTS.iter().zip(&rates) {
        let what = format!("{name}, 16 at once");
        lines.push(Line::new(
            what,
            middle(rates.clone()),
            "a second",
            Aim::None,
        ));
    }
    for (one, other, aim) in [(0, 1, Aim::AtLeast(100.0)), (4, 5, Aim::None)] {
        let ratios = rates[one]
            .iter()
            .zip(&rates[other])
            .map(|(one, other)| one / other);
        let what = format!("{}, of: {}", SCRIPTS[one].0, SCRIPTS[other].0);
        lines.push(Line::new(what, middle(ratios.collect()), "", aim));
    }
    Ok(world::table(&lines))
}

/// Creates so many events; ten thousand of them are numbered, for likes.
pub async fn fill(conn: &mut PgConnection, events: usize) -> Result<()> {
    world::run(conn, &WORLD.replace("EVENTS", &events.to_string())).await?;
    world::run(conn, "vacuum analyze").await
}

fn timed(files: &Path, url: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for ((n, share, aim), transactions) in TIMED.into_iter().zip(TRANSACTIONS) {
        let [_, p95, p99] = percentiles(limit::latencies(&written(files, n)?, url, transactions)?);
        for (figure, name, of) in [(p95, "p95", 0.95), (p99, "p99", 0.99)] {
            let aim = if of == share && aim > 0.0 {
                Aim::AtMost(aim)
            } else {
                Aim::None
            };
            lines.push(Line::new(
                format!("{}, one client, {name}", SCRIPTS[n].0),
                figure,
                "ms",
                aim,
            ));
        }
    }
    Ok(lines)
}

fn written(files: &Path, n: usize) -> Result<PathBuf> {
    let (name, _, script) = SCRIPTS[n];
    let fan = if name.contains("5,000") { "2" } else { "1" };
    let file = files.join("trending.sql");
    fs::write(&file, script.replace("FAN", fan))?;
    Ok(file)
}
