//! Buying and paying: `bench money`. The cost of an order and of a transfer in the database, compared with an update
//! of one row, which is the limit for everything that counts stock; and a purchase over HTTP from the order to the
//! ticket.
//!
//! pgbench runs the same functions as the server with the same settings, but with the owner's login, so row-level security
//! policies do not apply.

use crate::{
    AUDIENCE, ISSUER, limit, prepare,
    prepare::Caller,
    servers::{GENERATED_SECURED, Keys, Server},
    webhooks, world,
};
use anyhow::{Result, ensure};
use kernel::{auth, config::TokenConfig};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

/// The number of buyers, each with credits.
const BUYERS: usize = 2_000;

/// The number of concurrent HTTP requests.
const AT_ONCE: usize = 32;

/// An event with a hundred ticket types that are paid with credits, and accounts that transfer to each other.
const WORLD: &str = "
  create table public.limit_rows (id int primary key, n int not null) with (fillfactor = 50);
  insert into public.limit_rows select n, 0 from generate_series(1, 1000) n;
  set session_replication_role = replica;
  insert into app.organizations (id, city_id, name, slug, state)
    select 'a0000000-0000-7000-8000-000000000000', c.id, 'The house', 'the-house', 'approved' from app.cities c where c.slug = 'city-1';
  insert into app.connected_accounts (owner_type, owner_id, stripe_account_id, country, requirements_due, charges_enabled,
      payouts_enabled, transfers_active)
    values ('organization', 'a0000000-0000-7000-8000-000000000000', 'acct_bench', 'AU', '{}', true, true, true);
  insert into app.events (id, title, slug, starts_at, ends_at, timezone, state, city_id, host_type, host_id)
    select 'b0000000-0000-7000-8000-000000000000', 'Everybody comes', 'everybody-comes', now() + interval '1 year',
      now() + interval '1 year 2 hours', 'UTC', 'published', o.city_id, 'organization', o.id
    from app.organizations o where o.slug = 'the-house';
  insert into app.ticket_types (id, event_id, name, price_cents, currency, capacity, per_user_limit)
    select ('c0000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'b0000000-0000-7000-8000-000000000000', 'Type ' || n, 1500,
      'AUD', 1000000, 100
    from generate_series(0, 100) n;
  insert into app.commission_rules (type, basis_points, currency, valid_from)
    values ('ticket', 1000, 'AUD', now() - interval '1 day');
  insert into app.users (handle, display_name, email)
    select 'bench_buyer_' || n, 'Bench', 'buyer' || n || '@example.org' from generate_series(1, BUYERS) n;
  insert into app.sessions (user_id, expires_at)
    select u.id, now() + interval '1 day' from app.users u where u.handle like 'bench_buyer_%';
  insert into counters.events (id) values ('b0000000-0000-7000-8000-000000000000') on conflict do nothing;
  reset session_replication_role;
  do $$
  declare v_cash uuid; v_to uuid; r record;
  begin
    v_cash := app.system_wallet('platform_cash', null, null, 'AUD');
    for r in select id, row_number() over (order by id) as n from app.users where handle like 'bench_buyer_%' loop
      v_to := app.wallet_of(r.id, 'AUD');
      perform app.post_journal('adjustment', 'bench:' || r.id, null, null, null, jsonb_build_array(
        jsonb_build_object('wallet_id', v_cash, 'amount_cents', -100000000),
        jsonb_build_object('wallet_id', v_to, 'amount_cents', 100000000)));
    end loop;
  end $$;
  create table public.bench_accounts (n int primary key, id uuid not null);
  insert into public.bench_accounts
    select row_number() over (order by w.id), w.id from app.wallet_accounts w where w.kind = 'user' and w.currency = 'AUD';
  create function public.bench_holds(p_order uuid) returns boolean language plpgsql as $$
  begin
    perform app.hold_tickets(p_order);
    return true;
  exception when check_violation then
    return false;
  end
  $$;
  create table public.bench_buyers (n int primary key, id uuid not null);
  insert into public.bench_buyers
    select row_number() over (order by u.id), u.id from app.users u where u.handle like 'bench_buyer_%'";

/// The measurements, in the order of the report: a name, the index of the measurement that is the limit, and pgbench's
/// script.
const SCRIPTS: [(&str, usize, &str); 6] = [
    (
        "update of one row by all",
        0,
        "update public.limit_rows set n = n + 1 where id = 1;\n",
    ),
    (
        "update of one of 1,000 rows",
        1,
        "\\set n random(1, 1000)\nupdate public.limit_rows set n = n + 1 where id = :n;\n",
    ),
    (
        "order of a ticket, one type for all",
        0,
        "\\set type 0\nORDER",
    ),
    (
        "order of a ticket, one of 100 types",
        1,
        "\\set type random(1, 100)\nORDER",
    ),
    (
        "transfer from one account, others receive",
        0,
        "\\set from 1\n\\set to random(2, BUYERS)\nTRANSFER",
    ),
    (
        "transfer between any two of 2,000 accounts",
        1,
        "\\set from random(1, BUYERS)\n\\set to :from % BUYERS + 1\nTRANSFER",
    ),
];

/// An order, its item, and, as the last statement, reserving the stock, in one transaction.
const ORDER: &str = "\\set buyer random(1, BUYERS)
begin;
INSERT
select app.hold_tickets((:order_id)::uuid);
commit;
";

const INSERT: &str = "insert into app.orders (user_id, event_id, subtotal_cents, amount_cents, card_cents, organizer_cents, currency, expires_at, idempotency_key)
  select b.id, 'b0000000-0000-7000-8000-000000000000', 1500, 1500, 1500, 1500, 'AUD', now() + interval '15 minutes', gen_random_uuid()::text
  from public.bench_buyers b where b.n = :buyer returning id as order_id \\gset
insert into app.order_items (order_id, ticket_type_id, quantity, unit_price_cents, subtotal_cents, total_cents, currency)
  values ((:order_id)::uuid, ('c0000000-0000-7000-8000-' || lpad((:type)::int::text, 12, '0'))::uuid, 1, 1500, 1500, 1500, 'AUD');";

/// More attempts than there are tickets, as pgbench's number of transactions for each of its sixteen clients.
const ATTEMPTS: u32 = 250;

/// An attempt to buy one of the last tickets of a type, as the server makes it: who comes too late for an order is
/// refused when the type is read, and who comes too late for the stock by `app.hold_tickets`.
const ATTEMPT: &str = "\\set type 0
\\set buyer random(1, BUYERS)
begin;
select t.held + t.sold < t.capacity as is_left from app.ticket_types t where t.id = 'c0000000-0000-7000-8000-000000000000' \\gset
\\if :is_left
INSERT
select public.bench_holds((:order_id)::uuid) as is_held \\gset
\\if :is_held
commit;
\\else
rollback;
\\endif
\\else
rollback;
\\endif
";

pub const STAMPEDE: &str = "4,000 attempts to buy one of the last 2,000 tickets of a type";

const TRANSFER: &str = "select app.post_journal('adjustment', 'transfer:' || gen_random_uuid(), null, null, null, jsonb_build_array(
  jsonb_build_object('wallet_id', f.id, 'amount_cents', -1), jsonb_build_object('wallet_id', t.id, 'amount_cents', 1)))
