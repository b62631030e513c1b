//! What clients send and get here, and how it is checked.
//!
//! Checked by the same helpers as generated bodies: everything wrong at once, unknown fields refused.

use axum::extract::{FromRequest, Request};
use chrono::{DateTime, Utc};
use kernel::{
    Error, Result,
    http::body::read_json,
    input::{Body, Check, Format, Invalid, Mode},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    handles::{is_handle, is_reserved},
    password::{MAX_CHARS, MIN_CHARS, weakness},
};

/// A body of this module.
pub trait Read: Sized {
    fn read(body: Body) -> Result<Self, Invalid>;
}

/// Extracts a body that implements [`Read`].
pub struct Sent<T>(pub T);

impl<T: Read, S: Sync> FromRequest<S> for Sent<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let text = read_json(&parts.headers, body, Mode::Create).await?;
        Ok(Self(T::read(Body::parse(&text, Mode::Create)?)?))
    }
}

const EMAIL: &[Check] = &[Check::Length(3, 254), Check::Format(Format::Email)];
const NEW_PASSWORD: &[Check] = &[Check::Opaque(MIN_CHARS, MAX_CHARS)];
/// Old ones may come from times with other rules.
const ANY_PASSWORD: &[Check] = &[Check::Opaque(1, MAX_CHARS)];
const HANDLE: &[Check] = &[Check::Length(3, 30)];
const DISPLAY_NAME: &[Check] = &[Check::Length(1, 80)];
const TOKEN: &[Check] = &[Check::Opaque(1, 200)];

/// Addresses differ only in case where nobody means it.
fn lower(email: String) -> String {
    email.to_lowercase()
}

/// Who wants to become a member. Whoever opens the link in the mail chooses the password.
#[derive(ToSchema)]
#[schema(example = json!({"email": "ana@example.org", "handle": "ana", "display_name": "Ana Costa",
    "locale": "pt-PT", "timezone": "Europe/Lisbon"}))]
pub struct SignUp {
    #[schema(format = "email", max_length = 254)]
    pub email: String,
    /// Lower-case letters, digits and `_`, beginning with a letter. Names that speak for the platform are reserved.
    #[schema(min_length = 3, max_length = 30, pattern = "^[a-z][a-z0-9_]*$")]
    pub handle: String,
    #[schema(min_length = 1, max_length = 80)]
    pub display_name: String,
    pub locale: Option<String>,
    /// IANA name
    pub timezone: Option<String>,
}

impl Read for SignUp {
    fn read(mut body: Body) -> Result<Self, Invalid> {
        let email: Option<String> = body.required("email", EMAIL);
        let handle: Option<String> = body.required("handle", HANDLE);
        let display_name: Option<String> = body.required("display_name", DISPLAY_NAME);
        let locale: Option<Option<String>> =
            body.optional("locale", &[Check::Format(Format::Locale)]);
        let timezone: Option<Option<String>> =
            body.optional("timezone", &[Check::Format(Format::Timezone)]);
        check_handle(&mut body, handle.as_deref());
        body.finish((|| {
            Some(Self {
                email: lower(email?),
                handle: handle?,
                display_name: display_name?,
                locale: locale?,
                timezone: timezone?,
            })
        })())
    }
}

fn check_handle(body: &mut Body, handle: Option<&str>) {
    let Some(handle) = handle else { return };
    if !is_handle(handle) {
        let wants = "must be lower-case letters, digits and _, beginning with a letter";
        body.refuse("handle", "format", wants);
    } else if is_reserved(handle) {
        body.refuse("handle", "reserved", "is reserved; choose another");
    }
}

/// The token of a link in a mail that proves an address. After signing up with the password to have, and the names if
/// they are to be other ones.
#[derive(ToSchema)]
#[schema(example = json!({"token": "nX0Z2kq1bq3X…", "password": "seven small elephants"}))]
pub struct VerifyEmail {
    #[schema(value_type = String, max_length = 200)]
    pub token: SecretString,
    /// Required after signing up; without effect on the link of a changed address.
    #[schema(value_type = Option<String>, format = "password", min_length = 10, max_length = 128)]
    pub password: Option<SecretString>,
    /// After signing up: another than the one that was asked for.
    #[schema(min_length = 3, max_length = 30, pattern = "^[a-z][a-z0-9_]*$")]
    pub handle: Option<String>,
    /// After signing up: another than the one that was asked for.
    #[schema(min_length = 1, max_length = 80)]
    pub display_name: Option<String>,
}

impl Read for VerifyEmail {
    fn read(mut body: Body) -> Result<Self, Invalid> {
        let token: Option<String> = body.required("token", TOKEN);
        let password: Option<Option<String>> = body.optional("password", NEW_PASSWORD);
        let handle: Option<Option<String>> = body.optional("handle", HANDLE);
        let display_name: Option<Option<String>> = body.optional("display_name", DISPLAY_NAME);
        check_handle(&mut body, handle.as_ref().and_then(Option::as_deref));
        body.finish((|| {
            Some(Self {
                token: token?.into(),
                password: password?.map(SecretString::from),
                handle: handle?,
                display_name: display_name?,
            })
        })())
    }
}

/// 422 for a password that is guessed at once.
pub fn weak_password(password: &SecretString, personal: &[&str]) -> Result<()> {
    match weakness(password.expose_secret(), personal) {
        Some(weak) => Err(Invalid::Fields(vec![weak]).into()),
        None => Ok(()),
    }
}

