//! Formats figures as the generated part of `docs/benchmarks.md`. Independent of servers.

use crate::{
    gates::Gate,
    limit,
    load::{Figures, OPERATIONS},
    rounds::{
        GET_BY_NONE, GET_BY_ONE, LIKE, PAGE_90, Round, UPDATE_ORDINARY, cold_start_ms, medians,
        middle, peak_memory_mb,
    },
    servers,
};
use std::fmt::Write;

pub fn markdown(rounds: &[Round], gates: &[Gate], machine: &str, command: &str) -> String {
    let mut out = format!("Machine: {machine}.\nCommand: `{command}`.\n\n");
    out.push_str("| server | operation | requests/s | p50 ms | p99 ms | server CPU µs | PostgreSQL CPU µs |\n|---|---|--:|--:|--:|--:|--:|\n");
    for server in servers::ALL {
        for operation in OPERATIONS {
            line(
                &mut out,
                server,
                operation,
                &medians(rounds, server, operation),
            );
        }
    }
    for operation in [GET_BY_ONE, GET_BY_NONE, PAGE_90, UPDATE_ORDINARY, LIKE] {
        let server = servers::GENERATED_SECURED;
        line(
            &mut out,
            server,
            operation,
            &medians(rounds, server, operation),
        );
    }
    footprints(&mut out, rounds);
    limits(&mut out, rounds);
    verdicts(&mut out, gates);
    out
}

fn line(out: &mut String, server: &str, operation: &str, f: &Figures) {
    let _ = writeln!(
        out,
        "| {server} | {operation} | {:.0} | {:.2} | {:.2} | {:.0} | {:.0} |",
        f.requests_per_second, f.p50_ms, f.p99_ms, f.server_cpu_us, f.postgres_cpu_us
    );
}

fn footprints(out: &mut String, rounds: &[Round]) {
    out.push_str("\n| server | peak memory MB | cold start ms |\n|---|--:|--:|\n");
    for server in servers::ALL {
        let _ = writeln!(
            out,
            "| {server} | {:.1} | {:.0} |",
            peak_memory_mb(rounds, server),
            cold_start_ms(rounds, server),
        );
    }
}

fn limits(out: &mut String, rounds: &[Round]) {
    out.push_str(
        "\n| pgbench, prepared, over TCP | transactions/s | PostgreSQL CPU µs |\n|---|--:|--:|\n",
    );
    for name in limit::STATEMENTS.iter().map(|s| s.name) {
        let of = |pick: fn(&limit::Limit) -> f64| {
            middle(rounds.iter().map(|r| pick(&r.limits[name])).collect())
        };
        let _ = writeln!(
            out,
            "| {name} | {:.0} | {:.0} |",
            of(|l| l.transactions_per_second),
            of(|l| l.postgres_cpu_us)
        );
    }
}

fn verdicts(out: &mut String, gates: &[Gate]) {
    out.push_str("\n| gate | measured | bound | |\n|---|--:|--:|---|\n");
    for gate in gates {
        let sign = if gate.at_least { "≥" } else { "≤" };
        let verdict = if gate.held() { "held" } else { "**missed**" };
        let _ = writeln!(
            out,
            "| {} | {:.2} | {sign} {:.2} | {verdict} |",
            gate.name, gate.value, gate.bound
        );
    }
}
