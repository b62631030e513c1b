//! Counting likes: a million likes in one statement, the likes of a member who closes the account, and those of one
//! event by many members at once, with three ways of counting: `bench likes`.
//!
//! The first way is the shipped one. The second is what it replaced, the third what the generator produces for
//! `delta`. The latter two are created here, in addition to the other triggers of a like.

use crate::{
    limit::{self, Ran},
    rounds::middle,
    search::percentiles,
    servers::{GENERATED_SECURED, Server},
    trending,
    world::{self, Aim, Line, World},
};
use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, PgConnection};
use std::{
    fs,
    time::{Duration, Instant},
};
use tokio::{
    task::{spawn, spawn_blocking},
    time::sleep,
};

/// Concurrent clients that like the same event.
const CLIENTS: u32 = 32;

/// The number of notes that one transaction adds up at most.
const ADDED_AT_ONCE: i64 = 20_000;

/// The shortest duration of the measurement of the lag, which takes about two samples a second.
const LAG_SECONDS: u32 = 60;

/// Members who can like the event, each once in a run.
const FANS: usize = 400_000;

/// The other two ways: a counter in the event's own row, changed for each like; and noted changes that are added up
/// later.
const WAYS: &str = "
  alter table app.events add column bench_likes bigint not null default 0;
  create function public.bench_count_naive() returns trigger language plpgsql security definer set search_path = '' as $$
  begin
    update app.events e set bench_likes = e.bench_likes + 1 where e.id = new.event_id;
    return null;
  end $$;
  create trigger bench_naive after insert on app.likes for each row execute function public.bench_count_naive();
  alter table app.likes disable trigger bench_naive;

  create table public.bench_delta (parent_id uuid not null, like_count bigint default 0 not null);
  create function public.bench_count_delta() returns trigger language plpgsql security definer set search_path = '' as $$
  begin
    if not exists (select from added) then
      return null;
    end if;
    insert into public.bench_delta (parent_id, like_count)
      select parent, sum(like_count) as like_count
      from (
        select c.event_id as parent, (case when c.status = 'active' then 1 else 0 end) as like_count from added c where c.event_id is not null
      ) changed
      group by parent
      having sum(like_count) <> 0;
    return null;
  end $$;
  create trigger bench_delta after insert on app.likes
    referencing new table as added for each statement execute function public.bench_count_delta();
  alter table app.likes disable trigger bench_delta;
  create function public.bench_roll_up(p_most integer) returns bigint language plpgsql security definer set search_path = '' as $$
  declare
    v_total bigint := 0;
    v_row record;
  begin
    if not pg_try_advisory_xact_lock(hashtextextended('counters.roll_up', 0)) then
      return 0;
    end if;
    for v_row in
      with taken as (
        delete from public.bench_delta d where d.ctid = any (array(select t.ctid from public.bench_delta t limit p_most))
        returning d.*
      )
      select parent_id, count(*) as notes, sum(like_count) as like_count from taken group by parent_id order by parent_id
    loop
      v_total := v_total + v_row.notes;
      update counters.events p set like_count = p.like_count + v_row.like_count where p.id = v_row.parent_id;
    end loop;
    return v_total;
  end $$;
  create sequence public.bench_turn";

/// The counting triggers of `app.likes` for each way: the shipped one, the naive one, the one for `delta`.
const COUNTERS: [(&str, &str); 3] = [
    (
        "counted at once in a narrow row (as shipped)",
        "likes_count_insert",
    ),
    (
        "counted at once in the event's own row, for each row",
        "bench_naive",
    ),
    ("noted and added up later (`delta`)", "bench_delta"),
];

/// A like by the next member.
const LIKE: &str = "insert into app.likes (user_id, event_id)
  select ('d1000000-0000-7000-8000-' || lpad(nextval('public.bench_turn')::text, 12, '0'))::uuid, e.id
  from public.bench_events e where e.n = 1;\n";

/// Likes by twenty thousand members, of fifty events each.
const MILLION: &str = "insert into app.likes (user_id, event_id)
  select ('d1000000-0000-7000-8000-' || lpad(u::text, 12, '0'))::uuid, e.id
  from generate_series(1, 20000) u, generate_series(0, 49) k join public.bench_events e on true
  where e.n = (u * 7 + k * 199) % 10000 + 1";

const BEGIN: &str = "truncate app.likes, app.rank_notes; update counters.events set like_count = 0 where like_count <> 0;
  vacuum analyze app.likes, counters.events";