/// An address and its password.
#[derive(ToSchema)]
#[schema(example = json!({"email": "ana@example.org", "password": "seven small elephants"}))]
pub struct Credentials {
    #[schema(format = "email", max_length = 254)]
    pub email: String,
    #[schema(value_type = String, format = "password", max_length = 128)]
    pub password: SecretString,
}

impl Read for Credentials {
    fn read(mut body: Body) -> Result<Self, Invalid> {
        let email: Option<String> = body.required("email", EMAIL);
        let password: Option<String> = body.required("password", ANY_PASSWORD);
        body.finish((|| {
            Some(Self {
                email: lower(email?),
                password: password?.into(),
            })
        })())
    }
}

/// A password by itself.
#[derive(ToSchema)]
pub struct Password {
    #[schema(value_type = String, format = "password", max_length = 128)]
    pub password: SecretString,
}

impl Read for Password {
    fn read(mut body: Body) -> Result<Self, Invalid> {
        let password: Option<String> = body.required("password", ANY_PASSWORD);
        body.finish((|| {
            Some(Self {
                password: password?.into(),
            })
        })())
    }
}

/// The old password and the new.
#[derive(ToSchema)]
pub struct ChangePassword {
    #[schema(value_type = String, format = "password", max_length = 128)]
    pub current_password: SecretString,
    #[schema(value_type = String, format = "password", min_length = 10, max_length = 128)]
    pub password: SecretString,
}

impl Read for ChangePassword {
    fn read(mut body: Body) -> Result<Self, Invalid> {
        let current: Option<String> = body.required("current_password", ANY_PASSWORD);
        let password = new_password(&mut body);
        body.finish((|| {
            Some(Self {
                current_password: current?.into(),
                password: password?.into(),
            })
        })())
    }
}

fn new_password(body: &mut Body) -> Option<String> {
    let password: Option<String> = body.required("password", NEW_PASSWORD);
    if let Some(weak) = password
        .as_deref()
        .and_then(|password| weakness(password, &[]))
    {
        body.refuse("password", weak.code, weak.detail);
    }
    password
}

/// A refresh token.
#[derive(ToSchema)]
pub struct RefreshToken {
    #[schema(value_type = String, max_length = 200)]
    pub refresh_token: SecretString,
}

impl Read for RefreshToken {
    fn read(mut body: Body) -> Result<Self, Invalid> {
        let token: Option<String> = body.required("refresh_token", TOKEN);
        body.finish((|| {
            Some(Self {
                refresh_token: token?.into(),
            })
        })())
    }
}

/// An address.
#[derive(ToSchema)]
#[schema(example = json!({"email": "ana@example.org"}))]
pub struct Address {
    #[schema(format = "email", max_length = 254)]
    pub email: String,
}

impl Read for Address {
    fn read(mut body: Body) -> Result<Self, Invalid> {
        let email: Option<String> = body.required("email", EMAIL);
        body.finish((|| {
            Some(Self {
                email: lower(email?),
            })
        })())
    }
}

/// The token of a link in a mail, and the password to have from now on.
#[derive(ToSchema)]
pub struct NewPassword {
    #[schema(value_type = String, max_length = 200)]
    pub token: SecretString,
    #[schema(value_type = String, format = "password", min_length = 10, max_length = 128)]
    pub password: SecretString,
}

impl Read for NewPassword {
    fn read(mut body: Body) -> Result<Self, Invalid> {
        let token: Option<String> = body.required("token", TOKEN);
        let password = new_password(&mut body);
        body.finish((|| {
            Some(Self {
                token: token?.into(),
                password: password?.into(),
            })
        })())
    }
}

/// A sign-in on one device, or the use of an issuer's tokens.
#[derive(Serialize, ToSchema)]
pub struct Session {
    pub id: Uuid,
    pub authenticated_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    /// The identity whose tokens it stands for, as in `GET /me/identities`.
    pub identity_id: Option<Uuid>,
    /// The session of this very request.
    pub current: bool,
}

/// All sessions of the caller that have not ended.
#[derive(Serialize, ToSchema)]
pub struct SessionList {
    pub data: Vec<Session>,
}

/// An account at an issuer whose tokens let the caller in.
#[derive(Serialize, ToSchema)]
pub struct ExternalIdentity {
    pub id: Uuid,
    /// Who issues the tokens.
    #[schema(example = "https://accounts.example.org")]
    pub issuer: String,
    /// The address by which it was linked.
    #[schema(format = "email")]
    pub email: Option<String>,
    pub linked_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
}

/// The caller's accounts at issuers, and whether there is another way in.
#[derive(Serialize, ToSchema)]
pub struct IdentityList {
    pub data: Vec<ExternalIdentity>,
    /// Whether the caller can sign in with a password.
    pub has_password: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors<T: Read>(text: &str) -> Vec<(String, &'static str)> {
        match Body::parse(text.as_bytes(), Mode::Create).and_then(T::read) {
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
            r#"{"token":"t","password":"short","handle":"adm1n","display_name":"\u202eana"}"#;
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
        let body = Body::parse(text.as_bytes(), Mode::Create).unwrap();
        let Ok(credentials) = Credentials::read(body) else {
            panic!("refused")
        };
        assert_eq!(credentials.email, "ana@example.org");
    }
}
