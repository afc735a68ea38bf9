//! Entra's token endpoint: a form in, tokens or a refusal out.

use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::Client;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::aadsts;
use crate::graph::cancel::Cancel;
use crate::graph::client::jitter;
use crate::graph::cloud::Cloud;
use crate::graph::error::{ErrorKind, Fixer, GraphError, RequestIds, one_line};
use crate::graph::http::{self, Answer, Timeouts};
use crate::graph::retry::{AnswerClass, Budget, Repeat, Verdict, decide};
use crate::graph::server_clock::ServerClock;
use crate::model::Secret;
use crate::world::Clock;

/// One tenant's sign-in addresses, for one application.
pub(super) struct Endpoint {
    http: Client,
    base: Url,
    tenant: String,
    client_id: String,
    scope: String,
    budget: Budget,
    pub cancel: Cancel,
    pub clock: Arc<dyn Clock>,
    server: ServerClock,
}

/// Tokens.
pub(super) struct TokenAnswer {
    pub access_token: Secret<String>,
    pub refresh_token: Option<Secret<String>>,
    pub expires_in: Duration,
}

/// Why there are none.
pub(super) enum TokenFailure {
    /// The service said no.
    Refused(Box<Refusal>),
    /// No usable answer.
    Failed(GraphError),
}

impl TokenFailure {
    pub fn into_error(self) -> GraphError {
        match self {
            Self::Refused(refusal) => refusal.into_error("sign in"),
            Self::Failed(error) => error,
        }
    }
}

/// An OAuth error with Entra's additions (RFC 6749 §5.2; Microsoft identity platform, error codes).
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal {
    pub error: String,
    pub suberror: Option<String>,
    pub description: String,
    pub codes: Vec<u32>,
    pub ids: RequestIds,
    pub status: u16,
}