/// The number of wrong counters.
const WRONG: &str = "select count(*) from counters.events n
  left join (select event_id, count(*) as likes from app.likes where status = 'active' group by event_id) l on l.event_id = n.id
  where n.like_count is distinct from coalesce(l.likes, 0)";

pub async fn run(world: &World, rounds: u32, seconds: u32) -> Result<String> {
    let mut conn = world.connect().await?;
    trending::fill(&mut conn, 10_000).await?;
    world.crowd(&mut conn, FANS).await?;
    world::run(&mut conn, WAYS).await?;
    let mut lines = hot(world, &mut conn, rounds, seconds).await?;
    lines.push(lag(world, &mut conn, seconds).await?);
    lines.push(drained(&mut conn).await?);
    lines.push(gone(world, &mut conn).await?);
    lines.push(million(&mut conn).await?);
    Ok(world::table(&lines))
}

async fn each(conn: &mut PgConnection, statements: &str) -> Result<()> {
    for statement in statements.split(';') {
        world::run(conn, statement).await?;
    }
    Ok(())
}

async fn wrong(conn: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar(AssertSqlSafe(WRONG))
        .fetch_one(conn)
        .await?)
}

async fn million(conn: &mut PgConnection) -> Result<Line> {
    each(conn, BEGIN).await?;
    let begun = Instant::now();
    world::run(conn, MILLION).await?;
    let took = begun.elapsed().as_secs_f64();
    let likes: i64 = sqlx::query_scalar("select count(*) from app.likes")
        .fetch_one(&mut *conn)
        .await?;
    ensure!(likes == 1_000_000, "{likes} likes");
    let wrong = wrong(conn).await?;
    ensure!(wrong == 0, "{wrong} counters are wrong");
    let what = "SG4: a million likes in one statement, all counters right";
    Ok(Line::new(what, took, "s", Aim::AtMost(10.0)))
}

/// A member with ten thousand likes closes the account.
async fn gone(world: &World, conn: &mut PgConnection) -> Result<Line> {
    each(conn, BEGIN).await?;
    let likes = "insert into app.likes (user_id, event_id)
      select ('d1000000-0000-7000-8000-' || lpad('30000', 12, '0'))::uuid, e.id from public.bench_events e";
    world::run(conn, likes).await?;
    world::run(conn, "vacuum analyze app.likes").await?;
    let server = Server::start(GENERATED_SECURED, &world.admin, 10, &world.keys)?;
    let url = format!("http://127.0.0.1:{}/me", server.port);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let begun = Instant::now();
    let answer = client
        .delete(url)
        .bearer_auth(world.token_of_member(30_000)?)
        .send()
        .await?;
    let took = begun.elapsed().as_secs_f64();
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "closing an account: {status} {text}");
    let left: i64 = sqlx::query_scalar(
        "select count(*) from app.likes where user_id = $1 and status = 'active'",
    )
    .bind(world::member(30_000)?)
    .fetch_one(&mut *conn)
    .await?;
    ensure!(
        left == 0 && wrong(conn).await? == 0,
        "{left} likes are left, or counters are wrong"
    );
    let what =
        "SG4: a member with 10,000 likes closes the account (`DELETE /me`), all counters right";
    Ok(Line::new(what, took, "s", Aim::AtMost(1.0)))
}

async fn hot(
    world: &World,
    conn: &mut PgConnection,
    rounds: u32,
    seconds: u32,
) -> Result<Vec<Line>> {
    let (file, url) = (world.files.join("hot.sql"), world.url());
    fs::write(&file, LIKE)?;
    let mut rates = vec![Vec::new(); COUNTERS.len()];
    for round in 1..=rounds {
        let mut order: Vec<usize> = (0..COUNTERS.len()).collect();
        if round.is_multiple_of(2) {
            order.reverse();
        }
        for n in order {
            for (way, (_, trigger)) in COUNTERS.iter().enumerate() {
                let on = if way == n { "enable" } else { "disable" };
                world::run(
                    conn,
                    &format!("alter table app.likes {on} trigger {trigger}"),
                )
                .await?;
            }
            each(conn, BEGIN).await?;
            each(conn, "truncate public.bench_delta; alter sequence public.bench_turn restart; vacuum app.events").await?;
            let Ran {
                transactions_per_second: rate,
                ..
            } = limit::pgbench_by(CLIENTS, &file, &url, seconds)?;
            eprintln!("round {round} {rate:8.0}/s {}", COUNTERS[n].0);
            rates[n].push(rate);
        }
    }
    world::run(conn, "alter table app.likes disable trigger bench_naive, disable trigger bench_delta, enable trigger likes_count_insert").await?;
    let mut lines = Vec::new();
    for ((name, _), rates) in COUNTERS.iter().zip(&rates) {
        let what = format!("likes of one event by {CLIENTS} at once, {name}");
        lines.push(Line::new(
            what,
            middle(rates.clone()),
            "a second",
            Aim::None,
        ));
    }
    for (n, name) in [(0, "as shipped"), (2, "`delta`")] {
        let ratios = rates[n]
            .iter()
            .zip(&rates[1])
            .map(|(one, naive)| one / naive);
        let what = format!("SG3: likes of one event, {name}, of the event's own row");
        lines.push(Line::new(
            what,
            middle(ratios.collect()),
            "",
            Aim::AtLeast(3.0),
        ));
    }
    Ok(lines)
}

