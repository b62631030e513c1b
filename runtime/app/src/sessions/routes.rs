//! The HTTP routes `/auth/…`, `/me/sessions` and others of this module.

use super::{
    Device, Sessions, Signed,
    bodies::{
        Address, ChangePassword, ConfirmEmail, Credentials, IdentityList, Password, RefreshToken,
        ResetPassword, SessionList, SignUp, VerifyEmail,
    },
};
use crate::{languages, texts};
use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use kernel::{Error, Member, Result, Visitor, http::Sent, openapi::Objects};
use utoipa::OpenApi;

pub fn router(sessions: Sessions) -> Router {
    Router::new()
        .route("/auth/sign-up", post(sign_up))
        .route("/auth/verify-email", post(verify_email))
        .route("/auth/confirm-email", post(confirm_email))
        .route("/auth/sign-in", post(sign_in))
        .route("/auth/refresh", post(refresh))
        .route("/auth/step-up", post(step_up))
        .route("/auth/sign-out", post(sign_out))
        .route("/auth/sign-out-everywhere", post(sign_out_everywhere))
        .route("/auth/forgot-password", post(forgot_password))
        .route("/auth/reset-password", post(reset_password))
        .route("/me/password", put(change_password))
        .route("/me/email", put(change_email))
        .route("/me/sessions", get(list))
        .route("/me/sessions/{id}", delete(end))
        .route("/me/identities", get(identities))
        .route("/me/identities/{id}", delete(unlink))
        .with_state(sessions)
}

static OBJECTS: Objects = Objects(&[
    ("Session", "session"),
    ("ExternalIdentity", "external_identity"),
]);

#[derive(OpenApi)]
#[openapi(paths(
    sign_up,
    verify_email,
    confirm_email,
    sign_in,
    refresh,
    step_up,
    sign_out,
    sign_out_everywhere,
    forgot_password,
    reset_password,
    change_password,
    change_email,
    list,
    end,
    identities,
    unlink
), tags(
    (name = "Sign-in", description = "Signing up, signing in and out, forgotten passwords. Start here: enter the access token from signing in under *Authorize*."),
    (name = "Me", description = "The caller's own profile and sessions, and everything that belongs to the caller."),
), modifiers(&OBJECTS))]
pub struct Document;

/// Sign up
///
/// Sends an e-mail with a link, valid for one day. The account is created when a password is chosen there. The response
/// is the same whether or not the address belongs to a member already. Without `locale`, the mail and the account use
/// the first language of `Accept-Language` that there are texts in, or else the first one.
#[utoipa::path(post, path = "/auth/sign-up", operation_id = "signUp", tag = "Sign-in", request_body = SignUp,
    security(()), responses(
        (status = 202, description = "Accepted; an e-mail follows"),
        (status = 409, description = "The handle is taken"),
        (status = 429, description = "The caller's network has requested too many e-mails; see `Retry-After`")))]
async fn sign_up(
    State(sessions): State<Sessions>,
    caller: Visitor,
    headers: HeaderMap,
    Sent(input): Sent<SignUp>,
) -> Result<StatusCode> {
    let accepted = languages::accepted(&headers, texts::languages());
    sessions.sign_up(&caller, input, accepted).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Confirm a sign-up
///
/// Creates the account, with the token from the link in the sign-up e-mail and a password. If the handle has been taken
/// in the meantime, another one can be sent with the same token.
#[utoipa::path(post, path = "/auth/verify-email", operation_id = "verifyEmail", tag = "Sign-in",
    request_body = VerifyEmail, security(()), responses(
        (status = 204, description = "The account exists and the member can sign in"),
        (status = 409, description = "Another member has taken the address or the handle in the meantime"),
        (status = 410, description = "The link was used already, has expired, or never existed")))]
async fn verify_email(
    State(sessions): State<Sessions>,
    caller: Visitor,
    Sent(input): Sent<VerifyEmail>,
) -> Result<StatusCode> {
    sessions.verify_email(&caller, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirm a new e-mail address
///
/// Uses the token from the link that was sent to the new address. The link is invalid once the session that requested
/// it ends. Signs out other devices and unlinks external accounts.
#[utoipa::path(post, path = "/auth/confirm-email", operation_id = "confirmEmail", tag = "Sign-in",
    request_body = ConfirmEmail, security(()), responses(
        (status = 204, description = "The address is changed"),
        (status = 409, description = "Another member has taken the address in the meantime"),
        (status = 410, description = "The link was used already, has expired, or never existed")))]
