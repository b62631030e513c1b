//! Mail by SMTP, sent to a relay.

use crate::{
    mail::{Mail, Mailer, Undelivered},
    message::{self, Sender},
};
use futures_util::future::BoxFuture;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    transport::smtp::{
        PoolConfig,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// STARTTLS: the connection begins unencrypted and must be encrypted before anything is sent (port 587).
    Starttls,
    /// TLS from the first byte (port 465).
    Implicit,
    /// No encryption (port 25); for a server on the same machine.
    None,
}

#[derive(Clone, Debug)]
pub struct SmtpConfig {
    pub host: String,
    /// The port. `None`: the usual port of the encryption.
    pub port: Option<u16>,
    pub encryption: Encryption,
    pub login: Option<(String, SecretString)>,
    pub from: Sender,
    /// The name that this side sends in `EHLO`. `None`: the domain of `from`.
    pub hello: Option<String>,
    /// The time limit for a message, from connecting to the server's last answer.
    pub timeout: Duration,
    pub connections: u32,
    /// PEM certificates of authorities that are trusted in addition to the public ones.
    pub authorities: Vec<u8>,
}

pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Sender,
    timeout: Duration,
}

impl SmtpMailer {
    /// Creates the sender; it connects when the first mail is sent.
    pub fn new(config: SmtpConfig) -> Result<Self, String> {
        let (tls, port) = match config.encryption {
            Encryption::Starttls => (Tls::Required(parameters(&config)?), 587),
            Encryption::Implicit => (Tls::Wrapper(parameters(&config)?), 465),
            Encryption::None => (Tls::None, 25),
        };
        let hello = config
            .hello
            .unwrap_or_else(|| config.from.domain().to_owned());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host)
            .port(config.port.unwrap_or(port))
            .tls(tls)
            .hello_name(ClientId::Domain(hello))
            .timeout(Some(config.timeout))
            .pool_config(PoolConfig::new().max_size(config.connections));
        if let Some((user, password)) = config.login {
            let password = password.expose_secret().to_owned();
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self {
            transport: builder.build(),
            from: config.from,
            timeout: config.timeout,
        })
    }
}

fn parameters(config: &SmtpConfig) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(config.host.clone());
    for pem in certificates(&config.authorities) {
        let certificate = Certificate::from_pem(pem.as_bytes())
            .map_err(|error| format!("a certificate can't be read: {error}"))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| error.to_string())
}

/// Splits a bundle into its certificates.
fn certificates(bundle: &[u8]) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(bundle);
    text.split_inclusive(END)
        .filter(|part| part.contains(END))
        .map(str::to_owned)
        .collect()
}

impl Mailer for SmtpMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<Option<String>, Undelivered>> {
        Box::pin(async move {
            let message = message::build(mail, &self.from)?;
            // The transport's own time-out only covers connecting; without this one, a server that stops answering
            // would block the call.
            match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
                Ok(sent) => sent.map(|_| None).map_err(|error| undelivered(&error)),
                Err(_) => Err(late()),
            }
        })
    }
}

fn late() -> Undelivered {
    Undelivered::NotNow("the mail server did not answer in time".to_owned())
}

/// Describes an error by the number of the server's answer only, since its text often repeats the address.
fn undelivered(error: &lettre::transport::smtp::Error) -> Undelivered {
    let code = error.status().map(|code| code.to_string());
    match code {
        // Codes about the mailbox, as opposed to the login or the server.
        Some(code) if ["550", "551", "553", "501"].contains(&code.as_str()) => {
            Undelivered::Never(format!("the mail server refused the address: {code}"))
        }
        Some(code) => Undelivered::NotNow(format!("the mail server answered {code}")),
        None if error.is_timeout() => late(),
        None if error.is_tls() => {
            Undelivered::NotNow("no encrypted connection to the mail server".to_owned())
        }
        None => Undelivered::NotNow("no connection to the mail server, or it broke".to_owned()),
    }
}
