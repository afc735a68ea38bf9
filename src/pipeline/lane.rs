//! One port: key after key, each from the moment it is plugged in until it is taken out again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::bench::{Bench, Stay};
use super::canary::Class;
use super::driver::{DriveError, Journey};
use super::earlier::Stands;
use super::event::Event;
use super::fitness::{fit, plan_code, wanted_rules};
use super::lane_hands::{LaneHands, Work};
use super::leaving::{InPort, Left};
use super::on_key::{KeyHand, facts, pin_facts};
use super::progress::{Progress, Stage};
use super::queue::{Assignment, Place};
use super::state::State;
use super::step::Rest;
use crate::ctap2::error::CtapError;
use crate::ctap2::hid::packet::DeviceError;
use crate::ctap2::session::{self, Opened};
use crate::ctap2::transport::{HidError, TransportError};
use crate::ledger::entry::Entry;
use crate::ledger::{Append, LedgerError};
use crate::model::{Aaguid, JobId, KeyRef, Person, PortName, Serial};
use crate::pin::{ForceChange, KeyPinPlan, PinPolicyError};
use crate::roster::kind;
use crate::webauthn::record::Witness;
use crate::world::PluggedKey;

/// How long a job that waits for Entra rests before it looks again, while its key stays in the port.
const LOOK_AGAIN: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 15_000 });
/// The wire may tell that a key is gone before the ports do.
const HEARSAY: Duration = Duration::from_secs(1);

/// One port's thread.
pub struct Lane<'b, 'w> {
    pub(super) bench: &'b Bench<'w>,
    pub(super) port: PortName,
}

/// A key whose stay is not over. Should its lane panic, which is a mistake of ours, the run ends instead of waiting for it.
struct AtWork<'a, 'w> {
    busy: &'a AtomicU64,
    bench: &'a Bench<'w>,
}

impl Drop for AtWork<'_, '_> {
    fn drop(&mut self) {
        self.busy.fetch_sub(1, Ordering::AcqRel);
        if std::thread::panicking() {
            self.bench.gate.stop();
        }
    }
}

/// Why a key is not worked on.
struct Refusal {
    key: KeyRef,
    code: &'static str,
    detail: Option<String>,
}

impl<'b, 'w> Lane<'b, 'w> {
    /// A lane for this port.
    pub fn new(bench: &'b Bench<'w>, port: PortName) -> Self {
        Self { bench, port }
    }

    /// Serves keys until no more are sent. `busy` counts keys whose stay is not over.
    pub fn serve_all(self, keys: &Receiver<(PluggedKey, Stay)>, busy: &Arc<AtomicU64>) {
        while let Ok((key, stay)) = keys.recv() {
            let _at_work = AtWork { busy, bench: self.bench };
            if let Err(error) = self.serve(&key, &stay) {
                self.bench.broke(error);
            }
            self.bench.tell(&Progress::Left { port: self.port.clone() });
        }
    }

    fn serve(&self, plugged: &PluggedKey, stay: &Stay) -> Result<(), DriveError> {
        self.bench.tell(&Progress::Plugged { port: self.port.clone() });
        let (mut hand, key) = match self.identify(plugged, stay) {
            Ok(known) => known,
            Err(None) => return Ok(()),
            Err(Some(refusal)) => return self.refuse(*refusal, stay),
        };
        self.bench.tell(&Progress::Identified { key: key.clone() });
        if let Some((job, upn, state)) = self.expected_back(&mut hand, &key)? {
            return self.label(job, upn, &state, stay);
        }
        match self.choose(&mut hand, &key, stay)? {
            Ok(assignment) => self.work(hand, key, assignment, stay),
            Err(refusal) => self.refuse(refusal, stay),
        }
    }

