//! Conditions that must hold before the server answers requests. Each error says what to do.

mod database;

pub use database::{CATALOGUE, database};

use crate::{
    cli::{self, Serve},
    seed::demo,
    settings::{Http, Mail, Secret, SmtpTls},
    wire::Parts,
};
use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use generated::migrations::MIGRATIONS;
use kernel::{Caller, Db, http::health, migrate};
use secrecy::ExposeSecret;
use std::{collections::BTreeSet, fs};
use url::Url;
use uuid::Uuid;

/// Keys from documentation and tests, whose private part is public.
const EXAMPLE_KEYS: [&str; 3] = [
    // RFC 8410
    "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC",
    // the tests of the token code
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g",
    // the system tests
    "MC4CAQAwBQYDK2VwBCIEIHFn1unubnqMN9YnJ06S1KrvmLsDImfeOBtOjEsUSkRt",
];

/// Fewer different bytes than any random key has.
const FEWEST_BYTES: usize = 16;

/// What can be checked from the settings alone.
pub fn settings(production: bool, settings: &Serve, parts: &Parts) -> Result<()> {
    token_key(parts.tokens.signing_key.expose_secret())?;
    if !production {
        return Ok(());
    }
    if settings.development.dev_outbox_url.is_some() {
        bail!(
            "DEV_OUTBOX_URL shows everybody the mail of everybody; it is for CULTUREPASS_ENV=development"
        );
    }
    if settings.app.push.push_dir.is_some() {
        bail!("PUSH_DIR keeps push messages in a folder; it is for CULTUREPASS_ENV=development");
    }
    if parts.api_docs && !settings.http.api_docs_in_production {
        bail!(
            "API_DOCS=true shows the whole API to everybody; in production that needs \
             API_DOCS_IN_PRODUCTION=true as well"
        );
    }
    addresses(production, &settings.app)?;
    mail(production, &settings.app.mail)
}

/// Addresses that secrets are sent to or that keys are fetched from must be encrypted, unless they are on the same
/// machine.
pub fn addresses(production: bool, settings: &cli::App) -> Result<()> {
    if !production {
        return Ok(());
    }
    let (tokens, modules) = (&settings.tokens, &settings.modules);
    let issuer = tokens.oidc_issuer.as_deref().map(str::parse);
    let issuer: Option<Url> = issuer
        .transpose()
        .context("OIDC_ISSUER is not an address")?;
    // Keys from elsewhere don't come from the issuer's address.
    let is_elsewhere = tokens.oidc_jwks_url.is_some() || tokens.oidc_jwks_file.is_some();
    let media = &modules.media;
    for (name, url, why) in [
        (
            "PUBLIC_URL",
            Some(&tokens.public_url),
            "tokens and passwords would travel in the clear",
        ),
        (
            "APP_URL",
            modules.sessions.app_url.as_ref(),
            "links in mail that open accounts would be followed in the clear",
        ),
        (
            "OIDC_ISSUER",
            issuer.as_ref().filter(|_| !is_elsewhere),
            "whoever is on the way to its keys could replace them, and sign in as anybody",
        ),
        (
            "OIDC_JWKS_URL",
            tokens.oidc_jwks_url.as_ref(),
            "whoever is on the way to the keys could replace them, and sign in as anybody",
        ),
        (
            "MEDIA_S3_ENDPOINT",
            media.media_s3_endpoint.as_ref(),
            "pictures, and addresses to which they are sent, would travel in the clear",
        ),
        (
            "MEDIA_PUBLIC_URL",
            media.media_public_url.as_ref(),
            "browsers show no pictures from there on pages that are encrypted",
        ),
    ] {
        let Some(url) = url else { continue };
        let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() != "https" && !is_local {
            bail!("{name}={url} is not https; {why}");
        }
    }
    Ok(())
}

