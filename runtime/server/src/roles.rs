//! Migrates the database, and sets passwords for the server's two roles, whose logins it writes as settings.
//!
//! The passwords are made once and stored in a file that only its owner can read; a second run keeps them.

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use generated::migrations::MIGRATIONS;
use kernel::migrate::Limits;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, postgres::PgConnectOptions};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use url::Url;

/// A setting and its role.
const LOGINS: [(&str, &str); 2] = [
    ("APP_DATABASE_URL", "culturepass_app"),
    ("JOB_DATABASE_URL", "culturepass_job"),
];

/// Runs the pending migrations, lets the server see which have run, and lets nobody create temporary objects. Returns
/// the versions of the migrations.
pub async fn migrate(database: &PgConnectOptions) -> Result<Vec<i64>> {
    let done = kernel::migrate::up(database, MIGRATIONS, &Limits::default()).await?;
    let mut connection = database.connect().await?;
    sqlx::query("grant select on public._sqlx_migrations to culturepass_app")
        .execute(&mut connection)
        .await?;
    // Everybody may by default. The types of a temporary schema are found before all others unless a function's search
    // path says otherwise, and what their checks call would run with the rights of that function.
    let name: String = sqlx::query_scalar("select quote_ident(current_database())")
        .fetch_one(&mut connection)
        .await?;
    sqlx::query(AssertSqlSafe(format!(
        "revoke temporary on database {name} from public"
    )))
    .execute(&mut connection)
    .await?;
    connection.close().await?;
    Ok(done)
}

/// Sets the passwords in the database and writes the file. `owner` is the URL that `database` was read from.
pub async fn prepare(database: &PgConnectOptions, owner: &str, file: &Path) -> Result<()> {
    let known = read(file)?;
    let mut connection = database.connect().await?;
    let mut both = connection.begin().await?;
    let mut text = String::from("# Logins of the server's roles. Secret.\n");
    for (setting, role) in LOGINS {
        let password = match known.get(setting) {
            Some(url) => Url::parse(url)?.password().unwrap_or_default().to_owned(),
            None => random_password(),
        };
        // This statement takes no parameters for the password. It needs no quoting, which is checked.
        if password.is_empty()
            || !password
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            bail!(
                "{}: the password of {role} is not one that was made here",
                file.display()
            );
        }
        sqlx::query(AssertSqlSafe(format!(
            "alter role {role} with login password '{password}'"
        )))
        .execute(&mut *both)
        .await
        .with_context(|| format!("the password of {role}"))?;
        text.push_str(&format!("{setting}='{}'\n", login(owner, role, &password)?));
    }
    // Passwords that nobody knows would lock the servers out: they are set once they are written down.
    let written = write_secret(file, &text)?;
    both.commit().await?;
    connection.close().await?;
    fs::rename(&written, file).with_context(|| file.display().to_string())
}

fn read(file: &Path) -> Result<BTreeMap<String, String>> {
    if !file.exists() {
        return Ok(BTreeMap::new());
    }
    let lines = dotenvy::from_path_iter(file).with_context(|| file.display().to_string())?;
    lines
        .collect::<Result<_, _>>()
        .with_context(|| file.display().to_string())
}

/// The owner's URL with another login.
fn login(owner: &str, role: &str, password: &str) -> Result<Url> {
    let mut url = Url::parse(owner).context("DATABASE_URL")?;
    // A URL without a host is for a socket; it has its login as parameters.
    if url.host_str().is_some_and(|host| !host.is_empty()) {
        let set = url
            .set_username(role)
            .and_then(|()| url.set_password(Some(password)));
        set.map_err(|()| anyhow::anyhow!("DATABASE_URL can carry no login"))?;
        return Ok(url);
    }
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| key != "user" && key != "password")
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(kept)
        .append_pair("user", role)
        .append_pair("password", password);
    Ok(url)
}

fn random_password() -> String {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Writes a new file beside this one, and returns its name. Only its owner can read it.
fn write_secret(file: &Path, text: &str) -> Result<PathBuf> {
    let half = file.with_extension("new");
    let named = || half.display().to_string();
    // One that is left from an earlier run may be readable by others.
    match fs::remove_file(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(named);
        }
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(&half);
    let mut opened = opened.with_context(named)?;
    opened.write_all(text.as_bytes()).with_context(named)?;
    opened.sync_all().with_context(named)?;
    Ok(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_beside_the_file_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let file = std::env::temp_dir().join(format!("roles-{}.env", uuid::Uuid::now_v7()));
        let half = file.with_extension("new");
        fs::write(&half, "left by an earlier run, for everybody").unwrap();
        fs::set_permissions(&half, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(write_secret(&file, "secret").unwrap(), half);
        assert!(!file.exists());
        assert_eq!(fs::read_to_string(&half).unwrap(), "secret");
        let mode = fs::metadata(&half).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_file(&half).unwrap();
        assert!(write_secret(Path::new("/nonexistent/roles.env"), "secret").is_err());
    }

    #[test]
    fn a_login_replaces_the_owner_in_either_kind_of_url() {
        let login = |owner| login(owner, "r", "p").unwrap().to_string();
        assert_eq!(
            login("postgres://o:x@db:5432/c?sslmode=require"),
            "postgres://r:p@db:5432/c?sslmode=require"
        );
        assert_eq!(login("postgres://db/c"), "postgres://r:p@db/c");
        assert_eq!(
            login("postgres:///c?host=/run/pg&user=o"),
            "postgres:///c?host=%2Frun%2Fpg&user=r&password=p"
        );
    }
}
