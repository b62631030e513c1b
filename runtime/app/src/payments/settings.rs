//! Settings of payments. How the provider is reached is part of the server's own settings.

use secrecy::SecretString;
use url::Url;

/// Payments, and events of the payment service.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// Secrets that sign the platform's events at `/webhooks/stripe`, separated by commas: more than one while a secret
    /// is being replaced.
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
    /// The country of the platform's own account at Stripe, two letters. Hosts outside its region are paid by payments
    /// that are made on their behalf. Default: all hosts are taken to be in the same region.
    #[arg(long, env = "STRIPE_ACCOUNT_COUNTRY", value_parser = country)]
    pub stripe_account_country: Option<String>,
    /// The page of a front end on which a buyer confirms a payment. `{id}` stands for Stripe's id of the payment,
    /// `{client_secret}` for the secret that Stripe's library needs there. Answers contain the address as `page_url`.
    #[arg(long, env = "PAYMENT_PAGE_URL")]
    pub payment_page_url: Option<String>,
    /// The same for saving a card.
    #[arg(long, env = "CARD_PAGE_URL")]
    pub card_page_url: Option<String>,
    /// The number of days after a paid period for which a business keeps the benefits of its plan while the next
    /// payment is retried.
    #[arg(long, env = "SUBSCRIPTION_GRACE_DAYS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(0..=90))]
    pub subscription_grace_days: u16,
    /// The number of days after which processed events of Stripe are deleted. Must not be less than the time for which
    /// Stripe lists events, so that an event that Stripe reports again is not processed twice.
    #[arg(long, env = "STRIPE_EVENTS_KEPT_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(35..=3_650))]
    pub stripe_events_kept_days: u16,
}

/// Buyers are sent to this page with the secret of their payment.
pub(super) fn page(template: &str, production: bool) -> Result<(), &'static str> {
    let filled = template
        .replace("{id}", "x")
        .replace("{client_secret}", "x");
    let page: Url = filled.parse().map_err(|_| "an address of http or https")?;
    let is_local = matches!(page.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match page.scheme() {
        "https" => Ok(()),
        "http" if !production || is_local => Ok(()),
        "http" => Err("not https; the secrets of payments would travel in the clear"),
        _ => Err("an address of http or https"),
    }
}

fn country(text: &str) -> Result<String, &'static str> {
    match text.as_bytes() {
        [b'A'..=b'Z', b'A'..=b'Z'] => Ok(text.to_owned()),
        _ => Err("two capital letters, as in ISO 3166-1: AU"),
    }
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn pages_of_payments_are_encrypted_in_production() {
        for good in [
            "https://a.example/pay/{id}?secret={client_secret}",
            "https://a.example/#/pay/{id}",
            "http://127.0.0.1:8421/_fake/pay/{id}",
        ] {
            assert_eq!(page(good, true), Ok(()), "{good}");
        }
        assert!(page("http://a.example/pay/{id}", true).is_err());
        assert_eq!(page("http://a.example/pay/{id}", false), Ok(()));
        for wrong in ["", "pay/{id}", "a.example/pay/{id}", "javascript:pay({id})"] {
            assert!(page(wrong, false).is_err(), "{wrong}");
        }
    }
}
