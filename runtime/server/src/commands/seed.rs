//! `seed`: loads data and keeps existing rows.

use crate::{
    cli::{App, Seed, SeedWhat},
    seed::{demo, pictures, reference, sales, trade},
    settings::{Common, Environment, Secret},
    wire::{build, parts},
};
use anyhow::{Context, Result, bail};
use app::sessions::password_hash;
use secrecy::ExposeSecret;
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

/// The password of every demonstration account.
pub const PASSWORD: &str = "seven small elephants";

pub async fn run(common: &Common, arguments: &Seed) -> Result<()> {
    let is_production = common.environment == Environment::Production;
    if is_production && !matches!(arguments.what, SeedWhat::Reference) {
        bail!(
            "the demonstration accounts, one of them a platform administrator, have a password that everybody knows; \
             set CULTUREPASS_ENV=development if this database is for trying things"
        );
    }
    match &arguments.what {
        SeedWhat::Sales(app) => return sales(common, app).await,
        SeedWhat::Trade(app) => return trade(common, app).await,
        SeedWhat::Pictures(app) => return pictures(common, app).await,
        SeedWhat::Reference | SeedWhat::Demo => {}
    }
    let url = arguments.owner.database_url.require()?;
    let options: PgConnectOptions = url.expose_secret().parse().context("DATABASE_URL")?;
    // Its statements are whole files, and slower than those of requests.
    let mut connection = options.disable_statement_logging().connect().await?;
    match arguments.what {
        SeedWhat::Reference => {
            let added = reference::load(&mut connection).await?;
            println!(
                "reference data: {} countries and {} cities added",
                added.countries, added.cities
            );
        }
        SeedWhat::Demo => {
            let added = demo::load(&mut connection).await?;
            passwords(&mut connection).await?;
            if added {
                statistics(&mut connection).await?;
            }
            println!(
                "demonstration data: {}",
                if added { "added" } else { "there already" }
            );
        }
        // Through the API, above.
        SeedWhat::Sales(_) | SeedWhat::Trade(_) | SeedWhat::Pictures(_) => {}
    }
    connection.close().await?;
    Ok(())
}

async fn sales(common: &Common, app: &App) -> Result<()> {
    let mut parts = parts(common, app, None)?;
    // All members' requests come from this process within a few seconds, which the rate limits would refuse.
    (parts.http.ip_limit, parts.http.user_limit) = (None, None);
    let built = build(parts)?;
    let router = built.router.clone();
    let made = sales::make(&built.app, router).await?;
    built.db.close().await;
    println!(
        "sales of the demonstration: {}",
        if made { "made" } else { "there already" }
    );
    Ok(())
}

async fn trade(common: &Common, app: &App) -> Result<()> {
    let built = build(parts(common, app, None)?)?;
    let router = built.router.clone();
    let made = trade::make(&built.app, router, &app.stripe.stripe_url).await?;
    built.db.close().await;
    println!(
        "orders of the demonstration: {}",
        if made { "made" } else { "there already" }
    );
    Ok(())
}

async fn pictures(common: &Common, app: &App) -> Result<()> {
    let built = build(parts(common, app, None)?)?;
    let router = built.router.clone();
    let sent = pictures::make(&built.app, router, &app.tokens.public_url).await?;
    built.db.close().await;
    println!(
        "pictures of the demonstration: {}",
        match sent {
            0 => "there already".to_owned(),
            sent => format!("{sent} sent"),
        }
    );
    Ok(())
}

/// PostgreSQL gathers statistics by itself, but only after a minute. Until then it reads whole tables for a page of a
/// list. Tables of other owners are left out, with a warning that nobody needs.
async fn statistics(connection: &mut PgConnection) -> Result<()> {
    sqlx::raw_sql("set client_min_messages = error; analyze; reset client_min_messages")
        .execute(connection)
        .await
        .context("statistics of the demonstration data")?;
    Ok(())
}

/// Gives all demonstration accounts the same password. A password that was changed is kept.
async fn passwords(connection: &mut PgConnection) -> Result<()> {
    let ids: Vec<Uuid> = demo::PEOPLE.iter().map(|person| person.id).collect();
    sqlx::query(
        "insert into app.credentials (user_id, password_hash)
         select u.id, $2 from app.users u where u.id = any($1)
         on conflict (user_id) do nothing",
    )
    .bind(ids)
    .bind(password_hash(&PASSWORD.into())?)
    .execute(connection)
    .await
    .context("passwords of the demonstration accounts")?;
    Ok(())
}
