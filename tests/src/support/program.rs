//! The program `culturepass` itself, as a process with a log.

use super::{Client, Database, Member};
use kernel::{auth::Tokens, config::TokenConfig};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};
use tokio::net::TcpListener;
use uuid::Uuid;

const ISSUER: &str = "http://127.0.0.1:8080";

/// What a restarted program keeps: its ports, and the key of its tokens.
pub struct Place {
    port: u16,
    admin_port: u16,
    key: String,
}

impl Place {
    pub async fn free() -> Self {
        Self {
            port: free_port().await,
            admin_port: free_port().await,
            key: server::commands::fresh_key(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn tokens(&self) -> Tokens {
        let key = self.key.clone().into();
        let config = TokenConfig::new(ISSUER.into(), "culturepass".into(), key);
        Tokens::new(&config).expect("a key")
    }
}

/// A running `culturepass serve`, or `culturepass worker`.
pub struct Program {
    pub client: Client,
    /// `/readyz`, `/livez` and `/metrics`.
    pub admin: Client,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    tokens: Tokens,
}

/// A subcommand with the logins of this database, and otherwise an empty environment.
pub fn command(database: &Database, arguments: &[&str]) -> Command {
    let mut command = Command::new(executable());
    command
        .args(arguments)
        .env_clear()
        .current_dir(std::env::temp_dir())
        .env("APP_DATABASE_URL", database.url("culturepass_app"))
        .env("JOB_DATABASE_URL", database.url("culturepass_job"))
        // No mail server is listening there, so mail waits.
        .env("SMTP_HOST", "127.0.0.1")
        .env("SMTP_PORT", "9")
        .env("SMTP_TLS", "none")
        .env("MAIL_FROM", "CulturePass <no-reply@example.org>")
        .stdin(Stdio::null());
    command
}

/// Runs the command until it ends.
pub fn run(database: &Database, arguments: &[&str]) -> Output {
    let output = command(database, arguments).output();
    output.expect("the program runs")
}

impl Program {
    /// Starts `serve` and waits until it is ready. There are no rate limits, unless `change` sets them.
    pub async fn serve(database: &Database, change: impl FnOnce(&mut Command)) -> Self {
        let mut program = Self::start(&Place::free().await, database, change).await;
        assert!(program.is_ready().await, "it ended:\n{}", program.text());
        program
    }

    /// Starts `serve` at this place, without waiting until it is ready.
    pub async fn start(
        place: &Place,
        database: &Database,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        Self::begin("serve", place, database, change).await
    }

    /// Starts `worker`, which serves no requests.
    pub async fn work(database: &Database, change: impl FnOnce(&mut Command)) -> Self {
        Self::begin("worker", &Place::free().await, database, change).await
    }

    async fn begin(
        subcommand: &str,
        place: &Place,
        database: &Database,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let grant = "grant select on public._sqlx_migrations to culturepass_app";
        let mut conn = database.superuser().await;
        sqlx::query(grant).execute(&mut conn).await.expect("grant");

        let mut command = command(database, &[subcommand]);
        command
            .env("TOKEN_KEY", &place.key)
            .env("PUBLIC_URL", ISSUER)
            .env("LISTEN", format!("127.0.0.1:{}", place.port))
            .env("ADMIN_LISTEN", format!("127.0.0.1:{}", place.admin_port))
            .env("DB_CONNECTIONS", "4")
            .env("IP_RATE_PER_MINUTE", "0")
            .env("USER_RATE_PER_MINUTE", "0")
            .env("MONEY_REQUESTS_PER_DAY", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().expect("the program starts");
        let log = collect(&mut child);
        Self {
            client: Client::of_the_api(place.url()),
            admin: Client::new(format!("http://127.0.0.1:{}", place.admin_port)),
            child,
            log,
            tokens: place.tokens(),
        }
    }

    /// Signs an existing member in, with a session and a token.
    pub async fn sign_in(&self, database: &Database, id: Uuid) -> Member {
        let mut conn = database.superuser().await;
        let session = "insert into app.sessions (user_id, expires_at) values ($1, now() + interval '1 day') returning id";
        let session: Uuid = sqlx::query_scalar(session)
            .bind(id)
            .fetch_one(&mut conn)
            .await
            .expect("a session");
        let now = chrono::Utc::now().timestamp();
        let issued = self.tokens.issue(id, session, now).expect("a token");
        Member {
            id,
            session,
            client: self.client.with_token(issued.token.clone()),
            token: issued.token,
        }
    }

    /// Sends a signal, such as `TERM` or `KILL`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.expect("kill").success());
    }

    /// Waits until the program ends; fails if it does not.
    pub async fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < until, "still running:\n{}", self.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The lines of the log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("log").clone()
    }

    pub fn text(&self) -> String {
        self.log().join("\n")
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status. None: the program is still running.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Waits until the program is ready. False: it has ended instead.
    pub async fn is_ready(&mut self) -> bool {
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("client");
        let ready = format!("{}/readyz", self.admin.base());
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            match http.get(&ready).send().await {
                Ok(answer) if answer.status() == 200 => return true,
                _ if self.status().is_some() => return false,
                _ => assert!(Instant::now() < until, "not ready:\n{}", self.text()),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(child: &mut Child) -> Arc<Mutex<Vec<String>>> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let (lines, stderr) = (log.clone(), child.stderr.take().expect("piped"));
    std::thread::spawn(move || {
        // Lines are split at line feeds only, as log collectors do.
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            lines.lock().expect("log").push(line);
        }
    });
    log
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let address = listener.expect("a free port").local_addr();
    address.expect("an address").port()
}

/// The path of the program, which is built together with the tests because the server's own tests need it. Fails if it
/// is outdated, since testing it would prove nothing.
fn executable() -> PathBuf {
    let own = std::env::current_exe().expect("the tests' own path");
    let folder = own.parent().and_then(Path::parent).expect("target/debug");
    let path = folder.join("culturepass");
    let mend = "build it: cargo build -p server, or run script/test";
    let built = modified(&path).unwrap_or_else(|| panic!("{} is missing; {mend}", path.display()));
    let sources = [
        "runtime/server/src",
        "runtime/app/src",
        "runtime/kernel/src",
        "generated/src",
    ];
    for folder in sources {
        let newest = newest(&super::root().join(folder));
        assert!(
            newest <= built,
            "{} is older than {folder}; {mend}",
            path.display()
        );
    }
    path
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|data| data.modified()).ok()
}

fn newest(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).expect("sources");
    let times = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => newest(&path),
            false => modified(&path).expect("a time"),
        }
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}
