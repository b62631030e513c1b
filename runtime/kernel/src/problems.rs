//! Every kind of problem the API answers with: the one documented list.
//!
//! Served as documentation under `/problems/{slug}`. Knows no HTTP machinery, only names and texts. An application adds
//! its own with [`declare`].

use std::sync::OnceLock;

/// A problem type of RFC 9457.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Last segment of the type: `/problems/<slug>`.
    pub slug: &'static str,
    pub status: u16,
    pub title: &'static str,
    /// What it means and what the client can do.
    pub doc: &'static str,
}

/// A list of kinds: a static for each, and `ALL`.
#[macro_export]
macro_rules! problem_kinds {
    ($($name:ident = $status:literal, $slug:literal, $title:literal, $doc:literal;)*) => {
        $(#[doc = $doc]
        pub static $name: $crate::problems::Kind =
            $crate::problems::Kind { slug: $slug, status: $status, title: $title, doc: $doc };)*
        /// In the order of the list.
        pub static ALL: &[&$crate::problems::Kind] = &[$(&$name),*];
    };
}

/// Problem types and codes that an application adds to the engine's.
pub struct Own {
    pub kinds: &'static [&'static Kind],
    pub codes: &'static [(&'static str, &'static str)],
}

static OWN: OnceLock<&'static Own> = OnceLock::new();

/// Registers the application's own problem types and codes, once per process: they are constants of the program.
pub fn declare(own: &'static Own) {
    OWN.get_or_init(|| own);
}

/// Every kind, those of the application last.
pub fn all() -> impl Iterator<Item = &'static Kind> {
    let own = OWN.get().map_or(&[][..], |own| own.kinds);
    ALL.iter().chain(own).copied()
}

/// Every code with what it means, those of the application last.
pub fn codes() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let own = OWN.get().map_or(&[][..], |own| own.codes);
    CODES.iter().chain(own)
}

problem_kinds! {
    SYNTAX = 400, "invalid-syntax", "The request body is not valid JSON",
        "The body could not be read as one JSON object: a syntax error, a key given twice, or nesting that is too deep. Nothing was changed.";
    BAD_REQUEST = 400, "bad-request", "The request could not be understood",
        "A header or the request line is malformed. The detail says which.";
    CURSOR = 400, "invalid-cursor", "The cursor is not valid here",
        "Cursors are opaque and belong to one list with its filters, its order and its caller. Start again without `cursor`.";
    UNAUTHENTICATED = 401, "authentication-required", "Sign in to do this",
        "No access token was sent and the operation is not public.";
    INVALID_TOKEN = 401, "invalid-token", "The access token is not valid",
        "The token is malformed, expired, or not meant for this API. Get a new one and repeat the request.";
    ACCOUNT_SUSPENDED = 401, "account-suspended", "The account is suspended",
        "The account behind the token is suspended or no longer exists. A new token does not help.";
    SESSION_REVOKED = 401, "session-revoked", "The session has ended",
        "The session behind the token was signed out or revoked. Sign in again.";
    INVALID_CREDENTIALS = 401, "invalid-credentials", "Address or password is wrong",
        "No account has this address and this password. Which of the two is wrong is not told.";
    STEP_UP = 401, "step-up-required", "Sign in again to do this",
        "The operation needs a recent sign-in. Sign in again and repeat the request.";
    FORBIDDEN = 403, "forbidden", "You may not do this",
        "The caller is known but lacks the right for this operation or this object.";
    FORBIDDEN_FIELD = 403, "forbidden-field", "You may not set this field",
        "The caller may change the object, but not the fields named in `errors`.";
    NOT_FOUND = 404, "not-found", "Not found",
        "There is no such object, or the caller may not know of it. Both look the same.";
    NO_ROUTE = 404, "no-such-route", "No such path",
        "The API has no such path. Paths are lower case and end without a slash.";
    METHOD = 405, "method-not-allowed", "The method is not allowed here",
        "The `Allow` header lists the methods of this path.";
    TIMEOUT = 408, "request-timeout", "The request took too long to arrive",
        "The body did not arrive in time. Repeat the request.";
    CONFLICT = 409, "conflict", "The change clashes with other data",
        "A value that must be unique is already used, or the object is still referred to. `errors` names the field.";
    STATE = 409, "invalid-state", "The object is not in a state that allows this",
        "The action starts from other states, or its condition does not hold at the moment.";
    KEY_IN_USE = 409, "request-in-progress", "The same request is being worked on",
        "Another request with this `Idempotency-Key` has no answer yet. `Retry-After` says when to ask again.";
    GONE = 410, "gone", "No longer available",
        "What was asked for existed once and was removed for good.";
    PRECONDITION = 412, "precondition-failed", "The object has changed in the meantime",
        "`If-Match` does not name the current version. Read the object again and repeat the change on it.";
    TOO_LARGE = 413, "content-too-large", "The request body is too large",
        "The body is longer than the limit, which the detail names.";
    MEDIA_TYPE = 415, "unsupported-media-type", "The media type is not supported",
        "Send `application/json` (PATCH: also `application/merge-patch+json`), in UTF-8 and not compressed.";
    INVALID = 422, "invalid-request", "Some values are not valid",
        "`errors` lists every value that is wrong, by JSON pointer (body) or parameter name (query).";
    REFERENCE = 422, "invalid-reference", "A referenced object is not available",
        "A reference names an object that does not exist, is archived, or that the caller may not see.";
    KEY_REUSED = 422, "idempotency-key-reused", "The key belongs to another request",
        "This `Idempotency-Key` came with another body before. Use a fresh one for every request that is meant anew.";
    PRECONDITION_REQUIRED = 428, "precondition-required", "If-Match is required",
        "Send the ETag of the version this change is based on in `If-Match`.";
    QUOTA = 429, "quota-exceeded", "Too many requests",
        "The rate limit is used up. `Retry-After` says when to try again.";
    HEADERS_TOO_LARGE = 431, "headers-too-large", "The request headers are too large",
        "The headers together are larger than the limit.";
    INTERNAL = 500, "internal-error", "Something went wrong on our side",
        "The request failed unexpectedly. Quote `instance` when reporting it.";
    UNAVAILABLE = 503, "unavailable", "Temporarily unavailable",
        "The service is busy or restarting. Nothing was changed; repeat the request after `Retry-After` seconds.";
}

