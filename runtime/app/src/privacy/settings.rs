//! The settings of closed accounts.

/// Closed accounts.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// The number of days after which the personal data of a closed account are erased. Until then it can be reopened.
    #[arg(long, env = "PRIVACY_ERASE_AFTER_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365))]
    pub privacy_erase_after_days: u16,
}
