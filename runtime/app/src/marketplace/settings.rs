//! Settings of the marketplace.

/// Requests for services.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// The maximum number of businesses that are told of a request for a service.
    #[arg(long, env = "MARKETPLACE_LEADS_MAX", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub marketplace_leads_max: u16,
    /// The number of requests for services of which a business without a plan is told in a calendar month (UTC). Plans
    /// have a number of their own.
    #[arg(long, env = "MARKETPLACE_FREE_LEADS", default_value_t = 10)]
    pub marketplace_free_leads: u16,
}
