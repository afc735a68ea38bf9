//! What the driver has done in the tenant, and what the bench does while the tenant won't work with it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::ahead::NoOptions;
use super::bench::Bench;
use super::event::Event;
use super::progress::Progress;
use crate::graph::{ErrorKind, GraphError, Registration, RegistrationOutcome};
use crate::model::{CredentialId, JobId, MethodId, UserId};
use crate::webauthn::creation_options::CreationOptions;
use crate::webauthn::record::RegistrationRecord;

/// First pause between two reads that wait for Entra to show a method; it doubles up to [`LAST_POLL`].
const FIRST_POLL: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 500 });
const LAST_POLL: Duration = Duration::from_secs(8);
/// How often a tenant that is down is asked whether it is back.
const PROBE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 5_000 });

/// The tenant, as the bench sees it.
pub struct Tenant<'b, 'w> {
    bench: &'b Bench<'w>,
}

/// What came of an act in the tenant, with more words on what did not go well.
#[derive(Debug)]
pub struct Answer {
    /// The next event.
    pub event: Event,
    /// More words.
    pub detail: Option<String>,
}

impl From<Event> for Answer {
    fn from(event: Event) -> Self {
        Self { event, detail: None }
    }
}

/// The code under which an error pauses the bench; `None` when it concerns one request only.
fn pausing_code(error: &GraphError) -> Option<&'static str> {
    if !error.kind().pauses_bench() {
        return None;
    }
    Some(match error.kind() {
        ErrorKind::SignIn | ErrorKind::Unauthorized => "signed-out",
        ErrorKind::Forbidden => "no-permission",
        _ => "tenant-down",
    })
}

/// Fact, cause and ids of an error, and its own next step.
fn words(error: &GraphError) -> String {
    match error.next() {
        "" => error.to_string(),
        next => format!("{error}\n{next}"),
    }
}

impl<'b, 'w> Tenant<'b, 'w> {
    /// The tenant of a bench.
    pub fn new(bench: &'b Bench<'w>) -> Self {
        Self { bench }
    }

    /// Pauses the bench when the error is not this person's alone.
    fn blocked(&self, error: &GraphError) -> Option<Answer> {
        let code = pausing_code(error)?;
        // A cancelled wait is ours: the run is ending.
        if error.kind() != ErrorKind::Cancelled {
            self.bench.pause(code, &words(error));
        }
        Some(Answer { event: Event::Blocked { code: code.to_owned() }, detail: Some(words(error)) })
    }

    /// Creation options for one person.
    ///
    /// # Errors
    /// [`NoOptions`].
    pub fn options(&self, user: &UserId) -> Result<CreationOptions, NoOptions> {
        let answer = self.bench.out.graph.creation_options(user, None).map_err(|error| match pausing_code(&error) {
            Some(code) => NoOptions::TenantDown { code: code.to_owned(), detail: words(&error) },
            None => NoOptions::Refused { code: "options-refused".into(), detail: words(&error) },
        })?;
        let malformed = |what: String| NoOptions::Refused { code: "options-malformed".into(), detail: what };
        let body = serde_json::to_vec(&answer.json).map_err(|error| malformed(error.to_string()))?;
        CreationOptions::parse(&body).map_err(|error| malformed(error.to_string()))
    }

    /// Keeps options in stock until the run is over.
    pub fn keep_options_ready(&self) {
        let bench = self.bench;
        let wanted = || {
            // No more than the ports can use soon: a challenge lives five minutes.
            let keys_in = bench.keys_in_ports();
            if keys_in == 0 || bench.gate.calls_off() {
                return Vec::new();
            }
            bench.queue().next_in_line(keys_in + 1).into_iter().map(|(job, person)| (job, person.id)).collect()
        };
        let refused = |job: &JobId, problem: NoOptions| match problem {
            NoOptions::TenantDown { code, detail } => bench.pause(&code, &detail),
            NoOptions::Refused { code, detail } => bench.cannot_have_options(job, &code, &detail),
        };
        bench.ahead.keep_ready(&wanted, &|user| self.options(user), &refused);
    }

