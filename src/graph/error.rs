//! What went wrong between us and Graph, in the operator's words: the fact, its cause, the next step, and who can take it.
//!
//! Promise: nobody has to read Graph's message to know what to do, and nothing branches on Graph's message texts
//! (Microsoft documents neither them nor most codes). No token, secret or request body ever stands in an error.

use std::fmt;

use super::http::Answer;
use super::rights::Rights;

/// The kinds of trouble the rest of the program tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The settings can't work: an unknown host, a cloud without the API, an unusable certificate.
    Settings,
    /// Signing in failed, was declined or ran out of time.
    SignIn,
    /// The token isn't accepted (any longer): 401.
    Unauthorized,
    /// A scope or a role is missing: 403.
    Forbidden,
    /// The request was understood and refused: 400 and its like. For a registration this is the tenant's policy.
    Refused,
    /// There is no such object: 404, 410.
    NotFound,
    /// 405: acting on oneself, or the call doesn't exist in this API version.
    MethodNotAllowed,
    /// It exists already: 409.
    Conflict,
    /// Still throttled after the whole budget of waiting: 429.
    Throttled,
    /// The service answers 5xx, or with something that is no Graph answer at all.
    Outage,
    /// No connection, or no answer.
    Network,
    /// The other side couldn't prove who it is.
    Tls,
    /// The request may have been carried out, or not: read before repeating it.
    Unknown,
    /// A success whose content can't be understood.
    Malformed,
    /// A name stands for several objects.
    Ambiguous,
    /// The operator stopped it.
    Cancelled,
}

impl ErrorKind {
    /// Whether the next person's request would meet the same trouble, so that no further touch should be asked for.
    pub fn pauses_bench(self) -> bool {
        match self {
            Self::Settings
            | Self::SignIn
            | Self::Unauthorized
            | Self::Forbidden
            | Self::Throttled
            | Self::Outage
            | Self::Network
            | Self::Tls
            | Self::Cancelled => true,
            Self::Refused
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::Conflict
            | Self::Unknown
            | Self::Malformed
            | Self::Ambiguous => false,
        }
    }

    /// One word for `--json` and the ledger; stable.
    pub fn word(self) -> &'static str {
        match self {
            Self::Settings => "graph-settings",
            Self::SignIn => "graph-sign-in",
            Self::Unauthorized => "graph-unauthorized",
            Self::Forbidden => "graph-forbidden",
            Self::Refused => "graph-refused",
            Self::NotFound => "graph-not-found",
            Self::MethodNotAllowed => "graph-method-not-allowed",
            Self::Conflict => "graph-conflict",
            Self::Throttled => "graph-throttled",
            Self::Outage => "graph-outage",
            Self::Network => "graph-network",
            Self::Tls => "graph-tls",
            Self::Unknown => "graph-unknown-outcome",
            Self::Malformed => "graph-malformed",
            Self::Ambiguous => "graph-ambiguous",
            Self::Cancelled => "graph-cancelled",
        }
    }
}

/// Who can put it right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fixer {
    /// The person at the bench.
    Operator,
    /// Whoever administers the tenant.
    TenantAdmin,
    /// Whoever runs the network between the bench and Microsoft.
    NetworkAdmin,
    /// Microsoft; time usually does it.
    Microsoft,
    /// The makers of keybench.
    Developer,
}

impl fmt::Display for Fixer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operator => "the operator",
            Self::TenantAdmin => "the tenant's administrator",
            Self::NetworkAdmin => "the network's administrator",
            Self::Microsoft => "Microsoft",
            Self::Developer => "the makers of keybench",
        })
    }
}

/// What Microsoft's support asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestIds {
    /// Ours, sent as `client-request-id`.
    pub client_request_id: Option<String>,
    /// Graph's `request-id`, or the sign-in service's trace id.
    pub request_id: Option<String>,
}

/// Trouble with Graph or with signing in.
#[derive(Clone)]
pub struct GraphError(Box<Detail>);

#[derive(Clone)]
struct Detail {
    kind: ErrorKind,
    fact: String,
    cause: String,
    next: String,
    fixer: Fixer,
    status: Option<u16>,
    code: Option<String>,
    ids: RequestIds,
    /// What Graph said, as the end of a cause.
    quote: String,
    /// Conditional Access's own code, which stands before its sentence.
    number: Option<u16>,
    /// What kept the outcome from being known.
    trouble: Option<ErrorKind>,
}

