//! Searches by place, maps and combined filters: `bench discovery`. With a million venues and half a million events
//! with tickets, requests are sent over HTTP one after the other, each for another place. The nearest venues and the
//! map are also measured in the database alone.

mod questions;

use crate::{
    limit,
    search::{self, percentiles},
    servers::{GENERATED_SECURED, Server},
    world::{self, Aim, Line, World},
};
use anyhow::{Context, Result, ensure};
use questions::{EVENTS, PLACES, Question};
use serde_json::Value;
use std::{fmt::Write, fs, time::Instant};

#[derive(clap::Args)]
pub struct Options {
    /// Superuser's URL of the PostgreSQL to use, on this machine.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database_url: String,
    #[arg(long, default_value_t = 1_000_000)]
    venues: usize,
    #[arg(long, default_value_t = 500_000)]
    events: i32,
    /// Words in each event's description. Filling the database takes most of the time, because words are parsed for
    /// the search.
    #[arg(long, default_value_t = 40)]
    words: i32,
    /// Requests of each question.
    #[arg(long, default_value_t = 100)]
    requests: usize,
}

/// The area with the venues in degrees: six wide, five high.
const WEST: f64 = 6.0;
const SOUTH: f64 = 45.0;
const WIDTH: f64 = 6.0;
const HEIGHT: f64 = 5.0;

const VENUES: &str = "
  set session_replication_role = replica;
  drop index if exists app.venues_location_idx;
  insert into app.venues (city_id, owner_type, owner_id, name, slug, address, location)
    select o.city_id, 'organization', o.id, 'Venue ' || n, 'venue-' || n, 'Way ' || n,
      st_setsrid(st_makepoint(6 + random() * 6, 45 + random() * 5), 4326)::geography
    from generate_series(1, VENUES) n
    join (select row_number() over (order by slug) as k, * from app.organizations where slug like 'host-%') o on o.k = n % 50 + 1;
  insert into counters.venues (id) select v.id from app.venues v on conflict do nothing;
  reset session_replication_role";

/// One ticket type for each event, priced at up to 50 AUD; some are sold out.
const TICKETS: &str = "
  set session_replication_role = replica;
  insert into app.ticket_types (event_id, name, price_cents, currency, capacity, sold)
    select e.id, 'Everybody', floor(random() * 5000), 'AUD', 100, least(floor(random() * 125), 100)
    from app.events e where e.host_type = 'organization';
  reset session_replication_role";

pub async fn run(options: Options) -> Result<String> {
    let world = World::make(&options.database_url, 100).await?;
    let mut conn = world.connect().await?;
    let begun = Instant::now();
    search::fill(&mut conn, options.events, options.words).await?;
    eprintln!(
        "{} events after {:.0} s",
        options.events,
        begun.elapsed().as_secs_f64()
    );
    let venues = VENUES.replace("VENUES", &options.venues.to_string());
    let index = "select pg_get_indexdef(indexrelid) from pg_index where indexrelid = 'app.venues_location_idx'::regclass";
    let index: String = sqlx::query_scalar(index).fetch_one(&mut conn).await?;
    for text in [venues.as_str(), &index, TICKETS, "vacuum analyze"] {
        world::run(&mut conn, text).await?;
    }
    eprintln!(
        "{} venues after {:.0} s",
        options.venues,
        begun.elapsed().as_secs_f64()
    );
    let cities = "select id::text from app.cities where slug like 'city-%' order by slug";
    let mut discovery = Discovery {
        cities: sqlx::query_scalar(cities).fetch_all(&mut conn).await?,
        server: Server::start(GENERATED_SECURED, &world.admin, 10, &world.keys)?,
        client: reqwest::Client::builder().no_proxy().build()?,
        turn: 0,
        options: &options,
    };
    let mut lines = database(&world, &options)?;
    for question in PLACES.iter().chain(&EVENTS) {
        lines.push(discovery.ask(question).await?);
    }
    lines.push(discovery.pages().await?);
    let about = format!(
        "{} venues, {} events, over HTTP unless it says otherwise; p95.\n\n",
        options.venues, options.events
    );
    Ok(about + &world::table(&lines))
}

/// The queries of lists and of the map, as prepared statements and with the owner's login, and therefore without
/// row-level security policies.
fn database(world: &World, options: &Options) -> Result<Vec<Line>> {
    const NEAREST: &str = "\\set x random(6100000, 11900000)\n\\set y random(45100000, 49900000)
select p.id from app.venues_public p
where public.st_dwithin(p.location, public.st_setsrid(public.st_makepoint(:x / 1e6, :y / 1e6), 4326)::public.geography, 5000, false)
order by p.location operator(public.<->) public.st_setsrid(public.st_makepoint(:x / 1e6, :y / 1e6), 4326)::public.geography limit 21;\n";
    const MAP: &str = "\\set x random(6000000, 11100000)\n\\set y random(45000000, 49100000)
select * from app.map(array['venue'], :x / 1e6::float8, :y / 1e6::float8, :x / 1e6::float8 + SIZE, :y / 1e6::float8 + SIZE,
  null, false, null, null, now(), null, CELL, FEW, 50000);\n";
    let map = |size: &str, cell: &str, few: &str| {
        MAP.replace("SIZE", size)
            .replace("CELL", cell)
            .replace("FEW", few)
    };
    let scripts = [
        (
            "SE1: the 20 nearest of the venues within 5 km",
            NEAREST.to_owned(),
            10.0,
        ),
        (
            "SE2: all 200 venues in a box",
            map("0.0775", "0.01", "1000"),
            10.0,
        ),
        (
            "SE2: 20,000 venues in a box, in clusters",
            map("0.775", "0.0879", "100"),
            150.0,
        ),
    ];
    let file = world.files.join("discovery.sql");
    let mut lines = Vec::new();
    for (what, script, aim) in scripts {
        fs::write(&file, script)?;
        let [_, p95, _] = percentiles(limit::latencies(&file, &world.url(), options.requests)?);
        lines.push(Line::new(
            format!("{what}, database alone"),
            p95,
            "ms",
            Aim::AtMost(aim),
        ));
    }
    Ok(lines)
}

