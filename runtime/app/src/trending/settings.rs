//! The settings of trends.

use serde::Serialize;
use std::{fmt, str::FromStr};

/// Trends.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// The weight of each kind of action on an event: viewing it (`view`), liking it (`like`), following its host or
    /// venue (`follow`), taking a free ticket (`rsvp`), buying one (`ticket`), sharing it (`share`), being checked in
    /// (`check_in`). Kinds that are left out keep their default; kinds of weight 0 do not count. Earlier actions keep
    /// the weight that they had.
    #[arg(long, env = "TRENDING_WEIGHTS", default_value_t = Weights::default())]
    pub trending_weights: Weights,
    /// The number of hours after which an action weighs half as much. After a change all ranks are computed again.
    #[arg(long, env = "TRENDING_HALF_LIFE_HOURS", default_value_t = 24, value_parser = clap::value_parser!(u16).range(6..=8760))]
    pub trending_half_life_hours: u16,
    /// The number of events of one host that are listed before the best events of other hosts, with `variant=scaled`.
    #[arg(long, env = "TRENDING_PER_HOST", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub trending_per_host: u8,
    /// The maximum number of actions of one member in a day (UTC) that count. Views (`view`) have a separate limit of
    /// the same size.
    #[arg(long, env = "TRENDING_ACTIONS_A_DAY", default_value_t = 100)]
    pub trending_actions_a_day: u16,
    /// The maximum number of actions from one IPv4 address, or one IPv6 network of a customer, that count for one event
    /// in an hour. Views have a separate limit of the same size.
    #[arg(long, env = "TRENDING_NETWORK_AN_HOUR", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub trending_network_an_hour: u16,
    /// The same for actions of members whose accounts were created within the same hour, from whatever networks,
    /// because a program may create many accounts.
    #[arg(long, env = "TRENDING_COHORT_AN_HOUR", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub trending_cohort_an_hour: u16,
    /// The number of days for which an account is new.
    #[arg(long, env = "TRENDING_NEW_ACCOUNT_DAYS", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=365))]
    pub trending_new_account_days: u16,
    /// The weight of actions of new accounts, in percent of the usual weight.
    #[arg(long, env = "TRENDING_NEW_ACCOUNT_PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub trending_new_account_percent: u8,
    /// Whether only events of hosts that their city has verified can trend, so that new hosts are checked first.
    #[arg(long, env = "TRENDING_VERIFIED_HOSTS", default_value_t = false, action = clap::ArgAction::Set)]
    pub trending_verified_hosts: bool,
}

/// The weights by kind of action, as in `rank_action.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Weights {
    pub view: f64,
    pub like: f64,
    pub follow: f64,
    pub rsvp: f64,
    pub ticket: f64,
    pub share: f64,
    pub check_in: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            view: 0.1,
            like: 1.0,
            follow: 1.0,
            rsvp: 2.0,
            ticket: 4.0,
            share: 1.5,
            check_in: 2.0,
        }
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            view,
            like,
            follow,
            rsvp,
            ticket,
            share,
            check_in,
        } = self;
        write!(
            f,
            "view:{view},like:{like},follow:{follow},rsvp:{rsvp},ticket:{ticket},share:{share},check_in:{check_in}"
        )
    }
}

impl FromStr for Weights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut weights = Self::default();
        for part in text.split(',') {
            let (kind, weight) = part
                .split_once(':')
                .ok_or_else(|| format!("`{part}` is not of the form like:1"))?;
            let place = match kind.trim() {
                "view" => &mut weights.view,
                "like" => &mut weights.like,
                "follow" => &mut weights.follow,
                "rsvp" => &mut weights.rsvp,
                "ticket" => &mut weights.ticket,
                "share" => &mut weights.share,
                "check_in" => &mut weights.check_in,
                other => {
                    return Err(format!(
                        "there is no kind `{other}`: view, like, follow, rsvp, ticket, share and check_in have a weight"
                    ));
                }
            };
            // The database stores weights with six decimals.
            let good = |weight: &f64| *weight == 0.0 || (0.001..=1000.0).contains(weight);
            *place = (weight.trim().parse().ok().filter(good))
                .ok_or_else(|| format!("`{weight}` is no weight: 0, or 0.001 to 1000"))?;
        }
        Ok(weights)
    }
}

/// The settings in the form that the database's functions take.
#[derive(Serialize)]
pub struct Given {
    weights: Weights,
    half_life_hours: u16,
    per_host: u8,
    actions_a_day: u16,
    network_an_hour: u16,
    cohort_an_hour: u16,
    new_account_days: u16,
    new_account_percent: u8,
}

impl From<&Settings> for Given {
    fn from(settings: &Settings) -> Self {
        Self {
            weights: settings.trending_weights,
            half_life_hours: settings.trending_half_life_hours,
            per_host: settings.trending_per_host,
            actions_a_day: settings.trending_actions_a_day,
            network_an_hour: settings.trending_network_an_hour,
            cohort_an_hour: settings.trending_cohort_an_hour,
            new_account_days: settings.trending_new_account_days,
            new_account_percent: settings.trending_new_account_percent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tr7_weights_are_read_and_what_is_unknown_is_refused() {
        let read = |text: &str| text.parse::<Weights>();
        let default = Weights::default();
        assert_eq!(read(&default.to_string()), Ok(default));
        let some = read("ticket: 9, like:0.5").unwrap();
        assert_eq!(
            some,
            Weights {
                ticket: 9.0,
                like: 0.5,
                ..default
            }
        );
        assert_eq!(read("like:0").unwrap().like, 0.0);
        for (text, said) in [
            ("", "not of the form"),
            ("like", "not of the form"),
            ("likes:1", "there is no kind `likes`"),
            ("glance:1", "there is no kind `glance`"),
            ("like:-1", "is no weight"),
            ("like:NaN", "is no weight"),
            ("like:inf", "is no weight"),
            ("like:0.0000001", "is no weight"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(said), "{text}: {refused}");
        }
    }
}
