//! The service account and its current access token.
//!
//! The library caches a token until it expires and can't discard it earlier; to discard a token, the library's account
//! is created anew.

use super::SERVICE;
use crate::{exchange::UNTIL_MENDED, push::Unpushed};
use gcp_auth::{CustomServiceAccount, Token, TokenProvider};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::{sync::RwLock, time::timeout};
use url::Url;

const SCOPES: &[&str] = &["https://www.googleapis.com/auth/firebase.messaging"];

/// The fields of the JSON that the library requires and that become part of a URL. Checked here, since the library's
/// own errors would repeat their values.
#[derive(Deserialize)]
struct Parts {
    project_id: String,
    token_uri: String,
}

pub(super) struct Account {
    json: SecretString,
    project: String,
    timeout: Duration,
    current: RwLock<Arc<CustomServiceAccount>>,
}

pub(super) struct Access(Arc<Token>);

impl Access {
    pub fn token(&self) -> &str {
        self.0.as_str()
    }
}

impl Account {
    pub fn new(json: SecretString, timeout: Duration) -> Result<Self, String> {
        let parts: Parts = serde_json::from_str(json.expose_secret())
            .map_err(|_| "it is not the JSON of a service account".to_owned())?;
        let uri = Url::parse(&parts.token_uri).ok();
        if !uri.is_some_and(|uri| ["http", "https"].contains(&uri.scheme())) {
            return Err("its `token_uri` is no address of the web".to_owned());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
        if parts.project_id.is_empty() || !parts.project_id.chars().all(plain) {
            return Err("its `project_id` is none".to_owned());
        }
        Ok(Self {
            current: RwLock::new(Arc::new(made(&json)?)),
            json,
            project: parts.project_id,
            timeout,
        })
    }

    pub fn project(&self) -> &str {
        &self.project
    }

    pub async fn access(&self) -> Result<Access, Unpushed> {
        let account = self.current.read().await.clone();
        self.ask(&account).await
    }

    /// Returns another token than the given one, which was refused. If several calls were refused at once, only the
    /// first requests a new token.
    pub async fn renewed(&self, refused: &Access) -> Result<Access, Unpushed> {
        let mut current = self.current.write().await;
        let access = self.ask(&current).await?;
        if access.token() != refused.token() {
            return Ok(access);
        }
        let fresh = made(&self.json).map_err(Unpushed::NotNow)?;
        *current = Arc::new(fresh);
        self.ask(&current).await
    }

    async fn ask(&self, account: &CustomServiceAccount) -> Result<Access, Unpushed> {
        match timeout(self.timeout, account.token(SCOPES)).await {
            Ok(Ok(token)) => Ok(Access(token)),
            // The error's text comes from the other side and may repeat what was sent.
            Ok(Err(_)) => Err(Unpushed::Paused {
                reason: format!("no access token for {SERVICE}"),
                wait: UNTIL_MENDED,
            }),
            Err(_) => Err(Unpushed::NotNow(format!(
                "no access token for {SERVICE} in time"
            ))),
        }
    }
}

fn made(json: &SecretString) -> Result<CustomServiceAccount, String> {
    let account = CustomServiceAccount::from_json(json.expose_secret());
    account.map_err(|_| "its private key can't be read".to_owned())
}
