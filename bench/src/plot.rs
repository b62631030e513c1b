//! Draws figures as a bar plot. Independent of servers.

use crate::{
    load::OPERATIONS,
    rounds::{Round, medians},
    servers,
};
use std::fmt::Write;

/// Grouped bars of requests per second: a group for each operation, with a bar for each server.
pub fn plot(rounds: &[Round]) -> String {
    let rows: Vec<(&str, Vec<f64>)> = servers::ALL
        .into_iter()
        .map(|server| {
            let rate = |operation| medians(rounds, server, operation).requests_per_second;
            (server, OPERATIONS.into_iter().map(rate).collect())
        })
        .collect();
    draw(&rows)
}

fn draw(rows: &[(&str, Vec<f64>)]) -> String {
    const COLOURS: [&str; 4] = ["#9aa7b8", "#2f6fb2", "#c9b79a", "#b2572f"];
    const WIDTH: f64 = 760.0;
    const HEIGHT: f64 = 340.0;
    const LEFT: f64 = 60.0;
    const BASE: f64 = 290.0;
    let top = rows
        .iter()
        .flat_map(|(_, rates)| rates.iter().copied())
        .fold(1.0, f64::max);
    let group = (WIDTH - LEFT - 10.0) / OPERATIONS.len() as f64;
    let bar = group / (rows.len() as f64 + 1.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    for (o, operation) in OPERATIONS.iter().enumerate() {
        let x0 = LEFT + o as f64 * group;
        for (r, (_, rates)) in rows.iter().enumerate() {
            let rate = rates[o];
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
    for (r, (server, _)) in rows.iter().enumerate() {
        let x = LEFT + r as f64 * 170.0;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"12\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"22\">{}</text>",
            COLOURS[r % COLOURS.len()],
            x + 18.0,
            server
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
