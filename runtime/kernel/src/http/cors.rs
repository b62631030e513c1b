//! Which web pages may call the API. Tokens are sent in a header, so credentials mode is never allowed.

use super::ConfigError;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, header},
    response::Response,
};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// Those of the API document, and those by which tracing tools follow a request from the page on (they send them with
/// every request, which would otherwise not be sent at all). A test compares them with the document.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, if-match, if-none-match, idempotency-key, last-event-id, x-amz-checksum-sha256, \
     x-request-id, x-requested-with, traceparent, tracestate, baggage, sentry-trace",
);
/// `date` by which pages find out how wrong the clock of their device is, for times such as `expires_at`.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, location, allow, content-disposition, date, retry-after, ratelimit, ratelimit-policy, x-request-id, \
     idempotent-replayed, www-authenticate",
);
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

pub struct Origins {
    exact: Vec<HeaderValue>,
    /// Pages served from the developer's own machine, on any port.
    local: bool,
}

impl Origins {
    pub fn new(origins: &[String], local: bool) -> Result<Self, ConfigError> {
        let read = |origin: &String| {
            let reason = |why: &str| ConfigError {
                setting: "CORS_ORIGINS",
                reason: format!("`{origin}` {why}"),
            };
            let url = url::Url::parse(origin).map_err(|_| reason("is not an origin"))?;
            if url.origin().ascii_serialization() != *origin || !url.origin().is_tuple() {
                return Err(reason("is not an origin such as `https://app.example`"));
            }
            HeaderValue::from_str(origin).map_err(|_| reason("is not an origin"))
        };
        let exact = origins.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { exact, local })
    }

    fn none(&self) -> bool {
        self.exact.is_empty() && !self.local
    }

    fn knows(&self, origin: &HeaderValue) -> bool {
        self.exact.contains(origin) || self.local && is_local(origin)
    }

    /// The answer to a preflight request.
    pub fn preflight<B>(&self, request: &Request<B>) -> Option<Response> {
        let headers = request.headers();
        let asks = request.method() == Method::OPTIONS
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.none() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = axum::http::StatusCode::NO_CONTENT;
        if self.allow(headers.get(header::ORIGIN), response.headers_mut()) {
            response
                .headers_mut()
                .insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            response
                .headers_mut()
                .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            response
                .headers_mut()
                .insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
        Some(response)
    }

    /// Adds the headers for a known origin.
    pub fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
        if self.none() {
            return false;
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        let Some(origin) = origin.filter(|origin| self.knows(origin)) else {
            return false;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        true
    }
}

fn is_local(origin: &HeaderValue) -> bool {
    let Ok(text) = origin.to_str() else {
        return false;
    };
    let Ok(url) = url::Url::parse(text) else {
        return false;
    };
    let is_host = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    // In the exact form that browsers send.
    is_host
        && matches!(url.scheme(), "http" | "https")
        && url.origin().ascii_serialization() == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_origins_are_settings() {
        for bad in [
            "*",
            "null",
            "https://app.test/",
            "https://app.test/path",
            "app.test",
            "file:///x",
        ] {
            assert!(Origins::new(&[bad.to_owned()], false).is_err(), "{bad}");
        }
        assert!(
            Origins::new(
                &[
                    "https://app.test".to_owned(),
                    "http://localhost:3000".to_owned()
                ],
                false
            )
            .is_ok()
        );
    }

    #[test]
    fn strangers_learn_nothing() {
        let origins = Origins::new(&["https://app.test".to_owned()], false).unwrap();
        let mut headers = HeaderMap::new();
        assert!(!origins.allow(
            Some(&HeaderValue::from_static("https://evil.test")),
            &mut headers
        ));
        assert!(!origins.allow(Some(&HeaderValue::from_static("null")), &mut headers));
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        assert!(origins.allow(
            Some(&HeaderValue::from_static("https://app.test")),
            &mut headers
        ));
        assert_eq!(
            headers[header::ACCESS_CONTROL_ALLOW_ORIGIN],
            "https://app.test"
        );
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
    #[test]
    fn ones_own_machine_is_known_only_where_that_is_asked_for() {
        let allows = |local: bool, origin: &'static str| {
            let origins = Origins::new(&[], local).unwrap();
            origins.allow(
                Some(&HeaderValue::from_static(origin)),
                &mut HeaderMap::new(),
            )
        };
        for origin in [
            "http://localhost:3000",
            "http://localhost",
            "https://localhost:8443",
            "http://127.0.0.1:5173",
            "http://[::1]:5173",
        ] {
            assert!(allows(true, origin), "{origin}");
            assert!(!allows(false, origin), "{origin}");
        }
        for origin in [
            "null",
            "http://localhost.evil.test",
            "http://evil.test:3000",
            "http://localhost:3000/",
            "http://localhost@evil.test",
            "http://127.0.0.2",
            "file://localhost",
            "http://LOCALHOST",
        ] {
            assert!(!allows(true, origin), "{origin}");
        }
    }
}
