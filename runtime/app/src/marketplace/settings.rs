//! Settings of the marketplace.

/// Requests for services.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// How many businesses hear of one request for a service at most.
    #[arg(long, env = "MARKETPLACE_LEADS_MAX", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub marketplace_leads_max: u16,
    /// How many requests for services a business without a plan hears of in a calendar month (UTC). Plans say it themselves.
    #[arg(long, env = "MARKETPLACE_FREE_LEADS", default_value_t = 10)]
    pub marketplace_free_leads: u16,
}