pub fn by_slug(slug: &str) -> Option<&'static Kind> {
    all().find(|kind| kind.slug == slug)
}

/// The problem for a bare status, for answers that did not arise in our code (router, HTTP library).
pub fn by_status(status: u16) -> &'static Kind {
    match status {
        401 => &UNAUTHENTICATED,
        403 => &FORBIDDEN,
        404 => &NO_ROUTE,
        405 => &METHOD,
        408 => &TIMEOUT,
        409 => &CONFLICT,
        410 => &GONE,
        412 => &PRECONDITION,
        413 => &TOO_LARGE,
        415 => &MEDIA_TYPE,
        422 => &INVALID,
        428 => &PRECONDITION_REQUIRED,
        429 => &QUOTA,
        431 => &HEADERS_TOO_LARGE,
        503 => &UNAVAILABLE,
        500.. => &INTERNAL,
        _ => &BAD_REQUEST,
    }
}

/// All values of `errors[].code` with their meaning: what can be wrong with a value. A code that is missing here is in
/// no document, and generated clients do not know it; the system tests compare every answer they get with this list.
pub static CODES: &[(&str, &str)] = &[
    ("required", "required, but missing"),
    ("unknown", "no such property or parameter"),
    ("repeated", "sent more than once"),
    ("type", "not of the right JSON type"),
    ("null", "must not be null"),
    ("length", "too short or too long"),
    ("range", "too small or too large"),
    ("multiple_of", "not a multiple of the required step"),
    ("format", "not in the required format"),
    ("choice", "not one of the allowed values"),
    ("invalid", "breaks a rule of the object"),
    ("read_only", "can only be changed by the server"),
    ("reserved", "the name is reserved for the platform"),
    (
        "card_number",
        "contains the number of a payment card, which must never be sent",
    ),
    ("weak", "the password is too easy to guess"),
    ("forbidden", "the caller may not set this property"),
    (
        "reference",
        "the referenced object does not exist, is archived, or is hidden from the caller",
    ),
    ("conflict", "another object has this value already"),
    ("blocked", "another object prevents it"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_statuses_ascend() {
        let mut slugs: Vec<_> = ALL.iter().map(|kind| kind.slug).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), ALL.len());
        assert!(ALL.is_sorted_by_key(|kind| kind.status));
    }
}