/// Addresses to which paths and tokens are appended.
pub fn bases(settings: &cli::App) -> Result<()> {
    let modules = &settings.modules;
    for (name, url) in [
        ("PUBLIC_URL", Some(&settings.tokens.public_url)),
        ("APP_URL", modules.sessions.app_url.as_ref()),
        ("MEDIA_PUBLIC_URL", modules.media.media_public_url.as_ref()),
    ] {
        let Some(url) = url else { continue };
        // The refusal does not repeat the address, which may hold a password.
        if !url.username().is_empty() || url.password().is_some() {
            bail!("{name} holds a login, which everybody would see; leave it out");
        }
        if url.query().is_some() || url.fragment().is_some() {
            bail!(
                "{name} ends with `?…` or `#…`, to which no path can be appended; leave that out"
            );
        }
    }
    Ok(())
}

/// A request that is ended while Stripe is asked leaves open what has become of the payment.
pub fn time_to_pay(settings: &cli::App, http: &Http) -> Result<()> {
    let (stripe, all) = (
        settings.stripe.stripe_timeout_seconds,
        http.handler_timeout_seconds,
    );
    if settings.stripe.stripe_secret_key.get()?.is_some() && stripe >= all {
        bail!(
            "STRIPE_TIMEOUT_SECONDS={stripe} is not less than HANDLER_TIMEOUT_SECONDS={all}: requests would be ended while \
             a payment is made"
        );
    }
    Ok(())
}

/// A volume that was not mounted, or belongs to another user, is noticed now and not when somebody sends a picture.
pub fn pictures(settings: &cli::App) -> Result<()> {
    let media = &settings.modules.media;
    if media.media_s3_bucket.is_some() {
        return Ok(());
    }
    let folder = &media.media_dir;
    let named = || format!("MEDIA_DIR: {} can't be written to", folder.display());
    fs::create_dir_all(folder).with_context(named)?;
    let file = folder.join(format!(".{}", Uuid::now_v7().simple()));
    fs::write(&file, []).with_context(named)?;
    fs::remove_file(&file).with_context(named)
}

/// Without mail nobody can sign up or reset a password.
pub fn mail(production: bool, settings: &Mail) -> Result<()> {
    if !production {
        return Ok(());
    }
    let by_api =
        settings.resend_api_key.get()?.is_some() || settings.sendgrid_api_key.get()?.is_some();
    let Some(host) = settings.smtp_host.as_deref() else {
        if by_api {
            return Ok(());
        }
        bail!(
            "SMTP_HOST is not set, nor RESEND_API_KEY or SENDGRID_API_KEY: mail would go nowhere. Set one of them, and \
             MAIL_FROM; without a mail service there is only CULTUREPASS_ENV=development"
        );
    };
    let is_local = matches!(host, "localhost" | "127.0.0.1" | "::1");
    if settings.smtp_tls == SmtpTls::None && !is_local {
        bail!("SMTP_TLS=none would send links that open accounts in the clear to {host}");
    }
    Ok(())
}

/// With a key that somebody can guess, they can sign tokens for everybody.
pub fn token_key(pem: &str) -> Result<()> {
    let body: String = pem
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("-----"))
        .collect();
    if EXAMPLE_KEYS.contains(&body.as_str()) {
        bail!(
            "TOKEN_KEY is a key from documentation, which everybody knows; make one with `culturepass token-key`"
        );
    }
    let bytes = STANDARD
        .decode(&body)
        .ok()
        .context("TOKEN_KEY is not a PEM private key; make one with `culturepass token-key`")?;
    let seed = bytes
        .get(16..48)
        .context("TOKEN_KEY is shorter than 256 bits; make one with `culturepass token-key`")?;
    let different: BTreeSet<u8> = seed.iter().copied().collect();
    let counting = seed
        .windows(2)
        .all(|pair| pair[1] == pair[0].wrapping_add(1));
    if different.len() < FEWEST_BYTES || counting {
        bail!("TOKEN_KEY is not random; make one with `culturepass token-key`");
    }
    Ok(())
}