async fn confirm_email(
    State(sessions): State<Sessions>,
    caller: Visitor,
    Sent(input): Sent<ConfirmEmail>,
) -> Result<StatusCode> {
    sessions.confirm_email(&caller, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign in
///
/// Starts a session. After too many failures, further attempts are refused for a while. Failures from other networks do
/// not lock out a network from which the member has signed in before.
#[utoipa::path(post, path = "/auth/sign-in", operation_id = "signIn", tag = "Sign-in", request_body = Credentials,
    security(()), responses(
        (status = 200, description = "The tokens of the new session", body = Signed),
        (status = 401, description = "The address or the password is wrong")))]
async fn sign_in(
    State(sessions): State<Sessions>,
    caller: Visitor,
    headers: HeaderMap,
    Sent(input): Sent<Credentials>,
) -> Result<Response> {
    let user_agent = headers
        .get(header::USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let user_agent = user_agent.map(|agent| agent.chars().filter(|c| !c.is_control()).collect());
    let device = Device {
        ip: caller.ip,
        user_agent,
    };
    Ok(secret(sessions.sign_in(&caller, input, device).await?))
}

/// Refresh the tokens
///
/// Exchanges a refresh token for new tokens. Each can be used once; later reuse counts as theft and ends the session.
#[utoipa::path(post, path = "/auth/refresh", operation_id = "refresh", tag = "Sign-in", request_body = RefreshToken,
    security(()), responses(
        (status = 200, description = "The new tokens", body = Signed),
        (status = 401, description = "The refresh token is invalid, used or expired")))]
async fn refresh(
    State(sessions): State<Sessions>,
    caller: Visitor,
    Sent(input): Sent<RefreshToken>,
) -> Result<Response> {
    Ok(secret(sessions.refresh(&caller, input).await?))
}

/// Confirm the password
///
/// Counts as a recent sign-in for ten minutes, as required to change the e-mail address or unlink an external account.
#[utoipa::path(post, path = "/auth/step-up", operation_id = "stepUp", tag = "Sign-in", request_body = Password,
    security(("bearer" = [])), responses((status = 204, description = "The sign-in counts as recent")))]
async fn step_up(
    State(sessions): State<Sessions>,
    caller: Member,
    Sent(input): Sent<Password>,
) -> Result<StatusCode> {
    sessions.step_up(&caller, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign out
///
/// Ends the session of this request; its access token and refresh token become invalid.
#[utoipa::path(post, path = "/auth/sign-out", operation_id = "signOut", tag = "Sign-in", security(("bearer" = [])),
    responses((status = 204, description = "The session has ended")))]
async fn sign_out(State(sessions): State<Sessions>, caller: Member) -> Result<StatusCode> {
    sessions.sign_out(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign out on all devices
///
/// Unopened links in e-mails become invalid, and tokens issued earlier by external issuers are refused.
#[utoipa::path(post, path = "/auth/sign-out-everywhere", operation_id = "signOutEverywhere", tag = "Sign-in",
    security(("bearer" = [])), responses((status = 204, description = "All sessions have ended")))]
async fn sign_out_everywhere(
    State(sessions): State<Sessions>,
    caller: Member,
) -> Result<StatusCode> {
    sessions.sign_out_everywhere(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Request a password reset
///
/// Sends an e-mail with a link, valid for one hour. The response is the same whether or not the address belongs to a
/// member.
#[utoipa::path(post, path = "/auth/forgot-password", operation_id = "forgotPassword", tag = "Sign-in",
    request_body = Address, security(()), responses(
        (status = 202, description = "Accepted; a member receives an e-mail"),
        (status = 429, description = "The caller's network has requested too many e-mails; see `Retry-After`")))]
async fn forgot_password(
    State(sessions): State<Sessions>,
    caller: Visitor,
    Sent(input): Sent<Address>,
) -> Result<StatusCode> {
    sessions.forgot_password(&caller, input).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Reset the password
///
/// Uses the token from the link in the e-mail. Ends all sessions, invalidates other links in e-mails and unlinks
/// external accounts.
#[utoipa::path(post, path = "/auth/reset-password", operation_id = "resetPassword", tag = "Sign-in",
    request_body = ResetPassword, security(()), responses(
        (status = 204, description = "The password is changed"),
        (status = 410, description = "The link was used already, has expired, or never existed")))]
