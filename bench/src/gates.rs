//! The ratios that must be reached, and the measured ones.
//!
//! A ratio is computed within each round, and the median of the rounds counts: other load on the machine differs from
//! round to round, and less within a round.

use crate::{
    load::OPERATIONS,
    rounds::{
        GET_BY_NONE, GET_BY_ONE, LIKE, PAGE_90, Round, UPDATE_ORDINARY, cold_start_ms, middle,
        peak_memory_mb,
    },
    servers::{GENERATED_PLAIN, GENERATED_SECURED, HAND_PLAIN, HAND_SECURED},
};

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

pub fn gates(rounds: &[Round]) -> Vec<Gate> {
    let median =
        |figure: &dyn Fn(&Round) -> f64| middle(rounds.iter().map(figure).collect::<Vec<_>>());
    let mut gates = against_hand_written(&median);
    gates.extend(own(rounds, &median));
    gates
}

type Median<'a> = dyn Fn(&dyn Fn(&Round) -> f64) -> f64 + 'a;

fn against_hand_written(median: &Median<'_>) -> Vec<Gate> {
    [
        (GENERATED_PLAIN, HAND_PLAIN),
        (GENERATED_SECURED, HAND_SECURED),
    ]
    .into_iter()
    .flat_map(|pair| OPERATIONS.map(|operation| (pair, operation)))
    .map(|((generated, hand), operation)| {
        let ratio = |round: &Round| round.rate(generated, operation) / round.rate(hand, operation);
        at_least(
            format!("{generated} / {hand}, {operation}"),
            median(&ratio),
            0.90,
        )
    })
    .collect()
}

fn own(rounds: &[Round], median: &Median<'_>) -> Vec<Gate> {
    let of_plain = |operation: &'static str| {
        median(&move |r: &Round| {
            r.rate(GENERATED_SECURED, operation) / r.rate(GENERATED_PLAIN, "get")
        })
    };
    let of_pgbench = |operation: &'static str| {
        median(&move |r: &Round| {
            r.rate(GENERATED_PLAIN, operation) / r.limits[operation].transactions_per_second
        })
    };
    let cpu_us = |r: &Round, operation| r.figures[&(GENERATED_SECURED, operation)].postgres_cpu_us;
    let limit_us = |r: &Round, name| r.limits[name].postgres_cpu_us;
    vec![
        at_least(
            "generated secured / plain, get by a member without a role".into(),
            of_plain(GET_BY_NONE),
            // Not reached yet: ADR 30.
            0.60,
        ),
        at_least(
            "generated secured / plain, get by who administers one city".into(),
            of_plain(GET_BY_ONE),
            0.60,
        ),
        at_least(
            "generated secured / plain, get by who administers fifty".into(),
            of_plain("get"),
            0.60,
        ),
        at_least(
            "generated plain get / pgbench".into(),
            of_pgbench("get"),
            0.27,
        ),
        at_least(
            "generated plain list / pgbench".into(),
            of_pgbench("list"),
            0.28,
        ),
        at_most(
            "page 90 / page 1 of the API, PostgreSQL CPU".into(),
            median(&|r| cpu_us(r, PAGE_90) / cpu_us(r, "list")),
            1.3,
        ),
        at_most(
            "page 90 / page 1 of the bare statement, PostgreSQL CPU".into(),
            median(&|r| limit_us(r, "page 90") / limit_us(r, "list")),
            1.3,
        ),
        at_most(
            "update audited / not, PostgreSQL CPU".into(),
            median(&|r| limit_us(r, "update, audited") / limit_us(r, "update")),
            1.6,
        ),
        at_most(
            "create, PostgreSQL CPU in reads of pgbench".into(),
            median(&|r| cpu_us(r, "create") / limit_us(r, "get")),
            16.0,
        ),
        at_most(
            "update of a searched field, PostgreSQL CPU in reads of pgbench".into(),
            median(&|r| cpu_us(r, "update") / limit_us(r, "get")),
            18.0,
        ),
        at_most(
            "update of an ordinary field, PostgreSQL CPU in reads of pgbench".into(),
            median(&|r| cpu_us(r, UPDATE_ORDINARY) / limit_us(r, "get")),
            12.0,
        ),
        at_most(
            "like, PostgreSQL CPU in reads of pgbench".into(),
            median(&|r| cpu_us(r, LIKE) / limit_us(r, "get")),
            20.0,
        ),
        at_most(
            "WAL of a like, bytes".into(),
            median(&|r| r.wal_bytes_per_like),
            1500.0,
        ),
        at_most(
            "peak memory MB".into(),
            peak_memory_mb(rounds, GENERATED_SECURED),
            30.0,
        ),
        at_most(
            "cold start s".into(),
            cold_start_ms(rounds, GENERATED_SECURED) / 1e3,
            0.1,
        ),
    ]
}

fn at_least(name: String, value: f64, bound: f64) -> Gate {
    Gate {
        name,
        value,
        bound,
        at_least: true,
    }
}

fn at_most(name: String, value: f64, bound: f64) -> Gate {
    Gate {
        name,
        value,
        bound,
        at_least: false,
    }
}
