//! One request and its answer. No retrying here, no tokens fetched: see [`super::client`].
//!
//! Promise: redirects are not followed, TLS verification can't be switched off, the answer's size is bounded, loopback never
//! goes through a proxy, and a request that may have arrived is told apart from one that certainly did not.

use std::io::Read as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use reqwest::{Method, redirect};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::cloud::{Cloud, is_loopback};
use super::error::{ErrorKind, Fixer, GraphError, RequestIds, one_line};
use super::retry::{AnswerClass, Repeat, http_date, retry_after};
use super::rights::{Rights, look};
use crate::model::Secret;

/// How long one attempt may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until the whole answer is here.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(15), answer: Duration::from_secs(60) }
    }
}

/// No answer of Graph's that we ask for comes near this (a page of 999 users has about 400 kB).
const LARGEST_ANSWER: u64 = 8 * 1024 * 1024;

/// One request, apart from its token and ids.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Value>,
    /// In place of `body`: JSON that holds a secret, wiped with the request. The HTTP library makes a copy, which the program's
    /// allocator clears.
    pub secret_body: Option<Arc<Secret<Vec<u8>>>>,
    /// Completes "Graph … to": `list the passkeys of kim@contoso.com`. Shown to the operator.
    pub doing: String,
    pub repeat: Repeat,
    /// Counted as a retry from its first attempt on: parts of a batch sent once more.
    pub resend: bool,
    /// What the caller needs for it: a refusal names that.
    pub rights: Option<&'static Rights>,
    /// What to look at when the content is refused.
    pub look: &'static str,
    /// Belongs to the area of one request a second.
    pub paced: bool,
}

