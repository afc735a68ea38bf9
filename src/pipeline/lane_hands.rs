//! The hands of one lane: every effect of a job, done on this key, in this tenant, at this bench.

use jiff::Timestamp;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::ahead::{LEAST_LEFT, NoOptions};
use super::bench::{Bench, Stay};
use super::canary::Pass;
use super::driver::{DriveError, Hands, Outcome};
use super::effect::Effect;
use super::event::{Event, SealedRecord};
use super::gate::Passage;
use super::on_key::{KeyHand, asks_hmac_secret};
use super::on_tenant::{Answer, Tenant};
use super::progress::{FinishedJob, Progress, Stage, Standing};
use super::state::State;
use super::step::WantedRules;
use super::touches::Touch;
use crate::ctap2::transport::{Keepalive, REST, Watcher as KeyWatcher};
use crate::ledger::{BlobHash, Claim, SealReceipt};
use crate::model::{JobId, KeyRef, Person, Pin, PortName};
use crate::pin::{self, KeyPinPlan};
use crate::webauthn::attestation::{AttestationObject, KeyAnswer};
use crate::webauthn::checks::{Expected, Trust, Wanted, check_registration};
use crate::webauthn::creation_options::CreationOptions;
use crate::webauthn::record::{Asked, RegistrationRecord};

/// Unreadable answers after which a key is made to make no more credentials.
const NONSENSE: u32 = 1;

/// A key waits ten seconds and more for its touch (CTAP 2.1 §6.1: 30). One that gives up sooner than this has asked nobody.
const AT_ONCE: Duration = Duration::from_millis(if cfg!(test) { 25 } else { 2_000 });
/// How often in a row a key may give up at once before its sensor is taken for broken.
const MOST_AT_ONCE: u32 = 3;

/// The relying party of Entra's passkeys (Graph, fido2Methods: creationOptions, `rp.id`).
const ENTRA: &str = "login.microsoft.com";

/// How long a registration whose answer is unknown is looked for before the same record is sent again.
const BEFORE_RESENDING: Duration = Duration::from_secs(3);

/// What a lane is working on.
pub struct Work {
    /// The key.
    pub key: KeyRef,
    /// Whom for.
    pub person: Person,
    /// The PIN policy, fitted to the key.
    pub plan: KeyPinPlan,
    /// The port.
    pub port: PortName,
    /// The job.
    pub job: JobId,
    /// Which of the person's keys it is for.
    pub ordinal: u32,
}

/// The PIN of the present try, with the proof that a custodian can open it.
struct Known {
    attempt: u32,
    pin: Pin,
    receipt: SealReceipt,
}

/// Performs effects for one lane.
pub struct LaneHands<'a, 'b, 'w> {
    bench: &'b Bench<'w>,
    hand: KeyHand,
    work: &'a Work,
    stay: &'a Stay,
    pass: Option<Pass<'b>>,
    claim: Claim,
    known: Option<Known>,
    options: Option<CreationOptions>,
    record: Option<RegistrationRecord>,
    detail: Option<String>,
    /// Answers to makeCredential that could not be read.
    unreadable: u32,
    /// Waits for a touch, one after another, that the key ended before anybody could have touched it.
    at_once: u32,
}

/// Stops a key that waits for a touch when the bench calls touches off.
struct TouchWatch<'a, 'w> {
    bench: &'a Bench<'w>,
    stay: &'a Stay,
    /// Since when it blinks.
    lit: Option<Duration>,
    /// When it stopped.
    dark: Option<Duration>,
}

impl KeyWatcher for TouchWatch<'_, '_> {
    fn saw(&mut self, keepalive: Keepalive) {
        let now = self.bench.out.clock.monotonic();
        match keepalive {
            Keepalive::TouchNeeded => {
                self.lit.get_or_insert(now);
                self.dark = None;
            }
            _ if self.lit.is_some() => {
                self.dark.get_or_insert(now);
            }
            _ => {}
        }
    }

    fn wants_to_stop(&mut self) -> bool {
        self.bench.gate.calls_off() || self.stay.is_over()
    }

    fn may_rest(&self) -> bool {
        // The first touch ends it for all of them. Two touches before that may be told as at one time, never as further apart than they
        // were: that is safe as long as what counts as close is longer than a rest, and its seeing.
        let close = self.bench.settings.touches_apart;
        self.bench.hands_are_away() && (close.is_zero() || close >= 2 * REST)
    }
}

