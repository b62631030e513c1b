//! `culturepass`: one program, its subcommands.

use clap::Parser;
use server::{cli::Cli, commands, log, settings};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before any thread is started, because it writes to the environment.
    if let Err(error) = settings::load() {
        eprintln!("culturepass: {error:#}");
        return ExitCode::from(2);
    }
    let cli = Cli::parse();
    if let Err(error) = log::start(&cli.common) {
        eprintln!("culturepass: {error:#}");
        return ExitCode::from(2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("culturepass: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(error) => {
            // For people; the log contains what led to it.
            eprintln!("culturepass: {error:#}");
            ExitCode::FAILURE
        }
    }
}
