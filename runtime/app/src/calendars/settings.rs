//! The settings of calendars.

/// Calendars.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// Wrong secrets of calendars that are answered in a minute to one address, or one IPv6 network of a customer, before it is
    /// told to wait. A right one is never refused.
    #[arg(long, env = "CALENDAR_WRONG_SECRETS_PER_MINUTE", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub calendar_wrong_secrets_per_minute: u32,
}
