//! The trial itself: the calls in their order, and what they tell of each open question.

use std::time::Duration;

use serde_json::{Value, json};

use super::blank::blanked;
use super::key::{MadePasskey, TestKey};
use crate::cli::CliError;
use crate::graph::probe::{Probe, Verb};
use crate::graph::{ApiVersion, Cancel, DirectoryUser, Graph};
use crate::model::{Pin, credential_id};
use crate::world::{Clock, Operator};

/// Lengths of names that are tried, the longest first: nobody documents the limit (Q5).
const NAMES: [usize; 4] = [256, 64, 31, 30];
/// New registrations show late; so often, and so long in between, the list is read.
const READS: usize = 6;
const BETWEEN: Duration = Duration::from_secs(2);

/// An answer to an open question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// `Q2`, `Q4` …
    pub(super) question: &'static str,
    /// `v1.0` or `beta`.
    pub(super) api: &'static str,
    /// One sentence.
    pub(super) answer: String,
    /// What it rests on.
    pub(super) evidence: String,
}

/// Somebody's registration that is still there.
struct Left {
    user: String,
    method: String,
}

pub(super) struct Trial<'a> {
    graph: &'a Graph,
    user: &'a DirectoryUser,
    other: Option<&'a DirectoryUser>,
    operator: &'a dyn Operator,
    clock: &'a dyn Clock,
    cancel: Cancel,
    exchanges: Vec<Value>,
    findings: Vec<Finding>,
    registered: Vec<Left>,
    on_key: Vec<crate::model::CredentialId>,
}

/// What one call came to, as a sentence's end.
fn told(probe: &Probe) -> String {
    let message = probe.json["error"]["message"].as_str().unwrap_or("");
    match probe.code() {
        Some(code) => format!("{} {code}: {message}", probe.status),
        None => probe.status.to_string(),
    }
}

