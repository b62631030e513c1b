//! The service account, and the access token that it has at the moment.
//!
//! The library keeps a token until its time is over and has no way to throw one away: an account is made anew for that.

use super::SERVICE;
use crate::{exchange::UNTIL_MENDED, push::Unpushed};
use gcp_auth::{CustomServiceAccount, Token, TokenProvider};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::{sync::RwLock, time::timeout};
use url::Url;

const SCOPES: &[&str] = &["https://www.googleapis.com/auth/firebase.messaging"];

/// What the library demands of the JSON, and what goes into a URL. It would repeat values in its own errors.
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

    /// Another token than this one, which was refused. Of many that were refused at once only the first asks.
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
            // Its words are the other side's: they may hold what we sent.
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