impl Request {
    pub fn get(url: Url, doing: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: Vec::new(),
            body: None,
            secret_body: None,
            doing: doing.into(),
            repeat: Repeat::Read,
            resend: false,
            rights: None,
            look: look::REPORT,
            paced: false,
        }
    }

    /// Not repeated once it may have arrived, unless [`Self::safe`] or [`Self::asks`] says that it may be.
    pub fn post(url: Url, body: Value, doing: impl Into<String>) -> Self {
        Self { method: Method::POST, body: Some(body), repeat: Repeat::OnlyIfNotCarriedOut, ..Self::get(url, doing) }
    }

    /// As [`Self::post`], with JSON that holds a secret and is wiped. `room`: more bytes than it takes, escapes included, because
    /// growing would leave copies behind.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn post_secret(
        url: Url,
        body: &impl Serialize,
        room: usize,
        doing: impl Into<String>,
    ) -> Result<Self, GraphError> {
        let (doing, repeat) = (doing.into(), Repeat::OnlyIfNotCarriedOut);
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *bytes, body)
            .map_err(|error| GraphError::malformed(&doing, format!("The request can't be written: {error}.")))?;
        let body = Arc::new(Secret::new(std::mem::take(&mut *bytes)));
        Ok(Self { method: Method::POST, secret_body: Some(body), repeat, ..Self::get(url, doing) })
    }

    /// A change of members: what is not sent keeps its value and a list is replaced whole, so twice is as good as once.
    pub fn patch(url: Url, body: Value, doing: impl Into<String>) -> Self {
        Self { method: Method::PATCH, body: Some(body), ..Self::get(url, doing) }.safe()
    }

    /// The whole object anew.
    pub fn put(url: Url, body: Value, doing: impl Into<String>) -> Self {
        Self { method: Method::PUT, body: Some(body), ..Self::get(url, doing) }.safe()
    }

    pub fn delete(url: Url, doing: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(url, doing) }.safe()
    }

    /// A write of which twice is as good as once.
    #[must_use]
    pub fn safe(mut self) -> Self {
        self.repeat = Repeat::Safe;
        self
    }

    /// A look-up, whatever its method.
    #[must_use]
    pub fn asks(mut self) -> Self {
        self.repeat = Repeat::Read;
        self
    }

    /// What a refusal names.
    #[must_use]
    pub fn needing(mut self, rights: &'static Rights) -> Self {
        self.rights = Some(rights);
        self
    }

    /// What to look at when the content is refused, as whole sentences.
    #[must_use]
    pub fn refused(mut self, look: &'static str) -> Self {
        self.look = look;
        self
    }

    /// Keeps the distance of Conditional Access.
    #[must_use]
    pub fn paced(mut self) -> Self {
        self.paced = true;
        self
    }

    /// Enum members newer than the service's first ones come as themselves, not as `unknownFutureValue`.
    #[must_use]
    pub fn all_words(mut self) -> Self {
        self.headers.push(("Prefer", "include-unknown-enum-members".to_owned()));
        self
    }

    /// For look-ups that go by an index (Microsoft's "advanced query capabilities").
    #[must_use]
    pub fn eventual(mut self) -> Self {
        self.headers.push(("ConsistencyLevel", "eventual".to_owned()));
        self
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub content_type: String,
    pub retry_after: Option<Duration>,
    pub date: Option<jiff::Timestamp>,
    /// `WWW-Authenticate`, for claims challenges.
    pub challenge: Option<String>,
    pub ids: RequestIds,
    /// An earlier attempt of this write may have been carried out: this answer is about the repetition.
    pub after_doubt: bool,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether this is no JSON by its look: gateways and captive portals answer 200 with a page. A 204 brings none, whatever type it names.
    pub fn looks_like_markup(&self) -> bool {
        self.status != 204 && self.content_type.to_ascii_lowercase().contains("html")
            || self.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
    }

    /// A page where Graph's answer belongs.
    pub fn web_page(&self, doing: &str) -> GraphError {
        GraphError::new(
            ErrorKind::Outage,
            Fixer::NetworkAdmin,
            format!("A web page came instead of Graph's answer when asked to {doing}"),
        )
        .because("A captive portal, an inspecting proxy or a gateway answered in Graph's place.")
        .advise("Open a browser on this machine and see whether the network asks for a sign-in; then run the same command again.")
        .with_status(self.status, None)
        .with_ids(self.ids.clone())
    }

    /// What it means for trying again.
    pub fn class(&self) -> AnswerClass {
        match self.status {
            401 if self.claims().is_none() => AnswerClass::Unauthorized { renewed: false },
            429 => AnswerClass::Throttled(self.retry_after),
            // 501 and 505 say "never", the rest of the 5xx "not now".
            501 | 505 => AnswerClass::Final,
            500..=599 => AnswerClass::Outage(self.retry_after),
            // A 408 is the server's own time-out.
            408 => AnswerClass::Outage(self.retry_after),
            200..=299 if self.looks_like_markup() => AnswerClass::Outage(None),
            _ => AnswerClass::Final,
        }
    }

    /// The claims of a challenge to sign in again more strongly, decoded
    /// (`WWW-Authenticate: Bearer … error="insufficient_claims", claims="<base64>"`).
    pub fn claims(&self) -> Option<String> {
        use base64::Engine as _;
        let header = self.challenge.as_deref()?;
        if !header.contains("insufficient_claims") {
            return None;
        }
        let text = header.split("claims=\"").nth(1)?.split('"').next()?.trim_end_matches('=');
        let engine = if text.contains(['-', '_']) {
            base64::engine::general_purpose::URL_SAFE_NO_PAD
        } else {
            base64::engine::general_purpose::STANDARD_NO_PAD
        };
        let claims = String::from_utf8(engine.decode(text).ok()?).ok()?;
        serde_json::from_str::<Value>(&claims).ok()?.is_object().then_some(claims)
    }

    /// The JSON object a success must hold.
    pub fn object(&self, doing: &str) -> Result<Value, GraphError> {
        let wrong = |cause: String| Err(GraphError::malformed(doing, cause).with_ids(self.ids.clone()));
        if self.looks_like_markup() {
            return Err(self.web_page(doing));
        }
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return wrong("The answer is empty where a JSON object belongs.".to_owned());
        }
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(json) if json.is_object() => Ok(json),
            Ok(_) => wrong("The answer is JSON, but not an object.".to_owned()),
            Err(error) if error.is_eof() => {
                wrong(format!("The answer's JSON ends in the middle, after {} bytes.", self.body.len()))
            }
            Err(error) => wrong(format!("The answer is not JSON (line {}, column {}).", error.line(), error.column())),
        }
    }
}

/// No whole answer.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub class: AnswerClass,
    pub error: GraphError,
}

