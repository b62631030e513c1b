//! `DELETE /events/{id}` and `POST /events/{id}/<verb>`: changes without a body, or with a reason only.

use super::{
    Action, Call, Shown, Way,
    diagnose::{Trouble, diagnose},
    hook, is_one_statement,
    refused::{self, Attempt},
    require, settled, span, stayed, try_again,
};
use crate::{
    caller::Caller,
    cx::Cx,
    engine::Endpoint,
    error::{Error, Result},
    etag::Precondition,
    http::body,
    input::{Body, Check, Mode},
    list::query,
    problems,
};
use axum::{
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use bytes::Bytes;
use sqlx::{Arguments, postgres::PgArguments};
use uuid::Uuid;

const REASON_MAX: u32 = 500;

struct Act<'a> {
    endpoint: &'a Endpoint,
    caller: &'a Caller,
    action: Action,
    id: Option<Uuid>,
    precondition: Precondition,
    reason: Option<String>,
    wrong: Option<Error>,
}

pub(crate) async fn act(endpoint: &Endpoint, call: Call, action: Action) -> Result<Response> {
    span(endpoint, action.name());
    require(action.rule(endpoint.resource()), &call.caller)?;
    let needs_reason = matches!(action, Action::Transition(transition) if transition.reason);
    let mut wrong = query::refuse_any(call.parts.uri.query()).err();
    let mut reason = None;
    if needs_reason {
        let text = read_text(&call.parts.headers, call.body).await?;
        match read_reason(&text) {
            Ok(text) => reason = Some(text),
            Err(error) => wrong = Some(error.after(wrong)),
        }
    } else if !says_nothing(&body::read(call.body).await?) {
        let error = Error::new(&problems::INVALID).detail("This route takes no body. Send none.");
        wrong = Some(error.after(wrong));
    }
    let precondition = Precondition::read(&call.parts.headers).unwrap_or_else(|error| {
        wrong = wrong.take().or(Some(error));
        Precondition::Missing
    });
    let act = Act {
        endpoint,
        caller: &call.caller,
        action,
        id: call.id,
        precondition,
        reason,
        wrong,
    };
    let mut attempt = 1;
    loop {
        match act.run(Way::Seen).await {
            Err(error) if try_again(&error, attempt) => attempt += 1,
            result => return settled(endpoint.resource(), action, result),
        }
    }
}

impl Act<'_> {
    async fn begin(&self) -> Result<Cx> {
        let db = &self.endpoint.engine.db;
        db.begin_write(self.caller, self.action.name()).await
    }

    async fn run(&self, way: Way) -> Result<Response> {
        let (Some(id), None) = (self.id, &self.wrong) else {
            let wrong = self.wrong.as_ref().map(Error::copy);
            return Err(diagnose(&mut self.begin().await?, self.trouble(wrong, None)).await);
        };
        if way == Way::Seen && is_one_statement(self.endpoint, self.action) {
            return self.at_once(id).await;
        }
        self.in_transaction(id, way).await
    }

    async fn at_once(&self, id: Uuid) -> Result<Response> {
        let (db, text) = (
            &self.endpoint.engine.db,
            self.action.sql(self.endpoint.resource()),
        );
        let mut arguments = PgArguments::default();
        arguments.add(id).map_err(Error::internal)?;
        arguments
            .add(self.precondition.versions())
            .map_err(Error::internal)?;
        let changed = db.write(self.caller, self.action.name(), text, arguments);
        match changed.await {
            Ok(Some(_)) => Ok(super::empty(StatusCode::NO_CONTENT)),
            Ok(None) => Err(diagnose(&mut self.begin().await?, self.trouble(None, None)).await),
            Err(error) => self.refused(Way::Seen, error).await,
        }
    }

    async fn refused(&self, way: Way, error: sqlx::Error) -> Result<Response> {
        let attempt = self.attempt();
        if refused::may_be_unseen(&attempt, way, &error) {
            return Box::pin(self.run(Way::Unseen)).await;
        }
        Err(refused::explain(&attempt, error).await)
    }

    fn attempt(&self) -> Attempt<'_> {
        Attempt {
            endpoint: self.endpoint,
            caller: self.caller,
            action: self.action,
            id: self.id,
            body: &[],
        }
    }

    async fn in_transaction(&self, id: Uuid, way: Way) -> Result<Response> {
        let (resource, action) = (self.endpoint.resource(), self.action);
        let mut cx = self.begin().await?;
        if let Err(error) = hook(self.endpoint, action, &mut cx, Some(id), None).await {
            if !error.is_refusal() {
                return Err(error);
            }
            // A hook's reason is only told to those who may do this at all. The hook's failure may have aborted its
            // transaction.
            drop(cx);
            let mut cx = self.begin().await?;
            return Err(diagnose(&mut cx, self.trouble(None, Some(error))).await);
        }
        if let Some(reason) = &self.reason {
            cx.set_reason(reason).await?;
        }
        if way == Way::Unseen {
            super::may_be_hidden(&mut cx, resource, id).await?;
        }
        let statement = sqlx::query(action.sql(resource))
            .bind(id)
            .bind(self.precondition.versions());
        match statement.fetch_optional(cx.conn()).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(diagnose(&mut cx, self.trouble(None, None)).await),
            Err(error) => {
                drop(cx);
                return self.refused(way, error).await;
            }
        }
        // Nothing is returned if the object is archived or the caller can no longer see it.
        let shown = match action {
            Action::Archive => None,
            _ if way == Way::Unseen => None,
            _ => Shown::read(resource, &mut cx, id).await?,
        };
        let shown = match (action, shown) {
            (Action::Restore, Some(shown)) => {
                let stayed = stayed::read(self.endpoint, &mut cx).await?;
                Some(shown.with("still_archived", &stayed)?)
            }
            (_, shown) => shown,
        };
        refused::commit(cx, &self.attempt()).await?;
        Ok(shown.map_or_else(
            || super::empty(StatusCode::NO_CONTENT),
            |shown| shown.answer(StatusCode::OK),
        ))
    }

    fn trouble(&self, invalid: Option<Error>, otherwise: Option<Error>) -> Trouble<'_> {
        Trouble {
            resource: self.endpoint.resource(),
            caller: self.caller,
            action: self.action,
            id: self.id,
            invalid,
            precondition: &self.precondition,
            required: false,
            otherwise,
        }
    }
}

