//! Times the generated server against a hand-written one on the same rows in the same run, and pgbench as the limit.
//!
//! `bench run` prepares, measures, prints and writes; `bench server NAME` is one of the servers. See `docs/benchmarks.md`.

mod generated_plain;
mod hand;
mod limit;
mod load;
mod prepare;
mod process;
mod report;
mod servers;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use kernel::{auth::Tokens, config::TokenConfig};
use load::{Figures, Load, OPERATIONS};
use report::{Gate, Row};
use servers::{Keys, Server};
use std::{collections::HashMap, env, fs, path::PathBuf, time::Duration};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prepare, measure, report.
    Run(Options),
    /// Be one of the servers.
    Server { name: String },
}

#[derive(clap::Args)]
struct Options {
    /// Superuser's URL of the PostgreSQL to use, on this machine.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database_url: String,
    #[arg(long, default_value_t = 100_000)]
    rows: i32,
    /// Each server answers each operation this many times, in turn; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// Connections of the load generator.
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// Connections of each server to PostgreSQL.
    #[arg(long, default_value_t = 10)]
    pool: u32,
    /// Where the report is written: `benchmarks.md` between its marks, and the plot.
    #[arg(long, default_value = "docs")]
    output: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Run(options) => run(options).await,
        Command::Server { name } => server(&name).await,
    }
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
    let files = env::temp_dir().join("culturepass-bench");
    fs::create_dir_all(&files)?;
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/wrk"))? {
        let path = entry?.path();
        fs::copy(&path, files.join(path.file_name().context("a file")?))?;
    }
    let prepared = prepare::prepare(&options.database_url, options.rows, &files).await?;
    let keys = keys()?;
    let token = token(&keys, prepared.of_all)?;
    let token_of_one = self::token(&keys, prepared.of_one)?;
    let load = Load {
        scripts: &files,
        connections: options.connections,
        seconds: options.seconds,
        postmaster: prepared.postmaster,
    };

    let mut runs: HashMap<(&str, usize), Vec<Figures>> = HashMap::new();
    let mut limits: HashMap<&str, Vec<(f64, f64)>> = HashMap::new();
    let mut of_one: Vec<Figures> = Vec::new();
    let mut cold: HashMap<&str, Vec<f64>> = HashMap::new();
    let mut memory: HashMap<&str, f64> = HashMap::new();
    for round in 1..=options.rounds {
        for (at, operation) in OPERATIONS.iter().enumerate() {
            for name in servers::ALL {
                let secured = name.ends_with("secured");
                let database = if secured {
                    prepare::SECURED
                } else {
                    prepare::PLAIN
                };
                if matches!(*operation, "create" | "update") {
                    prepare::tidy(&options.database_url, database).await?;
                    prepare::write_versions(&options.database_url, database, &files).await?;
                }
                let server = Server::start(name, &options.database_url, options.pool, &keys)?;
                let figures = load.run(
                    operation,
                    server.port,
                    server.pid(),
                    secured.then_some(token.as_str()),
                )?;
                eprintln!(
                    "round {round} {operation:6} {:20} {:8.0}/s",
                    server.name, figures.requests_per_second
                );
                if *operation == "get" && name == servers::GENERATED_SECURED {
                    let token = Some(token_of_one.as_str());
                    let figures = load.run(operation, server.port, server.pid(), token)?;
                    eprintln!(
                        "round {round} {operation:6} {:20} {:8.0}/s",
                        "by one city's", figures.requests_per_second
                    );
                    of_one.push(figures);
                }
                cold.entry(name).or_default().push(server.cold_start_ms);
                let peak = memory.entry(name).or_default();
                *peak = peak.max(server.peak_memory_mb());
                runs.entry((name, at)).or_default().push(figures);
            }
        }
        for statement in limit::STATEMENTS {
            prepare::tidy(&options.database_url, statement.database).await?;
            let figure = limit::run(
                statement,
                &options.database_url,
                options.rows,
                &files,
                options.seconds,
                prepared.postmaster,
            )
            .await?;
            eprintln!(
                "round {round} pgbench {:14} {:8.0}/s",
                statement.name, figure.0
            );
            limits.entry(statement.name).or_default().push(figure);
        }
    }
    let rows: Vec<Row> = servers::ALL
        .into_iter()
        .map(|server| Row {
            server,
            figures: (0..OPERATIONS.len())
                .map(|at| load::median(runs.remove(&(server, at)).expect("measured")))
                .collect(),
            peak_memory_mb: memory[server],
            cold_start_ms: middle(cold[server].clone()),
        })
        .collect();
    let pgbench: Vec<(String, f64, f64)> = limit::STATEMENTS
        .iter()
        .map(|s| {
            let of =
                |pick: fn(&(f64, f64)) -> f64| middle(limits[s.name].iter().map(pick).collect());
            (s.name.to_owned(), of(|f| f.0), of(|f| f.1))
        })
        .collect();
    let of_one = load::median(of_one);
    let gates = gates(&rows, &pgbench, &of_one);
    let command = format!(
        "script/bench --rounds {} --seconds {}",
        options.rounds, options.seconds
    );
    let text = report::markdown(&rows, &pgbench, &gates, &machine(), &command);
    println!("{text}");
    write_report(&options.output, &text, &report::plot(&rows))
}

