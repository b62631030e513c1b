//! Counts attempts, to slow down guessing.
//!
//! An attempt is counted before it is made, so that concurrent attempts are all counted. The keys of counters are
//! keyed hashes of what is counted; they are the same for accounts that exist and those that don't.

use super::{Sessions, password::normal, too_many};
use kernel::{Cx, Member, Result, Visitor, http::client};
use secrecy::{ExposeSecret, SecretString};
use std::{collections::HashMap, net::IpAddr, time::Duration};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);

/// A counter and its limit.
struct Counter {
    key: String,
    limit: i32,
    /// By how much to increase it. 0: it is only compared with the limit.
    add: i32,
}

/// Counters that are counted together.
struct Stage {
    counters: Vec<Counter>,
    /// Whether the limits don't apply to networks from which the member has signed in before.
    spares_owner: bool,
}

/// A sign-in attempt that was counted, and how to undo the count if it succeeds.
pub struct Attempt {
    /// All keys, in the order in which an attempt is counted. Undoing it locks them in the same order, so that it can't
    /// deadlock with another attempt for the same account from the same network.
    order: Vec<String>,
    /// Keys of counters that only this account and network use: they are reset.
    forget: Vec<String>,
    /// Keys of counters that are shared with other callers: they are decreased by one.
    uncount: Vec<String>,
}

/// The purpose of an email. Each has a limit of its own, so that requests of one kind don't use up another.
#[derive(Clone, Copy)]
pub enum Mailing {
    SignUp,
    ResetPassword,
    ChangeEmail,
}

/// The network of a caller, by which attempts are counted: an IPv4 address, or a /64 of IPv6. Empty if the address is
/// unknown.
pub fn network(ip: Option<IpAddr>) -> String {
    ip.map(network_of).unwrap_or_default()
}

fn network_of(ip: IpAddr) -> String {
    client::bucket(ip).to_string()
}

impl Attempt {
    pub async fn succeeded(&self, cx: &mut Cx) -> Result<()> {
        let held: Vec<Uuid> = sqlx::query_scalar(
            "select t.id from app.throttles t where t.key_hash = any($1) order by array_position($1, t.key_hash) for update",
        )
        .bind(&self.order)
        .fetch_all(cx.conn())
        .await?;
        // No other rows: one that an attempt has made since is locked in no order.
        sqlx::query(
            "with forgotten as (delete from app.throttles where key_hash = any($1) and id = any($3))
             update app.throttles set attempts = greatest(attempts - 1, 0) where key_hash = any($2) and id = any($3)",
        )
        .bind(&self.forget)
        .bind(&self.uncount)
        .bind(held)
        .execute(cx.conn())
        .await?;
        Ok(())
    }
}

impl Sessions {
    /// Counts a sign-in attempt: for the account from this network, for the network, for the account from anywhere,
    /// and for the password over many accounts. The limits over all networks don't apply to a network from which the
    /// member has signed in before, so that others can't lock the owner out of the account.
    pub(super) async fn count_sign_in(
        &self,
        caller: &Visitor,
        email: &str,
        password: &SecretString,
    ) -> Result<Attempt> {
        let network = network(caller.ip);
        // In the form in which it is checked, since one password has several encodings.
        let bits = self.0.key.few_bits(normal(password).expose_secret());
        let (network, bits) = (network.as_str(), bits.as_str());
        let counted = self.run(caller.request_id, move |cx| {
            Box::pin(self.count_attempt(cx, email, network, bits))
        });
        match counted.await? {
            (_, Some(seconds)) => Err(too_many(seconds)),
            (attempt, None) => Ok(attempt),
        }
    }