    /// POSTs a record. With `again`, a refusal is believed only after a read.
    pub fn register(&self, user: &UserId, record: &RegistrationRecord, display_name: &str, again: bool) -> Answer {
        let (client_data, attestation) = (record.client_data_base64url(), record.attestation_base64url());
        let registration = Registration {
            display_name,
            credential_id: &record.credential,
            client_data_json: &client_data,
            attestation_object: &attestation,
        };
        match self.bench.out.graph.register(user, &registration) {
            RegistrationOutcome::Created(method) => Event::Registered { method: method.id }.into(),
            RegistrationOutcome::Unknown(error) => Answer { event: Event::AnswerLost, detail: Some(error.to_string()) },
            RegistrationOutcome::Refused(error) => {
                if let Some(blocked) = self.blocked(&error) {
                    return blocked;
                }
                if again {
                    return match self.bench.out.graph.passkey_of(user, &record.credential) {
                        Ok(Some(method)) => Event::MethodFound { method: method.id }.into(),
                        _ => Answer { event: Event::RefusedAgain, detail: Some(words(&error)) },
                    };
                }
                let expired = self.bench.out.graph.server_now() >= record.expires;
                let code = if expired { super::step::EXPIRED } else { "registration-refused" };
                Answer { event: Event::RegistrationRefused { code: code.into() }, detail: Some(words(&error)) }
            }
        }
    }

    /// Looks for a credential until it shows or patience ends, or `give_up` says so, which must ring.
    pub fn find(
        &self,
        user: &UserId,
        credential: &CredentialId,
        patience: Duration,
        give_up: &dyn Fn() -> bool,
    ) -> Answer {
        let clock = &self.bench.out.clock;
        let until = clock.monotonic() + patience;
        let mut pause = FIRST_POLL;
        let mut first = true;
        loop {
            if !first {
                self.bench.totals.polls.fetch_add(1, Ordering::Relaxed);
            }
            match self.bench.out.graph.passkey_of(user, credential) {
                Ok(Some(method)) => return Event::MethodFound { method: method.id }.into(),
                Ok(None) => {}
                Err(error) => {
                    return self.blocked(&error).unwrap_or_else(|| Answer {
                        event: Event::Blocked { code: "tenant-down".into() },
                        detail: Some(words(&error)),
                    });
                }
            }
            first = false;
            if clock.monotonic() + pause > until || give_up() {
                return Event::MethodMissing.into();
            }
            self.bench.bell.until_within(pause, &**clock, give_up);
            pause = (pause * 2).min(LAST_POLL);
        }
    }

    /// DELETEs a method; one that is not there is deleted.
    pub fn delete(&self, user: &UserId, method: &MethodId) -> Answer {
        match self.bench.out.graph.remove_passkey(user, method) {
            Ok(_) => Event::MethodDeleted.into(),
            Err(error) => self.blocked(&error).unwrap_or_else(|| Answer {
                event: Event::Blocked { code: "tenant-refuses".into() },
                detail: Some(words(&error)),
            }),
        }
    }

    /// While touches pause: finds out when they can go on, and ends the run when they can't for too long.
    pub fn heal_when_paused(&self) {
        let bench = self.bench;
        let clock = &bench.out.clock;
        let mut since = None;
        let mut next_probe = Duration::ZERO;
        loop {
            let heard = bench.bell.rings();
            if bench.gate.stopping() {
                return;
            }
            let Some(pause) = bench.gate.paused() else {
                since = None;
                bench.bell.wait(heard, None);
                continue;
            };
            let now = clock.monotonic();
            let began = *since.get_or_insert_with(|| {
                next_probe = now;
                now
            });
            if now.saturating_sub(began) > bench.settings.outage {
                bench.tell(&Progress::Note("The pause has lasted too long; the run ends here.".into()));
                bench.gate.stop();
                return;
            }
            if now < next_probe {
                bench.bell.wait(heard, Some(next_probe.saturating_sub(now)));
                continue;
            }
            next_probe = now + PROBE;
            let well = match pause.code.as_str() {
                // Only a person can say that the tenant's mind has changed.
                "tenant-refuses" | "no-permission" => {
                    if !bench.out.operator.is_present() {
                        bench.tell(&Progress::Note(
                            "Nobody is here to change the tenant's policy; the run ends here.".into(),
                        ));
                        bench.gate.stop();
                        return;
                    }
                    bench
                        .out
                        .operator
                        .confirm("Touches pause until the tenant is put right. Type `go` to try again", "go")
                }
                "signed-out" => bench.out.graph.sign_in().is_ok(),
                _ => bench.out.graph.fido2_policy().is_ok(),
            };
            if well && !bench.gate.stopping() {
                bench.gate.unpause();
                bench.tell(&Progress::Unpaused);
                bench.ahead.nudge();
            }
        }
    }
}
