//! How mail and push messages are sent, chosen by the settings: one service for each.

use crate::settings::{Mail, Push, Secret, SmtpTls};
use anyhow::{Context, Result, anyhow, bail};
use delivery::{
    mail::{
        Encryption, FileMailer, LogMailer, Mailer, ResendConfig, ResendMailer, Sender,
        SendgridConfig, SendgridMailer, SmtpConfig, SmtpMailer,
    },
    push::{FcmConfig, FcmPusher, FilePusher, LogPusher, Pusher},
    webhooks::{Keys, ResendKey, SendgridKey},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::{path::Path, sync::Arc, time::Duration};
use url::Url;

pub fn mailer(settings: &Mail, production: bool) -> Result<Arc<dyn Mailer>> {
    let resend = settings.resend_api_key.get()?;
    let sendgrid = settings.sendgrid_api_key.get()?;
    one_of(
        "mail",
        &[
            ("SMTP_HOST", settings.smtp_host.is_some()),
            ("RESEND_API_KEY", resend.is_some()),
            ("SENDGRID_API_KEY", sendgrid.is_some()),
            ("MAIL_DIR", settings.mail_dir.is_some()),
        ],
    )?;
    let timeout = Duration::from_secs(settings.mail_timeout_seconds.max(1));
    if let Some(key) = resend {
        let url = encrypted("RESEND_URL", &settings.resend_url, production)?;
        let mailer = ResendMailer::new(ResendConfig {
            key,
            url,
            from: sender(settings)?,
            timeout,
        });
        return Ok(Arc::new(
            mailer.map_err(|why| anyhow!("RESEND_URL: {why}"))?,
        ));
    }
    if let Some(key) = sendgrid {
        let url = encrypted("SENDGRID_URL", &settings.sendgrid_url, production)?;
        let mailer = SendgridMailer::new(SendgridConfig {
            key,
            url,
            from: sender(settings)?,
            timeout,
        });
        return Ok(Arc::new(
            mailer.map_err(|why| anyhow!("SENDGRID_URL: {why}"))?,
        ));
    }
    if let Some(folder) = &settings.mail_dir {
        let mailer = FileMailer::new(folder.clone());
        return Ok(Arc::new(mailer.with_context(|| of("MAIL_DIR", folder))?));
    }
    match &settings.smtp_host {
        Some(host) => Ok(Arc::new(smtp(settings, host)?)),
        None => Ok(Arc::new(LogMailer)),
    }
}

pub fn pusher(settings: &Push, production: bool) -> Result<Arc<dyn Pusher>> {
    let account = settings.fcm_service_account.get()?;
    one_of(
        "push",
        &[
            ("FCM_SERVICE_ACCOUNT", account.is_some()),
            ("PUSH_DIR", settings.push_dir.is_some()),
        ],
    )?;
    if let Some(account) = account {
        if production {
            let token_uri = token_uri(&account);
            encrypted("FCM_SERVICE_ACCOUNT", &token_uri?, production)?;
        }
        let pusher = FcmPusher::new(FcmConfig {
            service_account: account,
            url: encrypted("FCM_URL", &settings.fcm_url, production)?,
            timeout: Duration::from_secs(settings.fcm_timeout_seconds),
        });
        let pusher = pusher.map_err(|why| anyhow!("FCM_SERVICE_ACCOUNT: {why}"))?;
        return Ok(Arc::new(pusher));
    }
    match &settings.push_dir {
        Some(folder) => {
            let pusher = FilePusher::new(folder.clone());
            Ok(Arc::new(pusher.with_context(|| of("PUSH_DIR", folder))?))
        }
        None => Ok(Arc::new(LogPusher)),
    }
}

pub fn webhooks(settings: &Mail) -> Result<Keys> {
    let resend = settings.resend_webhook_secret.get()?;
    let resend = resend.map(|secret| ResendKey::new(&secret)).transpose();
    let sendgrid = settings.sendgrid_webhook_key.get()?;
    let sendgrid = sendgrid.map(|key| SendgridKey::new(key.expose_secret()));
    Ok(Keys {
        resend: resend.map_err(|why| anyhow!("RESEND_WEBHOOK_SECRET: {why}"))?,
        sendgrid: sendgrid
            .transpose()
            .map_err(|why| anyhow!("SENDGRID_WEBHOOK_KEY: {why}"))?,
    })
}

fn smtp(settings: &Mail, host: &str) -> Result<SmtpMailer> {
    if host.contains("//") || host.matches(':').count() == 1 {
        bail!("SMTP_HOST={host} is not the name of a server; its port is SMTP_PORT");
    }
    let login = match (settings.smtp_user.clone(), settings.smtp_password.get()?) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => bail!("SMTP_USER and SMTP_PASSWORD go together"),
    };
    let authorities = match &settings.smtp_ca_file {
        Some(file) => {
            let pem = std::fs::read(file).with_context(|| of("SMTP_CA_FILE", file))?;
            let begin = b"-----BEGIN CERTIFICATE-----";
            if !pem.windows(begin.len()).any(|part| part == begin) {
                bail!("{} holds no certificate in PEM", of("SMTP_CA_FILE", file));
            }
            pem
        }
        None => Vec::new(),
    };
    let mailer = SmtpMailer::new(SmtpConfig {
        host: host.to_owned(),
        port: settings.smtp_port,
        encryption: match settings.smtp_tls {
            SmtpTls::Starttls => Encryption::Starttls,
            SmtpTls::Implicit => Encryption::Implicit,
            SmtpTls::None => Encryption::None,
        },
        login,
        from: sender(settings)?,
        hello: settings.smtp_hello.clone(),
        timeout: Duration::from_secs(settings.smtp_timeout_seconds.max(1)),
        connections: settings.smtp_connections.max(1),
        authorities,
    });
    mailer.map_err(|why| anyhow!("SMTP_HOST: {why}"))
}

fn sender(settings: &Mail) -> Result<Sender> {
    let from = settings.mail_from.as_deref();
    let from = from.context("MAIL_FROM is not set: who is mail from?")?;
    from.parse().map_err(|why| anyhow!("MAIL_FROM: {why}"))
}

fn token_uri(account: &SecretString) -> Result<Url> {
    let json: Option<Value> = serde_json::from_str(account.expose_secret()).ok();
    let uri = json.and_then(|json| json["token_uri"].as_str()?.parse().ok());
    uri.context("FCM_SERVICE_ACCOUNT: it is not the JSON of a service account")
}

/// With two services configured it would be unclear which one is used.
fn one_of(what: &str, ways: &[(&str, bool)]) -> Result<()> {
    let set: Vec<&str> = ways
        .iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| *name)
        .collect();
    if set.len() > 1 {
        bail!(
            "{} are set; {what} leaves one way only: keep one of them",
            set.join(" and ")
        );
    }
    Ok(())
}

/// The service gets the key, and messages with links that give access to accounts.
fn encrypted(name: &str, url: &Url, production: bool) -> Result<Url> {
    if production && url.scheme() != "https" {
        bail!("{name}: in production it is https only");
    }
    Ok(url.clone())
}

fn of(name: &str, path: &Path) -> String {
    format!("{name}: {}", path.display())
}
