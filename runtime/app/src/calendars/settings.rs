//! The settings of calendars.

/// Calendars.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// The maximum number of requests per minute with a wrong secret of a calendar, from one IPv4 address or one IPv6
    /// network of a customer; more are answered 429. Requests with a correct secret are never refused.
    #[arg(long, env = "CALENDAR_WRONG_SECRETS_PER_MINUTE", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub calendar_wrong_secrets_per_minute: u32,
}