/// The passwords of demonstration accounts are public, so anybody could sign in as a platform administrator.
pub async fn no_demonstration(db: &Db) -> Result<()> {
    let people: Vec<Uuid> = demo::PEOPLE.iter().map(|person| person.id).collect();
    let mut cx = db.job("sessions", None, Uuid::now_v7()).await?;
    let found: i64 =
        sqlx::query_scalar("select count(*) from app.credentials where user_id = any($1) and password_hash is not null")
            .bind(people)
            .fetch_one(cx.conn())
            .await?;
    if found > 0 {
        bail!(
            "this database has {found} demonstration accounts with a password that everybody knows; use another \
             database, or set CULTUREPASS_ENV=development if this one is for trying things"
        );
    }
    Ok(())
}

/// For `/readyz`: whether the migrations still match. A rollout may migrate the database while this server runs.
pub fn ready(db: Db) -> health::Check {
    Box::new(move || {
        let db = db.clone();
        Box::pin(async move {
            let mut cx = db
                .begin_read(&Caller::anonymous(Uuid::nil()))
                .await
                .map_err(|error| error.to_string())?;
            match migrate::pending(cx.conn(), MIGRATIONS).await {
                Ok(pending) if pending.is_empty() => Ok(()),
                Ok(_) => Err("migrations have not run".to_owned()),
                // A newer program has migrated the database already; this one continues until it is replaced.
                Err(migrate::Error::Ahead(_)) => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::{Arg, CommandFactory, Parser};

    fn pem(seed: [u8; 32]) -> String {
        let prefix = STANDARD.decode("MC4CAQAwBQYDK2VwBCIEIA==").unwrap();
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode([&prefix[..], &seed].concat())
        )
    }

    /// Settings whose addresses are checked where they are used: with the key that is sent there.
    const ELSEWHERE: [&str; 5] = [
        "DEV_OUTBOX_URL",
        "FCM_URL",
        "RESEND_URL",
        "SENDGRID_URL",
        "STRIPE_URL",
    ];

    #[test]
    fn every_address_is_encrypted_in_production() {
        let mut command = Cli::command();
        command.build();
        let serve = command.find_subcommand("serve").unwrap();
        let is_url = |argument: &&Arg| {
            argument.get_value_parser().type_id() == std::any::TypeId::of::<Url>()
        };
        let mut tried = 0;
        let names = ["oidc-issuer"].into_iter();
        let urls = serve.get_arguments().filter(is_url);
        for name in names.chain(urls.filter_map(Arg::get_long)) {
            let setting = name.to_uppercase().replace('-', "_");
            if ELSEWHERE.contains(&setting.as_str()) {
                continue;
            }
            tried += 1;
            let said = |production: bool, url: &str| {
                let set = format!("--{name}={url}");
                let more = ["--public-url=https://a.example", "--oidc-audience=b"];
                let mut given = vec!["culturepass", "serve", set.as_str()];
                given.extend(
                    more.into_iter()
                        .filter(|one| !one.starts_with(&format!("--{name}="))),
                );
                let parsed = Cli::try_parse_from(given).unwrap();
                let cli::Command::Serve(serve) = parsed.command else {
                    unreachable!("serve")
                };
                addresses(production, &serve.app).map_err(|error| error.to_string())
            };
            let refused = said(true, "http://example.org/x").unwrap_err();
            assert!(
                refused.starts_with(&format!("{setting}=http://")),
                "{refused}"
            );
            for allowed in [
                "https://example.org/x",
                "http://127.0.0.1:1/x",
                "http://[::1]/",
            ] {
                assert_eq!(said(true, allowed), Ok(()), "{setting}={allowed}");
            }
            assert_eq!(said(false, "http://example.org/x"), Ok(()), "{setting}");
        }
        assert!(tried >= 6, "{tried}");
    }

    #[test]
    fn keys_that_can_be_guessed_are_refused() {
        let refused = |pem: &str| token_key(pem).unwrap_err().to_string();
        assert!(refused(&pem([7; 32])).contains("not random"));
        assert!(refused(&pem(std::array::from_fn(|i| i as u8 + 40))).contains("not random"));
        assert!(
            refused(&format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
                EXAMPLE_KEYS[0]
            ))
            .contains("documentation")
        );
        assert!(refused("secret").contains("PEM"));
        assert!(refused("c2hvcnQ=").contains("256 bits"));
        token_key(&crate::commands::fresh_key()).unwrap();
    }
}
