//! `token` and `token-key`: what developers need to try the API.

use crate::{
    cli::Token,
    commands::seed::PASSWORD,
    seed::demo,
    settings::{Common, Environment},
    wire::{build, parts},
};
use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Long enough for a day of trying.
const LIFETIME_SECONDS: u64 = 12 * 60 * 60;

pub async fn print(common: &Common, arguments: &Token) -> Result<()> {
    if common.environment == Environment::Production {
        bail!(
            "tokens without a password are for development; set CULTUREPASS_ENV=development if this is"
        );
    }
    let mut settings = arguments.app.clone();
    settings.tokens.token_lifetime_seconds = LIFETIME_SECONDS;
    let built = build(parts(common, &settings, None)?)?;
    let token = async |email: &str| -> Result<String> {
        let signed = built.app.modules.sessions.impersonate(email).await?;
        Ok(signed
            .with_context(|| format!("there is no active member {email}"))?
            .access_token)
    };
    match &arguments.email {
        Some(email) => println!("{}", token(email).await?),
        None => {
            println!(
                "  Demonstration accounts, all with the password `{PASSWORD}`, and a token of each for today:"
            );
            for person in &demo::PEOPLE {
                let email = format!("{}@example.org", person.handle);
                println!("\n  {email:<28} {}\n  {}", person.is, token(&email).await?);
            }
        }
    }
    built.db.close().await;
    Ok(())
}

/// An Ed25519 private key as PKCS #8 PEM (RFC 8410).
pub fn fresh_key() -> String {
    const PREFIX: [u8; 16] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the operating system has randomness");
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode([&PREFIX[..], &seed].concat())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{auth::Tokens, config::TokenConfig};

    #[test]
    fn a_fresh_key_signs() {
        let (one, other) = (fresh_key(), fresh_key());
        assert_ne!(one, other);
        let tokens = Tokens::new(&TokenConfig::new("i".into(), "a".into(), one.into())).unwrap();
        let issued = tokens
            .issue(uuid::Uuid::nil(), uuid::Uuid::nil(), 0)
            .unwrap();
        assert!(tokens.verify(&issued.token, 1).is_ok());
    }
}