impl GraphError {
    /// The fact is a sentence without its full stop; cause and next step are whole sentences.
    pub fn new(kind: ErrorKind, fixer: Fixer, fact: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            kind,
            fact: fact.into(),
            cause: String::new(),
            next: String::new(),
            fixer,
            status: None,
            code: None,
            ids: RequestIds::default(),
            quote: String::new(),
            number: None,
            trouble: None,
        }))
    }

    /// Says why.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = cause.into();
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn advise(mut self, next: impl Into<String>) -> Self {
        self.0.next = next.into();
        self
    }

    /// Adds the numbers support asks for.
    #[must_use]
    pub fn with_ids(mut self, ids: RequestIds) -> Self {
        self.0.ids = ids;
        self
    }

    pub(super) fn fixed_by(mut self, fixer: Fixer) -> Self {
        self.0.fixer = fixer;
        self
    }

    pub(super) fn with_status(mut self, status: u16, code: Option<String>) -> Self {
        self.0.status = Some(status);
        self.0.code = code;
        self
    }

    /// The same trouble, where the request may have had its effect all the same.
    pub(super) fn outcome_unknown(mut self) -> Self {
        self.0.trouble = Some(self.trouble());
        self.0.kind = ErrorKind::Unknown;
        self.0.cause = format!("{} The request may or may not have been carried out.", self.0.cause).trim().to_owned();
        self.0.next = "keybench reads back what the tenant holds before it repeats anything; \
                       run the same command again if it stopped."
            .to_owned();
        self
    }

    /// What the program goes by.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, also where the outcome is not known because of it: the network, an outage, Ctrl-C.
    pub fn trouble(&self) -> ErrorKind {
        self.0.trouble.unwrap_or(self.0.kind)
    }

    /// What happened, without a full stop.
    pub fn fact(&self) -> &str {
        &self.0.fact
    }

    /// Why; may be empty.
    pub fn cause(&self) -> &str {
        &self.0.cause
    }

    /// What to do; may be empty.
    pub fn next(&self) -> &str {
        &self.0.next
    }

    /// Who can do it.
    pub fn fixer(&self) -> Fixer {
        self.0.fixer
    }

    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Graph's `error.code`, or `AADSTS…` with its number.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The numbers support asks for.
    pub fn ids(&self) -> &RequestIds {
        &self.0.ids
    }

    /// An answer that is no success. `doing` completes "Graph … to": `read the creation options of kim@contoso.com`.
    pub(super) fn from_answer(doing: &str, answer: &Answer) -> Self {
        let said = Said::read(&answer.body);
        let code = said.code.clone();
        let shown =
            code.as_deref().map_or_else(|| answer.status.to_string(), |code| format!("{} {code}", answer.status));
        let quote = said.message.as_deref().map_or_else(String::new, |m| format!(" Graph says: \u{201c}{m}\u{201d}."));
        let mut ids = answer.ids.clone();
        if ids.request_id.is_none() {
            ids.request_id = said.request_id;
        }
        let make = |kind, fixer, verb: &str| Self::new(kind, fixer, format!("Graph {verb} to {doing} ({shown})"));
        // 401 and 429 mean the same whoever writes the page.
        if (400..500).contains(&answer.status) && !matches!(answer.status, 401 | 429) && answer.looks_like_markup() {
            return make(ErrorKind::Network, Fixer::NetworkAdmin, "seems not to be what answered when asked")
                .because("A web page came where Graph sends JSON: a proxy or filter between the bench and Graph gave it.")
                .advise("Have graph.microsoft.com and login.microsoftonline.com excepted there; then run the same command again.")
                .with_status(answer.status, None)
                .with_ids(ids);
        }
        let error = match answer.status {
            300..=399 => make(ErrorKind::Outage, Fixer::NetworkAdmin, "answered with a redirect when asked")
                .because(
                    "Graph does not redirect these calls, so something between the bench and Graph answered instead; \
                     the token was not sent on.",
                )
                .advise("Take this machine past the captive portal or inspecting proxy, then run the same command again."),
            401 => make(ErrorKind::Unauthorized, Fixer::Operator, "did not accept the sign-in when asked")
                .because(format!("The access token has ended or was revoked, or it was made for another service.{quote}"))
                .advise("Sign in again; then run the same command again."),
            403 => Self::forbidden(doing, &shown, &quote, code.as_deref()),
            404 | 410 => make(ErrorKind::NotFound, Fixer::Operator, "found nothing when asked")
                .because(format!("There is no such object in this tenant, or it is too new to be seen yet.{quote}"))
                .advise("Check the name or id, and that the bench is signed in to the right tenant."),
            405 => make(ErrorKind::MethodNotAllowed, Fixer::Operator, "does not allow the signed-in account")
                .because(format!(
                    "Most often this is an account acting on itself: nobody can register a key for themselves this way. \
                     It is also what Graph answers when the call is missing from the chosen API version.{quote}"
                ))
                .advise(
                    "Let another administrator provision this person; if it is somebody else already, \
                     set `api` under [tenant] to the other version.",
                ),
            409 => make(ErrorKind::Conflict, Fixer::Operator, "reports a conflict when asked")
                .because(format!("The object exists already, or was changed at the same moment.{quote}"))
                .advise("Run the same command again; it reads what is there first."),
            429 => make(ErrorKind::Throttled, Fixer::Microsoft, "kept asking to slow down when asked")
                .because(format!("The tenant's or the application's request allowance is used up.{quote}"))
                .advise("Wait a few minutes and run the same command again; other programs of this tenant share the allowance."),
            500..=599 => make(ErrorKind::Outage, Fixer::Microsoft, "failed when asked")
                .because(format!("The fault is on the service's side.{quote}"))
                .advise("Look at the service health page of the Microsoft 365 admin centre; run the same command again later."),
            // The directory's own codes (`Request_BadRequest` and its like): nothing to do with the passkey policy.
            _ if code.as_deref().is_some_and(|code| code.starts_with("Request_")) => {
                make(ErrorKind::Refused, Fixer::Operator, "refused")
                    .because(format!("The directory did not accept the question.{quote}"))
                    .advise("Check the names and ids in the roster and the settings; if they are right, report this with the ids above.")
            }
            _ => make(ErrorKind::Refused, Fixer::TenantAdmin, "refused")
                .because(format!("The request was understood and turned down.{quote}"))
                .advise(
                    "Compare with the Passkey (FIDO2) policy: is the method on for this person, is self-service set-up allowed, \
                     is this key model allowed, is attestation required?",
                ),
        };
        let mut error = error.with_status(answer.status, code).with_ids(ids);
        error.0.quote = quote;
        error.0.number = said.number;
        error
    }

    fn forbidden(doing: &str, shown: &str, quote: &str, code: Option<&str>) -> Self {
        let fact = format!("Graph forbids the signed-in account to {doing} ({shown})");
        let error = Self::new(ErrorKind::Forbidden, Fixer::TenantAdmin, fact);
        // The two layers answer in different styles: directory objects in Pascal case, authentication methods in camel case.
        if code.is_some_and(|code| code.eq_ignore_ascii_case("Authorization_RequestDenied")) {
            return error
                .because(format!(
                    "The application lacks a permission to read the directory, or nobody consented to it.{quote}"
                ))
                .advise(
                    "Grant User.Read.All and GroupMember.Read.All (for role checks also RoleManagement.Read.Directory) \
                     to the app registration, with admin consent, and sign in again.",
                );
        }
        error
            .because(format!(
                "The token lacks the scope, the signed-in account lacks the role, or the person holds a higher role \
                 than the account may manage.{quote}"
            ))
            .advise(
                "Check consent to UserAuthMethod-Passkey.ReadWrite.All (or UserAuthenticationMethod.ReadWrite.All), and that the \
                 account's Authentication Administrator role is active; people with admin roles or in role-assignable groups \
                 need Privileged Authentication Administrator.",
            )
    }

    /// A refusal told by what the call needs, instead of in general.
    pub(super) fn for_want_of(mut self, rights: &Rights, look: &'static str) -> Self {
        if self.0.kind == ErrorKind::Refused {
            self.0.next = match self.0.number {
                // What does not fit the schema is not the operator's doing.
                Some(1001 | 1007) => "Run `keybench tenant plan` again; if it stays, report it with the ids above: \
                     Graph's schema and keybench's differ."
                    .to_owned(),
                _ => look.to_owned(),
            };
            return self;
        }
        if self.0.kind != ErrorKind::Forbidden {
            return self;
        }
        let scopes = rights.scopes.join(" and ");
        let roles = rights.roles.join(" or ");
        let licence = rights.licence.map_or_else(String::new, |name| format!(", or the tenant has no {name}"));
        self.0.cause = format!(
            "The application lacks {scopes}, or a signed-in person lacks the role {roles}{licence}.{}",
            self.0.quote
        );
        self.0.next = format!(
            "Grant {scopes} to the app registration, with admin consent; if a person signs in, activate the role {roles}; \
             then sign in again."
        );
        self
    }

    /// The operator stopped the program.
    pub(super) fn cancelled(doing: &str) -> Self {
        Self::new(ErrorKind::Cancelled, Fixer::Operator, format!("Stopped while waiting to {doing}"))
            .because("The run was interrupted.")
            .advise("Run the same command again; it goes on where it stopped.")
    }

    /// A success whose content is unusable.
    pub(super) fn malformed(doing: &str, cause: impl Into<String>) -> Self {
        Self::new(
            ErrorKind::Malformed,
            Fixer::Developer,
            format!("Graph's answer can't be understood when asked to {doing}"),
        )
        .because(cause)
        .advise("Run the same command again; if it stays, report it with the ids above.")
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.fact)?;
        if !self.0.cause.is_empty() {
            write!(f, ": {}", self.0.cause)?;
        }
        if let Some(id) = &self.0.ids.client_request_id {
            write!(f, " [client-request-id {id}]")?;
        }
        if let Some(id) = &self.0.ids.request_id {
            write!(f, " [request-id {id}]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GraphError({:?}, {self})", self.0.kind)
    }
}