async fn reset_password(
    State(sessions): State<Sessions>,
    caller: Visitor,
    Sent(input): Sent<ResetPassword>,
) -> Result<StatusCode> {
    sessions.reset_password(&caller, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change the password
///
/// Signs out other devices and invalidates unopened links in e-mails. Tokens issued earlier by external issuers are
/// refused.
#[utoipa::path(put, path = "/me/password", operation_id = "changePassword", tag = "Me",
    request_body = ChangePassword, security(("bearer" = [])),
    responses((status = 204, description = "The password is changed")))]
async fn change_password(
    State(sessions): State<Sessions>,
    caller: Member,
    Sent(input): Sent<ChangePassword>,
) -> Result<StatusCode> {
    sessions.change_password(&caller, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change the e-mail address
///
/// Requires a recent sign-in. Sends a link to the new address; the change takes effect once the link is opened.
#[utoipa::path(put, path = "/me/email", operation_id = "changeEmail", tag = "Me", request_body = Address,
    security(("bearer" = [])), responses(
        (status = 202, description = "Accepted; an e-mail to the new address follows"),
        (status = 429, description = "The caller's network has requested too many e-mails; see `Retry-After`")))]
async fn change_email(
    State(sessions): State<Sessions>,
    caller: Member,
    Sent(input): Sent<Address>,
) -> Result<StatusCode> {
    sessions.change_email(&caller, input).await?;
    Ok(StatusCode::ACCEPTED)
}

/// List my sessions
///
/// The most recently used session comes first.
#[utoipa::path(get, path = "/me/sessions", operation_id = "listMySessions", tag = "Me", security(("bearer" = [])),
    params(
        ("limit" = Option<i32>, Query, description = "Sessions per page (default 20)", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", min_length = 1, max_length = 1000)),
    responses(
        (status = 200, description = "The caller's active sessions", body = SessionList),
        (status = 400, description = "The cursor belongs to another list"),
        (status = 422, description = "A parameter is unknown or has a wrong value")))]
async fn list(
    State(sessions): State<Sessions>,
    caller: Member,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let page = sessions.sessions(&caller, query.as_deref()).await?;
    Ok(secret(SessionList {
        data: page.data,
        next_cursor: page.next_cursor,
    }))
}

/// Sign out on one device
///
/// Ends one of the caller's own sessions, as listed by `GET /me/sessions`; its tokens become invalid.
#[utoipa::path(delete, path = "/me/sessions/{id}", operation_id = "endMySession", tag = "Me",
    params(("id" = uuid::Uuid, Path, description = "Of the session")), security(("bearer" = [])),
    responses(
        (status = 204, description = "The session has ended"),
        (status = 404, description = "The caller has no such session")))]
async fn end(
    State(sessions): State<Sessions>,
    caller: Member,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let id = id.parse().map_err(|_| Error::not_found())?;
    sessions.end(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List my external accounts
///
/// Accounts at external issuers whose tokens give access as the caller.
#[utoipa::path(get, path = "/me/identities", operation_id = "listMyIdentities", tag = "Me", security(("bearer" = [])),
    responses((status = 200, description = "The caller's external accounts", body = IdentityList)))]
async fn identities(State(sessions): State<Sessions>, caller: Member) -> Result<Response> {
    Ok(secret(sessions.identities(&caller).await?))
}

/// Unlink an external account
///
/// Requires a recent sign-in with the password. Ends sessions of the external account and refuses its existing tokens.
/// An account with the caller's address is linked again by a new sign-in at the issuer.
#[utoipa::path(delete, path = "/me/identities/{id}", operation_id = "unlinkMyIdentity", tag = "Me",
    params(("id" = uuid::Uuid, Path, description = "Of the identity")), security(("bearer" = [])),
    responses(
        (status = 204, description = "The account is unlinked"),
        (status = 404, description = "The caller has no such external account"),
        (status = 409, description = "The caller has no password and could not sign in any more")))]
async fn unlink(
    State(sessions): State<Sessions>,
    caller: Member,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let id = id.parse().map_err(|_| Error::not_found())?;
    sessions.unlink(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An answer that no cache may store.
fn secret(body: impl serde::Serialize) -> Response {
    (
        [(header::CACHE_CONTROL, "no-store, no-transform")],
        Json(body),
    )
        .into_response()
}
