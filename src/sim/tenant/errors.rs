//! Error bodies: Graph's envelope and Entra's sign-in errors.

use serde_json::{Value, json};

use super::http::Answer;

/// An error of Graph: `{"error":{"code","message"}}`. The server adds `innerError` when it answers, because only it knows the
/// request's id.
pub(super) fn graph(status: u16, code: &str, message: impl AsRef<str>) -> Answer {
    Answer::json(status, json!({ "error": { "code": code, "message": message.as_ref() } }))
}

/// The gateway's answer to a token it does not accept.
pub(super) fn bad_token(message: &str) -> Answer {
    graph(401, "InvalidAuthenticationToken", message).with_header(
        "WWW-Authenticate",
        "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", error=\"invalid_token\"",
    )
}

/// The authentication-methods layer's refusal to a caller.
pub(super) fn access_denied() -> Answer {
    graph(403, "accessDenied", "Request Authorization failed")
}

/// The directory layer's refusal to a caller.
pub(super) fn insufficient_privileges() -> Answer {
    graph(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
}

/// The directory layer's word for what is not there.
pub(super) fn no_such_resource(id: &str) -> Answer {
    let message =
        format!("Resource '{id}' does not exist or one of its queried reference-property objects are not present.");
    graph(404, "Request_ResourceNotFound", message)
}

/// What the authentication-methods layer says of self-service on beta, and of methods a path does not have.
pub(super) fn method_not_allowed() -> Answer {
    graph(405, "methodNotAllowed", "The method is not supported for this URL.")
}

/// A request the directory layer can't read.
pub(super) fn bad_request(message: impl AsRef<str>) -> Answer {
    graph(400, "Request_BadRequest", message)
}

/// Fills in `innerError`, with the message repeated as the authentication-methods layer does.
pub(super) fn add_inner_error(body: &mut Value, date: &str, request_id: &str, client_request_id: &str) {
    let Some(error) = body.get_mut("error").and_then(Value::as_object_mut) else { return };
    if !error.contains_key("message") || error.contains_key("innerError") {
        return;
    }
    let message = error.get("message").cloned().unwrap_or(Value::Null);
    let inner = json!({
        "message": message,
        "date": date,
        "request-id": request_id,
        "client-request-id": client_request_id,
    });
    error.insert("innerError".into(), inner);
}

/// An error of the sign-in service.
#[derive(Debug, Clone)]
pub(super) struct SignInError {
    /// OAuth's word.
    pub(super) error: &'static str,
    /// The number after `AADSTS`.
    pub(super) code: u32,
    /// The sentence after it.
    pub(super) text: String,
    /// HTTP status.
    pub(super) status: u16,
}

impl SignInError {
    pub(super) fn new(error: &'static str, code: u32, text: impl Into<String>) -> Self {
        // Entra answers 401 where the client could not prove itself, 400 otherwise (RFC 6749 §5.2 allows it).
        let status = if error == "invalid_client" { 401 } else { 400 };
        Self { error, code, text: text.into(), status }
    }

    /// `AADSTS7000215: …` with the trailers Entra puts behind it.
    pub(super) fn description(&self, trace: &str, correlation: &str, date: &str) -> String {
        format!("AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {date}", self.code, self.text)
    }

    pub(super) fn into_answer(self, trace: &str, correlation: &str, date: &str) -> Answer {
        let description = self.description(trace, correlation, date);
        Answer::json(
            self.status,
            json!({
                "error": self.error,
                "error_description": description,
                "error_codes": [self.code],
                "timestamp": date,
                "trace_id": trace,
                "correlation_id": correlation,
                "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.code),
            }),
        )
    }
}
