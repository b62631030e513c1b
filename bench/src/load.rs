//! One measured run: wrk against a server, with the CPU time used by the server and PostgreSQL.

use crate::process::{children_cpu_seconds, cpu_seconds};
use anyhow::{Context, Result, ensure};
use std::{path::Path, process::Command};

/// The four operations, in the order of the tables.
pub const OPERATIONS: [&str; 4] = ["get", "list", "create", "update"];

#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub requests_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// CPU microseconds per request, of the server and of PostgreSQL.
    pub server_cpu_us: f64,
    pub postgres_cpu_us: f64,
}

pub struct Load<'a> {
    pub scripts: &'a Path,
    pub connections: u32,
    pub seconds: u32,
    pub postmaster: u32,
}

/// The length of the warm-up before a measured run.
const WARM_UP_SECONDS: u32 = 2;

impl Load<'_> {
    pub fn warm_up(
        &self,
        operation: &str,
        port: u16,
        server_pid: u32,
        tokens: Option<&str>,
    ) -> Result<()> {
        let load = Self {
            seconds: WARM_UP_SECONDS,
            ..*self
        };
        load.run(operation, port, server_pid, tokens).map(drop)
    }

    /// Runs `operation` against `port` with these tokens, separated by commas. Fails if any answer was not 2xx, since
    /// fast errors are no valid result.
    pub fn run(
        &self,
        operation: &str,
        port: u16,
        server_pid: u32,
        tokens: Option<&str>,
    ) -> Result<Figures> {
        let (server_before, postgres_before) = (
            cpu_seconds(server_pid),
            children_cpu_seconds(self.postmaster),
        );
        let output = Command::new("wrk")
            .args([
                "-t",
                "1",
                "-c",
                &self.connections.to_string(),
                "-d",
                &format!("{}s", self.seconds),
            ])
            .arg("-s")
            .arg(self.scripts.join(format!("{operation}.lua")))
            .arg(format!("http://127.0.0.1:{port}"))
            .env("BENCH_TOKENS", tokens.unwrap_or(""))
            .env("BENCH_IDS", self.scripts.join("ids.txt"))
            .env("LUA_PATH", format!("{}/?.lua", self.scripts.display()))
            .output()
            .context("wrk is missing: apt-get install wrk")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("RESULT "))
            .with_context(|| {
                format!(
                    "wrk said:\n{text}{}",
                    String::from_utf8_lossy(&output.stderr)
                )
            })?;
        let [requests, duration_us, p50_us, p99_us, errors] = numbers(line)?;
        ensure!(
            errors == 0.0,
            "{operation} on port {port}: {errors} answers were not 2xx"
        );
        ensure!(
            requests > 0.0,
            "{operation} on port {port}: nothing was answered"
        );
        Ok(Figures {
            requests_per_second: requests / (duration_us / 1e6),
            p50_ms: p50_us / 1e3,
            p99_ms: p99_us / 1e3,
            server_cpu_us: (cpu_seconds(server_pid) - server_before) * 1e6 / requests,
            postgres_cpu_us: (children_cpu_seconds(self.postmaster) - postgres_before) * 1e6
                / requests,
        })
    }
}

/// The run whose rate is the median of `runs`; of two in the middle, the slower one.
pub fn median(mut runs: Vec<Figures>) -> Figures {
    runs.sort_by(|a, b| a.requests_per_second.total_cmp(&b.requests_per_second));
    runs.swap_remove((runs.len() - 1) / 2)
}

fn numbers<const N: usize>(line: &str) -> Result<[f64; N]> {
    let parsed: Vec<f64> = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    parsed
        .try_into()
        .map_err(|got| anyhow::anyhow!("expected {N} numbers from wrk, got {got:?}"))
}
