//! A simple HTTP client: a base URL, optionally a token, JSON in and out.

use super::documented;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;
use uuid::Uuid;

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    is_documented: bool,
}

/// An answer that has been read completely.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body as JSON; `Null` if it is empty or no JSON.
    pub json: Value,
    pub text: String,
}

impl Client {
    pub fn new(base: String) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            // No test speaks TLS, and reading the certificates of the machine takes longer than most requests.
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            // Sooner than the server: a request on a connection that is just being closed would fail.
            .pool_idle_timeout(std::time::Duration::from_secs(20))
            .build()
            .expect("client");
        Self {
            http,
            base,
            token: None,
            is_documented: false,
        }
    }

    /// A client of the API, which fails if an answer is not one that the API document describes.
    pub fn of_the_api(base: String) -> Self {
        Self {
            is_documented: true,
            ..Self::new(base)
        }
    }

    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self {
            token: Some(token.into()),
            ..self.clone()
        }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body), &[]).await
    }

    /// Makes a transition, by a POST without a body.
    pub async fn act(&self, path: &str) -> Answer {
        self.send(Method::POST, path, None, &[]).await
    }

    pub async fn put(&self, path: &str, etag: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body), &[("if-match", etag)])
            .await
    }

    pub async fn patch(&self, path: &str, etag: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body), &[("if-match", etag)])
            .await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, &[]).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let media = if method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let body = body.map(|body| (body.to_string(), media));
        self.send_text(
            method,
            path,
            body.as_ref().map(|(text, media)| (text.as_str(), *media)),
            headers,
        )
        .await
    }

    /// Sends any text as body, with its media type.
    pub async fn send_text(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, &str)>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut all = headers.to_vec();
        all.extend(body.map(|(_, media)| ("content-type", media)));
        let bytes = body.map_or_else(Vec::new, |(text, _)| text.as_bytes().to_vec());
        self.send_bytes(method, path, bytes, &all).await
    }

    /// Sends any bytes as body; if they are empty, there is no body.
    pub async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let sent = self.try_send(method, path, body, headers).await;
        sent.expect("an answer")
    }

    /// An answer whose body the caller reads while it arrives.
    pub async fn open(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = self.http.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer")
    }

    /// Sends a request to a server that may be unreachable, or stop before it answers.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        // A production server does not serve the API document, and answers that the route does not exist.
        if self.is_documented
            && !text.contains("/problems/no-such-route")
            && let Some(untold) = documented::untold(&method, path, status.as_u16())
        {
            panic!("{untold}: {text}");
        }
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        if self.is_documented
            && let Some(lacking) = documented::lacking(&method, path, status.as_u16(), &json)
        {
            panic!("{lacking}: {text}");
        }
        if self.is_documented
            && let Some(unnamed) = documented::unnamed(&method, path, status.as_u16(), &json)
        {
            panic!("{unnamed}: {text}");
        }
        if let Some(code) = documented::unlisted(&text) {
            panic!("{code:?} is not in `problems::CODES`: {text}");
        }
        Ok(Answer {
            status,
            headers,
            json,
            text,
        })
    }
}

impl Answer {
    /// Fails with the whole answer if the status is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn etag(&self) -> String {
        self.header("etag").expect("an ETag").to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    #[track_caller]
    pub fn id(&self) -> String {
        self.json["id"].as_str().expect("an id").to_owned()
    }

    /// The id at the end of `Location`, for new objects that their creator may not read.
    #[track_caller]
    pub fn id_in_location(&self) -> Uuid {
        let path = self.header("location").expect("a place");
        let id = path.rsplit('/').next().expect("an id");
        id.parse().expect("an id")
    }

    /// The status and the body without the request's id, by which answers can be compared.
    pub fn told(&self) -> (u16, Value) {
        let mut json = self.json.clone();
        if let Some(object) = json.as_object_mut() {
            object.remove("instance");
        }
        (self.status.as_u16(), json)
    }

    /// The slug of the problem's type, such as `not-found`.
    pub fn problem(&self) -> &str {
        self.json["type"]
            .as_str()
            .and_then(|kind| kind.rsplit('/').next())
            .unwrap_or("")
    }

    /// The JSON pointers of the field errors.
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.json["errors"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        errors
            .iter()
            .filter_map(|error| error["pointer"].as_str())
            .collect()
    }
}
