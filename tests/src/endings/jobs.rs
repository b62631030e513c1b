//! Background work × every way in which its subject or recipient ends between being queued and being run.
//!
//! The queued work is inserted without triggers, so that nothing happens before the ending. Then the job runs, and what
//! it would have made new must not exist.

use super::{
    races::filled,
    scene::{Group, Hall, Named, SHARED, Scene},
    ways::{self, How},
};
use crate::{
    house,
    support::{model, root, server::settled},
    trending::stage::run,
};
use kernel::{
    Db,
    config::DbConfig,
    jobs::{self, Work, WorkerConfig},
};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::watch;

/// A job that makes something new. In `prepare` and `news`, `{label}` stands for the id of a row of the scene.
struct Case {
    job: &'static str,
    /// For a consumer: the event, and the label of the object that it is about.
    event: Option<(&'static str, &'static str)>,
    /// Labels of the rows that the work is about; these and what they depend on are ended.
    about: &'static [&'static str],
    prepare: &'static str,
    /// A query for the number of rows that the job makes or changes.
    news: &'static str,
    /// Endings after which it goes on: labels, ways, reason.
    goes_on: &'static [(
        &'static [&'static str],
        &'static [&'static str],
        &'static str,
    )],
}

const CASES: &[Case] = &[
    Case {
        job: "marketplace.spread",
        event: Some(("service_request.create", "request")),
        about: &["request", "business"],
        prepare: "delete from app.quotes where lead_id = '{lead}'; delete from app.leads where id = '{lead}'",
        news: "select count(*) from app.leads where service_request_id = '{request}'",
        goes_on: &[],
    },
    Case {
        job: "marketplace.catch_up",
        event: Some(("business.approve", "business")),
        about: &["request", "business"],
        prepare: "delete from app.quotes where lead_id = '{lead}'; delete from app.leads where id = '{lead}'",
        news: "select count(*) from app.leads where service_request_id = '{request}'",
        goes_on: &[],
    },
    Case {
        job: "marketplace.look_again",
        event: None,
        about: &["request", "business"],
        prepare: "delete from app.quotes where lead_id = '{lead}'; delete from app.leads where id = '{lead}'",
        news: "select count(*) from app.leads where service_request_id = '{request}'",
        goes_on: &[],
    },
    Case {
        job: "marketplace.host_shown",
        event: Some(("organization.approve", "organization")),
        about: &["request", "business"],
        prepare: "delete from app.quotes where lead_id = '{lead}'; delete from app.leads where id = '{lead}'",
        news: "select count(*) from app.leads where service_request_id = '{request}'",
        goes_on: &[],
    },
    Case {
        job: "promotions.keep",
        event: None,
        about: &["promotion"],
        prepare: "update app.promotions set state = 'approved', paid_at = now(), starts_at = now() - interval '1 hour' where id = '{promotion}'",
        news: "select count(*) from app.promotions where id = '{promotion}' and state = 'active'",
        goes_on: &[(&["promotion"], &["pay_by past"], "it is paid")],
    },
    Case {
        job: "broadcasts.hand_over",
        event: None,
        about: &["broadcast", "host", "role of the host"],
        prepare: "update app.broadcasts set state = 'scheduled' where id = '{broadcast}'",
        news: "select count(*) from app.notifications where dedupe_key = 'broadcast:{broadcast}'",
        goes_on: &[(&["event"], &["completed", "ends_at past"], "guests are thanked afterwards"), (&["host"], &["archived"], "the broadcast is the organisation's, whose member has left")],
    },
    Case {
        job: "notifications.tell",
        event: Some(("broadcasts.due", "broadcast")),
        about: &["broadcast", "host"],
        prepare: "update app.broadcasts set state = 'sending' where id = '{broadcast}'",
        news: "select count(*) from app.notifications where dedupe_key = 'broadcast:{broadcast}'",
        goes_on: &[(&["event"], &["completed", "ends_at past"], "guests are thanked afterwards"), (&["host"], &["suspended", "archived"], "it was handed over before")],
    },
    Case {
        job: "notifications.tell",
        event: Some(("event.publish", "event")),
        about: &["event", "friend"],
        prepare: "select 1",
        news: "select count(*) from app.notifications where dedupe_key = 'event_published:{event}' and user_id = '{friend}'",
        goes_on: &[],
    },
    Case {
        job: "notifications.tell",
        event: Some(("lead.create", "lead")),
        about: &["lead", "provider", "role of the provider"],
        prepare: "delete from app.notifications where data ->> 'lead' = '{lead}'; update app.leads set state = 'new' where id = '{lead}'",
        news: "select count(*) from app.notifications where data ->> 'lead' = '{lead}' and user_id = '{provider}'",
        goes_on: &[],
    },
    Case {
        job: "notifications.remind",
        event: None,
        about: &["event", "ticket"],
        prepare: "update app.tickets set state = 'void' where id = '{offered ticket}'; update app.events set starts_at = now() + interval '20 hours', ends_at = now() + interval '22 hours' where id = '{event}'",
        news: "select count(*) from app.notifications where dedupe_key ^@ 'event_soon:{event}' and user_id = '{buyer}'",
        goes_on: &[(&["organization"], &["suspended", "rejected"], "the tickets are paid, and the event takes place"), (&["free"], &["*"], "no more are sold; those that were stay valid"), (&["order"], &["*"], "the state of the ticket decides"), (&["ticket"], &["checked_in"], "of an event that goes on, who has been inside comes again")],
    },
    Case {
        job: "tickets.waitlist",
        event: None,
        about: &["entry"],
        prepare: "update app.waitlist_entries set ticket_type_id = '{free}', state = 'waiting', offered_type_id = null, offer_expires_at = null where id = '{entry}';
            update app.ticket_types set held = 0 where id = '{free}'",
        news: "select count(*) from app.waitlist_entries where id = '{entry}' and state = 'offered'",
        goes_on: &[],
    },
    Case {
        job: "wallet.reward_referral",
        event: Some(("tickets.paid", "unpaid order")),
        about: &["unpaid order", "friend"],
        prepare: "insert into app.referrals (referrer_id, referee_id, created_at) values ('{friend}', '{buyer}', now() - interval '1 minute');
            set session_replication_role = replica;
            update app.ticket_types t set refundable_until = null from app.order_items i
            where i.ticket_type_id = t.id and i.order_id = '{unpaid order}';
            set session_replication_role = origin;
            update app.orders set state = 'paid', paid_at = now() where id = '{unpaid order}'",
        news: "select count(*) from app.referrals where referee_id = '{buyer}' and state = 'rewarded'",
        goes_on: &[(&["event", "organization"], &["*"], "the order is paid; a reward for one that is refunded is taken back"), (&["unpaid order"], &["expires_at past"], "it is paid")],
    },
];

