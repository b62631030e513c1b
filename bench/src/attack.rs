//! The effect of one demanding caller on all others: reads by id are timed while another caller keeps many connections
//! busy with the most expensive requests that are allowed.

use crate::{
    search::latencies,
    world::{self, Aim, Line},
};
use anyhow::Result;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

const CONNECTIONS: usize = 24;

/// The limit for the ratio of a reader's p99 under attack to its p99 without other requests.
const AT_MOST: f64 = 4.0;

/// Counted lists with a word, a radius or a box, in an order that no index supports.
const LISTS: [&str; 4] = [
    "/events?q=concert&sort=starts_at&count=exact",
    "/events?q=co&sort=-title&count=exact",
    "/events?near=47.4,8.4&radius_m=100000&sort=title&count=exact",
    "/events?bbox=-180,-90,180,90&count=exact",
];

/// Requests to hand-written modules that search.
const MODULES: [&str; 4] = [
    "/search?q=co",
    "/map?bbox=-180,-90,180,90&q=concert",
    "/events/upcoming?bbox=8,47,8.8,47.8&category=concert&open_seats=10",
    "/events/trending?city_id=CITY&variant=scaled",
];

/// A member's requests for dashboards and the export.
const SCREENS: [&str; 4] = ["/me/home", "/me/calendar", "/me/export", "/me/feed"];

pub struct Attacked<'a> {
    pub base: &'a str,
    pub client: &'a reqwest::Client,
    /// The URL that the reader requests.
    pub read: String,
    pub reader: &'a str,
    /// The token of the member who requests [`SCREENS`].
    pub attacker: &'a str,
    pub requests: usize,
}

impl Attacked<'_> {
    pub async fn measure(&self, city: &str) -> Result<String> {
        let attacks = [
            ("lists of a stranger", LISTS, None),
            (
                "searches, maps and what trends, of a stranger",
                MODULES,
                None,
            ),
            ("screens of a member", SCREENS, Some(self.attacker)),
        ];
        let mut lines = Vec::new();
        for (what, paths, token) in attacks {
            // The latency without an attack is measured for each attack anew, since the database's cache warms up.
            let idle = self.latencies().await?;
            let paths = paths.map(|path| format!("{}{}", self.base, path.replace("CITY", city)));
            let attack = Attack::start(paths, token);
            let attacked = self.latencies().await?;
            let answers = attack.stop().await;
            let about = format!(
                "p99 of a read by id while {CONNECTIONS} connections ask for {what}, by p99 of before \
                 ({:.1} / {:.1} ms; {answers} answers)",
                attacked[2], idle[2]
            );
            let ratio = attacked[2] / idle[2];
            lines.push(Line::new(about, ratio, "", Aim::AtMost(AT_MOST)));
        }
        Ok(world::table(&lines))
    }

    async fn latencies(&self) -> Result<[f64; 3]> {
        latencies(self.client, &self.read, Some(self.reader), self.requests).await
    }
}

/// One caller on many connections, each of which sends the next request as soon as it has an answer.
struct Attack {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Attack {
    fn start(paths: [String; 4], token: Option<&str>) -> Self {
        let (stop, answers) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let tasks = (0..CONNECTIONS)
            .map(|number| {
                let path = paths[number % paths.len()].clone();
                let token = token.map(str::to_owned);
                let (stop, answers) = (stop.clone(), answers.clone());
                tokio::spawn(async move {
                    let client = reqwest::Client::new();
                    while !stop.load(Relaxed) {
                        let mut request = client.get(&path);
                        if let Some(token) = &token {
                            request = request.bearer_auth(token);
                        }
                        match request.send().await {
                            Ok(answer) => drop(answer.bytes().await),
                            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                        }
                        answers.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        Self {
            stop,
            answers,
            tasks,
        }
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, Relaxed);
        for task in self.tasks {
            let _ = task.await;
        }
        self.answers.load(Relaxed)
    }
}