impl Refusal {
    pub fn from_json(json: &Value, status: u16) -> Option<Self> {
        let text = |name: &str| json[name].as_str().map(|text| one_line(text, 400));
        let error = text("error").filter(|error| !error.is_empty())?;
        let description = json["error_description"].as_str().unwrap_or("");
        // Entra appends "Trace ID: … Correlation ID: … Timestamp: …" to its sentence.
        let sentence = description.split("Trace ID").next().unwrap_or("");
        let mut codes: Vec<u32> = json["error_codes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|code| code.as_u64().and_then(|code| u32::try_from(code).ok()))
            .collect();
        if codes.is_empty() {
            let digits = description
                .split("AADSTS")
                .nth(1)
                .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
            codes.extend(digits.and_then(|digits| digits.parse::<u32>().ok()));
        }
        Some(Self {
            error,
            suberror: text("suberror"),
            description: one_line(sentence, 300),
            codes,
            ids: RequestIds { client_request_id: text("correlation_id"), request_id: text("trace_id") },
            status,
        })
    }

    /// Whether only a person at a sign-in page can go on (OAuth's word for it; OpenID Connect Core §3.1.2.6).
    pub fn needs_a_person(&self) -> bool {
        matches!(self.error.as_str(), "invalid_grant" | "interaction_required" | "login_required" | "consent_required")
    }

    /// Whether nobody has agreed to these permissions, or the registration doesn't know them
    /// (65001 consent missing, 65005 not among those required, 650053 and 70011 no such scope).
    pub fn lacks_consent(&self) -> bool {
        self.error == "consent_required"
            || self.codes.iter().any(|code| matches!(code, 65001 | 65005 | 650_053 | 70011))
    }

    fn is_transient(&self) -> bool {
        matches!(self.error.as_str(), "temporarily_unavailable" | "server_error")
            || self.codes.iter().any(|&code| aadsts::is_transient(code))
    }

    pub fn into_error(self, doing: &str) -> GraphError {
        let code = self.codes.first().map_or_else(|| self.error.clone(), |code| format!("AADSTS{code}"));
        let kind = if self.is_transient() { ErrorKind::Outage } else { ErrorKind::SignIn };
        let quote = if self.description.is_empty() {
            String::new()
        } else {
            format!(" Entra says: \u{201c}{}\u{201d}.", self.description)
        };
        let error = match self.codes.iter().find_map(|&code| aadsts::meaning(code)) {
            Some(meaning) => GraphError::new(kind, meaning.fixer, format!("Entra refused to {doing} ({code})"))
                .because(format!("{}{quote}", meaning.cause))
                .advise(meaning.next),
            None => GraphError::new(kind, Fixer::TenantAdmin, format!("Entra refused to {doing} ({code})"))
                .because(format!("The reason given is `{}`{}.{quote}", self.error, self.suberror.map_or_else(String::new, |sub| format!(" ({sub})"))))
                .advise("Check id, client_id and auth under [tenant]; the sign-in log of the tenant holds the details under these ids."),
        };
        error.with_status(self.status, Some(code)).with_ids(self.ids)
    }
}

impl Endpoint {
    #[expect(clippy::too_many_arguments, reason = "made in one place, from one settings struct")]
    pub fn new(
        cloud: &Cloud,
        tenant: &str,
        client_id: &str,
        scope: String,
        timeouts: Timeouts,
        budget: Budget,
        cancel: Cancel,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, GraphError> {
        let plain =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
        if !plain(tenant) || matches!(tenant.to_ascii_lowercase().as_str(), "common" | "organizations" | "consumers") {
            return Err(GraphError::new(
                ErrorKind::Settings,
                Fixer::Operator,
                "`id` under [tenant] names no single tenant",
            )
            .because("Keys belong to one tenant, so the sign-in must name it: a GUID or a verified domain.")
            .advise("Copy the tenant id from the Entra admin centre's Overview page."));
        }
        if !plain(client_id) {
            return Err(GraphError::new(
                ErrorKind::Settings,
                Fixer::Operator,
                "`client_id` under [tenant] is no application id",
            )
            .because("An application id is a GUID.")
            .advise("Copy the Application (client) id from the app registration's Overview page."));
        }
        Ok(Self {
            http: http::client(cloud, timeouts)?,
            base: cloud.login().clone(),
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
            scope,
            budget,
            cancel,
            clock,
            server: ServerClock::new(),
        })
    }

    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub fn scope(&self) -> &str {
        &self.scope
    }

    pub fn ask_for(&mut self, scope: String) {
        self.scope = scope;
    }

    pub fn token_url(&self) -> Url {
        self.address("token")
    }

    /// `{login}/{tenant}/oauth2/v2.0/{name}`.
    pub fn address(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/{}/oauth2/v2.0/{name}", self.tenant));
        url
    }

    /// The service's time where it has told it, else ours.
    pub fn server_now(&self) -> jiff::Timestamp {
        self.server.now(&*self.clock)
    }

    /// Asks for tokens. Everything but an authorization code may be sent twice.
    pub fn token(&self, fields: &[(&str, &str)], doing: &str) -> Result<TokenAnswer, TokenFailure> {
        let single_use = fields.iter().any(|&(name, value)| name == "grant_type" && value == "authorization_code");
        let repeat = if single_use { Repeat::OnlyIfNotCarriedOut } else { Repeat::Read };
        let json = self.post(&self.token_url(), fields, repeat, doing)?;
        let mut json = json;
        let unusable = |cause: &str| {
            TokenFailure::Failed(
                GraphError::new(ErrorKind::Malformed, Fixer::Microsoft, "The sign-in service's answer holds no token")
                    .because(cause)
                    .advise("Run the same command again."),
            )
        };
        let mut secret = |name: &str| match json[name].take() {
            Value::String(text) if !text.is_empty() => Some(Secret::new(text)),
            _ => None,
        };
        let access_token = secret("access_token").ok_or_else(|| unusable("`access_token` is missing."))?;
        let refresh_token = secret("refresh_token");
        if access_token.expose().chars().any(|c| !c.is_ascii_graphic()) {
            return Err(unusable("`access_token` holds characters no token has."));
        }
        if json["token_type"].as_str().is_some_and(|kind| !kind.eq_ignore_ascii_case("Bearer")) {
            return Err(unusable("`token_type` is not Bearer."));
        }
        // Some issuers send numbers as text.
        let seconds = json["expires_in"].as_u64().or_else(|| json["expires_in"].as_str()?.parse().ok()).unwrap_or(3599);
        let expires_in = Duration::from_secs(seconds.clamp(1, 24 * 3600));
        Ok(TokenAnswer { access_token, refresh_token, expires_in })
    }

    /// One form to one address, with retries; JSON of a 2xx.
    pub fn post(&self, url: &Url, fields: &[(&str, &str)], repeat: Repeat, doing: &str) -> Result<Value, TokenFailure> {
        let start = self.clock.monotonic();
        let mut made: u32 = 0;
        loop {
            if self.cancel.is_cancelled() {
                return Err(TokenFailure::Failed(GraphError::cancelled(doing)));
            }
            made = made.saturating_add(1);
            let (class, outcome) = match self.once(url, fields, doing) {
                Ok(answer) => self.read(&answer, doing),
                Err((class, error)) => (class, Err(TokenFailure::Failed(error))),
            };
            let spent = self.clock.monotonic().saturating_sub(start);
            match decide(class, repeat, made, spent, jitter(), &self.budget) {
                Verdict::Wait(wait) => self
                    .cancel
                    .wait(&*self.clock, wait)
                    .map_err(|_| TokenFailure::Failed(GraphError::cancelled(doing)))?,
                Verdict::Retry | Verdict::Stop | Verdict::Unknown => return outcome,
            }
        }
    }

    fn read(&self, answer: &Answer, doing: &str) -> (AnswerClass, Result<Value, TokenFailure>) {
        if let Some(date) = answer.date {
            self.server.observe(date, &*self.clock);
        }
        if answer.is_success() {
            return (AnswerClass::Final, answer.object(doing).map_err(TokenFailure::Failed));
        }
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match Refusal::from_json(&json, answer.status) {
            Some(mut refusal) => {
                if refusal.ids.client_request_id.is_none() {
                    refusal.ids.client_request_id.clone_from(&answer.ids.client_request_id);
                }
                // A 401 here is about the secret, not about a token that could be renewed.
                let class = match answer.class() {
                    AnswerClass::Unauthorized { .. } => AnswerClass::Final,
                    AnswerClass::Final if refusal.is_transient() => AnswerClass::Outage(answer.retry_after),
                    class => class,
                };
                tracing::debug!(error = refusal.error, codes = ?refusal.codes, "sign-in refused");
                (class, Err(TokenFailure::Refused(Box::new(refusal))))
            }
            None => {
                let class = if answer.status == 401 { AnswerClass::Final } else { answer.class() };
                let (kind, fixer) = match answer.status {
                    404 => (ErrorKind::SignIn, Fixer::Operator),
                    _ => (ErrorKind::Outage, Fixer::Microsoft),
                };
                let error = GraphError::new(kind, fixer, format!("The sign-in service answered {} when asked to {doing}", answer.status))
                    .because("The answer is not one of the sign-in service's; a proxy or gateway may have given it, or the tenant's address is wrong.")
                    .advise("Check `id` under [tenant] and the network; run the same command again.")
                    .with_status(answer.status, None)
                    .with_ids(answer.ids.clone());
                (class, Err(TokenFailure::Failed(error)))
            }
        }
    }

    fn once(&self, url: &Url, fields: &[(&str, &str)], doing: &str) -> Result<Answer, (AnswerClass, GraphError)> {
        let id = uuid::Uuid::new_v4().to_string();
        let ids = RequestIds { client_request_id: Some(id.clone()), request_id: None };
        // One allocation, wiped: the body may hold a secret. (reqwest's copy is cleared by the program's allocator.)
        let length: usize = fields.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
        let mut form =
            url::form_urlencoded::Serializer::new(String::with_capacity(length + 3 * self.client_id.len() + 16));
        form.append_pair("client_id", &self.client_id).extend_pairs(fields);
        let body = Zeroizing::new(form.finish());
        let response = self
            .http
            .post(url.clone())
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Accept", "application/json")
            .header("client-request-id", id)
            .header("return-client-request-id", "true")
            .body(body.as_bytes().to_vec())
            .send()
            .map_err(|error| {
                let (class, error) = http::no_answer(&error, url, doing);
                (class, error.with_ids(ids.clone()))
            })?;
        http::take(response, ids.clone()).map_err(|(class, why)| {
            let error = GraphError::new(
                ErrorKind::Network,
                Fixer::NetworkAdmin,
                "The sign-in service's answer did not arrive whole",
            )
            .because(why)
            .advise("Check the network; run the same command again.")
            .with_ids(ids);
            (class, error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_refusal_is_read_with_entras_additions() {
        let json = serde_json::json!({
            "error": "invalid_client",
            "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1\r\nCorrelation ID: 2",
            "error_codes": [7_000_215], "trace_id": "t", "correlation_id": "c"
        });
        let error = Refusal::from_json(&json, 401).expect("a refusal").into_error("sign in");
        assert_eq!(error.code(), Some("AADSTS7000215"));
        assert_eq!(error.kind(), ErrorKind::SignIn);
        assert!(error.cause().contains("secret's id was copied"), "{error}");
        assert!(!error.cause().contains("Trace ID"), "{error}");
        assert_eq!(error.ids().request_id.as_deref(), Some("t"));
    }

    #[test]
    fn the_number_is_found_in_the_text_too() {
        let json =
            serde_json::json!({"error": "invalid_request", "error_description": "AADSTS90002: Tenant 'x' not found."});
        assert_eq!(Refusal::from_json(&json, 400).map(|refusal| refusal.codes), Some(vec![90002]));
        assert!(Refusal::from_json(&serde_json::json!({"error": {"code": "x"}}), 400).is_none());
    }

    proptest! {
        #[test]
        fn no_refusal_panics(error in "\\PC{1,20}", description in "\\PC{0,80}", code in any::<i64>()) {
            let json = serde_json::json!({"error": error, "error_description": format!("AADSTS{description}"), "error_codes": [code, "x"]});
            if let Some(refusal) = Refusal::from_json(&json, 400) {
                let _ = refusal.into_error("sign in").to_string();
            }
        }
    }
}
