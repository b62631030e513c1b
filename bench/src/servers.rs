//! The four servers: starting them, waiting until they are ready, measuring their memory, stopping them.

use crate::{prepare, process};
use anyhow::{Result, bail};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub const HAND_PLAIN: &str = "hand-written plain";
pub const GENERATED_PLAIN: &str = "generated plain";
pub const HAND_SECURED: &str = "hand-written secured";
pub const GENERATED_SECURED: &str = "generated secured";
pub const ALL: [&str; 4] = [HAND_PLAIN, GENERATED_PLAIN, HAND_SECURED, GENERATED_SECURED];

pub struct Server {
    pub port: u16,
    pub cold_start_ms: f64,
    child: Child,
}

pub struct Keys {
    pub private_pem: String,
    pub public_pem: String,
}

impl Server {
    pub fn start(name: &'static str, admin: &str, connections: u32, keys: &Keys) -> Result<Self> {
        Self::start_with(name, admin, connections, keys, &[])
    }

    /// Starts a server with additional settings.
    pub fn start_with(
        name: &'static str,
        admin: &str,
        connections: u32,
        keys: &Keys,
        settings: &[(&str, String)],
    ) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let secured = name == HAND_SECURED || name == GENERATED_SECURED;
        let database = if secured {
            prepare::SECURED
        } else {
            prepare::PLAIN
        };
        let mut command = if name == GENERATED_SECURED {
            let mut command = Command::new(prepare::binary("culturepass")?);
            command.arg("serve");
            command
        } else {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["server", name]);
            command
        };
        common(&mut command, admin, database, keys);
        command
            .env("DB_CONNECTIONS", connections.to_string())
            .env("LISTEN", format!("127.0.0.1:{port}"))
            .env("API_DOCS", "false")
            .env(
                "BENCH_TOKEN_PUBLIC_KEY",
                if secured { &keys.public_pem } else { "" },
            )
            .env("IP_RATE_PER_MINUTE", "0")
            .env("USER_RATE_PER_MINUTE", "0")
            .envs(settings.iter().map(|(name, value)| (name, value)));
        let started = Instant::now();
        let mut child = command.spawn()?;
        while !answers(port) {
            if let Some(status) = child.try_wait()? {
                bail!("{name} ended at once: {status}");
            }
            if started.elapsed() > Duration::from_secs(20) {
                child.kill()?;
                bail!("{name} did not start");
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        let cold_start_ms = started.elapsed().as_secs_f64() * 1e3;
        Ok(Self {
            port,
            cold_start_ms,
            child,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn peak_memory_mb(&self) -> f64 {
        process::peak_memory_mb(self.pid())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The shipped worker in a process of its own.
pub struct Worker(Child);

impl Worker {
    pub fn start(admin: &str, keys: &Keys, settings: &[(&str, String)]) -> Result<Self> {
        let mut command = Command::new(prepare::binary("culturepass")?);
        command.arg("worker");
        common(&mut command, admin, prepare::SECURED, keys);
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        Ok(Self(command.spawn()?))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn common(command: &mut Command, admin: &str, database: &str, keys: &Keys) {
    command
        .env(
            "APP_DATABASE_URL",
            prepare::url(admin, "culturepass_app", database),
        )
        .env(
            "JOB_DATABASE_URL",
            prepare::url(admin, "culturepass_job", database),
        )
        .env("CULTUREPASS_ENV", "development")
        .env("LOG", "error")
        .env("TOKEN_KEY", &keys.private_pem)
        .stdin(Stdio::null());
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut head = [0; 12];
    stream.write_all(request).is_ok()
        && stream.read_exact(&mut head).is_ok()
        && head.starts_with(b"HTTP/1.1 2")
}