/// The client with our rules. Loopback never goes through a proxy; where all is plain HTTP the system's certificates, which take
/// longer to read than most commands, are left alone.
pub(super) fn client(cloud: &Cloud, timeouts: Timeouts) -> Result<Client, GraphError> {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // An error says that somebody installed one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let mut builder = Client::builder()
        .user_agent(concat!("keybench/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        // Kept connections that the other side closes meanwhile turn a registration's outcome into "unknown".
        .pool_idle_timeout(Duration::from_secs(30))
        .referer(false)
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.answer);
    if cloud.is_loopback() {
        // A hosts file or a DNS server may say otherwise of this name.
        builder = builder.no_proxy().resolve("localhost", std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        if cloud.is_plain() {
            builder = builder.tls_certs_only(std::iter::empty());
        }
    } else {
        builder = builder.https_only(true).tls_version_min(reqwest::tls::Version::TLS_1_2);
    }
    builder.build().map_err(|error| {
        GraphError::new(ErrorKind::Tls, Fixer::Operator, "The HTTPS client can't be set up")
            .because(format!("{}.", chain(&error)))
            .advise("Check that this system's certificate store can be read (on Linux: the package ca-certificates).")
    })
}

/// Sends one request and takes the whole answer.
pub(super) fn send(client: &Client, request: &Request, token: &Secret<String>) -> Result<Answer, NoAnswer> {
    let id = uuid::Uuid::new_v4().to_string();
    let mut builder = client
        .request(request.method.clone(), request.url.clone())
        .bearer_auth(token.expose())
        .header("Accept", "application/json")
        .header("client-request-id", &id)
        .header("return-client-request-id", "true");
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    if let Some(body) = &request.body {
        builder = builder.json(body);
    }
    if let Some(body) = &request.secret_body {
        builder = builder.header("Content-Type", "application/json").body(body.expose().clone());
    }
    let ids = RequestIds { client_request_id: Some(id), request_id: None };
    let fail = |class, error: GraphError| NoAnswer { class, error: error.with_ids(ids.clone()) };
    let response = builder.send().map_err(|error| {
        let (class, error) = no_answer(&error, &request.url, &request.doing);
        fail(class, error)
    })?;
    take(response, ids.clone()).map_err(|(class, why)| {
        fail(
            class,
            GraphError::new(
                ErrorKind::Network,
                Fixer::NetworkAdmin,
                format!("Graph's answer did not arrive whole when asked to {}", request.doing),
            )
            .because(why)
            .advise("Check the network; run the same command again."),
        )
    })
}

/// Reads an answer to its end, within bounds.
pub(super) fn take(response: Response, mut ids: RequestIds) -> Result<Answer, (AnswerClass, String)> {
    let text = |name: &str| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(|value| one_line(value, 4000))
    };
    let date = text("date").and_then(|date| http_date(&date));
    let retry_after = text("retry-after").and_then(|header| retry_after(&header, date));
    ids.request_id = text("request-id").or_else(|| text("x-ms-request-id"));
    let mut answer = Answer {
        status: response.status().as_u16(),
        body: Vec::new(),
        content_type: text("content-type").unwrap_or_default(),
        retry_after,
        date,
        challenge: text("www-authenticate"),
        ids,
        after_doubt: false,
    };
    let read = response.take(LARGEST_ANSWER.saturating_add(1)).read_to_end(&mut answer.body);
    match read {
        Ok(length) if length as u64 > LARGEST_ANSWER => {
            Err((AnswerClass::Unusable, format!("It is larger than {} MiB.", LARGEST_ANSWER >> 20)))
        }
        Ok(_) => Ok(answer),
        Err(error) => Err((
            AnswerClass::Unanswered,
            format!("The connection ended in the middle of it: {}.", one_line(&error.to_string(), 200)),
        )),
    }
}

/// Tells apart what never left, what may have arrived, and what can't ever work.
pub(super) fn no_answer(error: &reqwest::Error, url: &Url, doing: &str) -> (AnswerClass, GraphError) {
    let host = url.host_str().unwrap_or("the service");
    let why = chain(error);
    let lower = why.to_ascii_lowercase();
    let fact = |what: &str| format!("{what} {host} to {doing}");
    // Only while connecting: the same words in a later failure don't say that nothing arrived.
    if error.is_connect() && is_tls(error) {
        let error = GraphError::new(ErrorKind::Tls, Fixer::NetworkAdmin, fact("No trusted connection to"))
            .because(format!("{why}. Often a proxy that opens TLS, whose root certificate this system doesn't know; or a clock that is wrong."))
            .advise("Check this machine's date; have the proxy's root installed in the system's certificate store. keybench can't be told to skip this check.");
        return (AnswerClass::Hopeless, error);
    }
    if error.is_connect() && ["proxy", "tunnel", "407"].iter().any(|word| lower.contains(word)) {
        let error = GraphError::new(ErrorKind::Network, Fixer::NetworkAdmin, fact("The proxy does not let us through to"))
            .because(format!("{why}. keybench knows plain HTTP proxies with fixed addresses; PAC scripts and NTLM or Kerberos sign-in at the proxy are unsupported."))
            .advise("Set HTTPS_PROXY to a proxy that needs no such sign-in, or have the two hosts excepted.");
        // A tunnel that was never opened carried nothing.
        return (AnswerClass::NotSent, error);
    }
    if error.is_builder() {
        let error = GraphError::new(ErrorKind::Settings, Fixer::Developer, fact("No request can be made for"))
            .because(format!("{why}."));
        return (AnswerClass::Hopeless, error);
    }
    if error.is_connect() {
        let error = GraphError::new(ErrorKind::Network, Fixer::NetworkAdmin, fact("Can't reach"))
            .because(format!("{why}."))
            .advise(if is_loopback(url) {
                "Is the simulated tenant running? `keybench sim tenant` starts one and prints its addresses, which belong into the settings."
            } else {
                "Check the network and that HTTPS to this host is allowed; run the same command again."
            });
        return (AnswerClass::NotSent, error);
    }
    let what = if error.is_timeout() { "No answer in time from" } else { "The connection broke before the answer of" };
    let error =
        GraphError::new(ErrorKind::Network, Fixer::NetworkAdmin, format!("{what} {host} when asked to {doing}"))
            .because(format!("{why}."))
            .advise("Check the network; run the same command again.");
    (AnswerClass::Unanswered, error)
}

/// Whether the TLS handshake failed. An [`std::io::Error`] hides what it wraps from `source`, so it is looked into.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || inside.is_some_and(|inside| is_tls(inside)) || error.source().is_some_and(is_tls)
}

