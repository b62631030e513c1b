//! What can be set about credits.

/// Credits.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// Days that bonuses and rewards live unless whoever gives them says otherwise. 0: they do not lapse.
    #[arg(long, env = "WALLET_CREDIT_DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub wallet_credit_days: u32,
}
