//! Settings of payments. How the provider is reached is part of the server's own settings.

use secrecy::SecretString;

/// Payments, and what the provider tells about them.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// Secrets that sign the platform's events at `/webhooks/stripe`, separated by commas: several while one is replaced.
    #[arg(
        long,
        env = "STRIPE_WEBHOOK_SECRETS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub stripe_webhook_secrets: Vec<SecretString>,
    /// The same for events of connected accounts at `/webhooks/stripe-connect`.
    #[arg(
        long,
        env = "STRIPE_CONNECT_WEBHOOK_SECRETS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub stripe_connect_webhook_secrets: Vec<SecretString>,
    /// Country of the platform's own account at Stripe, two letters. Hosts outside its region are paid by payments that are
    /// made on their behalf. Without it all are taken to be in the same region.
    #[arg(long, env = "STRIPE_ACCOUNT_COUNTRY", value_parser = country)]
    pub stripe_account_country: Option<String>,
    /// Page of a front end where a buyer confirms a payment. `{id}` stands for Stripe's id of it, `{client_secret}` for what
    /// Stripe's library wants there. Answers have it as `page_url`.
    #[arg(long, env = "PAYMENT_PAGE_URL")]
    pub payment_page_url: Option<String>,
    /// The same for saving a card.
    #[arg(long, env = "CARD_PAGE_URL")]
    pub card_page_url: Option<String>,
    /// Days after a paid period in which a business keeps what its plan gives, while the next payment is tried.
    #[arg(long, env = "SUBSCRIPTION_GRACE_DAYS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(0..=90))]
    pub subscription_grace_days: u16,
    /// How many days events of Stripe are kept that have come to an end. No less than Stripe lists them: what it tells again is
    /// worked on once.
    #[arg(long, env = "STRIPE_EVENTS_KEPT_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(35..=3_650))]
    pub stripe_events_kept_days: u16,
}

fn country(text: &str) -> Result<String, &'static str> {
    match text.as_bytes() {
        [b'A'..=b'Z', b'A'..=b'Z'] => Ok(text.to_owned()),
        _ => Err("two capital letters, as in ISO 3166-1: AU"),
    }
}
