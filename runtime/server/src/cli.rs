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
    /// Seal the audit log and throw expired things away, again and again
    Worker(Box<Work>),
    /// Bring the database to this version of the program
    Migrate(Migrate),
    /// Look after the audit log
    Audit {
        #[command(subcommand)]
        action: Audit,
    },
    /// Give the first administrator of the platform their role
    Admin {
        #[command(subcommand)]
        action: Admin,
    },
    /// Load data; what is there already stays
    Seed(Seed),
    /// Print tokens to try the API with; in development only
    Token(Box<Token>),
    /// Print a fresh key for TOKEN_KEY
    TokenKey,
    /// Print the API document, of all routes
    Openapi,
    /// List all settings
    Settings {
        /// As the text of a settings file
        #[arg(long)]
        example: bool,
        /// Write `culturepass.env.example` and the table of `docs/settings.md`, in the folder of the repository
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
    /// Do the work of `worker` in the same process
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
    /// Run what has not run yet
    Up,
    /// Take migrations back
    Down {
        /// The newest migration that stays; 0 takes back all
        #[arg(long)]
        to: i64,
        /// The name of the database, to show that it is the one meant; needed in production
        #[arg(long, value_name = "DATABASE")]
        confirm: Option<String>,
    },
    /// Say what would run; ends with status 1 if something would
    Status,
    /// Give the server's two roles passwords, and write their logins into a file
    Roles {
        /// The file; passwords that are in it already are kept
        #[arg(long)]
        write: PathBuf,
    },
}

#[derive(Subcommand, Clone, Debug)]
pub enum Audit {
    /// Check every seal against the entries under it; ends with status 1 if one does not fit
    Verify {
        #[command(flatten)]
        roles: Box<Roles>,
        /// A hash that `audit seal` or the worker told earlier: fails if the seal with it is gone
        #[arg(long, value_name = "HASH")]
        expect: Option<String>,
    },
    /// Seal what is new now
    Seal {
        #[command(flatten)]
        roles: Box<Roles>,
    },
}

#[derive(Subcommand, Clone, Debug)]
pub enum Admin {
    /// Make a member a platform administrator; who is one stays one
    Grant {
        #[command(flatten)]
        owner: Owner,
        /// The address that the member signs in with
        email: String,
        /// Why, for the audit log
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
    /// Members, profiles, events and what they did, all invented; never in production
    Demo,
    /// Orders of the demonstration's members, paid through a fake of Stripe while the server runs; never in production
    Trade(Box<App>),
    /// Pictures of the demonstration, drawn and sent as members send theirs; never in production
    Pictures(Box<App>),
}

#[derive(Args, Clone, Debug)]
pub struct Token {
    #[command(flatten)]
    pub app: App,
    /// Of the demonstration accounts, one per role
    #[arg(long, conflicts_with = "email")]
    pub demo: bool,
    /// Of this member
    #[arg(long, required_unless_present = "demo")]
    pub email: Option<String>,
}