from public.bench_accounts f, public.bench_accounts t where f.n = :from and t.n = :to;
";

/// Purchases with credits over HTTP, from the order to the ticket: a name and the number of ticket types.
const PURCHASES: [(&str, usize); 2] = [
    (
        "purchase with credits over HTTP, from the order to the ticket, one type for all",
        1,
    ),
    ("the same, one of 100 types", 100),
];

pub struct Money<'a> {
    pub admin: &'a str,
    pub files: &'a Path,
    pub keys: &'a Keys,
    pub seconds: u32,
    pub pool: u32,
}

/// Returns the medians of the rounds as a Markdown table. Every other round runs in the reverse order.
pub async fn run(money: &Money<'_>, rounds: u32) -> Result<String> {
    let mut conn = PgConnection::connect(&prepare::on(money.admin, prepare::SECURED)).await?;
    let world = WORLD.replace("BUYERS", &BUYERS.to_string());
    for text in [world, "vacuum analyze".to_owned()] {
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut conn)
            .await?;
    }
    let tokens = money.tokens(&mut conn).await?;
    let mut measured = Measured {
        rates: vec![Vec::new(); SCRIPTS.len()],
        ..Measured::default()
    };
    for round in 1..=rounds {
        let mut order: Vec<usize> = (0..SCRIPTS.len()).collect();
        if round.is_multiple_of(2) {
            order.reverse();
        }
        for n in order {
            let rate = money.pgbench(SCRIPTS[n].2)?;
            eprintln!("round {round} {rate:8.0}/s {}", SCRIPTS[n].0);
            measured.rates[n].push(rate);
        }
        let rate = money.stampede(&mut conn).await?;
        eprintln!("round {round} {rate:8.0}/s {STAMPEDE}");
        measured.stampedes.push(rate);
        for (n, (name, types)) in PURCHASES.into_iter().enumerate() {
            let (rate, p95) = money.purchases(&tokens, types).await?;
            eprintln!("round {round} {rate:8.0}/s {name}");
            measured.purchases[n].push(rate);
            measured.p95_ms[n].push(p95);
        }
        for text in ["vacuum analyze", "checkpoint"] {
            sqlx::raw_sql(text).execute(&mut conn).await?;
        }
    }
    money.sound(&mut conn).await?;
    let webhooks = webhooks::run(money, &mut conn).await?;
    Ok(format!("{}\n{}", measured.table(), world::table(&webhooks)))
}

