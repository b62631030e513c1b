//! One round: every server is measured with every operation in turn, and pgbench with every statement.
//!
//! Every other round runs in the reverse order, since indexes are larger for later servers because of the updates by
//! earlier ones.

use crate::{
    limit::{self, Limit},
    load::{self, Figures, Load, OPERATIONS},
    pages, prepare,
    servers::{self, GENERATED_SECURED, Keys, Server},
};
use anyhow::Result;
use std::{collections::HashMap, path::Path};

/// Additional measurements of the generated secured server, directly after the operation with which they are compared.
pub const GET_BY_ONE: &str = "get, administers one city";
pub const GET_BY_NONE: &str = "get, no role";
pub const PAGE_90: &str = "list, page 90";
/// An update of a field that is not searched; `update` changes the name, which is.
pub const UPDATE_ORDINARY: &str = "update, nothing searched";
pub const LIKE: &str = "like";

/// Tokens of the callers of the secured servers; several are separated by commas.
pub struct Tokens {
    pub of_all: String,
    pub of_one: String,
    pub of_none: String,
}

/// The token of the first of several callers.
pub fn first(tokens: &str) -> &str {
    tokens.split(',').next().unwrap_or_default()
}

pub struct Bench<'a> {
    pub database_url: &'a str,
    pub rows: i32,
    /// Connections of each server to PostgreSQL.
    pub pool: u32,
    pub files: &'a Path,
    pub keys: &'a Keys,
    pub tokens: &'a Tokens,
    pub load: Load<'a>,
}

#[derive(Default)]
pub struct Round {
    /// Figures by server and operation.
    pub figures: HashMap<(&'static str, &'static str), Figures>,
    pub limits: HashMap<&'static str, Limit>,
    /// Bytes of the write-ahead log per like, without full page images.
    pub wal_bytes_per_like: f64,
    pub peak_memory_mb: HashMap<&'static str, f64>,
    /// The time of each start.
    pub cold_start_ms: HashMap<&'static str, Vec<f64>>,
}

impl Round {
    pub fn rate(&self, server: &'static str, operation: &'static str) -> f64 {
        self.figures[&(server, operation)].requests_per_second
    }
}

impl Bench<'_> {
    pub async fn round(&self, number: u32) -> Result<Round> {
        let mut round = Round::default();
        for operation in OPERATIONS {
            let mut order = servers::ALL;
            if number.is_multiple_of(2) {
                order.reverse();
            }
            for name in order {
                self.measure(&mut round, name, operation).await?;
                let rate = round.rate(name, operation);
                eprintln!("round {number} {operation:6} {name:20} {rate:8.0}/s");
            }
        }
        for statement in limit::STATEMENTS {
            prepare::tidy(self.database_url, statement.database).await?;
            let limit = limit::run(
                statement,
                self.database_url,
                self.rows,
                self.files,
                self.load.seconds,
                self.load.postmaster,
            )
            .await?;
            let rate = limit.transactions_per_second;
            eprintln!("round {number} pgbench {:14} {rate:8.0}/s", statement.name);
            round.limits.insert(statement.name, limit);
        }
        Ok(round)
    }

    async fn measure(
        &self,
        round: &mut Round,
        name: &'static str,
        operation: &'static str,
    ) -> Result<()> {
        let secured = name.ends_with("secured");
        let database = if secured {
            prepare::SECURED
        } else {
            prepare::PLAIN
        };
        let token = secured.then_some(self.tokens.of_all.as_str());
        let server = Server::start(name, self.database_url, self.pool, self.keys)?;
        // After the warm-up, connections, catalogue caches and plans are as in a server that has been running for
        // long.
        self.tidy(operation, database).await?;
        self.load
            .warm_up(operation, server.port, server.pid(), token)?;
        self.tidy(operation, database).await?;
        let mut run = |label, script, token| -> Result<()> {
            let figures = self.load.run(script, server.port, server.pid(), token)?;
            round.figures.insert((name, label), figures);
            Ok(())
        };
        run(operation, operation, token)?;
        if name == GENERATED_SECURED && operation == "get" {
            run(GET_BY_ONE, "get", Some(&self.tokens.of_one))?;
            run(GET_BY_NONE, "get", Some(&self.tokens.of_none))?;
        }
        if name == GENERATED_SECURED && operation == "list" {
            pages::write(server.port, first(&self.tokens.of_all), self.files).await?;
            run(PAGE_90, "page", Some(&self.tokens.of_all))?;
        }
        if name == GENERATED_SECURED && operation == "update" {
            self.tidy(operation, database).await?;
            run(UPDATE_ORDINARY, "update_ordinary", token)?;
            self.likes(round, &server).await?;
        }
        let peak = round.peak_memory_mb.entry(name).or_default();
        *peak = peak.max(server.peak_memory_mb());
        round
            .cold_start_ms
            .entry(name)
            .or_default()
            .push(server.cold_start_ms);
        Ok(())
    }

    async fn likes(&self, round: &mut Round, server: &Server) -> Result<()> {
        let (admin, token) = (self.database_url, Some(self.tokens.of_none.as_str()));
        prepare::without_page_images(admin, true).await?;
        prepare::without_likes(admin).await?;
        self.load
            .warm_up("like", server.port, server.pid(), token)?;
        prepare::without_likes(admin).await?;
        let before = prepare::wal_bytes(admin).await?;
        let figures = self.load.run("like", server.port, server.pid(), token)?;
        let likes = prepare::likes(admin).await?;
        round.wal_bytes_per_like = (prepare::wal_bytes(admin).await? - before) / likes;
        prepare::without_page_images(admin, false).await?;
        round.figures.insert((GENERATED_SECURED, LIKE), figures);
        Ok(())
    }

    /// Before creates and updates: removes what earlier runs have changed, and writes the present versions of all
    /// rows.
    async fn tidy(&self, operation: &str, database: &str) -> Result<()> {
        if matches!(operation, "create" | "update") {
            prepare::tidy(self.database_url, database).await?;
            prepare::write_versions(self.database_url, database, self.files).await?;
        }
        Ok(())
    }
}

/// The maximum of all rounds.
pub fn peak_memory_mb(rounds: &[Round], server: &str) -> f64 {
    let peaks = rounds.iter().map(|r| r.peak_memory_mb[server]);
    peaks.fold(0.0, f64::max)
}

/// The median of all starts.
pub fn cold_start_ms(rounds: &[Round], server: &str) -> f64 {
    middle(
        rounds
            .iter()
            .flat_map(|r| r.cold_start_ms[server].clone())
            .collect(),
    )
}

/// The run with the median rate of an operation.
pub fn medians(rounds: &[Round], server: &'static str, operation: &'static str) -> Figures {
    load::median(
        rounds
            .iter()
            .map(|r| r.figures[&(server, operation)].clone())
            .collect(),
    )
}

/// The median.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[half - 1], values[half])
    } else {
        values[half]
    }
}