/// Jobs that make nothing new of a row that has ended, with the reason, or the test (file and name) that ends their
/// subjects.
const OTHERS: &[(&str, &str)] = &[
    ("audit.seal", "seals what has happened"),
    (
        "calendars.keep_local_times",
        "keeps the times of all events, also of those that may come back",
    ),
    (
        "fraud.look",
        "finds patterns, also of accounts that have ended",
    ),
    (
        "jobs.cascade",
        "archives what belongs to what has ended: the tests in database/later",
    ),
    ("jobs.purge", "deletes"),
    (
        "marketplace.charge",
        "fixes the fee of a quote that is accepted: the test money/fees::p3_the_payment_of_a_quote_that_is_archived_is_cancelled",
    ),
    ("media.audit", "finds files without rows"),
    ("media.clear", "deletes files"),
    (
        "media.place",
        "the test media/kept::md8_what_is_archived_or_suspended_is_not_served",
    ),
    (
        "media.place_below",
        "the test media/kept::md8_pictures_of_what_is_suspended_are_not_served",
    ),
    (
        "media.sweep",
        "deletes files: the test media/kept::md1_what_nobody_completes_is_deleted_after_a_day",
    ),
    (
        "notifications.lapse",
        "the messages are for the account's owner, and `delivery_obstacles` ends with the account",
    ),
    (
        "notifications.mail",
        "the test notifications/ended::no6_a_digest_leaves_out_what_is_hidden_meanwhile",
    ),
    ("notifications.purge", "deletes"),
    (
        "notifications.push",
        "the test notifications/ended::no1_news_of_a_community_end_with_the_membership",
    ),
    (
        "notifications.tell_part",
        "a part of `notifications.tell`, which looks at the same members again",
    ),
    ("payments.accrue", "adds up what was paid"),
    ("payments.cancel", "cancels payments"),
    (
        "payments.close_invoices",
        "voids invoices, and gives back what is paid all the same",
    ),
    (
        "payments.event",
        "reads the present state from the payment service",
    ),
    ("payments.pay_cities", "sends what was earned before"),
    ("payments.purge", "deletes"),
    (
        "payments.reconcile",
        "the test money/subscriptions::s4_the_plan_of_a_business_that_is_archived_is_cancelled",
    ),
    ("payments.refund", "gives back"),
    ("payments.refund_again", "gives back"),
    (
        "payments.resume",
        "finds out what became of a payment that was begun; orders decide on it when it has come",
    ),
    (
        "payments.resume_subscription",
        "finds out what became of a subscription that was begun",
    ),
    ("payments.top_up", "sends what was earned before"),
    ("payments.transfer", "sends what was earned before"),
    (
        "payments.watch_sales",
        "tells the hosts of events that are published and ahead; the message ends with the event",
    ),
    ("privacy.erase", "erases accounts that have ended"),
    ("promotions.end", "ends bookings"),
    ("promotions.event_cancelled", "ends bookings"),
    ("ratings.keep_policy", "stores a setting"),
    (
        "ratings.refresh",
        "computes sums; what is shown of them is tested by `shown.rs`",
    ),
    (
        "sessions.change_address",
        "the test database/endings::nothing_begins_on_what_has_ended",
    ),
    ("sessions.invite", "is about an address that has no account"),
    (
        "sessions.mail",
        "the link in it ends with the account: the test database/endings::nothing_begins_on_what_has_ended",
    ),
    ("sessions.purge", "deletes"),
    (
        "sessions.reset",
        "the test database/endings::nothing_begins_on_what_has_ended",
    ),
    (
        "tickets.called_off",
        "gives back what was paid for an event that is cancelled",
    ),
    ("tickets.expire", "ends orders"),
    ("tickets.expire_transfers", "ends offers"),
    (
        "tickets.wind_up",
        "gives back what was paid for an event that is cancelled",
    ),
    (
        "tickets.wind_up_all",
        "gives back what was paid for an event that is cancelled",
    ),
    ("trending.compare", "corrects the ranks of what is shown"),
    ("trending.forget", "deletes"),
    (
        "trending.rank",
        "the test trending/lists::tr6_what_is_over_hidden_or_elsewhere_is_gone_at_once",
    ),
    ("wallet.lapse", "ends credits"),
    ("wallet.lose_reward", "takes back"),
    ("wallet.reconcile", "compares sums"),
    ("wallet.revoke_reward", "takes back"),
    (
        "wallet.reward_later",
        "does what `wallet.reward_referral` does, later",
    ),
];

