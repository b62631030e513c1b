//! Compares the generated server with a hand-written one, on the same rows and in the same run, and with pgbench as
//! the limit.
//!
//! `bench run` prepares, measures, and writes the report; the other commands only measure and print; `bench server
//! NAME` runs one of the servers. See `docs/benchmarks.md`.

mod attack;
mod dashboards;
mod discovery;
mod gates;
mod generated_plain;
mod hand;
mod jobs;
mod likes;
mod limit;
mod listeners;
mod load;
mod money;
mod notifications;
mod pages;
mod plot;
mod prepare;
mod process;
mod realtime;
mod report;
mod rounds;
mod search;
mod servers;
mod services;
mod trending;
mod webhooks;
mod world;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use kernel::{auth, config::TokenConfig};
use load::Load;
use rounds::{Bench, Tokens};
use servers::Keys;
use std::{env, fs, path::PathBuf, time::Duration};
use world::{World, keys};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prepare, measure, report.
    Run(Options),
    /// Search many events, without and with an attack.
    Search(Search),
    /// Process a backlog of jobs, and start new ones.
    Jobs(Jobs),
    /// Order, transfer and purchase, compared with an update of one row.
    Money(Money),
    /// Read trending events and feeds, and like.
    Trending(Trending),
    /// Count likes in several ways.
    Likes(Trending),
    /// Listen to notifications while other members like.
    Realtime(realtime::Options),
    /// Send a notification to a hundred thousand members.
    Notifications(notifications::Options),
    /// Search by place, on maps, and with combined filters.
    Discovery(discovery::Options),
    /// The dashboard, guest list and check-in of a large event.
    Dashboards(dashboards::Options),
    /// Run one of the servers.
    Server { name: String },
}

#[derive(clap::Args)]
struct Options {
    /// Superuser's URL of the PostgreSQL to use, on this machine.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database_url: String,
    #[arg(long, default_value_t = 100_000)]
    rows: i32,
    /// Each server is measured this many times for each operation, in turn; the median counts. With an even number,
    /// each order of the servers is used equally often.
    #[arg(long, default_value_t = 4)]
    rounds: u32,
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Connections of the load generator.
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// Connections of each server to PostgreSQL.
    #[arg(long, default_value_t = 10)]
    pool: u32,
    /// Folder for the report: `benchmarks.md`, between its marks, and the plot.
    #[arg(long, default_value = "docs")]
    output: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Run(options) => run(options).await,
        Command::Search(options) => search(options).await,
        Command::Jobs(options) => jobs(options).await,
        Command::Money(options) => money(options).await,
        Command::Trending(options) => trending(options).await,
        Command::Likes(options) => likes(options).await,
        Command::Realtime(options) => show(&realtime::run(options).await?),
        Command::Notifications(options) => show(&notifications::run(options).await?),
        Command::Discovery(options) => show(&discovery::run(options).await?),
        Command::Dashboards(options) => show(&dashboards::run(options).await?),
        Command::Server { name } => server(&name).await,
    }
}

fn show(text: &str) -> Result<()> {
    println!("Machine: {}.\n\n{text}", machine());
    Ok(())
}

#[derive(clap::Args)]
struct Search {
    /// Superuser's URL of the PostgreSQL to use, on this machine.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database_url: String,
    #[arg(long, default_value_t = 500_000)]
    events: i32,
    /// Requests of each question.
    #[arg(long, default_value_t = 100)]
    requests: usize,
    /// Connections of the server to PostgreSQL, besides those for searches.
    #[arg(long, default_value_t = 10)]
    pool: u32,
}

async fn search(options: Search) -> Result<()> {
    let files = world::folder()?;
    let prepared = prepare::prepare(&options.database_url, 100, &files).await?;
    let keys = keys()?;
    let tokens = tokens(&keys, &prepared)?;
    let text = search::run(
        &options.database_url,
        options.events,
        options.requests,
        options.pool,
        &keys,
        &tokens,
    )
    .await?;
    show(&text)
}

#[derive(clap::Args)]
struct Jobs {
    /// Superuser's URL of the PostgreSQL to use, on this machine.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database_url: String,
    /// Jobs that are waiting when the worker starts.
    #[arg(long, default_value_t = 50_000)]
    backlog: i32,
    /// Jobs that run at the same time, each on a connection of its own.
    #[arg(long, default_value_t = 8)]
    at_once: u32,
}

async fn jobs(options: Jobs) -> Result<()> {
    let files = world::folder()?;
    prepare::prepare(&options.database_url, 100, &files).await?;
    let text = jobs::run(&options.database_url, options.backlog, options.at_once).await?;
    show(&text)
}

#[derive(clap::Args)]
struct Money {
    /// Superuser's URL of the PostgreSQL to use, on this machine.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database_url: String,
    /// Rounds, of which the median counts. With an even number, each order is used equally often.
    #[arg(long, default_value_t = 4)]
    rounds: u32,
    /// Length of each measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Connections of the server to PostgreSQL for requests; orders use those for modules, of which it has eight.
    #[arg(long, default_value_t = 10)]
    pool: u32,
}

