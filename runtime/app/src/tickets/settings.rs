//! Settings of tickets.

use secrecy::SecretString;

/// Selling tickets.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// How many minutes an order that is not paid holds its tickets back.
    #[arg(long, env = "ORDER_MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1440))]
    pub order_minutes: u16,
    /// How many tickets of all types together one order may be for.
    #[arg(long, env = "ORDER_MAX_TICKETS", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub order_max_tickets: u16,
    /// How many hours an offer of a ticket to another member stands, unless the event ends before.
    #[arg(long, env = "TICKET_TRANSFER_HOURS", default_value_t = 72, value_parser = clap::value_parser!(u16).range(1..=8760))]
    pub ticket_transfer_hours: u16,
    /// Secrets that sign the codes of tickets, separated by commas: the first one signs, the others are still believed.
    /// Without it one is derived from the server's key.
    #[arg(
        long,
        env = "TICKET_KEYS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub ticket_keys: Vec<SecretString>,
}
