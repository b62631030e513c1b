//! `migrate` and `audit`.

use crate::{
    cli::{Audit, Migrate, MigrateAction},
    roles,
    settings::{Common, Environment, Roles, Secret},
    wire::db_config,
};
use anyhow::{Context, Result, bail};
use generated::migrations::MIGRATIONS;
use kernel::{
    Db, audit,
    migrate::{self, Limits},
};
use secrecy::ExposeSecret;
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use std::process::ExitCode;

pub async fn migrate(common: &Common, arguments: &Migrate) -> Result<ExitCode> {
    let url = arguments.owner.database_url.require()?;
    let database: PgConnectOptions = url.expose_secret().parse().context("DATABASE_URL")?;
    let limits = Limits::default();
    match &arguments.action {
        MigrateAction::Up => {
            let done = roles::migrate(&database).await?;
            match done.last() {
                Some(last) => println!("migrated to {last}, {} in all", done.len()),
                None => println!("nothing to migrate"),
            }
        }
        MigrateAction::Down { to, confirm } => {
            if common.environment == Environment::Production {
                confirmed(&database, confirm.as_deref())?;
            }
            let done = migrate::down(&database, MIGRATIONS, *to, &limits).await?;
            println!("{} taken back", done.len());
        }
        MigrateAction::Status => {
            let mut connection = database.connect().await?;
            let pending = migrate::pending(&mut connection, MIGRATIONS).await?;
            for migration in &pending {
                println!("{:04} {}", migration.version, migration.description);
            }
            connection.close().await?;
            if !pending.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
            println!("up to date");
        }
        MigrateAction::Roles { write } => {
            roles::prepare(&database, url.expose_secret(), write).await?
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn audit(action: &Audit) -> Result<ExitCode> {
    match action {
        Audit::Verify { roles, expect } => verify(&connect(roles)?, expect.as_deref()).await,
        Audit::Seal { roles } => {
            match audit::seal(&connect(roles)?).await? {
                Some(seal) => println!(
                    "seal {} over {} entries: {}",
                    seal.id, seal.entries, seal.hash
                ),
                None => println!("nothing to seal"),
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Reverting drops tables and columns with their data.
fn confirmed(database: &PgConnectOptions, confirm: Option<&str>) -> Result<()> {
    let name = database.get_database().unwrap_or_default();
    if confirm == Some(name) {
        return Ok(());
    }
    bail!(
        "taking migrations back drops tables and columns with all that is in them; if the database `{name}` is meant, \
         make a dump and say so: --confirm {name}"
    )
}

async fn verify(db: &Db, expect: Option<&str>) -> Result<ExitCode> {
    if let Some(broken) = audit::verify(db).await? {
        let (seal, problem) = (broken.seal, broken.problem);
        println!("the audit log was changed: seal {seal}: {problem}");
        return Ok(ExitCode::FAILURE);
    }
    if let Some(hash) = expect
        && !audit::has_seal(db, hash).await?
    {
        println!("the audit log was changed: the seal {hash} is gone");
        return Ok(ExitCode::FAILURE);
    }
    println!("every seal fits");
    Ok(ExitCode::SUCCESS)
}

fn connect(roles: &Roles) -> Result<Db> {
    Ok(Db::connect(&db_config(roles)?)?)
}