    /// Opens the key and reads who it is. `Err(None)` when it is gone already, or the run is ending.
    fn identify(&self, plugged: &PluggedKey, stay: &Stay) -> Result<(KeyHand, KeyRef), Option<Box<Refusal>>> {
        let bench = self.bench;
        // As much as USB tells; the rest is filled in as it becomes known.
        let mut key = KeyRef {
            aaguid: Aaguid::ZERO,
            serial: plugged.usb_serial.as_deref().map(crate::model::Serial::new),
            firmware: None,
            model: (!plugged.product.is_empty()).then(|| plugged.product.clone()),
            port: self.port.clone(),
        };
        let refusal =
            |key: &KeyRef, code, detail: Option<String>| Some(Box::new(Refusal { key: key.clone(), code, detail }));
        if plugged.present_at_start && !bench.settings.ports.confirm_what_is_there() {
            let question = format!(
                "{} was in port {} before this run began. Type `use` to provision it",
                key.for_people(),
                self.port
            );
            let given_up = || stay.is_over() || bench.gate.stopping();
            if !bench.out.operator.confirm_unless(&question, "use", &given_up) {
                return Err(if given_up() { None } else { refusal(&key, "not-confirmed", None) });
            }
        }
        let device = match bench.out.ports.open(plugged.plug) {
            Ok(device) => device,
            Err(DeviceError::Gone) => return Err(None),
            Err(error @ DeviceError::NoRight { .. }) => return Err(refusal(&key, "no-right", Some(error.to_string()))),
            Err(error @ DeviceError::NoNode { .. }) => return Err(refusal(&key, "no-node", Some(error.to_string()))),
            Err(error @ DeviceError::InUse { .. }) => return Err(refusal(&key, "in-use", Some(error.to_string()))),
            Err(error @ DeviceError::Io(_)) => return Err(refusal(&key, "mute", Some(error.to_string()))),
        };
        let hand = match session::open(device, plugged, &bench.tools()) {
            Ok(Opened::Blank(session)) => KeyHand::blank(session),
            Ok(Opened::PinSet(session)) => KeyHand::pin_set(session),
            Ok(Opened::NoPin(session)) => {
                let code = fit(&facts(session.info()), false).err().unwrap_or("no-pin-support");
                return Err(refusal(&session.key_ref(), code, None));
            }
            Ok(Opened::U2fOnly(u2f)) => {
                key.serial = u2f.vendor.serial;
                key.firmware = u2f.vendor.firmware;
                return Err(refusal(&key, "u2f-only", None));
            }
            Err(error) if error.is_gone() => return Err(None),
            Err(error @ CtapError::Wire(TransportError::Hid(HidError::Busy))) => {
                return Err(refusal(&key, "in-use", Some(error.to_string())));
            }
            Err(error) => return Err(refusal(&key, "mute", Some(error.to_string()))),
        };
        let mut key = hand.key_ref().unwrap_or(key);
        if !bench.is_alone(&key, stay) {
            return Err(refusal(&key, "same-serial", None));
        }
        if let Some(name) = bench
            .settings
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.model(key.aaguid).and_then(|model| model.description.clone()))
        {
            key.model = Some(name);
        }
        Ok((hand, key))
    }

    /// The job for this key, with the PIN plan; or why there is none.
    /// The outer error ends the run, the inner one is an answer about this key.
    fn choose(&self, hand: &mut KeyHand, key: &KeyRef, stay: &Stay) -> Result<Result<Assignment, Refusal>, DriveError> {
        let bench = self.bench;
        let refuse = |code, detail| Ok(Err(Refusal { key: key.clone(), code, detail }));
        if key.serial.as_ref().is_some_and(|serial| bench.settings.never.contains(serial)) {
            return refuse("never-list", None);
        }
        let expected = |only: &BTreeSet<Serial>| key.serial.as_ref().is_some_and(|serial| only.contains(serial));
        if bench.settings.only.as_ref().is_some_and(|only| !expected(only)) {
            return refuse("not-expected", None);
        }
        if let Some(job) = self.begun_job(hand, key, stay)?
            && let Some(assignment) = bench.queue().take_begun(&job, &self.port)
        {
            return Ok(Ok(assignment));
        }
        if let Err(code) = fit(&facts(hand.info()), bench.settings.require_hmac_secret) {
            let (code, detail) = match code {
                "has-pin" => match self.whose(key)? {
                    Some((code, whose)) => (code, Some(whose)),
                    None if hand.is_blocked() => ("pin-blocked", None),
                    None => (code, None),
                },
                code => (code, None),
            };
            return refuse(code, detail);
        }
        if let Err(error) = bench.settings.pins.for_key(&pin_facts(hand.info())) {
            return refuse(plan_code(&error), Some(error.to_string()));
        }
        let objection = std::cell::RefCell::new(None);
        let fits = |person: &Person| {
            if !kind_fits(person, key) {
                return false;
            }
            match (bench.settings.model_policy)(&person.id, key.aaguid) {
                Ok(()) => true,
                Err(why) => {
                    objection.borrow_mut().get_or_insert(why);
                    false
                }
            }
        };
        let assignment = bench.queue().take_waiting(key, &fits);
        match (assignment, objection.into_inner()) {
            (Some(assignment), _) => Ok(Ok(assignment)),
            (None, Some(why)) => refuse("aaguid-not-allowed", Some(why)),
            (None, None) => refuse("not-wanted", None),
        }
    }

    /// Whose key this is whose PIN stands in the way, if the ledger knows it: the code of its refusal, and a sentence.
    fn whose(&self, key: &KeyRef) -> Result<Option<(&'static str, String)>, DriveError> {
        let bench = self.bench;
        if let Some(slot) = bench.queue().finished_with(key) {
            return Ok(Some(("already-finished", format!("It is the key of {} (job {}).", slot.person.upn, slot.job))));
        }
        let ledger = bench.out.ledger;
        let Some(earlier) = bench.earlier.of(ledger, key)? else { return Ok(None) };
        if bench.queue().slot(&earlier.job).is_some() {
            return Ok(None);
        }
        let who = ledger.person(&earlier.user)?.map_or_else(|| earlier.user.to_string(), |known| known.upn.to_string());
        Ok(Some(match earlier.stands {
            Stands::Finished | Stands::Held => {
                ("already-finished", format!("It is the key of {who} (job {}).", earlier.job))
            }
            Stands::Begun => ("begun-elsewhere", format!("It was begun for {who} (job {}).", earlier.job)),
        }))
    }

    /// The PIN policy, fitted to this key and to the person's first device.
    fn plan_for(&self, person: &Person, hand: &KeyHand) -> Result<KeyPinPlan, PinPolicyError> {
        let settings = &self.bench.settings;
        let plan = settings.pins.for_key(&pin_facts(hand.info()))?;
        let possible = person.first_device.is_none_or(|device| (settings.change_possible)(device));
        let required = settings.pins.force_change() == ForceChange::Require;
        Ok(if possible || required { plan } else { plan.without_forced_change() })
    }

    /// The open job that this key was begun for.
    fn begun_job(&self, hand: &mut KeyHand, key: &KeyRef, stay: &Stay) -> Result<Option<JobId>, DriveError> {
        let resembling = self.bench.queue().begun_with(key);
        for (job, state) in resembling {
            if hand.serial_is_proof() || self.is_the_same(&job, &state, hand, (key, stay))? {
                return Ok(Some(job));
            }
        }
        if key.serial.is_some() {
            return Ok(None);
        }
        // It tells no serial number and sits in another port: a credential it made can still tell whose it is.
        let candidates = self.bench.queue().begun_without_serial(key);
        for (job, state) in candidates {
            if self.made_by(&state, hand)? {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    /// Whether a key is the one that a job was begun with: in this port, where it tells no serial number; with this number, where
    /// only its USB descriptor tells it (some makers write the same one into every key). It is, unless something speaks against
    /// it; then a person is asked, and without one it is not: no PIN is tried on a key that may be another.
    fn is_the_same(
        &self,
        job: &JobId,
        state: &State,
        hand: &mut KeyHand,
        (key, stay): (&KeyRef, &Stay),
    ) -> Result<bool, DriveError> {
        let doubtful = match (state.pin_on_key(), hand.is_blank()) {
            // Nothing was done to it, and nothing has been.
            (Some(false), blank) => return Ok(blank),
            (None, _) => return Ok(true),
            (Some(true), true) => "it has no PIN",
            (Some(true), false) if state.made().is_none() => return Ok(true),
            (Some(true), false) if self.made_by(state, hand)? => return Ok(true),
            // Some keys sign nothing while they wait for a new PIN.
            (Some(true), false)
                if matches!(state, State::SettingRules { .. } | State::Hardening { .. } | State::Hardened { .. }) =>
            {
                return Ok(true);
            }
            (Some(true), false) => "it does not sign with that job's credential",
        };
        let question = format!(
            "{} looks like the key of job {job}, but {doubtful}. Type `same` if it is that key and was reset meanwhile",
            key.for_people()
        );
        let given_up = || stay.is_over() || self.bench.gate.stopping();
        Ok(self.bench.out.operator.confirm_unless(&question, "same", &given_up))
    }

    /// Whether the key in hand made the credential of this state.
    pub(super) fn made_by(&self, state: &State, hand: &mut KeyHand) -> Result<bool, DriveError> {
        let Some(made) = state.made() else { return Ok(false) };
        // The record of a held key is sealed; what tells the key again is not.
        let kept = state.hold().map_or(made.record, |hold| hold.witness);
        let Some(bytes) = self.bench.out.ledger.blob(kept)? else { return Ok(false) };
        let Ok(witness) = Witness::from_bytes(&bytes) else { return Ok(false) };
        Ok(hand.owns(&witness, &self.bench.challenge()?))
    }

    fn refuse(&self, refusal: Refusal, stay: &Stay) -> Result<(), DriveError> {
        let Refusal { key, code, detail } = refusal;
        self.bench.totals.keys_refused.fetch_add(1, Ordering::Relaxed);
        self.bench.out.ledger.append(Append::entry(Entry::KeyRefused { key: key.clone(), code: code.to_owned() }))?;
        self.bench.tell(&Progress::KeyRefused { key, code: code.to_owned(), detail });
        self.reject(code, stay);
        Ok(())
    }

    fn reject(&self, code: &str, stay: &Stay) {
        self.bench.tell(&Progress::Reject { port: self.port.clone(), code: code.to_owned() });
        self.bench.totals.rejects_in.fetch_add(1, Ordering::AcqRel);
        self.wait_until_out(stay);
        self.bench.totals.rejects_in.fetch_sub(1, Ordering::AcqRel);
    }

    /// Waits until the key is taken out, or the run ends.
    pub(super) fn wait_until_out(&self, stay: &Stay) {
        self.bench.bell.until(|| stay.is_over() || self.bench.gate.stopping());
    }

    /// Works on one job with one key until the job rests and the key is out.
    fn work(&self, hand: KeyHand, key: KeyRef, assignment: Assignment, stay: &Stay) -> Result<(), DriveError> {
        let bench = self.bench;
        let Assignment { job, ordinal, person, state, resumed } = assignment;
        let upn = person.upn.to_string();
        let _in_port = InPort::new(bench, job.clone());
        bench.tell(&Progress::Assigned { port: self.port.clone(), job: job.clone(), upn: upn.clone(), resumed });
        let give_back = |state: State, place: Place| bench.queue().give_back(&job, state, place);

        let class = Class { aaguid: key.aaguid, firmware: key.firmware.clone() };
        let give_up = || stay.is_over() || bench.gate.stopping();
        bench.tell(&Progress::Stage { port: self.port.clone(), stage: Stage::WaitingForFirst });
        let pass = bench.canary.enter(&class, &give_up);
        // Nothing is begun on a key while touches pause: the first of its class may just have been turned away.
        let Some(pass) = pass.filter(|_| bench.gate.wait_while_paused(&|| stay.is_over())) else {
            let place = if state.is_open() { Place::KeyAway } else { Place::Waiting };
            give_back(state, place);
            return Ok(());
        };
        let claim = match bench.out.ledger.claim(&job) {
            Ok(claim) => claim,
            Err(LedgerError::ClaimedElsewhere { .. }) => {
                drop(pass);
                give_back(state, Place::Parked { code: "of-another-job".into() });
                return self.refuse(
                    Refusal {
                        key,
                        code: "of-another-job",
                        detail: Some(format!("Job {job} is held by another bench.")),
                    },
                    stay,
                );
            }
            Err(error) => {
                give_back(state.clone(), Place::Waiting);
                return Err(error.into());
            }
        };
        // A resumed key is told what it would have been told: the policy is fitted to it again.
        let plan = match self.plan_for(&person, &hand) {
            Ok(plan) => plan,
            Err(error) => {
                bench.out.ledger.release(&claim)?;
                give_back(state, Place::KeyAway);
                return self.refuse(Refusal { key, code: plan_code(&error), detail: Some(error.to_string()) }, stay);
            }
        };
        let event = if resumed { Event::Resumed } else { Event::KeyGiven(key.clone()) };
        let mut journey = Journey {
            job: job.clone(),
            user: person.id.clone(),
            rules: wanted_rules(&plan),
            settling: bench.settings.settling,
            hold: bench.settings.hold.as_ref().map(|hold| hold.least),
            claim,
            state,
        };
        let mut work = Work { key, person, plan, port: self.port.clone(), job: job.clone(), ordinal };
        let mut hands = LaneHands::new(bench, hand, &work, stay, Some(pass), journey.claim.clone());
        let outcome = self.drive(&mut journey, &mut hands, event, stay);
        let detail = hands.take_detail();
        let hand = hands.into_hand();
        let rest = match outcome {
            Ok(rest) => rest,
            Err(error) => {
                let place = if journey.state.is_open() { Place::KeyAway } else { Place::Waiting };
                give_back(journey.state.clone(), place);
                return Err(error);
            }
        };
        if !matches!(rest, Rest::Finished | Rest::Held) {
            // First let go of the job, then give it back: from then on another lane may take it, and would share this hold.
            bench.out.ledger.release(&journey.claim)?;
        }
        match rest {
            Rest::Finished | Rest::Held => {
                give_back(journey.state.clone(), Place::Finished);
                bench.ahead.nudge();
                let due = Progress::TakeOut { port: self.port.clone(), job: job.clone(), upn: upn.clone() };
                if self.see_out(hand, &job, &upn, &due, stay) == Left::Unknown {
                    bench.touches.expect_back(&job);
                    bench.out.ledger.release(&journey.claim)?;
                } else {
                    self.note_taken(&job, &journey.state, stay)?;
                }
            }
            Rest::Failed { code } => {
                let again = give_back(journey.state.clone(), Place::Failed { code: code.clone() });
                bench.ahead.nudge();
                bench.tell(&Progress::Failed {
                    job: job.clone(),
                    upn: upn.clone(),
                    port: self.port.clone(),
                    code: code.clone(),
                    detail,
                    final_for_run: !again,
                });
                let due = Progress::Reject { port: self.port.clone(), code };
                bench.totals.rejects_in.fetch_add(1, Ordering::AcqRel);
                // One that left unknown is refused, and told apart by that, when it is put back.
                self.see_out(hand, &job, &upn, &due, stay);
                bench.totals.rejects_in.fetch_sub(1, Ordering::AcqRel);
            }
            Rest::AwaitKey => {
                drop(hand);
                give_back(journey.state.clone(), Place::KeyAway);
                work.key.port = self.port.clone();
                bench.bell.until_within(HEARSAY, &*bench.out.clock, || stay.is_over() || bench.gate.stopping());
                if stay.is_over() {
                    bench.tell(&Progress::PulledEarly { port: self.port.clone(), job, upn, key: work.key });
                } else {
                    bench.tell(&Progress::Parked {
                        job,
                        upn,
                        port: Some(self.port.clone()),
                        code: "key-silent".into(),
                    });
                    // No REJECT label: this very key is wanted again.
                    self.wait_until_out(stay);
                }
            }
            Rest::Parked { code } => {
                drop(hand);
                let place = if journey.state.is_open() { Place::KeyAway } else { Place::Waiting };
                give_back(journey.state.clone(), place);
                // "Not now" has the reason for which all lanes wait.
                let paused = bench.gate.paused().filter(|_| code == "tenant-down");
                let code = paused.map_or(code, |pause| pause.code);
                bench.tell(&Progress::Parked { job, upn, port: Some(self.port.clone()), code });
                self.wait_until_out(stay);
            }
        }
        Ok(())
    }

    /// Drives the job until it rests for good: pauses of the bench and the slowness of the directory are waited out here.
    fn drive(
        &self,
        journey: &mut Journey,
        hands: &mut LaneHands<'_, '_, 'w>,
        first: Event,
        stay: &Stay,
    ) -> Result<Rest, DriveError> {
        let bench = self.bench;
        let gone = || stay.is_over();
        let mut event = first;
        loop {
            let rest = journey.drive(bench.out.ledger, hands, event)?;
            let Rest::Parked { code } = &rest else { return Ok(rest) };
            if bench.gate.stopping() || gone() {
                return Ok(rest);
            }
            hands.forget_pin();
            if bench.gate.paused().is_some() {
                if !bench.gate.wait_while_paused(&gone) {
                    return Ok(rest);
                }
            } else if matches!(code.as_str(), "answer-lost" | "read-back-missing" | "tenant-down") {
                // The directory is slow, or does not speak of this person: the key stays, nobody has to do anything.
                bench.bell.until_within(LOOK_AGAIN, &*bench.out.clock, || gone() || bench.gate.stopping());
            } else if code != "signed-out" && code != "interrupted" {
                return Ok(rest);
            }
            if gone() || bench.gate.stopping() {
                return Ok(rest);
            }
            // The wait may have been longer than the hold on the job.
            journey.claim = bench.out.ledger.claim(&journey.job)?;
            hands.hold_by(journey.claim.clone());
            event = Event::Resumed;
        }
    }
}

/// Whether a key is of the kind that the roster asks for, if it asks for one.
fn kind_fits(person: &Person, key: &KeyRef) -> bool {
    person.key_kind.as_ref().is_none_or(|wanted| kind::fits(wanted, key.aaguid, key.model.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{KeyKind, Upn, UserId};

    #[test]
    fn a_kind_takes_whole_words_and_never_the_next_best_key() {
        let wants = |kind: Option<&str>, model: &str| {
            let person = Person {
                key_kind: kind.map(|kind| KeyKind(kind.to_owned())),
                ..Person::new(UserId::new("u"), Upn::parse("kim@contoso.com").expect("a UPN"), "Kim")
            };
            let (aaguid, port) = (Aaguid([7; 16]), PortName::new("1"));
            kind_fits(&person, &KeyRef { aaguid, serial: None, firmware: None, model: Some(model.into()), port })
        };
        assert!(wants(None, "YubiKey 5C NFC") && wants(Some("5c nfc"), "YubiKey 5C NFC"));
        assert!(!wants(Some("5 nfc"), "YubiKey 5C NFC"), "a word must be whole");
        assert!(wants(Some(&Aaguid([7; 16]).to_string()), "") && !wants(Some(&Aaguid([8; 16]).to_string()), ""));
    }
}
