//! Keys that are generated when the fake starts: that of the service account, and that of SendGrid's webhooks.

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256,
        RsaKeyPair, UnparsedPublicKey,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

pub const EMAIL: &str = "messages@fake-project.iam.gserviceaccount.com";
pub const PROJECT: &str = "fake-project";

pub struct Keys {
    /// The key of the account that may send push messages.
    account: RsaKeyPair,
    sendgrid: EcdsaKeyPair,
}

impl Keys {
    pub fn generate() -> Result<Self> {
        let failed = |_| anyhow!("no key could be made");
        Ok(Self {
            account: RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?,
            sendgrid: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?,
        })
    }

    /// The JSON file that one downloads from Google, except that its token endpoint is the fake's.
    pub fn service_account(&self, base_url: &str) -> Result<Value> {
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&self.account);
        let der = der.ok().context("the key of the service account")?;
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .filter_map(|line| std::str::from_utf8(line).ok())
            .collect();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        );
        Ok(json!({
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "fake",
            "private_key": pem,
            "client_email": EMAIL,
            "client_id": "1",
            "auth_uri": format!("{base_url}/auth"),
            "token_uri": format!("{base_url}/token"),
        }))
    }

    /// Whether the service account has signed these bytes (RS256).
    pub fn signed_by_the_account(&self, signed: &[u8], signature: &[u8]) -> bool {
        let public = self.account.public_key();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.as_ref())
            .verify(signed, signature)
            .is_ok()
    }

    /// The public key in the format in which SendGrid shows it.
    pub fn sendgrid_public(&self) -> Result<String> {
        let der = AsDer::<PublicKeyX509Der<'_>>::as_der(self.sendgrid.public_key());
        let der = der.ok().context("the key of SendGrid's webhooks")?;
        Ok(STANDARD.encode(der.as_ref()))
    }

    /// The value of `X-Twilio-Email-Event-Webhook-Signature`.
    pub fn sign_for_sendgrid(&self, timestamp: i64, body: &[u8]) -> Result<String> {
        let signed = [timestamp.to_string().as_bytes(), body].concat();
        let signature = self.sendgrid.sign(&SystemRandom::new(), &signed);
        let signature = signature.map_err(|_| anyhow!("nothing could be signed"))?;
        Ok(STANDARD.encode(signature.as_ref()))
    }
}
