//! Settings of the engine as plain structs. Reading their values is the server's task.

use secrecy::SecretString;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Connections to PostgreSQL.
#[derive(Clone, Debug)]
pub struct DbConfig {
    /// Login of the request role.
    pub url: SecretString,
    /// Login of the job role; without it modules can't write.
    pub job_url: Option<SecretString>,
    pub connections: u32,
    pub job_connections: u32,
    /// Connections for searches, maps and counts, separate from all others. One caller may use half of them at most.
    pub search_connections: u32,
    /// A search that takes longer is cancelled and answered 503.
    pub search_timeout: Duration,
    /// Connections for figures that members ask for, of the job role.
    pub figure_connections: u32,
    /// The statement timeout on these.
    pub figure_timeout: Duration,
    /// Whether the connections of requests and jobs are opened at once, so that the first requests don't wait for them.
    /// Otherwise each is opened when all others are in use, as those for searches and figures always are.
    pub opened_at_once: bool,
    /// How long a caller waits for a connection before getting 503.
    pub acquire_timeout: Duration,
    /// Size of the statement cache per connection; at least the number of generated statements.
    pub statement_cache: usize,
    /// A connection idle for longer is tested before use.
    pub ping_after_idle: Duration,
}

impl DbConfig {
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            job_url: None,
            connections: 10,
            job_connections: 4,
            search_connections: 4,
            search_timeout: Duration::from_secs(2),
            figure_connections: 4,
            figure_timeout: Duration::from_secs(10),
            opened_at_once: true,
            acquire_timeout: Duration::from_secs(2),
            statement_cache: 2400,
            ping_after_idle: Duration::from_secs(30),
        }
    }
}

/// The listener, and limits of what a request may cost.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    pub listen: SocketAddr,
    /// A second listener for `/livez`, `/readyz` and `/metrics`.
    pub admin_listen: Option<SocketAddr>,
    /// Whether `/readyz` and `/metrics` are served on the public listener as well.
    pub expose_admin: bool,
    /// From the first byte of a request's head, or from the connection if it is the first one.
    pub header_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub keep_alive: Duration,
    pub max_header_bytes: usize,
    pub max_connections: usize,
    /// Connections per IPv4 address or IPv6 /64; trusted proxies are not counted.
    pub max_connections_per_address: usize,
    /// Concurrent requests; more are answered 503 at once.
    pub max_requests: usize,
    pub body_limit: usize,
    pub body_timeout: Duration,
    pub handler_timeout: Duration,
    /// A client that reads less than 256 KiB of its answer in this time is disconnected.
    pub write_timeout: Duration,
    /// After the signal to stop: how long the server reports not ready but still accepts connections.
    pub drain_delay: Duration,
    /// After that: how long requests in progress may continue.
    pub drain_timeout: Duration,
    /// Origins that browsers may call from; `null` and `*` are refused.
    pub cors_origins: Vec<String>,
    /// Whether pages on the same machine may call too, on any port: for development.
    pub cors_localhost: bool,
    /// Addresses or networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<String>,
    pub ip_limit: Option<RateLimit>,
    pub user_limit: Option<RateLimit>,
    /// Routes whose limit differs from `body_limit`.
    pub body_limits: Vec<BodyLimit>,
    /// Templates of routes whose paths contain a secret: the log shows the template instead.
    pub secret_paths: Vec<&'static str>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: None,
            expose_admin: false,
            header_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(75),
            max_header_bytes: 16 * 1024,
            max_connections: 4096,
            max_connections_per_address: 256,
            max_requests: 512,
            body_limit: 256 * 1024,
            body_timeout: Duration::from_secs(30),
            handler_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(60),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(25),
            cors_origins: Vec::new(),
            cors_localhost: false,
            trusted_proxies: Vec::new(),
            ip_limit: Some(RateLimit {
                per_minute: 1200,
                burst: 200,
            }),
            user_limit: Some(RateLimit {
                per_minute: 600,
                burst: 100,
            }),
            body_limits: Vec::new(),
            secret_paths: Vec::new(),
        }
    }
}

/// The largest body of one route, enforced before anything else reads the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit {
    /// The template of the route: `/media/{id}/file`.
    pub path: &'static str,
    pub bytes: usize,
}

impl BodyLimit {
    pub(crate) fn is_for(&self, path: &str) -> bool {
        fits(self.path, path)
    }
}

/// Whether a path, without its query, matches a template.
fn fits(route: &str, path: &str) -> bool {
    let mut asked = path.split('/');
    let fits = route.split('/').all(|part| {
        let other = asked.next();
        match part.starts_with('{') {
            true => other.is_some_and(|other| !other.is_empty()),
            false => other == Some(part),
        }
    });
    fits && asked.next().is_none()
}

/// A bucket of `burst` requests that is refilled with `per_minute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub per_minute: u32,
    pub burst: u32,
}

/// Access tokens that this API issues.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    pub issuer: String,
    pub audience: String,
    /// Ed25519 private key, PKCS #8 PEM.
    pub signing_key: SecretString,
    /// Other signing keys whose tokens are accepted, usually former ones: public or private Ed25519 keys in PEM.
    pub former_keys: Vec<SecretString>,
    pub lifetime: Duration,
    /// Tolerated clock difference.
    pub leeway: Duration,
}

impl TokenConfig {
    pub fn new(issuer: String, audience: String, signing_key: SecretString) -> Self {
        Self {
            issuer,
            audience,
            signing_key,
            former_keys: Vec::new(),
            lifetime: Duration::from_secs(600),
            leeway: Duration::from_secs(5),
        }
    }
}

/// An OpenID Connect issuer whose tokens are accepted as well.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    pub issuer: String,
    pub audience: String,
    pub jwks: Jwks,
    /// Clients that tokens may have been issued to, if they say so (`azp`). By default only the audience itself.
    pub authorized_parties: Vec<String>,
    /// The longest time between a token's `iat` and its `exp`.
    pub max_lifetime: Duration,
    /// Keys are fetched again after this time, or when a token refers to an unknown one.
    pub refresh: Duration,
}

impl IssuerConfig {
    pub fn new(issuer: String, audience: String, jwks: Jwks) -> Self {
        Self {
            issuer,
            authorized_parties: vec![audience.clone()],
            audience,
            jwks,
            max_lifetime: Duration::from_secs(24 * 60 * 60),
            refresh: Duration::from_secs(3600),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Jwks {
    Url(url::Url),
    File(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_for_its_route_alone() {
        let limit = BodyLimit {
            path: "/media/{id}/file",
            bytes: 1,
        };
        assert!(limit.is_for("/media/7/file"));
        for other in [
            "/media/7",
            "/media//file",
            "/media/7/file/x",
            "/media/7/files",
            "/",
        ] {
            assert!(!limit.is_for(other), "{other}");
        }
    }
}