impl<'a, 'b, 'w> LaneHands<'a, 'b, 'w> {
    /// Hands for one job.
    pub fn new(
        bench: &'b Bench<'w>,
        hand: KeyHand,
        work: &'a Work,
        stay: &'a Stay,
        pass: Option<Pass<'b>>,
        claim: Claim,
    ) -> Self {
        Self {
            bench,
            hand,
            work,
            stay,
            pass,
            claim,
            known: None,
            options: None,
            record: None,
            detail: None,
            unreadable: 0,
            at_once: 0,
        }
    }

    /// Before a long wait: the PIN need not be in memory meanwhile, and the hold on the job is taken anew after it.
    pub fn forget_pin(&mut self) {
        self.known = None;
    }

    /// The hold on the job was taken anew.
    pub fn hold_by(&mut self, claim: Claim) {
        self.claim = claim;
    }

    /// The key, when its job rests.
    pub fn into_hand(self) -> KeyHand {
        self.hand
    }

    /// More words on the last thing that did not go well.
    pub fn take_detail(&mut self) -> Option<String> {
        self.detail.take().or_else(|| self.hand.take_detail())
    }

    fn stage(&self, stage: Stage) {
        self.bench.tell(&Progress::Stage { port: self.work.port.clone(), stage });
    }

    fn tenant(&self) -> Tenant<'b, 'w> {
        Tenant::new(self.bench)
    }

    fn attempt(state: &State) -> u32 {
        state.current().map_or(0, |at| at.attempt)
    }

    /// Chooses, seals, keeps. Nothing has been set on the key when this fails.
    fn seal(&mut self, state: &State) -> Result<Event, DriveError> {
        let attempt = Self::attempt(state);
        let out = &self.bench.out;
        let broken = |what: String| DriveError::Bench { code: "sealing-failed", what };
        let pin = pin::generate(&*out.entropy, &self.work.plan, self.work.key.serial.as_ref())
            .map_err(|error| broken(error.to_string()))?;
        // The resume key is durable before anything is sealed to it, and the seal before the key hears of the PIN.
        let resume = out.resume.create(&self.work.job, attempt).map_err(|error| broken(error.to_string()))?;
        let sealed = pin::seal(&self.bench.settings.recipients, &resume, &self.work.job, attempt, &pin)
            .map_err(|error| broken(error.to_string()))?;
        let receipt = out.ledger.append_seal(&self.claim, attempt, &sealed)?;
        self.known = Some(Known { attempt, pin, receipt });
        Ok(Event::Sealed)
    }

    /// The present try's PIN: from memory, or by the resume copy after a restart.
    fn known(&mut self, state: &State) -> Result<Result<&Known, Event>, DriveError> {
        let attempt = Self::attempt(state);
        if self.known.as_ref().is_none_or(|known| known.attempt != attempt) {
            self.known = None;
            let out = &self.bench.out;
            let Some((sealed, receipt)) = out.ledger.sealed_pin(&self.work.job, attempt)? else {
                return Ok(Err(Event::Blocked { code: "no-resume-key".into() }));
            };
            let key = out
                .resume
                .load(&self.work.job, attempt)
                .map_err(|error| DriveError::Bench { code: "resume-store", what: error.to_string() })?;
            let Some(key) = key else { return Ok(Err(Event::Blocked { code: "no-resume-key".into() })) };
            match pin::escrow::open_resume(&sealed.resume, &key, &self.work.job) {
                Ok(opened) => self.known = Some(Known { attempt, pin: opened.pin, receipt }),
                Err(error) => {
                    self.detail = Some(error.to_string());
                    return Ok(Err(Event::Blocked { code: "no-resume-key".into() }));
                }
            }
        }
        Ok(self.known.as_ref().ok_or(Event::Blocked { code: "no-resume-key".into() }))
    }

