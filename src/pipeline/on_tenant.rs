//! What the driver has done in the tenant, and what the bench does while the tenant won't work with it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::ahead::NoOptions;
use super::bench::Bench;
use super::code::meaning;
use super::event::Event;
use super::gate::Pause;
use super::progress::Progress;
use crate::graph::{ErrorKind, Graph, GraphError, Registration, RegistrationOutcome};
use crate::model::{CredentialId, JobId, MethodId, UserId};
use crate::webauthn::creation_options::CreationOptions;
use crate::webauthn::record::RegistrationRecord;
use crate::world::Clock;

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
pub fn pausing_code(error: &GraphError) -> Option<&'static str> {
    // A deletion that was cut off is unknown in its outcome; what cut it off meets the next person too.
    if !error.trouble().pauses_bench() {
        return None;
    }
    Some(match error.trouble() {
        ErrorKind::SignIn | ErrorKind::Unauthorized => "signed-out",
        ErrorKind::Forbidden => "no-permission",
        _ => "tenant-down",
    })
}

/// Fact, cause and ids of an error, and its own next step.
pub fn words(error: &GraphError) -> String {
    match error.next() {
        "" => error.to_string(),
        next => format!("{error}\n{next}"),
    }
}

/// A record on its way.
pub struct Outgoing<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// It.
    pub record: &'a RegistrationRecord,
    /// What the passkey is to be called.
    pub display_name: &'a str,
    /// It may have been sent before: a refusal is believed only after a read.
    pub again: bool,
    /// Its challenge was a long-lived one.
    pub held: bool,
}

impl Outgoing<'_> {
    /// POSTs it.
    ///
    /// # Errors
    /// What concerns more than this one registration: signed out, no permission, the tenant is down. It was not taken.
    pub fn send(&self, graph: &Graph) -> Result<Answer, GraphError> {
        let (client_data, attestation) = (self.record.client_data_base64url(), self.record.attestation_base64url());
        let registration = Registration {
            display_name: self.display_name,
            credential_id: &self.record.credential,
            client_data_json: &client_data,
            attestation_object: &attestation,
        };
        let outcome = match self.held {
            true => graph.register_held(self.user, &registration),
            false => graph.register(self.user, &registration),
        };
        Ok(match outcome {
            RegistrationOutcome::Created(method) => Event::Registered { method: method.id }.into(),
            RegistrationOutcome::Unknown(error) => Answer { event: Event::AnswerLost, detail: Some(error.to_string()) },
            RegistrationOutcome::Refused(error) if pausing_code(&error).is_some() => return Err(error),
            RegistrationOutcome::Refused(error) if self.again => {
                match graph.passkey_of(self.user, &self.record.credential) {
                    Ok(Some(method)) => Event::MethodFound { method: method.id }.into(),
                    _ => Answer { event: Event::RefusedAgain, detail: Some(words(&error)) },
                }
            }
            RegistrationOutcome::Refused(error) => {
                let expired = graph.server_now() >= self.record.expires;
                let code = if expired { super::step::EXPIRED } else { "registration-refused" };
                Answer { event: Event::RegistrationRefused { code: code.into() }, detail: Some(words(&error)) }
            }
        })
    }
}

/// A credential that is looked for in the tenant.
pub struct Look<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// Which.
    pub credential: &'a CredentialId,
    /// For how long.
    pub patience: Duration,
    /// Asked between two reads.
    pub give_up: &'a dyn Fn() -> bool,
    /// Waits between two reads, for so long at most.
    pub wait: &'a dyn Fn(Duration),
}