/// Measures the time from a like that is noted (`delta`) until the counter shows it, while the load likes another
/// event and the notes are added up once a second, as the worker does it. The sampled likes have an event of their
/// own, so that its counter says which of them have been added up.
async fn lag(world: &World, conn: &mut PgConnection, seconds: u32) -> Result<Line> {
    world::run(
        conn,
        "alter table app.likes disable trigger likes_count_insert, enable trigger bench_delta",
    )
    .await?;
    each(conn, BEGIN).await?;
    each(
        conn,
        "truncate public.bench_delta; alter sequence public.bench_turn restart",
    )
    .await?;
    let (file, url) = (world.files.join("hot.sql"), world.url());
    fs::write(&file, LIKE)?;
    let mut adding = world.connect().await?;
    let adder = spawn(async move {
        loop {
            while add_up(&mut adding).await.unwrap_or(0) == ADDED_AT_ONCE {}
            sleep(Duration::from_secs(1)).await;
        }
    });
    let seconds = seconds.max(LAG_SECONDS);
    let load = spawn_blocking(move || limit::pgbench_by(CLIENTS, &file, &url, seconds));
    let looked_for = LIKE.replace("e.n = 1", "e.n = 2");
    let mut waits = Vec::new();
    while !load.is_finished() {
        world::run(conn, looked_for.trim_end_matches([';', '\n'])).await?;
        let (begun, expected) = (Instant::now(), waits.len() as i64 + 1);
        while sqlx::query_scalar::<_, i64>(
            "select n.like_count from counters.events n join public.bench_events e on e.id = n.id where e.n = 2",
        )
        .fetch_one(&mut *conn)
        .await?
            < expected
        {
            ensure!(begun.elapsed() < Duration::from_secs(60), "nobody adds up");
            sleep(Duration::from_millis(5)).await;
        }
        waits.push(begun.elapsed().as_secs_f64());
    }
    let Ran {
        transactions_per_second: rate,
        ..
    } = load.await??;
    adder.abort();
    world::run(
        conn,
        "alter table app.likes disable trigger bench_delta, enable trigger likes_count_insert",
    )
    .await?;
    let what = format!(
        "SG3: from a like until the counter of `delta` has it, p99 of {}, at {rate:.0} likes a second",
        waits.len()
    );
    let [_, _, p99] = percentiles(waits);
    Ok(Line::new(what, p99, "s", Aim::AtMost(2.0)))
}

async fn add_up(conn: &mut PgConnection) -> Result<i64> {
    let sum = sqlx::query_scalar("select public.bench_roll_up($1)");
    Ok(sum.bind(ADDED_AT_ONCE as i32).fetch_one(conn).await?)
}

/// Adds up noted changes as `kernel::counters` does.
async fn drained(conn: &mut PgConnection) -> Result<Line> {
    each(conn, BEGIN).await?;
    let noted = "truncate public.bench_delta; insert into public.bench_delta (parent_id, like_count)
      select e.id, 1 from generate_series(1, 1000000) k join public.bench_events e on e.n = k % 10000 + 1;
      vacuum analyze public.bench_delta";
    each(conn, noted).await?;
    let begun = Instant::now();
    while add_up(conn).await? == ADDED_AT_ONCE {}
    let took = begun.elapsed().as_secs_f64();
    let sum: i64 = sqlx::query_scalar("select sum(like_count)::bigint from counters.events")
        .fetch_one(&mut *conn)
        .await?;
    ensure!(sum == 1_000_000, "{sum} were added up");
    Ok(Line::new(
        "SG3: a million notes of `delta` added up, 20,000 in a transaction",
        took,
        "s",
        Aim::AtMost(15.0),
    ))
}