async fn money(options: Money) -> Result<()> {
    let files = world::folder()?;
    prepare::prepare(&options.database_url, 100, &files).await?;
    let keys = keys()?;
    let money = money::Money {
        admin: &options.database_url,
        files: &files,
        keys: &keys,
        seconds: options.seconds,
        pool: options.pool,
    };
    let text = money::run(&money, options.rounds).await?;
    show(&text)
}

#[derive(clap::Args)]
struct Trending {
    /// Superuser's URL of the PostgreSQL to use, on this machine.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database_url: String,
    /// Rounds, of which the median counts. With an even number, each order is used equally often.
    #[arg(long, default_value_t = 4)]
    rounds: u32,
    /// Length of each measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
}

async fn trending(options: Trending) -> Result<()> {
    let world = World::make(&options.database_url, 100).await?;
    show(&trending::run(&world, options.rounds, options.seconds).await?)
}

async fn likes(options: Trending) -> Result<()> {
    let world = World::make(&options.database_url, 100).await?;
    show(&likes::run(&world, options.rounds, options.seconds).await?)
}

async fn server(name: &str) -> Result<()> {
    let url = env::var("APP_DATABASE_URL")?;
    let listen = env::var("LISTEN")?;
    let connections = env::var("DB_CONNECTIONS")?.parse()?;
    let key = env::var("BENCH_TOKEN_PUBLIC_KEY")
        .ok()
        .filter(|key| !key.is_empty());
    let router = match name {
        servers::HAND_PLAIN | servers::HAND_SECURED => {
            hand::router(&url, connections, key.as_deref(), AUDIENCE).await?
        }
        servers::GENERATED_PLAIN => {
            return generated_plain::serve(&url, connections, &listen).await;
        }
        other => bail!("no server {other}"),
    };
    Ok(axum::serve(tokio::net::TcpListener::bind(listen).await?, router).await?)
}

const ISSUER: &str = "http://127.0.0.1:8080";
const AUDIENCE: &str = "culturepass";

async fn run(options: Options) -> Result<()> {
    let files = world::folder()?;
    world::copy_scripts(&files)?;
    let prepared = prepare::prepare(&options.database_url, options.rows, &files).await?;
    let keys = keys()?;
    let tokens = tokens(&keys, &prepared)?;
    let bench = Bench {
        database_url: &options.database_url,
        rows: options.rows,
        pool: options.pool,
        files: &files,
        keys: &keys,
        tokens: &tokens,
        load: Load {
            scripts: &files,
            connections: options.connections,
            seconds: options.seconds,
            postmaster: prepared.postmaster,
        },
    };
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        rounds.push(bench.round(number).await?);
    }
    let command = format!(
        "script/bench --rounds {} --seconds {}",
        options.rounds, options.seconds
    );
    let text = report::markdown(&rounds, &gates::gates(&rounds), &machine(), &command);
    println!("{text}");
    write_report(&options.output, &text, &plot::plot(&rounds))
}

fn tokens(keys: &Keys, prepared: &prepare::Prepared) -> Result<Tokens> {
    let joined = |callers: &[prepare::Caller]| -> Result<String> {
        let tokens: Result<Vec<String>> = callers.iter().map(|c| token(keys, *c)).collect();
        Ok(tokens?.join(","))
    };
    Ok(Tokens {
        of_all: joined(&prepared.of_all)?,
        of_one: joined(&prepared.of_one)?,
        of_none: joined(&prepared.of_none)?,
    })
}

fn token(keys: &Keys, caller: prepare::Caller) -> Result<String> {
    let mut config = TokenConfig::new(
        ISSUER.into(),
        AUDIENCE.into(),
        keys.private_pem.clone().into(),
    );
    config.lifetime = Duration::from_secs(6 * 60 * 60);
    let now = chrono::Utc::now().timestamp();
    Ok(auth::Tokens::new(&config)?
        .issue(caller.user, caller.session, now)?
        .token)
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|l| {
            l.strip_prefix("model name")?
                .split_once(": ")
                .map(|(_, m)| m)
        })
        .unwrap_or("unknown processor")
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    format!("{model}, {cores} cores, shared by load generator, server and PostgreSQL 15 (fsync on)")
}

/// Replaces the text between the marks; the text around it is written by hand.
fn write_report(folder: &std::path::Path, text: &str, plot: &str) -> Result<()> {
    const START: &str = "<!-- measured: start -->";
    const END: &str = "<!-- measured: end -->";
    let file = folder.join("benchmarks.md");
    let old = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let (before, rest) = old
        .split_once(START)
        .context("benchmarks.md has no start mark")?;
    let (_, after) = rest
        .split_once(END)
        .context("benchmarks.md has no end mark")?;
    fs::write(&file, format!("{before}{START}\n{text}{END}{after}"))?;
    fs::write(folder.join("images/benchmarks.svg"), plot)?;
    Ok(())
}
