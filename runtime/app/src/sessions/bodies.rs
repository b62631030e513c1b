//! Bodies of requests and answers of this module. The attributes of a field check it and are its part of the API
//! document.

use super::{handles::is_reserved, password::weakness};
use chrono::{DateTime, Utc};
use kernel::{Result, input::Invalid};
use macros::{Entity, Input};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// What is wrong with a value: an error code, and the second part of a sentence that begins with the value.
type Fault = Option<(&'static str, String)>;

/// Refuses (422) a password that is easy to guess. `personal` are names that it may not contain.
pub fn weak_password(password: &SecretString, personal: &[&str]) -> Result<()> {
    match weakness(password.expose_secret(), personal) {
        Some(weak) => Err(Invalid::Fields(vec![weak]).into()),
        None => Ok(()),
    }
}

fn handle(handle: &str) -> Fault {
    is_reserved(handle).then(|| ("reserved", "is reserved; choose another".to_owned()))
}

fn chosen(password: &SecretString) -> Fault {
    weakness(password.expose_secret(), &[]).map(|weak| (weak.code, weak.detail))
}

/// A sign-up. The password is chosen after opening the link in the e-mail.
#[derive(Input)]
#[input(
    body,
    example = r#"{"email": "ana@example.org", "handle": "ana", "display_name": "Ana Costa",
    "locale": "pt-PT", "timezone": "Europe/Lisbon"}"#
)]
pub struct SignUp {
    #[input(length(3, 254), format = "email", lower)]
    pub email: String,
    /// Lower-case letters, digits and `_`, beginning with a letter. Official-looking names are reserved.
    #[input(length(3, 30), format = "handle", check = handle)]
    pub handle: String,
    #[input(length(1, 80))]
    pub display_name: String,
    #[input(format = "locale")]
    pub locale: Option<String>,
    /// IANA name
    #[input(format = "timezone")]
    pub timezone: Option<String>,
}

/// The token from the link in the sign-up e-mail, the password, and optionally other names.
#[derive(Input)]
#[input(
    body,
    example = r#"{"token": "nX0Z2kq1bq3X…", "password": "seven small elephants"}"#
)]
pub struct VerifyEmail {
    #[input(opaque(1, 200))]
    pub token: SecretString,
    #[input(opaque(10, 128))]
    pub password: SecretString,
    /// Replaces the handle from the sign-up.
    #[input(length(3, 30), format = "handle", check = handle)]
    pub handle: Option<String>,
    /// Replaces the display name from the sign-up.
    #[input(length(1, 80))]
    pub display_name: Option<String>,
}

/// The token from the link that was sent to the new address.
#[derive(Input)]
#[input(body, example = r#"{"token": "nX0Z2kq1bq3X…"}"#)]
pub struct ConfirmEmail {
    #[input(opaque(1, 200))]
    pub token: SecretString,
}

/// An e-mail address and its password.
#[derive(Input)]
#[input(
    body,
    example = r#"{"email": "ana@example.org", "password": "seven small elephants"}"#
)]
pub struct Credentials {
    #[input(length(3, 254), format = "email", lower)]
    pub email: String,
    // No lower limit: an old password may have been chosen under other rules.
    #[input(opaque(1, 128))]
    pub password: SecretString,
}

/// The caller's password.
#[derive(Input)]
#[input(body)]
pub struct Password {
    #[input(opaque(1, 128))]
    pub password: SecretString,
}

/// The current and the new password.
#[derive(Input)]
#[input(body)]
pub struct ChangePassword {
    #[input(opaque(1, 128))]
    pub current_password: SecretString,
    #[input(opaque(10, 128), check = chosen)]
    pub password: SecretString,
}

/// A refresh token.
#[derive(Input)]
#[input(body)]
pub struct RefreshToken {
    #[input(opaque(1, 200))]
    pub refresh_token: SecretString,
}

/// An e-mail address.
#[derive(Input)]
#[input(body, example = r#"{"email": "ana@example.org"}"#)]
pub struct Address {
    #[input(length(3, 254), format = "email", lower)]
    pub email: String,
}

/// The token from the link in the e-mail, and the new password.
#[derive(Input)]
#[input(body)]
pub struct ResetPassword {
    #[input(opaque(1, 200))]
    pub token: SecretString,
    #[input(opaque(10, 128), check = chosen)]
    pub password: SecretString,
}

/// A sign-in on one device, or the use of an external issuer's tokens.
// Columns stand in this order where it is selected.
#[derive(Entity, Serialize, ToSchema)]
#[serde(tag = "object", rename = "session")]
pub struct Session {
    pub id: Uuid,
    pub authenticated_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    /// External account whose tokens the session uses; null for a sign-in with a password.
    pub identity_id: Option<Uuid>,
    /// Whether this request belongs to the session.
    pub current: bool,
}

/// The caller's active sessions.
#[derive(Serialize, ToSchema)]
pub struct SessionList {
    pub data: Vec<Session>,
    /// Cursor of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// An account at an external issuer whose tokens give access as the caller.
// Columns stand in this order where it is selected.
#[derive(Entity, Serialize, ToSchema)]
#[serde(tag = "object", rename = "external_identity")]
pub struct ExternalIdentity {
    pub id: Uuid,
    /// Issuer of the tokens.
    #[schema(example = "https://accounts.example.org")]
    pub issuer: String,
    /// Address by which the account was linked.
    #[schema(format = "email")]
    pub email: Option<String>,
    pub linked_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
}

/// The caller's external accounts.
#[derive(Serialize, ToSchema)]
pub struct IdentityList {
    pub data: Vec<ExternalIdentity>,
    /// Whether the caller can sign in with a password.
    pub has_password: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::input::{Body, Mode, Posted};

    fn read<T: Posted>(text: &str) -> Result<T, Invalid> {
        let mut body = Body::parse(text.as_bytes(), Mode::Create)?;
        let input = T::from_body(&mut body);
        body.finish(input)
    }

    fn errors<T: Posted>(text: &str) -> Vec<(String, &'static str)> {
        match read::<T>(text) {
            Ok(_) => Vec::new(),
            Err(Invalid::Fields(errors)) => errors
                .into_iter()
                .map(|error| (error.pointer, error.code))
                .collect(),
            Err(Invalid::Syntax(why)) => panic!("{why}"),
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let text = r#"{"email":"x","password":"given too early","handle":"9A","display_name":" \u200b","role":"platformAdmin"}"#;
        let told = errors::<SignUp>(text);
        let names =
            r#"{"token":"t","password":"short","handle":"adm1n","display_name":"a\u202ena"}"#;
        for (pointer, code) in [
            ("/password", "length"),
            ("/handle", "reserved"),
            ("/display_name", "format"),
        ] {
            let told = errors::<VerifyEmail>(names);
            assert!(told.contains(&(pointer.to_owned(), code)), "{told:?}");
        }
        for pointer in ["/email", "/password", "/handle", "/display_name", "/role"] {
            assert!(
                told.iter().any(|(told, _)| told == pointer),
                "{pointer} in {told:?}"
            );
        }
    }

    #[test]
    fn addresses_are_kept_in_lower_case() {
        let text = r#"{"email":"Ana@Example.ORG","password":"seven small elephants"}"#;
        let Ok(credentials) = read::<Credentials>(text) else {
            panic!("refused")
        };
        assert_eq!(credentials.email, "ana@example.org");
    }
}