/// A worker that looks for jobs more often than that of the server.
fn worker(hall: &Hall) -> watch::Sender<bool> {
    let database = &hall.server.database;
    let mut config = DbConfig::new(database.url("culturepass_app").into());
    config.job_url = Some(database.url("culturepass_job").into());
    (config.connections, config.job_connections) = (1, 2);
    let work = Work {
        periodic: Vec::new(),
        ..hall.server.built.app.work()
    };
    let (stop, stopped) = watch::channel(false);
    let config_of_worker = WorkerConfig {
        poll: Duration::from_millis(5),
        ..WorkerConfig::default()
    };
    let db = Db::connect(&config).expect("URLs");
    tokio::spawn(jobs::run(db, Arc::new(work), config_of_worker, stopped));
    stop
}

impl Case {
    fn name(&self) -> String {
        match self.event {
            Some((event, _)) => format!("{} of {event}", self.job),
            None => self.job.to_owned(),
        }
    }

    async fn begin<'h>(&self, hall: &'h Hall) -> Scene<'h> {
        let mut scene = Scene::new(hall, Group::Plain).await;
        settled(&mut scene.conn).await;
        let prepare = filled(&scene, self.prepare);
        scene.sql(format!("set session_replication_role = replica; {prepare}; set session_replication_role = origin")).await;
        scene
    }

    async fn run(&self, scene: &mut Scene<'_>) {
        settled(&mut scene.conn).await;
        let payload = match self.event {
            Some((event, label)) => {
                let row = scene.row(label);
                json!({"event_id": uuid::Uuid::now_v7(), "event": event, "entity_type": row.kind(), "entity_id": row.id, "caused_by": null,
                    "created_at": chrono::Utc::now(), "payload": {}})
            }
            None => json!({}),
        };
        sqlx::query("insert into jobs.queue (name, payload, max_attempts) values ($1, $2, 5)")
            .bind(self.job)
            .bind(payload)
            .execute(&mut *scene.conn)
            .await
            .expect("queued");
        settled(&mut scene.conn).await;
    }

    async fn news(&self, scene: &mut Scene<'_>) -> i64 {
        let text = filled(scene, self.news);
        scene.one(text).await
    }

    fn goes_on(&self, label: &str, how: &How) -> bool {
        // A suspended city hides and stops nothing of its hosts.
        if label == "city" && *how == How::Suspended {
            return true;
        }
        let has =
            |list: &[&str], one: &str| list.iter().any(|known| *known == "*" || *known == one);
        self.goes_on
            .iter()
            .any(|(rows, ways, _)| has(rows, label) && has(ways, &how.to_string()))
    }

    async fn endings(&self, hall: &Hall) -> Vec<(String, How)> {
        let mut scene = self.begin(hall).await;
        let mut rows: BTreeSet<Named> = BTreeSet::new();
        for label in self.about {
            let row = scene.row(label).clone();
            rows.extend(scene.foundations(&row).await);
        }
        let mut all = Vec::new();
        for row in rows.iter().filter(|row| !SHARED.contains(&row.kind())) {
            let label = scene.label(row);
            assert!(scene.rows.contains_key(&label), "give {label} a label");
            all.extend(
                ways::of(&model().entities[row.entity])
                    .into_iter()
                    .map(|how| (label.clone(), how)),
            );
        }
        all
    }

    async fn faults(&self, hall: &Hall) -> Vec<String> {
        let mut faults = Vec::new();
        let mut scene = self.begin(hall).await;
        self.run(&mut scene).await;
        if self.news(&mut scene).await == 0 {
            faults.push(format!(
                "{}: nothing comes of it although nothing has ended",
                self.name()
            ));
        }
        let mut went_on = BTreeSet::new();
        for (label, how) in self.endings(hall).await {
            let mut scene = self.begin(hall).await;
            let row = scene.row(&label).clone();
            if !ways::end(&mut scene, &row, &how).await {
                continue;
            }
            self.run(&mut scene).await;
            let has_news = self.news(&mut scene).await > 0;
            if has_news && !self.goes_on(&label, &how) {
                faults.push(format!("{} goes on with {label} {how}", self.name()));
            }
            if has_news {
                went_on.insert((label, how.to_string()));
            }
        }
        for (rows, ways, because) in self.goes_on {
            let has =
                |list: &[&str], one: &str| list.iter().any(|known| *known == "*" || *known == one);
            let is_needed = |row: &str| {
                went_on
                    .iter()
                    .any(|(label, how)| (row == "*" || label == row) && has(ways, how))
            };
            let idle = rows.iter().filter(|row| !is_needed(row));
            faults.extend(idle.map(|row| {
                format!(
                    "{}: the exception of {row} ({because}) is not needed",
                    self.name()
                )
            }));
        }
        faults
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_work_makes_nothing_new_of_what_has_ended() {
    let hall = Hall::with(|parts| {
        parts.modules.wallet.referral_rewards = vec!["AUD:500".parse().expect("a reward")];
    })
    .await;
    let _worker = worker(&hall);
    let mut faults = Vec::new();
    for case in CASES {
        faults.extend(case.faults(&hall).await);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The negative control: without the guard, businesses are asked in the name of a host that has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_goes_on_without_a_guard_is_found() {
    let hall = Hall::new().await;
    let _worker = worker(&hall);
    let unguarded = "create or replace function app.is_shown(p_host uuid) returns boolean language sql stable set search_path = pg_catalog, pg_temp as 'select true'";
    run(&mut *hall.server.superuser().await, unguarded.to_owned()).await;
    let found = CASES[0].faults(&hall).await;
    assert!(
        found
            .iter()
            .any(|fault| fault.contains("goes on with organization suspended")),
        "{found:?}"
    );
}

/// A new job has to be looked at: what comes of it if its subject has ended?
#[tokio::test]
async fn every_job_says_what_becomes_of_it_when_its_subject_ends() {
    let hall = Hall::new().await;
    let work = hall.server.built.app.work();
    let mut known: Vec<&str> = work.jobs.iter().map(jobs::Job::name).collect();
    let cases: BTreeSet<&str> = CASES.iter().map(|case| case.job).collect();
    let mut said: Vec<&str> = cases
        .into_iter()
        .chain(OTHERS.iter().map(|(job, _)| *job))
        .collect();
    known.sort_unstable();
    said.sort_unstable();
    assert_eq!(said, known);
    for (job, reason) in OTHERS {
        let Some((_, test)) = reason.split_once("test ") else {
            continue;
        };
        let (file, name) = test.split_once("::").expect("file::name");
        let text = std::fs::read_to_string(root().join("tests/src").join(format!("{file}.rs")))
            .expect("a file");
        assert!(
            text.contains(&format!("async fn {name}(")),
            "{job}: there is no test {test}"
        );
    }

    // Operators look jobs up there. Those of a module that somebody has just added need not be on the page.
    let page = std::fs::read_to_string(root().join("docs/reference.md")).expect("a page");
    let rows = house::rows(&page, "| job | when | what it does |");
    let told: BTreeSet<&str> = rows
        .iter()
        .map(|cells| cells[0].trim_matches('`'))
        .collect();
    let modules: BTreeSet<&str> = told
        .iter()
        .filter_map(|job| job.split('.').next())
        .collect();
    let is_old = |job: &&str| {
        job.split('.')
            .next()
            .is_some_and(|module| modules.contains(module))
    };
    let known: BTreeSet<&str> = known.into_iter().filter(is_old).collect();
    assert_eq!(told, known);
}
