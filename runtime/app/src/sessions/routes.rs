//! The HTTP routes `/auth/…`, `/me/sessions` and others of this module.

use super::{
    Device, Sessions, Signed,
    bodies::{
        Address, ChangePassword, ConfirmEmail, Credentials, IdentityList, Password, RefreshToken,
        ResetPassword, SessionList, SignUp, VerifyEmail,
    },
};
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
    (name = "Sign-in", description = "Becoming a member, signing in and out, forgotten passwords. Start here: the access token that signing in answers goes into *Authorize*."),
    (name = "Me", description = "The caller's own profile and sessions, and everything that belongs to the caller."),
), modifiers(&OBJECTS))]
pub struct Document;

/// Ask to become a member
///
/// Sends a mail with a link; the member exists once it is opened and a password chosen there. The answer is the same
/// whether or not the address belongs to a member already.
#[utoipa::path(post, path = "/auth/sign-up", operation_id = "signUp", tag = "Sign-in", request_body = SignUp,
    security(()), responses(
        (status = 202, description = "A mail is on its way"),
        (status = 409, description = "The handle is taken"),
        (status = 429, description = "The caller's network has asked for too many mails; `Retry-After` says when to try again")))]
async fn sign_up(
    State(sessions): State<Sessions>,
    caller: Visitor,
    Sent(input): Sent<SignUp>,
) -> Result<StatusCode> {
    sessions.sign_up(&caller, input).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Prove an address
///
/// With the token of the link in the mail after signing up. The password is chosen here, by whoever has the mailbox; a
/// name that was taken meanwhile can be exchanged, the link stays good.
#[utoipa::path(post, path = "/auth/verify-email", operation_id = "verifyEmail", tag = "Sign-in",
    request_body = VerifyEmail, security(()), responses(
        (status = 204, description = "The member exists and can sign in"),
        (status = 409, description = "Somebody else has taken the address or the handle in the meantime"),
        (status = 410, description = "The link was used already, has expired, or never was")))]
async fn verify_email(
    State(sessions): State<Sessions>,
    caller: Visitor,
    Sent(input): Sent<VerifyEmail>,
) -> Result<StatusCode> {
    sessions.verify_email(&caller, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirm a new address
///
/// With the token of the link in the mail after changing the address. It is good as long as the session that asked for
/// it. Other devices are signed out and accounts at issuers unlinked.
#[utoipa::path(post, path = "/auth/confirm-email", operation_id = "confirmEmail", tag = "Sign-in",
    request_body = ConfirmEmail, security(()), responses(
        (status = 204, description = "The address counts from now on"),
        (status = 409, description = "Somebody else has taken the address in the meantime"),
        (status = 410, description = "The link was used already, has expired, or never was")))]
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
/// Begins a session. Every failure looks the same. After too many of them an account waits for strangers, but not for
/// whoever has signed in from that network before.
#[utoipa::path(post, path = "/auth/sign-in", operation_id = "signIn", tag = "Sign-in", request_body = Credentials,
    security(()), responses(
        (status = 200, description = "Signed in", body = Signed),
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

/// Get the next pair of tokens
///
/// A refresh token is good once. One that comes back later ends the session, because somebody copied it.
#[utoipa::path(post, path = "/auth/refresh", operation_id = "refresh", tag = "Sign-in", request_body = RefreshToken,
    security(()), responses(
        (status = 200, description = "The next tokens", body = Signed),
        (status = 401, description = "The refresh token is not good (any more)")))]
async fn refresh(
    State(sessions): State<Sessions>,
    caller: Visitor,
    Sent(input): Sent<RefreshToken>,
) -> Result<Response> {
    Ok(secret(sessions.refresh(&caller, input).await?))
}

/// Prove the password again
///
/// Makes the session recent, which changes of the address or of payouts ask for.
#[utoipa::path(post, path = "/auth/step-up", operation_id = "stepUp", tag = "Sign-in", request_body = Password,
    security(("bearer" = [])), responses((status = 204, description = "The session is recent")))]
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
/// Ends the session of this very request: its access token is refused from now on, and its refresh token is void.
#[utoipa::path(post, path = "/auth/sign-out", operation_id = "signOut", tag = "Sign-in", security(("bearer" = [])),
    responses((status = 204, description = "The session has ended")))]
async fn sign_out(State(sessions): State<Sessions>, caller: Member) -> Result<StatusCode> {
    sessions.sign_out(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign out on all devices
///
/// Links in mails that were not opened yet are void, and tokens of issuers that were issued before are refused.
#[utoipa::path(post, path = "/auth/sign-out-everywhere", operation_id = "signOutEverywhere", tag = "Sign-in",
    security(("bearer" = [])), responses((status = 204, description = "All sessions have ended")))]