fn gates(rows: &[Row], pgbench: &[(String, f64, f64)], of_one: &Figures) -> Vec<Gate> {
    let rate = |server: &str, at: usize| {
        rows.iter()
            .find(|r| r.server == server)
            .map_or(f64::NAN, |r| r.figures[at].requests_per_second)
    };
    let tps = |name: &str| {
        pgbench
            .iter()
            .find(|p| p.0 == name)
            .map_or(f64::NAN, |p| p.1)
    };
    let cpu = |name: &str| {
        pgbench
            .iter()
            .find(|p| p.0 == name)
            .map_or(f64::NAN, |p| p.2)
    };
    let generated = rows
        .iter()
        .find(|r| r.server == servers::GENERATED_SECURED)
        .expect("measured");
    let mut gates = Vec::new();
    let mut gate = |name: String, value: f64, bound: f64, at_least: bool| {
        gates.push(Gate {
            name,
            value,
            bound,
            at_least,
        })
    };
    for (at, operation) in OPERATIONS.iter().enumerate() {
        gate(
            format!("generated plain / hand-written plain, {operation}"),
            rate(servers::GENERATED_PLAIN, at) / rate(servers::HAND_PLAIN, at),
            0.90,
            true,
        );
    }
    for (at, operation) in OPERATIONS.iter().enumerate() {
        gate(
            format!("generated secured / hand-written secured, {operation}"),
            rate(servers::GENERATED_SECURED, at) / rate(servers::HAND_SECURED, at),
            0.90,
            true,
        );
    }
    gate(
        "generated secured / generated plain, get by who administers one city".into(),
        of_one.requests_per_second / rate(servers::GENERATED_PLAIN, 0),
        0.55,
        true,
    );
    gate(
        "generated secured / generated plain, get by who administers fifty".into(),
        rate(servers::GENERATED_SECURED, 0) / rate(servers::GENERATED_PLAIN, 0),
        0.55,
        true,
    );
    gate(
        "generated plain get / pgbench".into(),
        rate(servers::GENERATED_PLAIN, 0) / tps("get"),
        0.27,
        true,
    );
    gate(
        "generated plain list / pgbench".into(),
        rate(servers::GENERATED_PLAIN, 1) / tps("list"),
        0.28,
        true,
    );
    gate(
        "keyset page 90 / page 1, PostgreSQL CPU".into(),
        cpu("page 90") / cpu("list"),
        1.3,
        false,
    );
    gate(
        "update audited / not, PostgreSQL CPU".into(),
        cpu("update, audited") / cpu("update"),
        1.6,
        false,
    );
    gate(
        "peak memory MB".into(),
        generated.peak_memory_mb,
        30.0,
        false,
    );
    gate(
        "cold start s".into(),
        generated.cold_start_ms / 1e3,
        0.1,
        false,
    );
    gates
}

fn keys() -> Result<Keys> {
    let private = std::process::Command::new("openssl")
        .args(["genpkey", "-algorithm", "ed25519"])
        .output()
        .context("openssl is missing")?
        .stdout;
    let file = env::temp_dir().join("culturepass-bench/key.pem");
    fs::write(&file, &private)?;
    let public = std::process::Command::new("openssl")
        .args(["pkey", "-pubout", "-in"])
        .arg(&file)
        .output()?
        .stdout;
    fs::remove_file(file)?;
    Ok(Keys {
        private_pem: String::from_utf8(private)?,
        public_pem: String::from_utf8(public)?,
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
    Ok(Tokens::new(&config)?
        .issue(caller.user, caller.session, now)?
        .token)
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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

/// Replaces what stands between the marks; the prose around it is written by hand.
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
