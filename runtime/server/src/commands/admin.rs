//! `admin grant`: makes the first platform administrator, because before there is one, nobody can give the role
//! through the API.
//!
//! Uses a superuser's login and bypasses the rules for members. The audit log records it without a member, as the role
//! `job:cli`, with a reason.

use crate::{cli::Admin, settings::Secret};
use anyhow::{Context, Result, bail};
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

const ROLE: &str = "platformAdmin";

pub async fn run(action: &Admin) -> Result<()> {
    let Admin::Grant {
        owner,
        email,
        reason,
    } = action;
    let url = owner.database_url.require()?;
    let options: PgConnectOptions = url.expose_secret().parse().context("DATABASE_URL")?;
    let mut connection = PgConnection::connect_with(&options)
        .await
        .context("DATABASE_URL: the database can't be reached")?;
    let granted = grant(&mut connection, &email.trim().to_lowercase(), reason).await?;
    connection.close().await?;
    match granted {
        true => println!("{email} is a platform administrator now"),
        false => println!("{email} is a platform administrator already"),
    }
    Ok(())
}

/// Returns whether the role is new.
async fn grant(connection: &mut PgConnection, email: &str, reason: &str) -> Result<bool> {
    let mut transaction = connection.begin().await?;
    let user = account(&mut transaction, email).await?;
    sqlx::query(
        "select pg_catalog.set_config('app.job', 'cli', true), pg_catalog.set_config('app.request_id', $1, true),
                sec.set_reason($2)",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(reason)
    .execute(&mut *transaction)
    .await?;
    // Two concurrent runs wait for each other here; the second one finds the role.
    sqlx::query("select 1 from app.users where id = $1 for update")
        .bind(user)
        .execute(&mut *transaction)
        .await?;
    let held: Option<String> = sqlx::query_scalar(
        "select state from app.role_assignments where user_id = $1 and role = $2 and status = 'active'",
    )
    .bind(user)
    .bind(ROLE)
    .fetch_optional(&mut *transaction)
    .await?;
    // The operator and the member have agreed in person, so the role counts as accepted.
    let text = match held.as_deref() {
        Some("accepted") => return Ok(false),
        Some(_) => {
            "update app.role_assignments set state = 'accepted'
             where user_id = $1 and role = $2 and status = 'active'"
        }
        None => {
            "insert into app.role_assignments (user_id, role, state) values ($1, $2, 'accepted')"
        }
    };
    sqlx::query(text)
        .bind(user)
        .bind(ROLE)
        .execute(&mut *transaction)
        .await
        .context("the role could not be given; is DATABASE_URL a superuser's login?")?;
    transaction.commit().await?;
    Ok(true)
}

/// Only accounts that can sign in are accepted.
async fn account(connection: &mut PgConnection, email: &str) -> Result<Uuid> {
    let email = &email.trim().to_lowercase();
    let found: Vec<(Uuid, String)> = sqlx::query_as(
        "select id, status from app.users where email = $1 order by status = 'archived'",
    )
    .bind(email)
    .fetch_all(&mut *connection)
    .await
    .context("members could not be read; is DATABASE_URL a superuser's login?")?;
    match found.first() {
        Some((id, status)) if status == "active" => return Ok(*id),
        Some((_, status)) if status == "suspended" => {
            bail!("the account of {email} is suspended; it gets no role before that is lifted")
        }
        Some(_) => bail!("the account of {email} was deleted"),
        None => {}
    }
    let waiting: bool =
        sqlx::query_scalar("select exists (select from app.sign_ups where email = $1)")
            .bind(email)
            .fetch_one(connection)
            .await?;
    if waiting {
        bail!(
            "{email} has signed up, but not yet opened the link in the mail; there is no account until then"
        );
    }
    bail!("nobody has signed up with {email}; sign up with the app first, then run this again")
}