async fn sign_out_everywhere(
    State(sessions): State<Sessions>,
    caller: Member,
) -> Result<StatusCode> {
    sessions.sign_out_everywhere(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask for a link to choose a new password
///
/// The answer is the same whether or not the address belongs to a member.
#[utoipa::path(post, path = "/auth/forgot-password", operation_id = "forgotPassword", tag = "Sign-in",
    request_body = Address, security(()), responses(
        (status = 202, description = "A member gets a mail"),
        (status = 429, description = "The caller's network has asked for too many mails; `Retry-After` says when to try again")))]
async fn forgot_password(
    State(sessions): State<Sessions>,
    caller: Visitor,
    Sent(input): Sent<Address>,
) -> Result<StatusCode> {
    sessions.forgot_password(&caller, input).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Choose a new password
///
/// With the token of the link in the mail. All sessions end, other links in mails are void, and accounts at issuers are
/// unlinked.
#[utoipa::path(post, path = "/auth/reset-password", operation_id = "resetPassword", tag = "Sign-in",
    request_body = ResetPassword, security(()), responses(
        (status = 204, description = "The new password counts"),
        (status = 410, description = "The link was used already, has expired, or never was")))]
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
/// Other devices are signed out, links in mails that were not opened yet are void, and tokens of issuers that were
/// issued before are refused.
#[utoipa::path(put, path = "/me/password", operation_id = "changePassword", tag = "Me",
    request_body = ChangePassword, security(("bearer" = [])),
    responses((status = 204, description = "The new password counts")))]
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
/// Needs a recent sign-in. Sends a link to the new address, which counts once it is opened.
#[utoipa::path(put, path = "/me/email", operation_id = "changeEmail", tag = "Me", request_body = Address,
    security(("bearer" = [])), responses(
        (status = 202, description = "A mail is on its way to the new address"),
        (status = 429, description = "The caller's network has asked for too many mails; `Retry-After` says when to try again")))]
async fn change_email(
    State(sessions): State<Sessions>,
    caller: Member,
    Sent(input): Sent<Address>,
) -> Result<StatusCode> {
    sessions.change_email(&caller, input).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Where the caller is signed in
///
/// The device that was used last comes first.
#[utoipa::path(get, path = "/me/sessions", operation_id = "listMySessions", tag = "Me", security(("bearer" = [])),
    params(
        ("limit" = Option<i32>, Query, description = "Sessions on a page (20)", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", min_length = 1, max_length = 1000)),
    responses(
        (status = 200, description = "The sessions that have not ended", body = SessionList),
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
/// Ends one of the caller's own sessions, as `GET /me/sessions` lists them; its tokens are refused from now on.
#[utoipa::path(delete, path = "/me/sessions/{id}", operation_id = "endMySession", tag = "Me",
    params(("id" = uuid::Uuid, Path, description = "Of the session")), security(("bearer" = [])),
    responses(
        (status = 204, description = "The session has ended"),
        (status = 404, description = "No such session of the caller")))]
async fn end(
    State(sessions): State<Sessions>,
    caller: Member,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let id = id.parse().map_err(|_| Error::not_found())?;
    sessions.end(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accounts elsewhere that the caller may sign in with
///
/// One for each issuer whose tokens were used as the caller, until it is unlinked.
#[utoipa::path(get, path = "/me/identities", operation_id = "listMyIdentities", tag = "Me", security(("bearer" = [])),
    responses((status = 200, description = "Accounts at issuers whose tokens let the caller in", body = IdentityList)))]
async fn identities(State(sessions): State<Sessions>, caller: Member) -> Result<Response> {
    Ok(secret(sessions.identities(&caller).await?))
}

/// Unlink an account elsewhere
///
/// Needs a recent sign-in with the password. Tokens of that account are refused from now on, and its sessions end. An
/// account with the caller's address is linked again by signing in with it anew.
#[utoipa::path(delete, path = "/me/identities/{id}", operation_id = "unlinkMyIdentity", tag = "Me",
    params(("id" = uuid::Uuid, Path, description = "Of the identity")), security(("bearer" = [])),
    responses(
        (status = 204, description = "It does not let the caller in any more"),
        (status = 404, description = "No such identity of the caller"),
        (status = 409, description = "There would be no way to sign in: choose a password first")))]
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
