//! The command line.

use crate::settings::{
    Common, Development, Http, Mail, Owner, Push, Roles, Stripe, Tokens, Worker,
};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// CulturePass: communities, venues and organisers of a city, their events, and the people who go to them.
///
/// Settings are environment variables, or lines of `culturepass.env` (another file: CULTUREPASS_SETTINGS).
#[derive(Parser, Clone, Debug)]
#[command(name = "culturepass", version, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Answer requests
    Serve(Box<Serve>),
    /// Run jobs and periodic work: mails, seals of the audit log, deleting expired data
    Worker(Box<Work>),
    /// Migrate the database to this version of the program, or back
    Migrate(Migrate),
    /// Seal and verify the audit log
    Audit {
        #[command(subcommand)]
        action: Audit,
    },
    /// Give the first administrator of the platform their role
    Admin {
        #[command(subcommand)]
        action: Admin,
    },
    /// Load data; existing rows are kept
    Seed(Seed),
    /// Print tokens to try the API with; in development only
    Token(Box<Token>),
    /// Print a fresh key for TOKEN_KEY
    TokenKey,
    /// Print the API document, of all routes
    Openapi,
    /// List all settings
    Settings {
        /// As a settings file
        #[arg(long)]
        example: bool,
        /// Write `culturepass.env.example` and the table of `docs/settings.md` in the repository
        #[arg(long, conflicts_with = "example")]
        write: bool,
    },
}

#[derive(Args, Clone, Debug)]
pub struct Serve {
    #[command(flatten)]
    pub app: App,
    #[command(flatten)]
    pub http: Http,
    #[command(flatten)]
    pub development: Development,
    /// Run the worker in the same process
    #[arg(long)]
    pub with_worker: bool,
    #[command(flatten)]
    pub worker: Worker,
}

#[derive(Args, Clone, Debug)]
pub struct Work {
    #[command(flatten)]
    pub app: App,
    #[command(flatten)]
    pub worker: Worker,
}

/// What the application is made of.
#[derive(Args, Clone, Debug)]
pub struct App {
    #[command(flatten)]
    pub roles: Roles,
    #[command(flatten)]
    pub tokens: Tokens,
    #[command(flatten)]
    pub mail: Mail,
    #[command(flatten)]
    pub push: Push,
    #[command(flatten)]
    pub stripe: Stripe,
    #[command(flatten)]
    pub modules: app::modules::Settings,
}

#[derive(Args, Clone, Debug)]
pub struct Migrate {
    #[command(flatten)]
    pub owner: Owner,
    #[command(subcommand)]
    pub action: MigrateAction,
}

#[derive(Subcommand, Clone, Debug)]
pub enum MigrateAction {
    /// Run the pending migrations
    Up,
    /// Revert migrations
    Down {
        /// The newest migration to keep; 0 reverts all
        #[arg(long)]
        to: i64,
        /// The name of the database, to confirm that it is the intended one; required in production
        #[arg(long, value_name = "DATABASE")]
        confirm: Option<String>,
    },
    /// List the pending migrations; exits with status 1 if there are any
    Status,
    /// Set passwords for the server's two roles, and write their logins into a file
    Roles {
        /// The file; passwords that it already contains are kept
        #[arg(long)]
        write: PathBuf,
    },
}

#[derive(Subcommand, Clone, Debug)]
pub enum Audit {
    /// Verify every seal against the entries it covers; exits with status 1 if one does not match
    Verify {
        #[command(flatten)]
        roles: Box<Roles>,
        /// A hash that `audit seal` or the worker printed earlier: fails if the seal with this hash is missing
        #[arg(long, value_name = "HASH")]
        expect: Option<String>,
    },
    /// Seal the entries that are not sealed yet
    Seal {
        #[command(flatten)]
        roles: Box<Roles>,
    },
}

#[derive(Subcommand, Clone, Debug)]
pub enum Admin {
    /// Make a member a platform administrator; does nothing if they are one already
    Grant {
        #[command(flatten)]
        owner: Owner,
        /// The address with which the member signs in
        email: String,
        /// The reason, for the audit log
        #[arg(long, default_value = "granted on the command line")]
        reason: String,
    },
}

#[derive(Args, Clone, Debug)]
pub struct Seed {
    #[command(flatten)]
    pub owner: Owner,
    #[command(subcommand)]
    pub what: SeedWhat,
}

#[derive(Subcommand, Clone, Debug)]
pub enum SeedWhat {
    /// Countries and cities
    Reference,
    /// Members, profiles, events and their activities, all invented; never in production
    Demo,
    /// Tickets, services and credits of the demonstration, without a card, while the server runs; never in production
    Sales(Box<App>),
    /// Orders of the demonstration, paid through a fake of Stripe while the server runs; never in production
    Trade(Box<App>),
    /// Pictures of the demonstration, drawn and uploaded; never in production
    Pictures(Box<App>),
}

#[derive(Args, Clone, Debug)]
pub struct Token {
    #[command(flatten)]
    pub app: App,
    /// For the demonstration accounts, one per role
    #[arg(long, conflicts_with = "email")]
    pub demo: bool,
    /// For this member
    #[arg(long, required_unless_present = "demo")]
    pub email: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use kernel::jobs::WorkerConfig;
    use std::time::Duration;

    /// The commands below this one, each in full: `migrate up`.
    fn commands(command: &clap::Command, before: &str) -> Vec<String> {
        let below = command.get_subcommands().flat_map(|one| {
            let name = format!("{before}{}", one.get_name());
            match one.has_subcommands() {
                true => commands(one, &format!("{name} ")),
                false => vec![name],
            }
        });
        below.collect()
    }

    #[test]
    fn every_command_is_on_the_page_for_operators() {
        let page = include_str!("../../../docs/reference.md");
        let rows = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `culturepass "));
        let told: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        assert_eq!(told, commands(&Cli::command(), ""));
    }

    /// A killed worker's jobs are taken over when their lease expires, which takes less than 30 seconds, and
    /// everything that was committed is in the outbox.
    #[test]
    fn x2_what_a_killed_worker_was_at_goes_on_within_thirty_seconds() {
        let command = Cli::command();
        for name in ["serve", "worker"] {
            let command = command.find_subcommand(name).expect(name);
            let default = |id: &str| -> u64 {
                let mut arguments = command.get_arguments();
                let found = arguments.find(|one| one.get_id() == id).expect(id);
                let text = found.get_default_values()[0].to_str().expect("a number");
                text.parse().expect(text)
            };
            let lease = Duration::from_secs(default("jobs_lease_seconds"));
            assert_eq!(lease, WorkerConfig::default().lease, "{name}");
            // The longest time between the last renewal by the killed worker and the next poll by another worker.
            let most = lease + 2 * Duration::from_millis(default("jobs_poll_ms"));
            assert!(most <= Duration::from_secs(30), "{name}: {most:?}");
        }
    }
}
