//! The upper limit: pgbench with the prepared statements of the generated server, over TCP, as fast as PostgreSQL can
//! run them.
//!
//! It connects with the owner's login, so row-level security policies do not apply; the cost of audit is measured
//! separately.

use crate::{prepare, process::children_cpu_seconds};
use anyhow::{Context, Result, ensure};
use generated::institution::INSTITUTION;
use sqlx::{Connection, PgConnection};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub struct Statement {
    pub name: &'static str,
    pub database: &'static str,
    /// The pgbench script. `SELECT` stands for the generated list's text. Names are sorted by the collation of the
    /// index that serves them.
    script: &'static str,
}

pub const STATEMENTS: &[Statement] = &[
    Statement {
        name: "get",
        database: prepare::PLAIN,
        script: "\\set n random(1, ROWS)\nSELECT where t.id = ID;\n",
    },
    Statement {
        name: "list",
        database: prepare::PLAIN,
        script: "SELECT where t.city_id = 'CITY' order by t.name collate \"und-x-icu\", t.id limit 20;\n",
    },
    Statement {
        name: "page 90",
        database: prepare::PLAIN,
        script: "SELECT where t.city_id = 'CITY' and (t.name collate \"und-x-icu\", t.id) > ('NAME', 'LAST') order by t.name collate \"und-x-icu\", t.id limit 20;\n",
    },
    Statement {
        name: "update",
        database: prepare::PLAIN,
        script: UPDATE,
    },
    Statement {
        name: "update, audited",
        database: prepare::SECURED,
        script: UPDATE,
    },
];

const UPDATE: &str = "\\set n random(1, ROWS)\nupdate app.institutions t set name = 'Institution ' || (:n + 1) where t.id = ID returning t.id, t.version;\n";

pub struct Limit {
    pub transactions_per_second: f64,
    /// CPU microseconds of PostgreSQL per transaction.
    pub postgres_cpu_us: f64,
}

pub async fn run(
    statement: &Statement,
    admin: &str,
    rows: i32,
    files: &Path,
    seconds: u32,
    postmaster: u32,
) -> Result<Limit> {
    let url = prepare::on(admin, statement.database);
    let script = files.join("pgbench.sql");
    fs::write(&script, fill(statement.script, &url, rows).await?)?;
    let before = children_cpu_seconds(postmaster);
    let ran = pgbench(&script, &url, seconds)?;
    Ok(Limit {
        transactions_per_second: ran.transactions_per_second,
        postgres_cpu_us: (children_cpu_seconds(postmaster) - before) * 1e6 / ran.transactions,
    })
}

pub struct Ran {
    pub transactions_per_second: f64,
    transactions: f64,
}

/// The settings of the shipped server's connections, which matter for functions and for queries that read many rows.
const AS_THE_SERVER: &str =
    "-c jit=off -c plan_cache_mode=force_generic_plan -c search_path=pg_catalog,pg_temp";

/// Runs the script with sixteen concurrent clients and prepared statements.
pub fn pgbench(script: &Path, url: &str, seconds: u32) -> Result<Ran> {
    ran(&said(
        script,
        url,
        "",
        &["-c", "16", "-T", &seconds.to_string()],
    )?)
}

/// Runs the script so many times with each of sixteen concurrent clients, and with the settings of the server's
/// connections.
pub fn pgbench_times(times: u32, script: &Path, url: &str) -> Result<Ran> {
    ran(&said(
        script,
        url,
        AS_THE_SERVER,
        &["-c", "16", "-t", &times.to_string()],
    )?)
}

/// Runs the script with so many clients, and with the settings of the server's connections.
pub fn pgbench_by(clients: u32, script: &Path, url: &str, seconds: u32) -> Result<Ran> {
    let (clients, seconds) = (clients.to_string(), seconds.to_string());
    ran(&said(
        script,
        url,
        AS_THE_SERVER,
        &["-c", &clients, "-T", &seconds],
    )?)
}

/// The latency of each transaction in milliseconds, of a single client without other load, with the settings of the
/// server's connections. The first transactions warm up and are left out.
pub fn latencies(script: &Path, url: &str, transactions: usize) -> Result<Vec<f64>> {
    const WARM_UP: usize = 20;
    let folder = script.parent().context("a folder")?;
    let prefix = folder.join("latencies");
    for old in logs(folder)? {
        fs::remove_file(old)?;
    }
    let many = (transactions + WARM_UP).to_string();
    said(
        script,
        url,
        AS_THE_SERVER,
        &[
            "-c",
            "1",
            "-t",
            &many,
            "--log",
            "--log-prefix",
            &prefix.to_string_lossy(),
        ],
    )?;
    let mut all = Vec::new();
    for log in logs(folder)? {
        for line in fs::read_to_string(log)?.lines().skip(WARM_UP) {
            // The columns are the client, the transaction's number, and microseconds.
            let took = line.split_whitespace().nth(2).context("a latency")?;
            all.push(took.parse::<f64>()? / 1e3);
        }
    }
    ensure!(all.len() == transactions, "{} latencies", all.len());
    Ok(all)
}

fn ran(text: &str) -> Result<Ran> {
    let number = |prefix: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(prefix))?;
        // With a number of transactions for each client, it is followed by `/` and their sum.
        line.split([' ', '/']).next()?.parse::<f64>().ok()
    };
    Ok(Ran {
        transactions_per_second: number("tps = ").with_context(|| format!("pgbench: {text}"))?,
        transactions: number("number of transactions actually processed: ")
            .context("pgbench counted nothing")?,
    })
}

fn logs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("latencies.") {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn said(script: &Path, url: &str, options: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new("pgbench")
        .args(["-n", "-M", "prepared", "-j", "1"])
        .args(arguments)
        .arg("-f")
        .arg(script)
        .arg(url)
        .env("PGOPTIONS", options)
        .output()
        .context("pgbench is missing: it comes with PostgreSQL")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    // pgbench continues without clients that had an error, but then its exit status is not 0.
    ensure!(output.status.success(), "pgbench: {text}{errors}");
    Ok(text)
}

async fn fill(script: &str, url: &str, rows: i32) -> Result<String> {
    let mut conn = PgConnection::connect(url).await?;
    let city: String = sqlx::query_scalar("select id::text from app.cities where slug = 'city-1'")
        .fetch_one(&mut conn)
        .await?;
    let (name, last): (String, String) = sqlx::query_as(
        "select name, id::text from app.institutions where city_id = $1::uuid order by name collate \"und-x-icu\", id offset 89 * 20 - 1 limit 1",
    )
    .bind(&city)
    .fetch_one(&mut conn)
    .await?;
    Ok(script
        .replace("SELECT", INSTITUTION.sql.list)
        .replace("ROWS", &rows.to_string())
        .replace("CITY", &city)
        .replace("NAME", &name)
        .replace("LAST", &last)
        .replace("ID", prepare::ID))
}