/// An error with its causes on one line, without the URL (which may hold names).
fn chain(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = next {
        let text = one_line(&cause.to_string(), 160);
        // Wrappers repeat what they wrap, and hyper names the layer only.
        if !text.is_empty() && !text.starts_with("client error (") && !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = cause.source();
    }
    if parts.is_empty() { "the request failed".to_owned() } else { parts.join(": ") }
}

/// One path segment or query value: everything but RFC 3986's unreserved characters is escaped.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// An OData string literal: single quotes are doubled (OData 4.01 ABNF, `string`).
pub(super) fn odata_string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_escaped_for_paths_and_quoted_for_filters() {
        assert_eq!(escape("o'reilly#EXT#@x.com/../"), "o%27reilly%23EXT%23%40x.com%2F..%2F");
        assert_eq!(escape("ä"), "%C3%A4");
        assert_eq!(odata_string("o'reilly"), "'o''reilly'");
    }

    #[test]
    fn a_proxy_that_refuses_is_named_and_nothing_was_sent() {
        let proxy = crate::graph::testing::Server::answering(vec![crate::graph::testing::Reply::status(407)]);
        let _ = super::client(&Cloud::global(), Timeouts::default()).expect("installs the TLS provider");
        let through =
            Client::builder().proxy(reqwest::Proxy::all(&proxy.url).expect("a proxy")).build().expect("a client");
        let url = Url::parse("https://graph.microsoft.com/v1.0/me").expect("a URL");
        let error = through.get(url.clone()).send().expect_err("refused");
        let (class, error) = no_answer(&error, &url, "read who is signed in");
        assert_eq!(class, AnswerClass::NotSent, "{error}");
        assert!(error.cause().contains("PAC"), "{error}");
        assert_eq!(proxy.seen()[0].method, "CONNECT");
    }

    #[test]
    fn a_claims_challenge_is_read() {
        let challenge = |text: &str| Answer { status: 401, challenge: Some(text.to_owned()), ..Answer::default() };
        // {"access_token":{"nbf":{"essential":true}}}
        let header = r#"Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZX19fQ==""#;
        let answer = challenge(header);
        assert_eq!(answer.claims().as_deref(), Some(r#"{"access_token":{"nbf":{"essential":true}}}"#));
        assert_eq!(answer.class(), AnswerClass::Final);
        assert_eq!(challenge("Bearer error=\"insufficient_claims\", claims=\"!!\"").claims(), None);
        assert_eq!(challenge("Bearer").class(), AnswerClass::Unauthorized { renewed: false });
    }

    #[test]
    fn a_page_is_no_answer() {
        let html = |status| Answer { status, content_type: "text/html".to_owned(), ..Answer::default() };
        assert_eq!((html(200).class(), html(204).class()), (AnswerClass::Outage(None), AnswerClass::Final));
        let page = Answer { status: 200, body: b"  <!doctype html>".to_vec(), ..Answer::default() };
        assert_eq!(page.class(), AnswerClass::Outage(None));
        assert!(page.object("x").expect_err("refused").to_string().contains("web page"));
        let cut = Answer { status: 200, body: br#"{"value":[{"id"#.to_vec(), ..Answer::default() };
        assert!(cut.object("x").expect_err("refused").to_string().contains("ends in the middle"));
        let empty = Answer { status: 200, ..Answer::default() };
        assert!(empty.object("x").expect_err("refused").to_string().contains("empty"));
        let list = Answer { status: 200, body: b"[1]".to_vec(), ..Answer::default() };
        assert!(list.object("x").expect_err("refused").to_string().contains("not an object"));
    }

    proptest! {
        #[test]
        fn no_answer_panics(status in 0u16..1000, body in proptest::collection::vec(any::<u8>(), 0..200), challenge in "\\PC{0,80}") {
            let answer = Answer { status, body, challenge: Some(format!("Bearer insufficient_claims claims=\"{challenge}\"")), ..Answer::default() };
            let _ = (answer.class(), answer.claims(), answer.object("x"), GraphError::from_answer("x", &answer));
        }
    }
}
