//! Figures → the generated part of `docs/benchmarks.md` and a bar plot. Knows no server.

use crate::load::{Figures, OPERATIONS};
use std::fmt::Write;

/// One server's medians and its footprint.
pub struct Row {
    pub server: &'static str,
    /// In the order of [`OPERATIONS`].
    pub figures: Vec<Figures>,
    pub peak_memory_mb: f64,
    pub cold_start_ms: f64,
}

/// A ratio that must not be missed.
pub struct Gate {
    pub name: String,
    pub value: f64,
    pub bound: f64,
    pub at_least: bool,
}

impl Gate {
    pub fn held(&self) -> bool {
        if self.at_least {
            self.value >= self.bound
        } else {
            self.value <= self.bound
        }
    }
}

pub fn markdown(
    rows: &[Row],
    pgbench: &[(String, f64, f64)],
    gates: &[Gate],
    machine: &str,
    command: &str,
) -> String {
    let mut out = format!("Machine: {machine}.\nCommand: `{command}`.\n\n");
    out.push_str("| server | operation | requests/s | p50 ms | p99 ms | server CPU µs | PostgreSQL CPU µs |\n|---|---|--:|--:|--:|--:|--:|\n");
    for row in rows {
        for (operation, f) in OPERATIONS.iter().zip(&row.figures) {
            let _ = writeln!(
                out,
                "| {} | {operation} | {:.0} | {:.2} | {:.2} | {:.0} | {:.0} |",
                row.server,
                f.requests_per_second,
                f.p50_ms,
                f.p99_ms,
                f.server_cpu_us,
                f.postgres_cpu_us
            );
        }
    }
    out.push_str("\n| server | peak memory MB | cold start ms |\n|---|--:|--:|\n");
    for row in rows {
        let _ = writeln!(
            out,
            "| {} | {:.1} | {:.0} |",
            row.server, row.peak_memory_mb, row.cold_start_ms
        );
    }
    out.push_str(
        "\n| pgbench, prepared, over TCP | transactions/s | PostgreSQL CPU µs |\n|---|--:|--:|\n",
    );
    for (name, tps, cpu_us) in pgbench {
        let _ = writeln!(out, "| {name} | {tps:.0} | {cpu_us:.0} |");
    }
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
    out
}

/// Grouped bars: requests a second, one group an operation, one bar a server.
pub fn plot(rows: &[Row]) -> String {
    const COLOURS: [&str; 4] = ["#9aa7b8", "#2f6fb2", "#c9b79a", "#b2572f"];
    const WIDTH: f64 = 760.0;
    const HEIGHT: f64 = 340.0;
    const LEFT: f64 = 60.0;
    const BASE: f64 = 290.0;
    let top = rows
        .iter()
        .flat_map(|r| &r.figures)
        .map(|f| f.requests_per_second)
        .fold(1.0, f64::max);
    let group = (WIDTH - LEFT - 10.0) / OPERATIONS.len() as f64;
    let bar = group / (rows.len() as f64 + 1.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    for (o, operation) in OPERATIONS.iter().enumerate() {
        let x0 = LEFT + o as f64 * group;
        for (r, row) in rows.iter().enumerate() {
            let rate = row.figures[o].requests_per_second;
            let height = rate / top * (BASE - 50.0);
            let (x, y) = (x0 + r as f64 * bar, BASE - height);
            let colour = COLOURS[r % COLOURS.len()];
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>",
                bar - 3.0
            );
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"10\">{rate:.0}</text>",
                x + bar / 2.0,
                y - 4.0
            );
        }
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{operation}</text>",
            x0 + group / 2.0 - bar / 2.0,
            BASE + 18.0
        );
    }
    for (r, row) in rows.iter().enumerate() {
        let x = LEFT + r as f64 * 170.0;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"12\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"22\">{}</text>",
            COLOURS[r % COLOURS.len()],
            x + 18.0,
            row.server
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"12\" y=\"{}\" transform=\"rotate(-90 12 {})\" text-anchor=\"middle\">requests a second</text>\n</svg>",
        BASE / 2.0,
        BASE / 2.0
    );
    out
}