    /// Has options with enough time left, from the stock or from Graph.
    fn fetch_options(&mut self) -> Event {
        let now = self.now();
        let good = |options: &CreationOptions| options.time_left(now).is_some_and(|left| left >= LEAST_LEFT);
        if self.options.as_ref().is_some_and(good) {
            return Event::OptionsReady;
        }
        self.options = self.bench.ahead.take(&self.work.job, now);
        if self.options.is_some() {
            return Event::OptionsReady;
        }
        self.stage(Stage::Options);
        match self.tenant().options(&self.work.person.id) {
            Ok(options) if !good(&options) => {
                self.detail = Some("The challenge has less than 90 seconds to live, too few for a touch.".into());
                Event::OptionsRefused { code: "options-malformed".into() }
            }
            Ok(options) => {
                self.options = Some(options);
                Event::OptionsReady
            }
            Err(NoOptions::Refused { code, detail }) => {
                self.detail = Some(detail);
                Event::OptionsRefused { code }
            }
            Err(NoOptions::TenantDown { code, detail }) => {
                self.bench.pause(&code, &detail);
                Event::Blocked { code }
            }
        }
    }

    /// The touch, in its turn.
    fn make_credential(&mut self, state: &State) -> Result<Outcome, DriveError> {
        if let Err(event) = self.known(state)? {
            return Ok(event.into());
        }
        if self.hand.nonsense() + self.unreadable > NONSENSE {
            // What it had made was found and removed before this was asked for again.
            return Ok(Event::NotMade { code: "answer-unreadable".into() }.into());
        }
        let (bench, stay) = (self.bench, self.stay);
        self.stage(Stage::WaitingForTouch);
        let permit = match bench.gate.wait_for_touch(&|| stay.is_over()) {
            Passage::Go(permit) => permit,
            Passage::Paused | Passage::Stopping => return Ok(Event::TouchCancelled.into()),
            Passage::Gone => return Ok(Event::KeyGone.into()),
        };
        let now = self.now();
        // The line may have been long.
        let Some(options) =
            self.options.take().filter(|options| options.time_left(now).is_some_and(|left| left >= LEAST_LEFT))
        else {
            return Ok(Event::TouchTimedOut.into());
        };
        let Some(known) = &self.known else { return Ok(Event::TouchCancelled.into()) };
        self.bench.tell(&Progress::Stage { port: self.work.port.clone(), stage: Stage::Touch });
        let armed = bench.out.clock.monotonic();
        let mut watch = TouchWatch { bench, stay, lit: None, dark: None };
        let made = self.hand.make_credential(&known.pin, &options, &mut watch);
        // Before the next key may blink: what has gone dark by then was never lit beside it.
        let dark = watch.dark.unwrap_or_else(|| bench.out.clock.monotonic());
        drop(permit);
        let answer = match made {
            Ok(answer) => answer,
            Err(event) => {
                let event = self.ended_at_once(event, armed);
                if event == Event::TouchTimedOut {
                    bench.tell(&Progress::TouchRearmed { port: self.work.port.clone() });
                }
                return Ok(event.into());
            }
        };
        bench.stir();
        let touch = Touch {
            job: self.work.job.clone(),
            port: self.work.port.clone(),
            lit: watch.lit.unwrap_or(armed),
            at: dark,
        };
        let key_answer = KeyAnswer { fmt: &answer.format, att_stmt: &answer.att_stmt, auth_data: &answer.auth_data };
        let record = RegistrationRecord::new(
            &key_answer,
            &options.client_data(),
            &options.rp.id,
            options.expires,
            self.hand.info().transports.clone().unwrap_or_default(),
        );
        let record = match record {
            Ok(record) => record.answering(Asked {
                algorithms: options.algorithms.clone(),
                cred_protect: options.extensions.cred_protect.filter(|_| self.hand.info().has_extension("credProtect")),
                hmac_secret: asks_hmac_secret(&options, self.hand.info()),
            }),
            Err(error) => {
                // It made something that can't be read: whatever that is has to be found and removed first.
                self.unreadable += 1;
                self.detail = Some(error.to_string());
                return Ok(Event::Resumed.into());
            }
        };
        bench.totals.touches.fetch_add(1, Ordering::Relaxed);
        let bytes = record.to_bytes();
        let event = Event::CredentialMade {
            credential: record.credential.clone(),
            record: BlobHash::of(&bytes),
            expires: record.expires,
        };
        self.record = Some(record);
        bench.tell(&Progress::Bound {
            port: self.work.port.clone(),
            job: self.work.job.clone(),
            upn: self.work.person.upn.to_string(),
        });
        let mut close = bench.touches.note(touch, bench.settings.touches_apart);
        bench.bell.ring();
        if !close.is_empty() {
            close.push(self.work.port.clone());
            close.sort();
            bench.tell(&Progress::TouchesTooClose { ports: close });
        }
        Ok(Outcome { event, documents: vec![bytes] })
    }

