//! What an answer of FCM means for the message, for the device, and for all further messages.
//!
//! <https://firebase.google.com/docs/cloud-messaging/error-codes>

use super::SERVICE;
use crate::{
    exchange::{Reply, UNTIL_MENDED, name},
    push::Unpushed,
};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::time::Duration;

/// The pause after a quota was exceeded, if the answer names none.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done(Result<Option<String>, Unpushed>),
    /// The access token was refused.
    Unauthorized,
}

pub(super) fn of(reply: &Reply, now: DateTime<Utc>) -> Outcome {
    let error = Error::read(reply.json());
    let answered = || reply.answered(SERVICE);
    let paused = |wait| Unpushed::Paused {
        reason: answered(),
        wait,
    };
    let failed = match reply.status {
        200 => match reply.json()["name"].as_str() {
            Some(text) => return Outcome::Done(Ok(name(text))),
            // The answer is probably a proxy's page.
            None => Unpushed::NotNow(format!("{SERVICE} answered without naming the message")),
        },
        400 if error.of_the_token() => Unpushed::Gone,
        400 => Unpushed::Never(answered()),
        // The key with which FCM calls the device's platform was refused, not our access token.
        401 if error.code("THIRD_PARTY_AUTH_ERROR") => Unpushed::NotNow(answered()),
        401 => return Outcome::Unauthorized,
        // The device belongs to another project, or our project is the wrong one, in which case the device's token is
        // still good.
        403 if error.code("SENDER_ID_MISMATCH") => Unpushed::Never(answered()),
        403 => paused(UNTIL_MENDED),
        404 if error.code("UNREGISTERED") => Unpushed::Gone,
        413 => Unpushed::Never(answered()),
        429 => paused(reply.retry_after(now).unwrap_or(QUOTA_PAUSE)),
        503 => match reply.retry_after(now) {
            Some(wait) => paused(wait),
            None => Unpushed::NotNow(answered()),
        },
        _ => Unpushed::NotNow(answered()),
    };
    Outcome::Done(Err(failed))
}

/// The parts of an error of Google's APIs that matter here.
struct Error {
    message: String,
    codes: Vec<String>,
    /// The invalid fields of the request. Empty if the answer names none.
    fields: Vec<String>,
}

impl Error {
    fn read(body: Value) -> Self {
        let error = &body["error"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let details = error["details"].as_array().cloned().unwrap_or_default();
        let of_type = |name: &'static str| {
            details.iter().filter(move |detail| {
                let kind = detail["@type"].as_str().unwrap_or_default();
                kind.rsplit(['/', '.']).next() == Some(name)
            })
        };
        let violations = of_type("BadRequest")
            .filter_map(|detail| detail["fieldViolations"].as_array())
            .flatten();
        Self {
            message: text(&error["message"]),
            codes: of_type("FcmError")
                .map(|detail| text(&detail["errorCode"]))
                .collect(),
            fields: violations
                .map(|violation| text(&violation["field"]))
                .collect(),
        }
    }

    fn code(&self, code: &str) -> bool {
        self.codes.iter().any(|found| found == code)
    }

    /// Whether the device's token is invalid. An invalid message has the same code, so a token is given up only if the
    /// answer names the token: as the invalid field, or, if no field is named, by FCM's text for tokens.
    fn of_the_token(&self) -> bool {
        match self.fields.as_slice() {
            [] => self.code("INVALID_ARGUMENT") && self.message.contains("registration token"),
            fields => fields.iter().all(|field| field == "message.token"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(status: u16, message: &str, code: Option<&str>, fields: &[&str]) -> Reply {
        let mut details = Vec::new();
        if let Some(code) = code {
            details.push(json!({
                "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code,
            }));
        }
        if !fields.is_empty() {
            let fields: Vec<Value> = fields
                .iter()
                .map(|field| json!({ "field": field }))
                .collect();
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields,
            }));
        }
        let body = json!({ "error": { "code": status, "message": message, "details": details } });
        Reply::made(status, &[], &body.to_string())
    }

    #[test]
    fn no9_a_token_goes_only_where_the_answer_names_it() {
        const TOKEN: &str = "The registration token is not a valid FCM registration token";
        let invalid = Some("INVALID_ARGUMENT");
        let cases = [
            (error(404, "", Some("UNREGISTERED"), &[]), true),
            (error(400, TOKEN, invalid, &[]), true),
            (error(400, "", invalid, &["message.token"]), true),
            (error(400, "", None, &["message.token"]), true),
            // If text and field contradict each other, the field decides.
            (
                error(400, TOKEN, invalid, &["message.data[0].value"]),
                false,
            ),
            (
                error(400, "", invalid, &["message.token", "message"]),
                false,
            ),
            (
                error(400, "Android message is too big", invalid, &[]),
                false,
            ),
            (error(400, TOKEN, None, &[]), false),
            (error(400, "", None, &[]), false),
            // Not an answer of FCM: the project or the address is wrong.
            (
                error(404, "Requested entity was not found.", None, &[]),
                false,
            ),
            (Reply::made(404, &[], "<html>404</html>"), false),
            (
                Reply::made(400, &[], "<html>registration token</html>"),
                false,
            ),
            (error(403, "", Some("SENDER_ID_MISMATCH"), &[]), false),
        ];
        for (reply, gone) in cases {
            let outcome = of(&reply, Utc::now());
            let expected = outcome == Outcome::Done(Err(Unpushed::Gone));
            assert_eq!(
                expected,
                gone,
                "{} {:?}: {outcome:?}",
                reply.status,
                reply.json()
            );
        }
    }
}
