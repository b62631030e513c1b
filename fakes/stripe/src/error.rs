//! Errors as Stripe returns them.

use serde_json::{Map, Value, json};

pub type Result<T> = std::result::Result<T, Box<ApiError>>;

#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: u16,
    /// Whether the endpoint had begun its work. Answers from before that are not stored under the idempotency key.
    pub began: bool,
    fields: Map<String, Value>,
}

impl ApiError {
    fn new(status: u16, kind: &str, code: Option<&str>, message: String) -> Box<Self> {
        let mut fields = Map::new();
        if let Some(code) = code {
            fields.insert("code".to_owned(), json!(code));
            let url = format!(
                "https://stripe.com/docs/error-codes/{}",
                code.replace('_', "-")
            );
            fields.insert("doc_url".to_owned(), json!(url));
        }
        fields.insert("message".to_owned(), json!(message));
        fields.insert("type".to_owned(), json!(kind));
        Box::new(Self {
            status,
            began: true,
            fields,
        })
    }

    /// An invalid parameter, found before the endpoint began.
    pub fn parameter(code: &str, param: &str, message: String) -> Box<Self> {
        let mut error = Self::new(400, "invalid_request_error", Some(code), message).param(param);
        error.began = false;
        error
    }

    pub fn missing(param: &str) -> Box<Self> {
        Self::parameter(
            "parameter_missing",
            param,
            format!("Missing required param: {param}."),
        )
    }

    /// A well-formed request that can't be fulfilled.
    pub fn invalid(code: &str, message: impl Into<String>) -> Box<Self> {
        Self::new(400, "invalid_request_error", Some(code), message.into())
    }

    /// A well-formed request that can't be fulfilled, for a reason that has no code.
    pub fn without_code(message: impl Into<String>) -> Box<Self> {
        Self::new(400, "invalid_request_error", None, message.into())
    }

    pub fn no_such(what: &str, id: &str, param: &str) -> Box<Self> {
        let message = format!("No such {what}: '{id}'");
        Self::new(
            400,
            "invalid_request_error",
            Some("resource_missing"),
            message,
        )
        .param(param)
    }

    /// The object in the path does not exist.
    pub fn not_found(what: &str, id: &str) -> Box<Self> {
        let mut error = Self::no_such(what, id, "id");
        error.status = 404;
        error
    }

    pub fn no_route(method: &str, path: &str) -> Box<Self> {
        let message = format!(
            "Unrecognized request URL ({method}: {path}). The fake plays a part of Stripe's API only; its README lists it."
        );
        let mut error = Self::new(404, "invalid_request_error", None, message);
        error.began = false;
        error
    }

    pub fn card(code: &str, decline_code: Option<&str>, message: &str) -> Box<Self> {
        let error = Self::new(402, "card_error", Some(code), message.to_owned());
        match decline_code {
            Some(decline) => error.with("decline_code", json!(decline)),
            None => error,
        }
    }

    pub fn unauthorized(message: &str) -> Box<Self> {
        let mut error = Self::new(401, "invalid_request_error", None, message.to_owned());
        error.began = false;
        error
    }

    pub fn account_invalid(id: &str) -> Box<Self> {
        let message = format!(
            "The provided key does not have access to account '{id}' (or that account does not exist). \
             Application access may have been revoked."
        );
        let mut error = Self::new(
            403,
            "invalid_request_error",
            Some("account_invalid"),
            message,
        );
        error.began = false;
        error
    }

    pub fn other_parameters(key: &str) -> Box<Self> {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. \
             Try using a key other than '{key}' if you meant to execute a different request."
        );
        let mut error = Self::new(400, "idempotency_error", None, message);
        error.began = false;
        error
    }

    pub fn in_flight(key: &str) -> Box<Self> {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key (that probably means you \
             submitted twice, and the other request is still going through): {key}."
        );
        let mut error = Self::new(
            409,
            "idempotency_error",
            Some("idempotency_key_in_use"),
            message,
        );
        error.began = false;
        error
    }

    pub fn rate_limited() -> Box<Self> {
        let message = "Request rate limit exceeded.".to_owned();
        let mut error = Self::new(429, "invalid_request_error", Some("rate_limit"), message);
        error.began = false;
        error
    }

    pub fn internal() -> Box<Self> {
        let message = "An unknown error occurred".to_owned();
        Self::new(500, "api_error", None, message)
    }

    pub fn param(self: Box<Self>, param: &str) -> Box<Self> {
        self.with("param", json!(param))
    }

    pub fn with(mut self: Box<Self>, name: &str, value: Value) -> Box<Self> {
        self.fields.insert(name.to_owned(), value);
        self
    }

    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// The error that a failed attempt stores on its intent, without the intent itself.
    pub fn as_last_error(&self) -> Value {
        let mut fields = self.fields.clone();
        fields.remove("payment_intent");
        fields.remove("setup_intent");
        Value::Object(fields)
    }

    pub fn body(&self) -> Value {
        json!({ "error": self.fields })
    }
}