    /// A wait for a touch that began then and was not called off: one that ends at once has not asked anybody, and may go on
    /// ending at once for ever.
    fn ended_at_once(&mut self, event: Event, armed: Duration) -> Event {
        let lasted = self.bench.out.clock.monotonic().saturating_sub(armed);
        if event != Event::TouchTimedOut || lasted >= AT_ONCE {
            self.at_once = 0;
            return event;
        }
        self.at_once += 1;
        if self.at_once < MOST_AT_ONCE {
            return event;
        }
        self.detail =
            Some(format!("It gave up {MOST_AT_ONCE} waits for a touch at once, before anybody could touch it."));
        Event::NotMade { code: "touch-refused".into() }
    }

    fn list_credentials(&mut self, state: &State) -> Result<Event, DriveError> {
        if let Err(event) = self.known(state)? {
            return Ok(event);
        }
        self.stage(Stage::Settling);
        let fetched = self.fetch_options();
        let Some(known) = &self.known else { return Ok(Event::Blocked { code: "no-resume-key".into() }) };
        Ok(match (fetched, &self.options) {
            (Event::OptionsReady, Some(options)) => {
                self.hand.list_credentials(&known.pin, &options.rp.id, Some(&options.user.id))
            }
            // The tenant does not say any more whose credential to look for. The key had no PIN when this bench began it, so
            // what it holds for Entra is ours, and must not stay on it unknown.
            (Event::OptionsRefused { .. }, _) => self.hand.list_credentials(&known.pin, ENTRA, None),
            (other, _) => other,
        })
    }

    /// The record of the credential in question: from memory, or as the ledger keeps it.
    fn record(&mut self, state: &State) -> Result<Result<&RegistrationRecord, Event>, DriveError> {
        if self.record.is_none() {
            let Some(made) = state.made() else { return Ok(Err(Event::Blocked { code: "unexpected".into() })) };
            let Some(bytes) = self.bench.out.ledger.blob(made.record)? else {
                return Ok(Err(Event::CheckFailed { code: "record-lost".into() }));
            };
            match RegistrationRecord::from_bytes(&bytes) {
                Ok(record) => self.record = Some(record),
                Err(error) => {
                    self.detail = Some(error.to_string());
                    return Ok(Err(Event::CheckFailed { code: "record-lost".into() }));
                }
            }
        }
        Ok(self.record.as_ref().ok_or(Event::Blocked { code: "unexpected".into() }))
    }

    /// Offline checks, then the silent proof.
    fn prove(&mut self, state: &State) -> Result<Event, DriveError> {
        self.stage(Stage::Proving);
        if let Err(event) = self.known(state)? {
            return Ok(event);
        }
        let record = match self.record(state)? {
            Ok(record) => record.clone(),
            Err(event) => return Ok(event),
        };
        let mut checks = match self.check(&record) {
            Ok(checks) => checks,
            Err(event) => return Ok(event),
        };
        let challenge = self.bench.challenge()?;
        let Some(known) = &self.known else { return Ok(Event::Blocked { code: "no-resume-key".into() }) };
        Ok(match self.hand.prove(&known.pin, &record, &challenge) {
            Event::Proved { checks: proof } => {
                checks.extend(proof);
                Event::Proved { checks }
            }
            Event::Resumed if self.hand.nonsense() > NONSENSE => Event::CheckFailed { code: "proof-failed".into() },
            other => other,
        })
    }