struct Discovery<'a> {
    options: &'a Options,
    server: Server,
    client: reqwest::Client,
    cities: Vec<String>,
    /// The number of the request; each request is for another place.
    turn: usize,
}

impl Discovery<'_> {
    /// A number between 0 and 1, different for each request but the same in every run.
    fn chance(&self, salt: f64) -> f64 {
        (self.turn as f64 * 0.618_033_988_749 + salt).fract()
    }

    fn path(&mut self, question: &Question) -> Result<String> {
        self.turn += 1;
        let (x, y) = (
            self.chance(0.1),
            (self.turn as f64 * 0.754_877_666_2).fract(),
        );
        let west = WEST + x * (WIDTH - question.degrees);
        let south = SOUTH + y * (HEIGHT - question.degrees);
        let (east, north) = (west + question.degrees, south + question.degrees);
        // Not close to the border, where half of the circle would be empty.
        let (lat, lng) = (
            SOUTH + 1.0 + y * (HEIGHT - 2.0),
            WEST + 1.0 + x * (WIDTH - 2.0),
        );
        let day = chrono::Utc::now().date_naive() + chrono::TimeDelta::days((x * 200.0) as i64 + 1);
        let mut from = String::new();
        write!(
            from,
            "from={day}T00:00:00Z&to={}T00:00:00Z",
            day + chrono::TimeDelta::days(90)
        )?;
        let city = &self.cities[self.turn % self.cities.len()];
        Ok(question
            .path
            .replace(
                "WEST,SOUTH,EAST,NORTH",
                &format!("{west:.5},{south:.5},{east:.5},{north:.5}"),
            )
            .replace("NORTHERN", &self.northern(question.degrees))
            .replace("LAT,LNG", &format!("{lat:.5},{lng:.5}"))
            .replace("CITY", city)
            .replace("FROM", &from))
    }

    /// A box within the area with the events.
    fn northern(&self, degrees: f64) -> String {
        let west = 8.0 + self.chance(0.3) * (0.8 - degrees);
        let south = 47.0 + self.chance(0.7) * (0.8 - degrees);
        let (east, north) = (west + degrees, south + degrees);
        format!("{west:.5},{south:.5},{east:.5},{north:.5}")
    }

    /// The latency in milliseconds, and the answer.
    async fn get(&self, path: &str) -> Result<(f64, Value)> {
        let url = format!("http://127.0.0.1:{}{path}", self.server.port);
        let begun = Instant::now();
        let answer = self.client.get(url).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        let took = begun.elapsed().as_secs_f64() * 1e3;
        ensure!(status == 200, "{path}: {status} {text}");
        Ok((took, serde_json::from_str(&text)?))
    }

    async fn ask(&mut self, question: &Question) -> Result<Line> {
        const WARM_UP: usize = 10;
        let mut took = Vec::new();
        for number in 0..self.options.requests + WARM_UP {
            let path = self.path(question)?;
            let (ms, answer) = self.get(&path).await?;
            let rows = rows(&answer);
            ensure!(
                rows >= question.rows.min(self.options.venues / 10_000),
                "{path}: {rows} rows"
            );
            if number >= WARM_UP {
                took.push(ms);
            }
        }
        let [p50, p95, _] = percentiles(took);
        Ok(Line::new(
            format!("{} (p50 {p50:.1} ms)", question.what),
            p95,
            "ms",
            question.aim,
        ))
    }

    /// Follows the cursor from page to page.
    async fn pages(&self) -> Result<Line> {
        const PAGES: usize = 50;
        let first = format!(
            "/events/upcoming?city_id={}&max_price_cents=4000&currency=AUD&open_seats=2",
            self.cities[3]
        );
        let (mut path, mut took) = (first.clone(), Vec::new());
        for _ in 0..PAGES {
            let (ms, answer) = self.get(&path).await?;
            took.push(ms);
            let cursor = answer["next_cursor"].as_str().context("a page more")?;
            path = format!("{first}&cursor={cursor}");
        }
        let [_, p95, _] = percentiles(took);
        Ok(Line::new(
            "SE4: upcoming, fifty pages of a city by price and open seats",
            p95,
            "ms",
            Aim::AtMost(100.0),
        ))
    }
}

/// The number of rows of a list, or of objects or clusters of a map.
fn rows(answer: &Value) -> usize {
    let count = |name: &str| answer[name].as_array().map_or(0, Vec::len);
    count("data") + count("objects") + count("clusters")
}