    /// Counts an attempt with a password of these bits. Returns how long to wait if it exceeds a limit.
    async fn count_attempt(
        &self,
        cx: &mut Cx,
        email: &str,
        network: &str,
        bits: &str,
    ) -> Result<(Attempt, Option<u64>)> {
        let config = &self.0.config;
        let tried = self.counter("password-tried", &[bits, email], i32::MAX);
        let counted = self.count(cx, std::slice::from_ref(&tried), config.failure_window);
        let is_first = counted.await?.first_time;
        // Counts the accounts on which the password was tried, not the attempts on one account.
        let spread = |kind, parts: &[&str], limit| Counter {
            add: i32::from(is_first),
            ..self.counter(kind, parts, limit)
        };
        let from_here = self.counter(
            "password-from",
            &[email, network],
            config.failures_per_address,
        );
        let of_network = self.counter("password-network", &[network], config.failures_per_network);
        let of_account = self.counter("password", &[email], config.failures_per_account);
        let spread_from_here = spread(
            "password-spread-from",
            &[bits, network],
            config.accounts_per_password,
        );
        let spread_anywhere = spread(
            "password-spread",
            &[bits],
            config.accounts_per_password_anywhere,
        );

        let key = |counter: &Counter| counter.key.clone();
        let forget: Vec<String> = [&from_here, &tried].map(key).into();
        let mut uncount: Vec<String> = [&of_network, &of_account].map(key).into();
        if is_first {
            uncount.extend([&spread_from_here, &spread_anywhere].map(key));
        }
        let mut narrow = [&from_here, &of_network].map(key);
        narrow.sort();
        let mark = tried.key.clone();
        let mut order = vec![tried.key];
        order.extend(narrow);
        order.extend([&spread_from_here, &of_account, &spread_anywhere].map(key));
        // The narrow counters first: an attempt that they refuse must not use up the shared ones.
        let stages = [
            Stage {
                counters: vec![from_here, of_network],
                spares_owner: false,
            },
            Stage {
                counters: vec![spread_from_here],
                spares_owner: false,
            },
            Stage {
                counters: vec![of_account],
                spares_owner: true,
            },
            Stage {
                counters: vec![spread_anywhere],
                spares_owner: true,
            },
        ];
        let refused = self.count_stages(cx, &stages, email, network).await?;
        // An attempt that was refused before it was counted over all networks leaves no mark: otherwise one network could
        // mark any number of accounts, and nobody's attempts on them would be counted any more.
        if is_first && refused.is_some_and(|(stage, _)| stage + 1 < stages.len()) {
            sqlx::query("delete from app.throttles where key_hash = $1")
                .bind(&mark)
                .execute(cx.conn())
                .await?;
        }
        let wait = refused.map(|(_, seconds)| seconds);
        let attempt = Attempt {
            order,
            forget,
            uncount,
        };
        Ok((attempt, wait))
    }

    /// Counts one stage after the other, up to the first one whose limit is exceeded. Returns which one that is, and how
    /// long to wait.
    async fn count_stages(
        &self,
        cx: &mut Cx,
        stages: &[Stage],
        email: &str,
        network: &str,
    ) -> Result<Option<(usize, u64)>> {
        let window = self.0.config.failure_window;
        for (at, stage) in stages.iter().enumerate() {
            let Some(seconds) = self.count(cx, &stage.counters, window).await?.wait else {
                continue;
            };
            if !(stage.spares_owner && self.is_known(cx, email, network).await?) {
                return Ok(Some((at, seconds)));
            }
        }
        Ok(None)
    }

    /// Resets the account's counters after a password was set by a link, and remembers the network for an hour, so
    /// that continued guessing does not keep the owner from signing in there.
    pub(super) async fn forget_failures(
        &self,
        cx: &mut Cx,
        caller: &Visitor,
        email: &str,
    ) -> Result<()> {
        let key = &self.0.key;
        let forget = vec![
            key.throttle("password-from", &[email, &network(caller.ip)]),
            key.throttle("password", &[email]),
        ];
        let attempt = Attempt {
            order: forget.clone(),
            forget,
            uncount: Vec::new(),
        };
        attempt.succeeded(cx).await?;
        let proven = self.proven_from(email, &network(caller.ip));
        self.count(cx, &[proven], HOUR).await?;
        Ok(())
    }

    /// Counts an attempt to prove the password of a signed-in member. Counted per session, so that others can't lock
    /// the owner out.
    pub(super) async fn count_own_password(
        &self,
        caller: &Member,
        user: Uuid,
        session: Option<Uuid>,
    ) -> Result<Attempt> {
        let id = session.unwrap_or(user).to_string();
        let counter = self.counter("own-password", &[&id], self.0.config.failures_per_address);
        let (counters, window) = ([counter], self.0.config.failure_window);
        let counted = &counters;
        let counted = self.run_of(caller, move |cx| Box::pin(self.count(cx, counted, window)));
        match counted.await?.wait {
            Some(seconds) => Err(too_many(seconds)),
            None => {
                let forget: Vec<String> = counters.map(|counter| counter.key).into();
                Ok(Attempt {
                    order: forget.clone(),
                    forget,
                    uncount: Vec::new(),
                })
            }
        }
    }

    /// Counts a request for an email, whatever the address, so that the platform can't be used to send emails to very
    /// many people. Called before the request is accepted: a refusal is the same for every address, so the caller may
    /// know of it, and learns when to try again.
    pub(super) async fn count_mailing(&self, request: Uuid, network: &str) -> Result<()> {
        let limit = self.0.config.mails_per_hour_from_network;
        let of_network = self.counter("mail-network", &[network], limit);
        let counters = &[of_network];
        let counted = self.run(request, move |cx| Box::pin(self.count(cx, counters, HOUR)));
        match counted.await?.wait {
            Some(seconds) => {
                tracing::warn!(%request, network, seconds, "a network has asked for all mails of this hour");
                Err(too_many(seconds))
            }
            None => Ok(()),
        }
    }