impl Look<'_> {
    /// Reads until it shows or patience ends. `polled` is told of each read but the first.
    ///
    /// # Errors
    /// The tenant did not answer.
    pub fn until_found(&self, graph: &Graph, clock: &dyn Clock, polled: &dyn Fn()) -> Result<Event, GraphError> {
        let until = clock.monotonic() + self.patience;
        let mut pause = FIRST_POLL;
        let mut first = true;
        loop {
            if !first {
                polled();
            }
            match graph.passkey_of(self.user, self.credential) {
                Ok(Some(method)) => return Ok(Event::MethodFound { method: method.id }),
                Ok(None) => {}
                // The person has left the directory, and the passkeys with them.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            first = false;
            if clock.monotonic() + pause > until || (self.give_up)() {
                return Ok(Event::MethodMissing);
            }
            (self.wait)(pause);
            pause = (pause * 2).min(LAST_POLL);
        }
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
        if error.trouble() != ErrorKind::Cancelled {
            self.bench.pause(code, &words(error));
        }
        Some(Answer { event: Event::Blocked { code: code.to_owned() }, detail: Some(words(error)) })
    }

    /// Creation options for one person.
    ///
    /// # Errors
    /// [`NoOptions`].
    pub fn options(&self, user: &UserId) -> Result<CreationOptions, NoOptions> {
        let answer = self.options_of(user);
        match &answer {
            Ok(_) => self.bench.options_were_given(),
            Err(NoOptions::Refused { detail, .. }) => self.bench.options_were_refused(user, detail),
            Err(NoOptions::TenantDown { .. }) => {}
        }
        answer
    }

    fn options_of(&self, user: &UserId) -> Result<CreationOptions, NoOptions> {
        let holding = self.bench.settings.hold.as_ref();
        let graph = self.bench.out.graph;
        let answer =
            graph.creation_options(user, holding.map(|holding| holding.minutes)).map_err(
                |error| match pausing_code(&error) {
                    Some(code) => NoOptions::TenantDown { code: code.to_owned(), detail: words(&error) },
                    None => NoOptions::Refused { code: "options-refused".into(), detail: words(&error) },
                },
            )?;
        let malformed = |what: String| NoOptions::Refused { code: "options-malformed".into(), detail: what };
        let body = serde_json::to_vec(&answer.json).map_err(|error| malformed(error.to_string()))?;
        let options = CreationOptions::parse(&body).map_err(|error| malformed(error.to_string()))?;
        match holding.and_then(|holding| holding.too_short(options.expires, answer.server_time)) {
            Some(detail) => Err(NoOptions::Refused { code: "challenge-too-short".into(), detail }),
            None => Ok(options),
        }
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
        let outgoing = Outgoing { user, record, display_name, again, held: false };
        outgoing.send(self.bench.out.graph).unwrap_or_else(|error| self.stopped(&error))
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
        let wait = |pause| {
            self.bench.bell.until_within(pause, &**clock, give_up);
        };
        let look = Look { user, credential, patience, give_up, wait: &wait };
        let polled = || {
            self.bench.totals.polls.fetch_add(1, Ordering::Relaxed);
        };
        match look.until_found(self.bench.out.graph, &**clock, &polled) {
            Ok(event) => event.into(),
            Err(error) => self.stopped(&error),
        }
    }

    /// The tenant did not answer the question.
    fn stopped(&self, error: &GraphError) -> Answer {
        self.blocked(error).unwrap_or_else(|| Answer {
            event: Event::Blocked { code: "tenant-down".into() },
            detail: Some(words(error)),
        })
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
            // A question that nobody answers ends with the run, and with the pause.
            let given_up = || bench.gate.stopping() || clock.monotonic().saturating_sub(began) > bench.settings.outage;
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
                    bench.out.operator.confirm_unless(&until_put_right(&pause), "go", &given_up)
                }
                "signed-out" => match bench.out.graph.sign_in_unless(&given_up) {
                    Ok(_) => true,
                    Err(error) if error.kind() == ErrorKind::SignIn && !bench.out.operator.is_present() => {
                        bench.tell(&Progress::Note("Nobody is here to sign in; the run ends here.".into()));
                        bench.gate.stop();
                        return;
                    }
                    Err(_) => false,
                },
                _ => bench.out.graph.fido2_policy().is_ok(),
            };
            if well && !bench.gate.stopping() {
                bench.gate.unpause();
                bench.options_were_given();
                bench.tell(&Progress::Unpaused);
                bench.ahead.nudge();
            }
        }
    }
}

/// Asked with its reason, for what was told of the pause may stand nowhere yet: sentences wait while a question has the terminal.
fn until_put_right(pause: &Pause) -> String {
    let why = meaning(&pause.code).map_or("The tenant refuses.", |meaning| meaning.what);
    let mut question = format!("Touches pause. {why}");
    for line in pause.detail.lines() {
        question.push_str(&format!("\n  {line}"));
    }
    question.push_str("\nPut that right, then type `go` to try again");
    question
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_tells_its_reason() {
        let pause = Pause { code: "no-permission".into(), detail: "403 accessDenied\nThe role is not active.".into() };
        assert_eq!(
            until_put_right(&pause),
            "Touches pause. The signed-in account may not do this (403).\n  403 accessDenied\n  The role is not active.\n\
             Put that right, then type `go` to try again"
        );
    }
}
