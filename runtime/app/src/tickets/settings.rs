//! Settings of tickets.

use secrecy::SecretString;

/// Selling tickets.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// The number of minutes for which an unpaid order holds its tickets.
    #[arg(long, env = "ORDER_MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1440))]
    pub order_minutes: u16,
    /// The maximum number of tickets of an order, of all types together.
    #[arg(long, env = "ORDER_MAX_TICKETS", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub order_max_tickets: u16,
    /// The number of hours for which an offer of a ticket to another member is valid, unless the event ends earlier.
    #[arg(long, env = "TICKET_TRANSFER_HOURS", default_value_t = 72, value_parser = clap::value_parser!(u16).range(1..=8760))]
    pub ticket_transfer_hours: u16,
    /// Secrets of at least 16 characters that sign the codes of tickets, separated by commas. The first one signs; codes
    /// signed with the others are still accepted, and codes signed with the default: a key that is derived from the
    /// server's key.
    #[arg(
        long,
        env = "TICKET_KEYS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub ticket_keys: Vec<SecretString>,
}
