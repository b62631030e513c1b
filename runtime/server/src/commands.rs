//! The subcommands.

mod admin;
mod database;
mod openapi;
mod seed;
mod serve;
mod token;

pub use token::fresh_key;

use crate::{
    cli::{Cli, Command},
    settings,
};
use anyhow::Result;
use std::process::ExitCode;

pub async fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Serve(arguments) => serve::serve(&cli.common, &arguments).await?,
        Command::Worker(arguments) => serve::work(&cli.common, &arguments).await?,
        Command::Migrate(arguments) => return database::migrate(&cli.common, &arguments).await,
        Command::Audit { action } => return database::audit(&action).await,
        Command::Admin { action } => admin::run(&action).await?,
        Command::Seed(arguments) => seed::run(&cli.common, &arguments).await?,
        Command::Token(arguments) => token::print(&cli.common, &arguments).await?,
        Command::TokenKey => print!("{}", token::fresh_key()),
        Command::Openapi => println!("{}", openapi::text()?),
        Command::Settings { write: true, .. } => settings::document::write()?,
        Command::Settings { example: true, .. } => print!("{}", settings::document::example()),
        Command::Settings { .. } => print!("{}", settings::document::table()),
    }
    Ok(ExitCode::SUCCESS)
}
