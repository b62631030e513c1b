//! The common setup of several measurements: two databases, keys, members with sessions, and running statements.

use crate::{
    AUDIENCE, ISSUER,
    prepare::{self, Caller},
    servers::Keys,
};
use anyhow::{Context, Result};
use kernel::{auth, config::TokenConfig};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use uuid::Uuid;

/// The aim with which a figure in a table of results is compared.
#[derive(Clone, Copy)]
pub enum Aim {
    AtMost(f64),
    AtLeast(f64),
    None,
}

/// A line of a table: description, figure, unit, and the aim in that unit.
pub struct Line {
    what: String,
    figure: f64,
    unit: &'static str,
    aim: Aim,
}

pub struct World {
    pub admin: String,
    pub files: PathBuf,
    pub keys: Keys,
    pub prepared: prepare::Prepared,
    signer: auth::Tokens,
}

impl World {
    /// Prepares the databases with so many institutions and events, as for `bench run`.
    pub async fn make(admin: &str, rows: i32) -> Result<Self> {
        let files = folder()?;
        let prepared = prepare::prepare(admin, rows, &files).await?;
        let keys = keys()?;
        let mut config = TokenConfig::new(
            ISSUER.into(),
            AUDIENCE.into(),
            keys.private_pem.clone().into(),
        );
        config.lifetime = Duration::from_secs(6 * 60 * 60);
        Ok(Self {
            admin: admin.to_owned(),
            files,
            signer: auth::Tokens::new(&config)?,
            keys,
            prepared,
        })
    }

    /// Connects as superuser to the database of the shipped server; like the server's connections, this one does not
    /// compile plans (JIT).
    pub async fn connect(&self) -> Result<PgConnection> {
        let mut conn = PgConnection::connect(&self.url()).await?;
        run(&mut conn, "set jit = off").await?;
        Ok(conn)
    }

    pub fn url(&self) -> String {
        prepare::on(&self.admin, prepare::SECURED)
    }

    pub fn token(&self, caller: Caller) -> Result<String> {
        let now = chrono::Utc::now().timestamp();
        Ok(self.signer.issue(caller.user, caller.session, now)?.token)
    }

    /// Creates members with a session each, and returns their tokens.
    pub async fn members(
        &self,
        conn: &mut PgConnection,
        many: usize,
    ) -> Result<Vec<(Uuid, String)>> {
        self.crowd(conn, many).await?;
        (1..=many)
            .map(|number| Ok((member(number)?, self.token_of_member(number)?)))
            .collect()
    }

    /// Creates members with sessions, without tokens.
    pub async fn crowd(&self, conn: &mut PgConnection, many: usize) -> Result<()> {
        run(conn, &MEMBERS.replace("MANY", &many.to_string())).await
    }

    /// The token of the member with this number, counted from 1.
    pub fn token_of_member(&self, number: usize) -> Result<String> {
        let (user, session) = (member(number)?, session(number)?);
        self.token(Caller { user, session })
    }
}

/// Members and sessions, whose ids contain their number.
const MEMBERS: &str = "
  set session_replication_role = replica;
  insert into app.users (id, handle, display_name, email)
    select ('d1000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'bench_member_' || n, 'Bench', 'member' || n || '@example.org'
    from generate_series(1, MANY) n;
  insert into app.sessions (id, user_id, expires_at)
    select ('d2000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, ('d1000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
      now() + interval '1 day'
    from generate_series(1, MANY) n;
  reset session_replication_role;
  analyze app.users, app.sessions";

pub fn member(number: usize) -> Result<Uuid> {
    Ok(format!("d1000000-0000-7000-8000-{number:012}").parse()?)
}

pub async fn run(conn: &mut PgConnection, text: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await?;
    Ok(())
}

/// The folder for the scripts and keys of a run.
pub fn folder() -> Result<PathBuf> {
    let files = env::temp_dir().join("culturepass-bench");
    fs::create_dir_all(&files)?;
    Ok(files)
}

/// Copies wrk's scripts next to the files with ids that they read.
pub fn copy_scripts(files: &Path) -> Result<()> {
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/wrk"))? {
        let path = entry?.path();
        fs::copy(&path, files.join(path.file_name().context("a file")?))?;
    }
    Ok(())
}

pub fn keys() -> Result<Keys> {
    let private = openssl(&["genpkey", "-algorithm", "ed25519"])?;
    let file = folder()?.join("key.pem");
    fs::write(&file, &private)?;
    let public = openssl(&["pkey", "-pubout", "-in", &file.to_string_lossy()])?;
    fs::remove_file(file)?;
    Ok(Keys {
        private_pem: private,
        public_pem: public,
    })
}

pub fn openssl(arguments: &[&str]) -> Result<String> {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .context("openssl is missing")?;
    Ok(String::from_utf8(output.stdout)?)
}

impl Line {
    pub fn new(what: impl Into<String>, figure: f64, unit: &'static str, aim: Aim) -> Self {
        let line = Self {
            what: what.into(),
            figure,
            unit,
            aim,
        };
        eprintln!("{}: {} {}", line.what, number(figure), unit);
        line
    }

    fn row(&self) -> String {
        let aim = match self.aim {
            Aim::None => String::new(),
            Aim::AtMost(most) => aim("≤", most, self.unit, self.figure <= most),
            Aim::AtLeast(least) => aim("≥", least, self.unit, self.figure >= least),
        };
        let figure = format!("{} {}", number(self.figure), self.unit);
        format!("| {} | {} | {aim} |\n", self.what, figure.trim_end())
    }
}

pub fn table(lines: &[Line]) -> String {
    let rows: String = lines.iter().map(Line::row).collect();
    format!("| what | measured | aim |\n|---|--:|--:|\n{rows}")
}

fn session(number: usize) -> Result<Uuid> {
    Ok(format!("d2000000-0000-7000-8000-{number:012}").parse()?)
}

fn aim(sign: &str, bound: f64, unit: &str, held: bool) -> String {
    let missed = if held { "" } else { ", **missed**" };
    let bound = format!("{sign} {bound} {unit}");
    format!("{}{missed}", bound.trim_end())
}

/// Formats a figure with a reasonable number of digits.
fn number(figure: f64) -> String {
    match figure.abs() {
        small if small < 10.0 => format!("{figure:.2}"),
        middle if middle < 100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}
