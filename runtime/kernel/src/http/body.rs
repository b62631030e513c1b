//! Request bodies as arguments of handlers: JSON that checks itself, and raw bytes.

use super::limited::Exceeded;
use crate::{
    error::{Error, Result},
    http::metrics,
    input::{Body as Sending, Mode, Posted},
    problem::Problem,
    problems,
};
use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, header},
};
use bytes::Bytes;
use http_body_util::BodyExt;

/// A JSON body that derives `Input` with `#[input(body)]`: all errors are reported at once, and unknown fields are refused.
pub struct Sent<T>(pub T);

impl<T: Posted, S: Sync> FromRequest<S> for Sent<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let (mut parts, body) = request.into_parts();
        let beside = parts.extensions.remove::<Beside>().map(|found| found.0);
        let text = read_json(&parts.headers, body, Mode::Create).await?;
        let sent = Sending::parse(&text, Mode::Create).and_then(|mut body| {
            let input = T::from_body(&mut body);
            body.finish(input)
        });
        match (sent, beside.map(Error::from)) {
            (Ok(input), None) => Ok(Self(input)),
            (Ok(_), Some(beside)) => Err(beside),
            (Err(invalid), beside) => Err(Error::from(invalid).after(beside)),
        }
    }
}

/// What a layer has found wrong with the request outside of its body: an extension of the request. [`Sent`] reports it
/// together with what is wrong with the body, and refuses the request in any case.
#[derive(Clone, Debug)]
pub struct Beside(Problem);

impl Beside {
    pub fn new(error: &Error) -> Self {
        Self(error.problem().clone())
    }
}

/// The raw bytes of a body of any media type: for verifying signatures, and for files. The route's
/// [`BodyLimit`](crate::config::BodyLimit) limits their number.
pub struct Raw(pub Bytes);

impl<S: Sync> FromRequest<S> for Raw {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        read(request.into_body()).await.map(Self)
    }
}

/// The whole body, which must be JSON.
pub async fn read_json(headers: &HeaderMap, body: Body, mode: Mode) -> Result<Bytes> {
    if !is_json(headers.get(header::CONTENT_TYPE), mode) {
        return Err(Error::new(&problems::MEDIA_TYPE));
    }
    let text = read(body).await?;
    match std::str::from_utf8(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Error::new(&problems::MEDIA_TYPE).detail(format!(
            "The body is not UTF-8 at byte {}. Send JSON in UTF-8.",
            error.valid_up_to()
        ))),
    }
}

/// The whole body, whose size the outer layer limits.
pub async fn read(body: Body) -> Result<Bytes> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(refusal(error)),
    }
}

/// Why reading a body failed. The errors of a limited body are wrapped in those of other layers.
pub fn refusal(error: axum::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(at) = source {
        match at.downcast_ref::<Exceeded>() {
            Some(Exceeded::Size(limit)) => return too_large(*limit),
            Some(Exceeded::Time) => return Error::new(&problems::TIMEOUT),
            Some(Exceeded::Requests) => {
                metrics::SHED.add();
                return Error::unavailable().retry_after(1);
            }
            None => source = at.source(),
        }
    }
    Error::new(&problems::BAD_REQUEST)
        .detail("The body could not be read.")
        .because(error)
}

pub(crate) fn too_large(limit: usize) -> Error {
    Error::new(&problems::TOO_LARGE).detail(format!("The body may have {limit} bytes."))
}

fn is_json(value: Option<&HeaderValue>, mode: Mode) -> bool {
    let Some(text) = value.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let known = media.eq_ignore_ascii_case("application/json")
        || (mode == Mode::Merge && media.eq_ignore_ascii_case("application/merge-patch+json"));
    known
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.eq_ignore_ascii_case("charset") => {
                // Many write it without the hyphen.
                let charset = charset.trim_matches('"');
                ["utf-8", "utf8"]
                    .iter()
                    .any(|one| charset.eq_ignore_ascii_case(one))
            }
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognised_by_its_media_type() {
        let json = |text: &'static str, mode| is_json(Some(&HeaderValue::from_static(text)), mode);
        assert!(json("application/json", Mode::Create));
        assert!(json("Application/JSON; charset=UTF-8", Mode::Replace));
        assert!(json("application/json;charset=utf8", Mode::Create));
        assert!(json("application/merge-patch+json", Mode::Merge));
        assert!(!json("application/merge-patch+json", Mode::Replace));
        assert!(!json("application/json; charset=latin1", Mode::Create));
        assert!(!json("text/plain", Mode::Create));
        assert!(!is_json(None, Mode::Create));
    }

    #[tokio::test]
    async fn text_in_another_encoding_is_another_media_type() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let latin = &b"{\"title\":\"Z\xfcrich\"}"[..];
        let refused = read_json(&headers, Body::from(latin), Mode::Create).await;
        assert_eq!(refused.unwrap_err().status(), 415);
        let text = r#"{"title":"Zürich"}"#;
        let read = read_json(&headers, Body::from(text), Mode::Create).await;
        assert_eq!(read.unwrap(), text);
    }
}