impl std::error::Error for GraphError {}

/// Graph's error envelope, as far as there is one (`Request_BadRequest` and its like): `innerError` in two spellings, an empty code, other shapes
/// from gateways. Never fails.
struct Said {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    number: Option<u16>,
}

impl Said {
    fn read(body: &[u8]) -> Self {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let error = &json["error"];
        let inner = if error["innerError"].is_object() { &error["innerError"] } else { &error["innererror"] };
        let text =
            |value: &serde_json::Value| value.as_str().map(|text| one_line(text, 300)).filter(|text| !text.is_empty());
        // Where both speak and differ, the inner one says more.
        let message = text(&inner["message"]).or_else(|| text(&error["message"]));
        let number = message
            .as_deref()
            .and_then(|message| message.split_once(": "))
            .and_then(|(number, _)| (number.len() == 4).then(|| number.parse().ok()).flatten());
        Self {
            code: text(&error["code"]).or_else(|| text(&inner["code"])),
            message,
            request_id: text(&inner["request-id"]),
            number,
        }
    }
}

/// The text on one line, without control characters, at most `limit` characters: fit for a terminal.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let cleaned: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut words = cleaned.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() > limit {
        words = words.chars().take(limit).chain(['\u{2026}']).collect();
    }
    words.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::rights::{ACCESS_WRITE, look};
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() }
    }

    #[test]
    fn statuses_become_kinds() {
        for (status, kind) in [
            (400, ErrorKind::Refused),
            (401, ErrorKind::Unauthorized),
            (403, ErrorKind::Forbidden),
            (404, ErrorKind::NotFound),
            (405, ErrorKind::MethodNotAllowed),
            (409, ErrorKind::Conflict),
            (422, ErrorKind::Refused),
            (429, ErrorKind::Throttled),
            (302, ErrorKind::Outage),
            (503, ErrorKind::Outage),
        ] {
            let error = GraphError::from_answer("do it", &answer(status, ""));
            assert_eq!(error.kind(), kind, "{status}");
            assert!(!error.next().is_empty() && !error.cause().is_empty(), "{status}");
        }
    }

    #[test]
    fn the_envelope_is_read_in_either_spelling_and_its_ids_are_shown() {
        for spelling in ["innerError", "innererror"] {
            let body = format!(
                r#"{{"error":{{"code":"accessDenied","message":"Request Authorization failed\r\n","{spelling}":{{"request-id":"07ddd94e"}}}}}}"#
            );
            let error = GraphError::from_answer("list the passkeys of kim", &answer(403, &body));
            assert_eq!(error.code(), Some("accessDenied"));
            assert!(error.to_string().contains("\u{201c}Request Authorization failed\u{201d}"), "{error}");
            assert!(error.to_string().contains("07ddd94e"), "{error}");
        }
    }

    #[test]
    fn the_directory_layers_403_names_other_permissions() {
        let error = GraphError::from_answer("x", &answer(403, r#"{"error":{"code":"Authorization_RequestDenied"}}"#));
        assert!(error.next().contains("User.Read.All"), "{}", error.next());
        let error = GraphError::from_answer("x", &answer(403, r#"{"error":{"code":""}}"#));
        assert!(error.next().contains("Passkey.ReadWrite.All"), "{}", error.next());
    }

    #[test]
    fn the_inner_message_says_more_and_its_number_is_a_code() {
        let body = r#"{"error":{"code":"BadRequest","message":"The server could not process the request because it is malformed or incorrect.",
            "innerError":{"message":"1007: Incoming object does not match the schema."}}}"#;
        let error =
            GraphError::from_answer("make a policy", &answer(400, body)).for_want_of(&ACCESS_WRITE, look::ACCESS);
        assert!(error.cause().contains("\u{201c}1007: Incoming"), "{}", error.cause());
        assert!(error.next().contains("report it"), "{}", error.next());
        let body = r#"{"error":{"code":"BadRequest","message":"1032: validation failed"}}"#;
        let error =
            GraphError::from_answer("make a policy", &answer(400, body)).for_want_of(&ACCESS_WRITE, look::ACCESS);
        assert!(error.next().contains("block stands alone"), "{}", error.next());
    }

    #[test]
    fn texts_from_outside_are_tamed() {
        assert_eq!(one_line("a\u{1b}[31m\r\n b.", 80), "a [31m b");
        assert_eq!(one_line("abcdef", 3), "abc\u{2026}");
    }
}
