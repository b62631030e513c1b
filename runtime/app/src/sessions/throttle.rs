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

/// A sign-in attempt that was counted, and how to undo the count if it succeeds.
pub struct Attempt {
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
    pub async fn succeeded(self, cx: &mut Cx) -> Result<()> {
        sqlx::query(
            "with forgotten as (delete from app.throttles where key_hash = any($1))
             update app.throttles set attempts = greatest(attempts - 1, 0) where key_hash = any($2)",
        )
        .bind(&self.forget)
        .bind(&self.uncount)
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
        let (config, key) = (&self.0.config, &self.0.key);
        let network = network(caller.ip);
        // In the form in which it is checked, since one password has several encodings.
        let bits = key.few_bits(normal(password).expose_secret());
        let count = |kind, parts: &[&str], limit, add| Counter {
            key: key.throttle(kind, parts),
            limit,
            add,
        };
        let here = [
            count(
                "password-from",
                &[email, &network],
                config.failures_per_address,
                1,
            ),
            count(
                "password-network",
                &[&network],
                config.failures_per_network,
                1,
            ),
        ];
        let anywhere = [count("password", &[email], config.failures_per_account, 1)];
        let tried = [count("password-tried", &[&bits, email], i32::MAX, 1)];

        let window = config.failure_window;
        let mut cx = self.cx(caller.request_id).await?;
        let first = self.count(&mut cx, &tried, window).await?.first_time;
        // Counts the accounts on which the password was tried, not the attempts on one account.
        let add = i32::from(first);
        let spread_here = [count(
            "password-spread-from",
            &[&bits, &network],
            config.accounts_per_password,
            add,
        )];
        let spread = [count(
            "password-spread",
            &[&bits],
            config.accounts_per_password_anywhere,
            add,
        )];
        // The narrow counters first: an attempt that they refuse must not use up the shared ones.
        let mut wait = None;
        for (counters, spares_owner) in [
            (&here[..], false),
            (&spread_here[..], false),
            (&anywhere[..], true),
            (&spread[..], true),
        ] {
            wait = self.count(&mut cx, counters, window).await?.wait;
            if wait.is_some() && spares_owner && self.is_known(&mut cx, email, &network).await? {
                wait = None;
            }
            if wait.is_some() {
                break;
            }
        }
        cx.commit().await?;
        if let Some(seconds) = wait {
            return Err(too_many(seconds));
        }
        let [from, of_network] = here;
        let shared = [of_network].into_iter().chain(anywhere);
        let spread = spread_here.into_iter().chain(spread).filter(|_| first);
        Ok(Attempt {
            forget: [from]
                .into_iter()
                .chain(tried)
                .map(|counter| counter.key)
                .collect(),
            uncount: shared.chain(spread).map(|counter| counter.key).collect(),
        })
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
        let uncount = Vec::new();
        Attempt { forget, uncount }.succeeded(cx).await?;
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
        let counter = Counter {
            key: self.0.key.throttle("own-password", &[&id]),
            limit: self.0.config.failures_per_address,
            add: 1,
        };
        let mut cx = self.cx_of(caller).await?;
        let counters = [counter];
        let counted = self
            .count(&mut cx, &counters, self.0.config.failure_window)
            .await?;
        cx.commit().await?;
        match counted.wait {
            Some(seconds) => Err(too_many(seconds)),
            None => Ok(Attempt {
                forget: counters.map(|counter| counter.key).into(),
                uncount: Vec::new(),
            }),
        }
    }

    /// Counts a request for an email, whatever the address, so that the platform can't be used to send emails to very
    /// many people. Called before the request is accepted: a refusal is the same for every address, so the caller may
    /// know of it, and learns when to try again.
    pub(super) async fn count_mailing(&self, request: Uuid, network: &str) -> Result<()> {
        let of_network = Counter {
            key: self.0.key.throttle("mail-network", &[network]),
            limit: self.0.config.mails_per_hour_from_network,
            add: 1,
        };
        let mut cx = self.cx(request).await?;
        let counted = self.count(&mut cx, &[of_network], HOUR).await?;
        cx.commit().await?;
        match counted.wait {
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
        let (config, key) = (&self.0.config, &self.0.key);
        let here = Counter {
            key: key.throttle("mail-from", &[kind, email, network]),
            limit: config.mails_per_hour,
            add: 1,
        };
        if self.count(cx, &[here], HOUR).await?.wait.is_some() {
            return Ok(false);
        }
        let anywhere = Counter {
            key: key.throttle("mail", &[kind, email]),
            limit: config.mails_per_hour_anywhere,
            add: 1,
        };
        Ok(self.count(cx, &[anywhere], HOUR).await?.wait.is_none()
            || self.is_known(cx, email, network).await?)
    }

    /// The counter that says that the mailbox was proven from this network.
    fn proven_from(&self, email: &str, network: &str) -> Counter {
        Counter {
            key: self.0.key.throttle("proven-from", &[email, network]),
            limit: i32::MAX,
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
             select k, a, now() from unnest($1::text[], $2::int[]) given(k, a) order by k
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