    fn check(&mut self, record: &RegistrationRecord) -> Result<Vec<String>, Event> {
        let unreadable = |detail: String| (Event::CheckFailed { code: "answer-unreadable".into() }, detail);
        let object = AttestationObject::take_apart(&record.attestation_object).map_err(|error| {
            let (event, detail) = unreadable(error.to_string());
            self.detail = Some(detail);
            event
        })?;
        let client_data = record.client_data();
        let asked = record.was_asked();
        let expected = Expected {
            rp_id: &record.rp_id,
            client_data_hash: client_data.hash(),
            algorithms: &asked.algorithms,
            aaguid: self.hand.info().aaguid,
            excluded: &[],
            cred_protect: asked.cred_protect,
            hmac_secret: match (asked.hmac_secret, self.bench.settings.require_hmac_secret) {
                (false, _) => Wanted::No,
                (true, false) => Wanted::Wished,
                (true, true) => Wanted::Required,
            },
        };
        let settings = &self.bench.settings;
        let trust = Trust {
            metadata: settings.metadata.as_ref(),
            roots: &settings.extra_anchors,
            enforced: settings.attestation_enforced,
            now: self.now(),
        };
        let report = check_registration(&object.answer(), &expected, &trust);
        if let Some((_, failed)) = report.failures().next() {
            self.detail = Some(format!("{failed} {}", failed.cause()));
            return Err(Event::CheckFailed { code: failed.code().to_owned() });
        }
        if !settings.allow_simulated && crate::webauthn::simulated::is_simulated(&object.answer()) {
            return Err(Event::CheckFailed { code: "simulated-key".into() });
        }
        Ok(report.passed().into_iter().map(str::to_owned).collect())
    }

    fn register(&mut self, state: &State, again: bool) -> Result<Event, DriveError> {
        self.stage(Stage::Registering);
        let record = match self.record(state)? {
            Ok(record) => record.clone(),
            Err(event) => return Ok(event),
        };
        let name = self.bench.display_name(&self.work.key, self.work.ordinal);
        let answer = self.tenant().register(&self.work.person.id, &record, &name, again);
        if matches!(&answer.event, Event::RegistrationRefused { code } if code != super::step::EXPIRED) {
            self.bench.registration_was_refused(
                self.pass.as_ref().is_some_and(Pass::is_first),
                answer.detail.as_deref().unwrap_or_default(),
            );
        }
        Ok(self.heard(answer))
    }

    fn find(&mut self, state: &State) -> Event {
        self.stage(Stage::ReadingBack);
        let Some(made) = state.made() else { return Event::Blocked { code: "unexpected".into() } };
        // Taking the key out does not stop a read; ending the run does, once it has been asked at least once.
        let give_up = || self.bench.gate.stopping();
        let list_lag = self.bench.settings.list_lag;
        let patience = match state {
            // The same record can be sent again, which settles it sooner than waiting for a list; the others wait for this.
            State::Registering { .. } if self.now() < made.expires => list_lag.min(BEFORE_RESENDING),
            _ => list_lag,
        };
        let answer = self.tenant().find(&self.work.person.id, &made.credential, patience, &give_up);
        if matches!(answer.event, Event::MethodFound { .. }) {
            self.bench.registration_went_well();
            if let Some(pass) = self.pass.take() {
                pass.proved();
            }
        }
        self.heard(answer)
    }

    fn heard(&mut self, answer: Answer) -> Event {
        if answer.detail.is_some() {
            self.detail = answer.detail;
        }
        answer.event
    }

    fn set_rules(&mut self, state: &State, rules: WantedRules) -> Result<Event, DriveError> {
        self.stage(Stage::PinRules);
        Ok(match self.known(state)? {
            Err(event) => event,
            Ok(_) => match &self.known {
                Some(known) => self.hand.set_rules(&known.pin, rules),
                None => Event::Blocked { code: "no-resume-key".into() },
            },
        })
    }

    /// Seals the record to the activation keys, for registration on receipt. The first of its class has been through all
    /// that the bench does: the others may follow.
    fn seal_record(&mut self, state: &State) -> Result<Outcome, DriveError> {
        self.stage(Stage::Holding);
        let record = match self.record(state)? {
            Ok(record) => record.clone(),
            Err(event) => return Ok(event.into()),
        };
        let Some(holding) = &self.bench.settings.hold else {
            return Ok(Event::Blocked { code: "no-activation-key".into() }.into());
        };
        let broken = |error: pin::SealError| DriveError::Bench { code: "sealing-failed", what: error.to_string() };
        let sealed = pin::escrow::seal_document(&holding.keys, &record.to_bytes()).map_err(broken)?;
        let witness = record.witness().to_bytes();
        let event = Event::RecordSealed(SealedRecord {
            sealed: BlobHash::of(&sealed),
            witness: BlobHash::of(&witness),
            aaguid: record.aaguid,
            to: holding.keys.fingerprints().0,
        });
        if let Some(pass) = self.pass.take() {
            pass.proved();
        }
        self.record = None;
        Ok(Outcome { event, documents: vec![sealed, witness] })
    }

