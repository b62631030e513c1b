//! The settings of closed accounts.

/// Closed accounts.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// So many days after an account was closed it can be opened again; then what is personal about it is erased.
    #[arg(long, env = "PRIVACY_ERASE_AFTER_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365))]
    pub privacy_erase_after_days: u16,
}
