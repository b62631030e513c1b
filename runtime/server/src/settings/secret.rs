//! Secrets: from the environment, or from the file that `<NAME>_FILE` names, never from both.

use anyhow::{Context, Result, bail};
use clap::Args;
use secrecy::SecretString;
use std::{fs, path::Path};

/// A setting that may also come from a file.
pub trait Secret {
    const NAME: &'static str;
    fn given(&self) -> (Option<&SecretString>, Option<&Path>);

    fn get(&self) -> Result<Option<SecretString>> {
        let name = Self::NAME;
        match self.given() {
            (Some(_), Some(_)) => bail!("{name} and {name}_FILE are both set; only one can count"),
            (Some(value), None) => Ok(Some(value.clone())),
            (None, Some(path)) => {
                let text = fs::read_to_string(path)
                    .with_context(|| format!("{name}_FILE: {}", path.display()))?;
                Ok(Some(text.trim_end_matches(['\n', '\r']).into()))
            }
            (None, None) => Ok(None),
        }
    }

    fn require(&self) -> Result<SecretString> {
        self.get()?
            .with_context(|| format!("{name} (or {name}_FILE) must be set", name = Self::NAME))
    }
}

macro_rules! secret {
    ($(#[doc = $doc:literal])* $type:ident, $value:ident, $file:ident, $name:literal, $file_name:literal) => {
        $(#[doc = $doc])*
        #[derive(Args, Clone, Debug)]
        pub struct $type {
            $(#[doc = $doc])*
            #[arg(long, env = $name, hide_env_values = true)]
            $value: Option<SecretString>,
            #[arg(long, env = $file_name, help = concat!("A file that holds `", $name, "`"))]
            $file: Option<std::path::PathBuf>,
        }

        impl Secret for $type {
            const NAME: &'static str = $name;
            fn given(&self) -> (Option<&SecretString>, Option<&Path>) {
                (self.$value.as_ref(), self.$file.as_deref())
            }
        }
    };
}

secret!(
    /// Login of the owner or a superuser: `postgres://user:password@host:port/database`.
    DatabaseUrl, database_url, database_url_file, "DATABASE_URL", "DATABASE_URL_FILE"
);
secret!(
    /// Login of `culturepass_app`, which requests run as.
    AppDatabaseUrl, app_database_url, app_database_url_file, "APP_DATABASE_URL", "APP_DATABASE_URL_FILE"
);
secret!(
    /// Login of `culturepass_job`, which modules and the worker run as.
    JobDatabaseUrl, job_database_url, job_database_url_file, "JOB_DATABASE_URL", "JOB_DATABASE_URL_FILE"
);
secret!(
    /// Ed25519 private key that signs access tokens, PKCS #8 PEM. `culturepass token-key` makes one.
    TokenKey, token_key, token_key_file, "TOKEN_KEY", "TOKEN_KEY_FILE"
);
secret!(
    /// Password of `SMTP_USER`.
    SmtpPassword, smtp_password, smtp_password_file, "SMTP_PASSWORD", "SMTP_PASSWORD_FILE"
);
secret!(
    /// Secret key of the account at Stripe, `sk_…` or `rk_…`. Without it nothing can be paid by card.
    StripeSecretKey, stripe_secret_key, stripe_secret_key_file, "STRIPE_SECRET_KEY", "STRIPE_SECRET_KEY_FILE"
);
secret!(
    /// Key of the account at Resend, `re_…`. Mail is then sent through Resend.
    ResendApiKey, resend_api_key, resend_api_key_file, "RESEND_API_KEY", "RESEND_API_KEY_FILE"
);
secret!(
    /// Signing secret of the webhook at Resend, `whsec_…`. Without it events from Resend are refused.
    ResendWebhookSecret, resend_webhook_secret, resend_webhook_secret_file, "RESEND_WEBHOOK_SECRET", "RESEND_WEBHOOK_SECRET_FILE"
);
secret!(
    /// Key of the account at SendGrid, `SG.…`. Mail is then sent through SendGrid. SendGrid has no idempotency keys,
    /// so a mail is occasionally sent twice.
    SendgridApiKey, sendgrid_api_key, sendgrid_api_key_file, "SENDGRID_API_KEY", "SENDGRID_API_KEY_FILE"
);
secret!(
    /// Verification key of the event webhook at SendGrid, `MFkwEw…`. Without it events from SendGrid are refused.
    SendgridWebhookKey, sendgrid_webhook_key, sendgrid_webhook_key_file, "SENDGRID_WEBHOOK_KEY", "SENDGRID_WEBHOOK_KEY_FILE"
);
secret!(
    /// JSON of a service account of Firebase that may send messages. Push messages are then sent through FCM.
    FcmServiceAccount, fcm_service_account, fcm_service_account_file, "FCM_SERVICE_ACCOUNT", "FCM_SERVICE_ACCOUNT_FILE"
);