/// Rates per second, a list for each measurement with a value of each round.
#[derive(Default)]
struct Measured {
    rates: Vec<Vec<f64>>,
    stampedes: Vec<f64>,
    purchases: [Vec<f64>; PURCHASES.len()],
    p95_ms: [Vec<f64>; PURCHASES.len()],
}

impl Measured {
    fn table(&self) -> String {
        let limits = &self.rates[0];
        let mut text = "| what | a second | of the update |\n|---|--:|--:|\n".to_owned();
        let mut row = |name: &str, measured: &[f64], note: &str, limits: &[f64]| {
            let (rate, ratio) = (median(measured), ratio(measured, limits));
            text += &format!("| {name} | {rate:.0}{note} | {ratio:.2} |\n");
        };
        for ((name, limit, _), measured) in SCRIPTS.iter().zip(&self.rates) {
            row(name, measured, "", &self.rates[*limit]);
        }
        row(STAMPEDE, &self.stampedes, "", limits);
        for (n, (name, _)) in PURCHASES.iter().enumerate() {
            let note = format!(" (p95 {:.0} ms)", median(&self.p95_ms[n]));
            row(name, &self.purchases[n], &note, limits);
        }
        text
    }
}

impl Money<'_> {
    fn pgbench(&self, script: &str) -> Result<f64> {
        let (file, url) = self.script(script)?;
        limit::pgbench_by(16, &file, &url, self.seconds).map(|ran| ran.transactions_per_second)
    }

    /// Attempts per second.
    async fn stampede(&self, conn: &mut PgConnection) -> Result<f64> {
        let (file, url) = self.script(ATTEMPT)?;
        let capacity = |capacity: &str| {
            format!(
                "update app.ticket_types set capacity = {capacity} where id = 'c0000000-0000-7000-8000-000000000000'"
            )
        };
        sqlx::raw_sql(AssertSqlSafe(capacity("held + sold + 2000")))
            .execute(&mut *conn)
            .await?;
        let ran = limit::pgbench_times(ATTEMPTS, &file, &url)?;
        let left: i32 = sqlx::query_scalar(
            "select capacity - held - sold from app.ticket_types where id = 'c0000000-0000-7000-8000-000000000000'",
        )
        .fetch_one(&mut *conn)
        .await?;
        ensure!(left == 0, "{left} tickets are left");
        sqlx::raw_sql(AssertSqlSafe(capacity("1000000")))
            .execute(conn)
            .await?;
        Ok(ran.transactions_per_second)
    }

    fn script(&self, script: &str) -> Result<(PathBuf, String)> {
        let script = script
            .replace("ORDER", ORDER)
            .replace("INSERT", INSERT)
            .replace("TRANSFER", TRANSFER)
            .replace("BUYERS", &BUYERS.to_string());
        let file = self.files.join("money.sql");
        fs::write(&file, script)?;
        Ok((file, prepare::on(self.admin, prepare::SECURED)))
    }

    async fn tokens(&self, conn: &mut PgConnection) -> Result<Vec<String>> {
        let sessions: Vec<(Uuid, Uuid)> = sqlx::query_as(
            "select s.user_id, s.id from app.sessions s join app.users u on u.id = s.user_id where u.handle like 'bench_buyer_%'",
        )
        .fetch_all(conn)
        .await?;
        let key = self.keys.private_pem.clone().into();
        let mut config = TokenConfig::new(ISSUER.into(), AUDIENCE.into(), key);
        config.lifetime = Duration::from_secs(6 * 60 * 60);
        let tokens = auth::Tokens::new(&config)?;
        let now = chrono::Utc::now().timestamp();
        let callers = sessions
            .into_iter()
            .map(|(user, session)| Caller { user, session });
        let issued =
            callers.map(|caller| Ok(tokens.issue(caller.user, caller.session, now)?.token));
        issued.collect()
    }

    /// Purchases per second, and the p95 of a purchase in milliseconds.
    async fn purchases(&self, tokens: &[String], types: usize) -> Result<(f64, f64)> {
        let server = Server::start(GENERATED_SECURED, self.admin, self.pool, self.keys)?;
        let url = format!("http://127.0.0.1:{}/orders", server.port);
        let tokens: Arc<[String]> = tokens.into();
        let next = Arc::new(AtomicU64::new(0));
        let until = Instant::now() + Duration::from_secs(self.seconds.into());
        let mut tasks = Vec::new();
        for _ in 0..AT_ONCE {
            let (url, tokens, next) = (url.clone(), tokens.clone(), next.clone());
            tasks.push(tokio::spawn(buy(url, tokens, next, types, until)));
        }
        let begun = Instant::now();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await??);
        }
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(!all.is_empty(), "nobody has bought anything");
        let rate = all.len() as f64 / seconds;
        all.sort_by(f64::total_cmp);
        Ok((rate, all[(all.len() * 95 / 100).min(all.len() - 1)]))
    }

    /// Fails if the invariants of money do not hold, since the measurements would be worthless.
    async fn sound(&self, conn: &mut PgConnection) -> Result<()> {
        let faults: Vec<String> =
            sqlx::query_scalar("select fault from app.money_invariants limit 5")
                .fetch_all(conn)
                .await?;
        ensure!(faults.is_empty(), "the books do not agree: {faults:?}");
        Ok(())
    }
}

