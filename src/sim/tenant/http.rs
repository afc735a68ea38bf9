//! A request and an answer as the rest of the simulated tenant sees them: no sockets, no async.

use axum::body::Bytes;
use axum::http::HeaderMap;
use serde_json::Value;

/// Which Graph was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    Beta,
}

impl Version {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1.0",
            Self::Beta => "beta",
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// In capitals.
    pub(super) method: String,
    /// Path and query as they came.
    pub(super) target: String,
    /// Path segments, percent-decoded; the version is among them.
    pub(super) path: Vec<String>,
    /// Query pairs, percent-decoded.
    pub(super) query: Vec<(String, String)>,
    /// Headers.
    pub(super) headers: HeaderMap,
    /// Body.
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn new(method: &str, target: &str, headers: HeaderMap, body: Bytes) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.split('/').filter(|part| !part.is_empty()).map(percent_decoded).collect();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { method: method.to_ascii_uppercase(), target: target.to_owned(), path, query, headers, body }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_json(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json"))
    }

    /// The body as an HTML form.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// Percent-decoding of one path segment: `+` stays a plus there, other than in a query.
fn percent_decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let digits = (byte == b'%').then(|| Some((hex(ahead.next()?)?, hex(ahead.next()?)?))).flatten();
        match digits {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = ahead;
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// What an answer carries.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Empty,
    Json(Value),
    Text { kind: &'static str, text: String },
}

/// One answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
}

impl Answer {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(body) }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    pub(super) fn text(status: u16, kind: &'static str, text: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Text { kind, text: text.into() } }
    }

    pub(super) fn with_header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_taken_apart() {
        let call = Call::new(
            "get",
            "/v1.0/users/o%27reilly%40x%23y+z?$filter=a%20eq%20%27b+c%27&$top=2",
            HeaderMap::new(),
            Bytes::new(),
        );
        assert_eq!(call.method, "GET");
        assert_eq!(call.path, ["v1.0", "users", "o'reilly@x#y+z"]);
        assert_eq!(call.query("$FILTER"), Some("a eq 'b c'"));
        assert_eq!(call.query("$top"), Some("2"));
        // A stray percent sign is itself.
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz"), "%zz");
    }
}