    /// Whether another email may be sent to this address. Counts it for the requesting network and for all networks
    /// together. Strangers use up the limit of their own network first, then that of all networks; the latter does not
    /// apply to networks from which the member has signed in before. Refusing does no harm, since the links in the
    /// emails sent before are still valid.
    pub(super) async fn may_mail(
        &self,
        cx: &mut Cx,
        network: &str,
        mailing: Mailing,
        email: &str,
    ) -> Result<bool> {
        let kind = match mailing {
            Mailing::SignUp => "sign-up",
            Mailing::ResetPassword => "reset",
            Mailing::ChangeEmail => "change",
        };
        let config = &self.0.config;
        let here = self.counter("mail-from", &[kind, email, network], config.mails_per_hour);
        if self.count(cx, &[here], HOUR).await?.wait.is_some() {
            return Ok(false);
        }
        let anywhere = self.counter("mail", &[kind, email], config.mails_per_hour_anywhere);
        Ok(self.count(cx, &[anywhere], HOUR).await?.wait.is_none()
            || self.is_known(cx, email, network).await?)
    }

    /// The counter that says that the mailbox was proven from this network.
    fn proven_from(&self, email: &str, network: &str) -> Counter {
        self.counter("proven-from", &[email, network], i32::MAX)
    }

    /// The counter of one attempt of this kind.
    fn counter(&self, kind: &'static str, parts: &[&str], limit: i32) -> Counter {
        Counter {
            key: self.0.key.throttle(kind, parts),
            limit,
            add: 1,
        }
    }

    /// Whether the member with this address has signed in from this network before, except in sessions whose token was
    /// stolen, or has set a password by a link from it within the last hour.
    async fn is_known(&self, cx: &mut Cx, email: &str, network: &str) -> Result<bool> {
        let proven: bool = sqlx::query_scalar(
            "select exists (select from app.throttles where key_hash = $1 and counted_from > now() - interval '1 hour')",
        )
        .bind(self.proven_from(email, network).key)
        .fetch_one(cx.conn())
        .await?;
        if proven {
            return Ok(true);
        }
        let addresses: Vec<String> = sqlx::query_scalar(
            "select distinct s.ip_address from app.sessions s join app.users u on u.id = s.user_id
             where u.email = $1 and u.status <> 'archived' and s.ip_address is not null
               and s.revoked_because is distinct from 'token_reused'
             limit 1000",
        )
        .bind(email)
        .fetch_all(cx.conn())
        .await?;
        let networks = addresses.iter().filter_map(|address| address.parse().ok());
        Ok(networks.map(network_of).any(|known| known == network))
    }

    /// Increases the counters. If a limit is exceeded, the result says how long to wait.
    async fn count(&self, cx: &mut Cx, counters: &[Counter], window: Duration) -> Result<Counted> {
        let keys: Vec<&str> = counters
            .iter()
            .map(|counter| counter.key.as_str())
            .collect();
        let add: Vec<i32> = counters.iter().map(|counter| counter.add).collect();
        // In the order of their keys, so that concurrent requests can't deadlock.
        let rows: Vec<(String, i32, f64)> = sqlx::query_as(
            "insert into app.throttles as t (key_hash, attempts, counted_from)
             select k, a, now() from unnest($1::text[], $2::int[]) given(k, a) order by k collate \"C\"
             on conflict (key_hash) do update set
               attempts = case when t.counted_from <= now() - make_interval(secs => $3) then excluded.attempts
                               else least(t.attempts + excluded.attempts, 1000000) end,
               counted_from = case when t.counted_from <= now() - make_interval(secs => $3) then now() else t.counted_from end
             returning key_hash, attempts, extract(epoch from counted_from + make_interval(secs => $3) - now())::float8",
        )
        .bind(&keys)
        .bind(&add)
        .bind(window.as_secs_f64())
        .fetch_all(cx.conn())
        .await?;
        let limits: HashMap<&str, i32> = counters
            .iter()
            .map(|counter| (counter.key.as_str(), counter.limit))
            .collect();
        let wait = rows
            .iter()
            .filter(|(key, attempts, _)| *attempts > limits[key.as_str()])
            .map(|(_, _, seconds)| seconds.max(1.0) as u64)
            .max();
        Ok(Counted {
            wait,
            first_time: rows.iter().all(|(_, attempts, _)| *attempts == 1),
        })
    }
}

struct Counted {
    /// Seconds until the next attempt is allowed. None: no limit is exceeded.
    wait: Option<u64>,
    first_time: bool,
}