/// The body with the reason. Without a body there is no media type to refuse: the reason is missing.
async fn read_text(headers: &HeaderMap, sent: axum::body::Body) -> Result<Bytes> {
    if headers.contains_key(CONTENT_TYPE) {
        return body::read_json(headers, sent, Mode::Create).await;
    }
    match body::read(sent).await? {
        text if text.is_empty() => Ok(Bytes::from_static(b"{}")),
        _ => Err(Error::new(&problems::MEDIA_TYPE)),
    }
}

/// Many HTTP libraries send `{}` or `null` with every POST.
fn says_nothing(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    let is_empty_object = || {
        let inner = body.strip_prefix(b"{").and_then(|b| b.strip_suffix(b"}"));
        inner.is_some_and(|inner| inner.trim_ascii().is_empty())
    };
    body.is_empty() || body == b"null" || is_empty_object()
}

/// `{"reason":"…"}` and nothing else, validated like every other body: a single line for the audit log.
fn read_reason(text: &[u8]) -> Result<String> {
    let mut sent = Body::parse(text, Mode::Create)?;
    let reason = sent.required("reason", &[Check::Line(1, REASON_MAX)]);
    Ok(sent.finish(reason)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reason_is_missing_without_a_body() {
        let read = async |media: Option<&'static str>, sent: &'static str| {
            let mut headers = HeaderMap::new();
            if let Some(media) = media {
                headers.insert(CONTENT_TYPE, axum::http::HeaderValue::from_static(media));
            }
            read_text(&headers, axum::body::Body::from(sent)).await
        };
        assert_eq!(read(None, "").await.unwrap(), "{}");
        let json = r#"{"reason":"ill"}"#;
        assert_eq!(read(Some("application/json"), json).await.unwrap(), json);
        for (media, sent) in [
            (None, json),
            (Some("text/plain"), json),
            (Some("text/plain"), ""),
        ] {
            assert_eq!(
                read(media, sent).await.unwrap_err().status(),
                415,
                "{media:?}"
            );
        }
    }

    #[test]
    fn a_body_without_content_is_like_none() {
        for none in ["", " \r\n", "{}", " { } ", "null\n"] {
            assert!(says_nothing(none.as_bytes()), "{none}");
        }
        for some in ["[]", "{{}}", "{", "}", r#"{"a":null}"#, "0", "\"\"", "NULL"] {
            assert!(!says_nothing(some.as_bytes()), "{some}");
        }
    }

    #[test]
    fn a_reason_is_a_short_text_and_nothing_else() {
        for sent in [
            r#"{"reason": "ill"}"#,
            r#"{"reason": " ill\n"}"#,
            r#"{"reason": "\u202aill\u202c"}"#,
        ] {
            assert_eq!(read_reason(sent.as_bytes()).unwrap(), "ill");
        }
        let composed = read_reason(r#"{"reason": "cafe\u0301 closed"}"#.as_bytes());
        assert_eq!(composed.unwrap(), "café closed");
        let longest = format!(r#"{{"reason": "{} "}}"#, "é".repeat(500));
        assert!(read_reason(longest.as_bytes()).is_ok());
        for unread in ["", "[]", r#"{"reason": "ill", "reason": "well"}"#] {
            assert_eq!(read_reason(unread.as_bytes()).unwrap_err().status(), 400);
        }
        let long = format!(r#"{{"reason": "{}"}}"#, "x".repeat(501));
        for (bad, pointer, code) in [
            (r#"{}"#, "/reason", "required"),
            (r#"{"reason": null}"#, "/reason", "null"),
            (r#"{"reason": 1}"#, "/reason", "type"),
            (r#"{"reason": "  "}"#, "/reason", "length"),
            (long.as_str(), "/reason", "length"),
            (r#"{"reason": "i\u0000ll"}"#, "/reason", "format"),
            (r#"{"reason": "i\u0007ll"}"#, "/reason", "format"),
            (r#"{"reason": "i\nll"}"#, "/reason", "format"),
            (r#"{"reason": "il\u202el"}"#, "/reason", "format"),
            (r#"{"reason": "\u200b"}"#, "/reason", "length"),
            (r#"{"reason": "\u3164"}"#, "/reason", "format"),
            (r#"{"reason": "ill\u3164"}"#, "/reason", "format"),
            (r#"{"reason": "ill", "x": 1}"#, "/x", "unknown"),
        ] {
            let error = read_reason(bad.as_bytes()).unwrap_err();
            let found = &error.problem().errors[0];
            assert_eq!(
                (error.status(), found.pointer.as_deref(), found.code),
                (422, Some(pointer), code),
                "{bad}"
            );
        }
    }
}