impl<'a> Trial<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        user: &'a DirectoryUser,
        other: Option<&'a DirectoryUser>,
        operator: &'a dyn Operator,
        clock: &'a dyn Clock,
        cancel: Cancel,
    ) -> Self {
        Self {
            graph,
            user,
            other,
            operator,
            clock,
            cancel,
            exchanges: Vec::new(),
            findings: Vec::new(),
            registered: Vec::new(),
            on_key: Vec::new(),
        }
    }

    /// Both versions, one after the other.
    pub(super) fn run(&mut self, key: &mut TestKey, pin: &Pin, expired: bool) -> Result<(), CliError> {
        for api in [ApiVersion::V1, ApiVersion::Beta] {
            self.version(api, key, pin)?;
        }
        if expired {
            self.expired(key, pin)?;
        }
        Ok(())
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = self.findings.clone();
        findings.sort_by_key(|finding| (finding.question, finding.api));
        findings
    }

    /// One call, kept blanked.
    fn call(
        &mut self,
        api: ApiVersion,
        step: &str,
        verb: Verb,
        tail: &str,
        body: Option<Value>,
    ) -> Result<Probe, CliError> {
        let user = self.user.id.to_string();
        self.call_for(&user, api, step, verb, tail, body)
    }

    fn call_for(
        &mut self,
        user: &str,
        api: ApiVersion,
        step: &str,
        verb: Verb,
        tail: &str,
        body: Option<Value>,
    ) -> Result<Probe, CliError> {
        let path = format!("users/{user}/authentication/fido2Methods{tail}");
        let probe = self.graph.probe(api, verb, &path, body.as_ref())?;
        let names = self.names();
        // An id in the path is a method's or a person's.
        let shown =
            if tail.is_empty() || tail.starts_with("/creationOptions") { tail.to_owned() } else { "/{id}".to_owned() };
        self.exchanges.push(json!({
            "api": api.as_str(), "step": step, "call": format!("{} /users/{{id}}/authentication/fido2Methods{shown}", verb.as_str()),
            "sent": body.map(|body| blanked(&body, &names)), "status": probe.status, "received": blanked(&probe.json, &names),
        }));
        Ok(probe)
    }

    /// What is taken out of messages.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for user in [Some(self.user), self.other].into_iter().flatten() {
            names.push(user.id.to_string());
            names.extend(user.display_name.clone());
            if let Some(upn) = user.upn.as_ref().map(ToString::to_string) {
                names.extend(upn.split('@').map(str::to_owned));
                names.push(upn);
            }
        }
        // The longest first, so that none is left in part.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names
    }

    fn found(
        &mut self,
        question: &'static str,
        api: ApiVersion,
        answer: impl Into<String>,
        evidence: impl Into<String>,
    ) {
        let evidence = blanked(&json!({ "error": { "message": evidence.into() } }), &self.names());
        let evidence = evidence["error"]["message"].as_str().unwrap_or_default().to_owned();
        self.findings.push(Finding { question, api: api.as_str(), answer: answer.into(), evidence });
    }

    fn register(
        &mut self,
        user: &str,
        api: ApiVersion,
        step: &str,
        name: &str,
        made: &MadePasskey,
    ) -> Result<Probe, CliError> {
        let body = json!({
            "displayName": name,
            "publicKeyCredential": {
                "id": made.credential.to_base64url(),
                "response": { "clientDataJSON": made.client_data, "attestationObject": made.attestation },
            },
        });
        let probe = self.call_for(user, api, step, Verb::Post, "", Some(body))?;
        if probe.is_success()
            && let Some(method) = probe.json["id"].as_str()
        {
            self.registered.push(Left { user: user.to_owned(), method: method.to_owned() });
        }
        Ok(probe)
    }

    fn delete(&mut self, api: ApiVersion, step: &str, method: &str) -> Result<Probe, CliError> {
        let probe = self.call(api, step, Verb::Delete, &format!("/{method}"), None)?;
        if probe.is_success() || probe.status == 404 {
            self.registered.retain(|left| left.method != method);
        }
        Ok(probe)
    }

    fn version(&mut self, api: ApiVersion, key: &mut TestKey, pin: &Pin) -> Result<(), CliError> {
        let options = self.call(api, "options", Verb::Get, "/creationOptions", None)?;
        if !options.is_success() {
            self.found(
                "Q4",
                api,
                "Creation options are refused; nothing more can be tried on this version.",
                told(&options),
            );
            return Ok(());
        }
        self.lifetimes(api, &options)?;
        self.operator.tell(&format!("{}: touch the key when it blinks.", api.as_str()));
        let made = key.make(&inner(&options.json), pin)?;
        self.on_key.push(made.credential.clone());
        let Some(method) = self.names_tried(api, &made)? else { return Ok(()) };
        self.excluded(api, &made)?;
        let user = self.user.id.to_string();
        let twin = self.register(&user, api, "duplicate", "again", &made)?;
        let answer = if twin.is_success() {
            "A passkey that is registered already is taken again."
        } else {
            "A passkey that is registered already is refused."
        };
        self.found("Q4", api, format!("Duplicate: {answer}"), told(&twin));
        self.read_back(api, &method)?;
        let renamed =
            self.call(api, "rename", Verb::Patch, &format!("/{method}"), Some(json!({ "displayName": "renamed" })))?;
        let answer = if renamed.is_success() {
            "A passkey can be renamed by PATCH."
        } else {
            "A passkey can't be renamed by PATCH."
        };
        self.found("Q8", api, answer, told(&renamed));
        self.delete(api, "delete", &method)?;
        self.reuse(api, &made)
    }

    /// Q11: what becomes of a wish for a longer challenge.
    fn lifetimes(&mut self, api: ApiVersion, plain: &Probe) -> Result<(), CliError> {
        let forms = match api {
            ApiVersion::V1 => {
                ["/creationOptions?challengeTimeoutInMinutes=60", "/creationOptions(challengeTimeoutInMinutes=60)"]
            }
            ApiVersion::Beta => {
                ["/creationOptions(challengeTimeoutInMinutes=60)", "/creationOptions?challengeTimeoutInMinutes=60"]
            }
        };
        let plain = minutes(plain);
        for form in forms {
            let probe = self.call(api, "options with a lifetime", Verb::Get, form, None)?;
            let shape = if form.contains('?') { "as a query" } else { "as a function's argument" };
            let answer = match (probe.is_success(), minutes(&probe)) {
                (false, _) => format!("A challenge of 60 minutes, asked for {shape}, is refused."),
                (true, Some(60)) => format!("A challenge of 60 minutes, asked for {shape}, is given."),
                (true, got) => format!("A wish for 60 minutes {shape} is ignored: {} minutes are given.", number(got)),
            };
            self.found("Q11", api, answer, format!("{}; plain: {} minutes", told(&probe), number(plain)));
        }
        Ok(())
    }

    /// Q5: the longest name that is taken. Gives the method's id.
    fn names_tried(&mut self, api: ApiVersion, made: &MadePasskey) -> Result<Option<String>, CliError> {
        let user = self.user.id.to_string();
        let mut refused: Vec<String> = Vec::new();
        for length in NAMES {
            let probe =
                self.register(&user, api, &format!("register with a name of {length}"), &"n".repeat(length), made)?;
            if !probe.is_success() {
                refused.push(format!("{length}: {}", told(&probe)));
                continue;
            }
            let kept = probe.json["displayName"].as_str().map_or(0, |name| name.chars().count());
            let cut = if kept == length { String::new() } else { format!(", and cut to {kept}") };
            let evidence = if refused.is_empty() { format!("{length}: {}", probe.status) } else { refused.join("; ") };
            self.found("Q5", api, format!("A name of {length} characters is taken{cut}."), evidence);
            if !refused.is_empty() {
                self.found(
                    "Q6",
                    api,
                    "A refused registration does not spend its challenge.",
                    format!("taken after {} refusals", refused.len()),
                );
            }
            return Ok(probe.json["id"].as_str().map(str::to_owned));
        }
        self.found(
            "Q4",
            api,
            format!("No registration is taken (attestation format {}).", made.format),
            refused.join("; "),
        );
        Ok(None)
    }

    /// Q2: in which form the excluded id comes.
    fn excluded(&mut self, api: ApiVersion, made: &MadePasskey) -> Result<(), CliError> {
        let plain = made.credential.to_base64url();
        let suffix = credential_id::method_id_of(&made.credential).to_string();
        for attempt in 0..READS {
            let options = self.call(api, "options after registering", Verb::Get, "/creationOptions", None)?;
            let json = inner(&options.json);
            let ids: Vec<&str> = json["publicKey"]["excludeCredentials"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|one| one["id"].as_str())
                .collect();
            let form = ids.iter().find_map(|id| {
                let padded = id.trim_end_matches('=').replace('+', "-").replace('/', "_") == plain;
                match *id {
                    id if id == suffix && id != plain => Some("base64url with the digit that counts padding"),
                    id if id == plain => Some("plain base64url"),
                    _ if padded => Some("standard base64"),
                    _ => None,
                }
            });
            if let Some(form) = form {
                self.found(
                    "Q2",
                    api,
                    format!("Excluded ids come as {form}."),
                    format!("{} excluded, ours after {attempt} reads", ids.len()),
                );
                return Ok(());
            }
            self.pause()?;
        }
        self.found("Q2", api, "The new passkey does not show among the excluded ones.", format!("{READS} reads"));
        Ok(())
    }

    fn read_back(&mut self, api: ApiVersion, method: &str) -> Result<(), CliError> {
        for _ in 0..READS {
            let list = self.call(api, "list", Verb::Get, "", None)?;
            let there = list.json["value"].as_array().is_some_and(|all| all.iter().any(|one| one["id"] == method));
            if there {
                break;
            }
            self.pause()?;
        }
        self.call(api, "get", Verb::Get, &format!("/{method}"), None)?;
        Ok(())
    }

    /// Q6: may a challenge be used twice, and by somebody else?
    fn reuse(&mut self, api: ApiVersion, made: &MadePasskey) -> Result<(), CliError> {
        let user = self.user.id.to_string();
        let again = self.register(&user, api, "the same challenge again", "again", made)?;
        let answer = if again.is_success() {
            "A challenge can be used again once its passkey is deleted."
        } else {
            "A challenge is good for one registration."
        };
        self.found("Q6", api, answer, told(&again));
        if let Some(method) = again.json["id"].as_str().filter(|_| again.is_success()) {
            self.delete(api, "delete again", method)?;
        }
        if let Some(other) = self.other {
            let other = other.id.to_string();
            let probe = self.register(&other, api, "another person's challenge", "other", made)?;
            let answer = if probe.is_success() {
                "A challenge is NOT bound to the person it was made for."
            } else {
                "Another person's challenge is refused."
            };
            self.found("Q6", api, answer, told(&probe));
        }
        Ok(())
    }

    /// Q4: what an expired challenge gets.
    fn expired(&mut self, key: &mut TestKey, pin: &Pin) -> Result<(), CliError> {
        let api = ApiVersion::V1;
        let options = self.call(api, "options to let expire", Verb::Get, "/creationOptions", None)?;
        if !options.is_success() {
            return Ok(());
        }
        self.operator.tell("Once more: touch the key when it blinks; then the challenge is left to expire.");
        let json = inner(&options.json);
        let made = key.make(&json, pin)?;
        self.on_key.push(made.credential.clone());
        let deadline: Option<jiff::Timestamp> =
            json["challengeTimeoutDateTime"].as_str().and_then(|text| text.parse().ok());
        if let Some(deadline) = deadline {
            let left = self.graph.left_until(deadline);
            self.operator.tell(&format!("Waiting {} s until the challenge is over …", left.as_secs()));
            self.wait(left.saturating_add(Duration::from_secs(2)))?;
        }
        let user = self.user.id.to_string();
        let probe = self.register(&user, api, "an expired challenge", "late", &made)?;
        let answer =
            if probe.is_success() { "Expired challenge: taken all the same." } else { "Expired challenge: refused." };
        self.found("Q4", api, answer, told(&probe));
        Ok(())
    }

    fn pause(&self) -> Result<(), CliError> {
        self.wait(BETWEEN)
    }

    fn wait(&self, time: Duration) -> Result<(), CliError> {
        self.cancel.wait(self.clock, time).map_err(|_| {
            CliError::new(
                crate::cli::Exit::Interrupted,
                "interrupted",
                "Interrupted during the trial.",
                "run the same command again.",
            )
        })
    }

    /// Removes what is left, in the tenant and on the key; what could not be removed.
    pub(super) fn clear(&mut self, key: &mut TestKey, pin: &Pin) -> Vec<String> {
        let mut left = Vec::new();
        for one in std::mem::take(&mut self.registered) {
            let tail = format!("users/{}/authentication/fido2Methods/{}", one.user, one.method);
            let gone = self
                .graph
                .probe(ApiVersion::V1, Verb::Delete, &tail, None)
                .is_ok_and(|probe| probe.is_success() || probe.status == 404);
            if !gone {
                left.push(format!("the registration {} of user {}", one.method, one.user));
            }
        }
        for credential in std::mem::take(&mut self.on_key) {
            if !key.remove(&credential, pin) {
                left.push(format!("the passkey {} on the key", credential.to_base64url()));
            }
        }
        left
    }

    /// Everything that was seen, blanked.
    pub(super) fn fixture(&self, key: &TestKey) -> Value {
        let findings: Vec<Value> = self
            .findings()
            .iter()
            .map(|one| json!({ "question": one.question, "api": one.api, "answer": one.answer, "evidence": one.evidence }))
            .collect();
        json!({
            "what": "keybench tenant first-contact: exchanges with Microsoft Graph, blanked",
            "keybench": env!("CARGO_PKG_VERSION"),
            "simulated": self.graph.settings().cloud.is_loopback(),
            "month": self.clock.now().strftime("%Y-%m").to_string(),
            "key": { "aaguid": key.aaguid(), "model": key.model() },
            "findings": findings,
            "exchanges": self.exchanges,
        })
    }
}

/// The options, also where they stand inside `value`.
fn inner(json: &Value) -> Value {
    if json["publicKey"].is_object() || !json["value"].is_object() { json.clone() } else { json["value"].clone() }
}

/// How long a challenge lives, by the service's own clock, in whole minutes.
fn minutes(probe: &Probe) -> Option<i64> {
    let json = inner(&probe.json);
    let until: jiff::Timestamp = json["challengeTimeoutDateTime"].as_str()?.parse().ok()?;
    // The answer took a moment.
    Some(until.duration_since(probe.date?).as_secs().saturating_add(29).div_euclid(60))
}

fn number(minutes: Option<i64>) -> String {
    minutes.map_or_else(|| "unknown".to_owned(), |minutes| minutes.to_string())
}