/// Buys one ticket after the other, each for the next member. Returns the latencies in milliseconds.
async fn buy(
    url: String,
    tokens: Arc<[String]>,
    next: Arc<AtomicU64>,
    types: usize,
    until: Instant,
) -> Result<Vec<f64>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut took = Vec::new();
    while Instant::now() < until {
        let n = usize::try_from(next.fetch_add(1, Relaxed))?;
        let kind = format!("c0000000-0000-7000-8000-{:012}", n % types);
        let body = json!({"event_id": "b0000000-0000-7000-8000-000000000000", "use_credits": true,
            "items": [{"ticket_type_id": kind, "quantity": 1}]});
        let begun = Instant::now();
        let answer = client
            .post(&url)
            .bearer_auth(&tokens[n % tokens.len()])
            .header("idempotency-key", Uuid::now_v7().to_string())
            .json(&body)
            .send()
            .await?;
        let (status, text) = (answer.status(), answer.text().await?);
        // Every member may hold a hundred tickets.
        ensure!(status == 201, "a purchase: {status} {text}");
        ensure!(text.contains("\"paid\""), "not paid: {text}");
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// The median of the ratios, which are computed in each round: a slow round slows both.
fn ratio(rates: &[f64], limits: &[f64]) -> f64 {
    let each: Vec<f64> = rates
        .iter()
        .zip(limits)
        .map(|(rate, limit)| rate / limit)
        .collect();
    median(&each)
}