    fn with_pin(
        &mut self,
        state: &State,
        act: impl FnOnce(&mut KeyHand, &Known) -> Event,
    ) -> Result<Event, DriveError> {
        if let Err(event) = self.known(state)? {
            return Ok(event);
        }
        Ok(match &self.known {
            Some(known) => act(&mut self.hand, known),
            None => Event::Blocked { code: "no-resume-key".into() },
        })
    }

    /// The job rests: nobody needs the PIN in memory any more. The watchers hear of a finished job.
    fn destroy_resume_key(&mut self, state: &State) -> Result<Event, DriveError> {
        self.known = None;
        let done = match state {
            State::Finished { at, made, method, .. } => Some((at, made, Standing::Registered(method.clone()))),
            State::Held { at, made, .. } => Some((at, made, Standing::Held { expires: made.expires })),
            _ => None,
        };
        if let Some((at, made, standing)) = done {
            self.bench.tell(&Progress::Finished(FinishedJob {
                job: self.work.job.clone(),
                upn: self.work.person.upn.to_string(),
                credential: made.credential.clone(),
                standing,
                key: KeyRef { port: self.work.port.clone(), ..at.key.clone() },
                forced: wanted_forced(&self.work.plan),
            }));
        }
        self.bench
            .out
            .resume
            .destroy(&self.work.job, Self::attempt(state))
            .map_err(|error| DriveError::Bench { code: "resume-store", what: error.to_string() })?;
        Ok(Event::ResumeKeyDestroyed)
    }
}

fn wanted_forced(plan: &KeyPinPlan) -> crate::ledger::ForcedChange {
    super::fitness::wanted_rules(plan).forced
}

impl Hands for LaneHands<'_, '_, '_> {
    fn perform(&mut self, effect: &Effect, state: &State) -> Result<Outcome, DriveError> {
        let event = match effect {
            Effect::Seal => {
                self.stage(Stage::SettingPin);
                self.seal(state)?
            }
            Effect::SetPin => self.with_pin(state, |hand, known| hand.set_pin(&known.pin, &known.receipt))?,
            Effect::LookAtPin => self.hand.look_at_pin(),
            Effect::ProvePin => self.with_pin(state, |hand, known| hand.prove_pin(&known.pin))?,
            Effect::FetchOptions => self.fetch_options(),
            Effect::MakeCredential => return self.make_credential(state),
            Effect::ListCredentials => self.list_credentials(state)?,
            Effect::RemoveCredential(credential) => {
                self.stage(Stage::Undoing);
                self.with_pin(state, |hand, known| hand.remove_credential(&known.pin, credential))?
            }
            Effect::Prove => self.prove(state)?,
            Effect::Register { again } => self.register(state, *again)?,
            Effect::FindMethod => self.find(state),
            Effect::DeleteMethod(method) => {
                self.stage(Stage::Undoing);
                let answer = self.tenant().delete(&self.work.person.id, method);
                self.heard(answer)
            }
            Effect::SetPinRules => self.set_rules(state, super::fitness::wanted_rules(&self.work.plan))?,
            Effect::LookAtRules => {
                self.stage(Stage::PinRules);
                self.hand.look_at_rules()
            }
            Effect::SealRecord => return self.seal_record(state),
            Effect::DestroyResumeKey => self.destroy_resume_key(state)?,
        };
        Ok(event.into())
    }

    fn holds_back(&self, effect: &Effect, state: &State) -> Option<&'static str> {
        if self.bench.is_broken() {
            return Some("interrupted");
        }
        if self.bench.gate.stopping() {
            // What needs no hand any more is finished; what would need one is set aside.
            let on_its_way = state.made().is_some() || matches!(effect, Effect::DestroyResumeKey);
            return (!on_its_way).then_some("interrupted");
        }
        if self.bench.gate.paused().is_some() && !matches!(effect, Effect::DestroyResumeKey) {
            let needs_tenant = matches!(
                effect,
                Effect::FetchOptions
                    | Effect::MakeCredential
                    | Effect::Register { .. }
                    | Effect::FindMethod
                    | Effect::DeleteMethod(_)
                    | Effect::ListCredentials
            );
            return needs_tenant.then_some("tenant-down");
        }
        None
    }

    fn now(&self) -> Timestamp {
        self.bench.out.graph.server_now()
    }
}
