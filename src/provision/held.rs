//! Held keys: whom their registrations are sealed to, what of them ran out, and the registration on receipt.
//!
//! Promise: what is sent is what the bench sealed: its hash, model, passkey and attestation signature are compared with the
//! chain first. It is sent under an intent, by the journey's own table, so a cut at any instant is asked about and never
//! doubled. A hold that ended leaves no record that could be sent. Exception: who packed, who received and who verified is the
//! caller's to look at.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::ProvisionError;
use crate::graph::display_name::NameTemplate;
use crate::graph::{Graph, GraphError};
use crate::ledger::{Append, Attempt, BlobHash, Entry, ForcedChange, HandoverEntry, JobLine, Ledger, LedgerError};
use crate::model::{Aaguid, CredentialId, JobId, JobStatus, KeyRef, MethodId, TenantId, UserId};
use crate::pin::escrow::{open_text, seal_document};
use crate::pin::{Identities, OpenError, PinnedSet, Recipients, ResumeStore, SealError};
use crate::pipeline::bench::{Holding, name_of};
use crate::pipeline::driver::{DriveError, Hands, Journey, Outcome};
use crate::pipeline::effect::Effect;
use crate::pipeline::event::Event;
use crate::pipeline::recover::recover;
use crate::pipeline::state::State;
use crate::pipeline::step::{EXPIRED, Rest, WantedRules};
use crate::pipeline::{Look, Outgoing, pausing_code, words};
use crate::webauthn::attestation::AttestationObject;
use crate::webauthn::checks::{Expected, Trust, Wanted, check_registration};
use crate::webauthn::creation_options::CreationOptions;
use crate::webauthn::record::RegistrationRecord;
use crate::webauthn::trust::Anchors;
use crate::world::Clock;

/// The code of a hold that ran out.
pub const HOLD_EXPIRED: &str = "hold-expired";

/// The activation keys in force, by fingerprint; `None` where no key was ever held.
///
/// # Errors
/// When the ledger can't be read.
pub fn keys_in_force(ledger: &dyn Ledger) -> Result<Option<Vec<String>>, LedgerError> {
    let mut last = None;
    ledger.visit_jobless(&mut |recorded| {
        if let Entry::Handover(HandoverEntry::ActivationKeysSet { keys, .. }) = recorded.entry {
            last = Some(keys);
        }
        ControlFlow::Continue(())
    })?;
    Ok(last)
}

/// Holds the settings' activation keys against the pinned ones. Where there are none yet, the entry that pins them.
///
/// # Errors
/// [`ProvisionError::ActivationKeys`] when they are others.
pub fn keys_not_yet_pinned(ledger: &dyn Ledger, keys: &Recipients) -> Result<Option<Entry>, ProvisionError> {
    let pinned = keys_in_force(ledger)?;
    match keys.against(pinned.as_ref().map(|keys| (keys.as_slice(), [].as_slice()))) {
        Ok(PinnedSet::Match) => Ok(None),
        Ok(PinnedSet::FirstSet) => {
            let keys = keys.fingerprints().0;
            Ok(Some(Entry::Handover(HandoverEntry::ActivationKeysSet { keys, by: "config".into() })))
        }
        Err(other) => Err(ProvisionError::ActivationKeys { added: other.added, missing: other.missing }),
    }
}

/// Whether the tenant gives challenges that live as long as they have to, asked for one of those who get a key.
///
/// # Errors
/// [`ProvisionError::ChallengeTooShort`], or what Graph says.
pub fn challenges_live(graph: &Graph, holding: &Holding, user: &UserId) -> Result<(), ProvisionError> {
    let answer = match graph.creation_options(user, Some(holding.minutes)) {
        Ok(answer) => answer,
        // About this person, and told when it is their turn.
        Err(error) if pausing_code(&error).is_none() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let body = serde_json::to_vec(&answer.json).unwrap_or_default();
    match CreationOptions::parse(&body) {
        Ok(options) => match holding.too_short(options.expires, answer.server_time) {
            Some(what) => Err(ProvisionError::ChallengeTooShort(what)),
            None => Ok(()),
        },
        Err(_) => Ok(()),
    }
}

/// A hold that can't be activated any more, and was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The job.
    pub job: JobId,
    /// Until when it could be.
    pub expires: Timestamp,
    /// Why it ended: [`HOLD_EXPIRED`], `lost`, `returned` or `replaced`.
    pub code: String,
}

/// A sealed record that is not destroyed, by the entries.
struct OpenHold {
    attempt: Attempt,
    sealed: BlobHash,
    credential: CredentialId,
    expires: Timestamp,
    /// Somebody noted, here or at another desk, that the key is gone or replaced.
    gone: Option<&'static str>,
}

/// Every one of them. One pass over the ledger.
fn open_holds(ledger: &dyn Ledger) -> Result<BTreeMap<JobId, OpenHold>, LedgerError> {
    let mut open: BTreeMap<JobId, OpenHold> = BTreeMap::new();
    let mut unread = None;
    ledger.visit_rows(&mut |row| {
        // Reading an entry is what takes time, and few are of this kind.
        if row.kind() != "handover" {
            return ControlFlow::Continue(());
        }
        let recorded = match row.understand() {
            Ok(recorded) => recorded,
            Err(error) => {
                unread = Some(error);
                return ControlFlow::Break(());
            }
        };
        let Entry::Handover(act) = recorded.entry.act() else { return ControlFlow::Continue(()) };
        let mut gone = |job: &JobId, of: Attempt, code| {
            if let Some(hold) = open.get_mut(job).filter(|hold| hold.attempt == of) {
                hold.gone.get_or_insert(code);
            }
        };
        match act {
            HandoverEntry::KeyLost { job, attempt, .. } => gone(job, *attempt, "lost"),
            HandoverEntry::KeyReturned { job, attempt, .. } => gone(job, *attempt, "returned"),
            HandoverEntry::ReplacementWanted { job, attempt, .. } => gone(job, *attempt, "replaced"),
            HandoverEntry::Held { job, attempt, sealed, credential, expires, .. } => {
                let (attempt, sealed, expires) = (*attempt, *sealed, *expires);
                let hold = OpenHold { attempt, sealed, credential: credential.clone(), expires, gone: None };
                open.insert(job.clone(), hold);
            }
            HandoverEntry::HoldResealed { job, sealed, .. } => {
                if let Some(hold) = open.get_mut(job) {
                    hold.sealed = *sealed;
                }
            }
            HandoverEntry::HoldEnded { job, .. } => drop(open.remove(job)),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    unread.map_or(Ok(open), Err)
}

/// Ends the holds that ran out, and those whose keys another desk noted as lost or returned: the sealed records are destroyed.
/// Whose hold ran out waits for another key.
///
/// # Errors
/// The ledger.
pub fn end_what_is_over(ledger: &dyn Ledger, tenant: &TenantId, now: Timestamp) -> Result<Vec<Ended>, ProvisionError> {
    let mut ended = Vec::new();
    for (job, hold) in open_holds(ledger)? {
        let Some(line) = ledger.job(&job)?.filter(|line| line.tenant == *tenant) else { continue };
        let code = match hold.gone {
            Some(code) => code,
            // Sent and not answered: `keybench activate` asks first.
            None if now >= hold.expires && line.status == JobStatus::Held && !line.in_flight => HOLD_EXPIRED,
            None => continue,
        };
        let claim = match ledger.claim(&job) {
            Ok(claim) => claim,
            Err(LedgerError::ClaimedElsewhere { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let (attempt, sealed, code) = (hold.attempt, hold.sealed, code.to_owned());
        let mut entries = Vec::new();
        if line.status == JobStatus::Held && line.in_flight {
            // It was sent and not answered: should the tenant show it after all, a later run deletes it there.
            let (user, credential) = (line.user.clone(), hold.credential);
            entries.push(Entry::Watched { job: job.clone(), attempt, user, credential });
        }
        let over = HandoverEntry::HoldEnded { job: job.clone(), attempt, sealed, code: code.clone() };
        entries.push(Entry::Handover(over));
        if hold.gone.is_none() {
            let wanted = HandoverEntry::ReplacementWanted { job: job.clone(), attempt, code: code.clone() };
            entries.push(Entry::Handover(wanted));
        }
        ledger.append(Append::entries(entries).under(&claim))?;
        ledger.release(&claim)?;
        ended.push(Ended { job, expires: hold.expires, code });
    }
    Ok(ended)
}

/// A job whose last key is held.
#[derive(Debug)]
pub struct HeldJob {
    /// Its line.
    pub line: JobLine,
    /// Where it is.
    pub state: State,
    entries: Vec<Entry>,
}

/// Every held job, in the order of planning.
///
/// # Errors
/// The ledger.
pub fn all_held(ledger: &dyn Ledger) -> Result<Vec<HeldJob>, ProvisionError> {
    let mut held = Vec::new();
    for line in ledger.jobs(&crate::ledger::JobFilter::all())? {
        if line.status == JobStatus::Held {
            held.push(held_job(ledger, line)?);
        }
    }
    Ok(held)
}

/// As [`held_job`], where the ledger has the sealed record at all. A mail room's has not, and its copy of the story lacks the
/// seals, so that it is not followed to its end.
fn with_record(ledger: &dyn Ledger, line: JobLine) -> Result<HeldJob, ActivationError> {
    let sealed = ledger.entries_of(&line.job)?.into_iter().fold(None, |sealed, recorded| match recorded.entry.act() {
        Entry::Handover(HandoverEntry::Held { sealed, .. } | HandoverEntry::HoldResealed { sealed, .. }) => {
            Some(*sealed)
        }
        Entry::Handover(HandoverEntry::HoldEnded { .. }) => None,
        _ => sealed,
    });
    let kept = sealed.map(|sealed| ledger.blob(sealed)).transpose()?.flatten();
    kept.ok_or(ActivationError::NoRecord)?;
    Ok(held_job(ledger, line)?)
}

fn held_job(ledger: &dyn Ledger, line: JobLine) -> Result<HeldJob, ProvisionError> {
    let entries: Vec<Entry> = ledger.entries_of(&line.job)?.into_iter().map(|recorded| recorded.entry).collect();
    let state = recover(&entries)
        .map_err(|error| ProvisionError::BrokenAccount { job: line.job.clone(), what: error.to_string() })?;
    Ok(HeldJob { line, state, entries })
}

/// Why a held key was not activated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActivationError {
    /// Nothing waits.
    #[error("its key is not held: its registration does not wait for receipt")]
    NotHeld,
    /// The sealed record is destroyed, or is another desk's.
    #[error("this ledger has no sealed registration of its key (any more)")]
    NoRecord,
    /// It can't be sent any more.
    #[error("its registration could be sent until {0}")]
    Expired(Timestamp),
    /// The tenant shows it, and it was not activated here.
    #[error("the tenant shows its passkey already, as {0}, and this ledger never sent it")]
    Elsewhere(MethodId),
    /// It did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was opened is not what the chain says.
    #[error("what was opened is not the registration that the bench sealed: {0}")]
    NotTheRecord(String),
    /// It rests on the way.
    #[error("{}", detail.as_deref().unwrap_or(code))]
    Rests {
        /// A code of the journey.
        code: String,
        /// In more words.
        detail: Option<String>,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Anything else that a run can meet.
    #[error(transparent)]
    Run(#[from] ProvisionError),
}

impl From<DriveError> for ActivationError {
    fn from(error: DriveError) -> Self {
        match error {
            DriveError::Ledger(error) => Self::Ledger(error),
            DriveError::Bench { code, what } => Self::Rests { code: code.to_owned(), detail: Some(what) },
        }
    }
}

/// What the chain says of a held key's record.
struct Sealed {
    attempt: Attempt,
    record: BlobHash,
    sealed: BlobHash,
    credential: CredentialId,
    aaguid: Aaguid,
    expires: Timestamp,
}

fn sealed_of(held: &HeldJob) -> Result<Sealed, ActivationError> {
    let hold = held.state.hold().ok_or(ActivationError::NotHeld)?;
    let now = hold.sealed.ok_or(ActivationError::NoRecord)?;
    let found = held.entries.iter().rev().find_map(|entry| match entry {
        Entry::Handover(HandoverEntry::Held { attempt, record, credential, aaguid, expires, .. }) => Some(Sealed {
            attempt: *attempt,
            record: *record,
            sealed: now,
            credential: credential.clone(),
            aaguid: *aaguid,
            expires: *expires,
        }),
        _ => None,
    });
    found.ok_or(ActivationError::NotHeld)
}

/// Opens a held key's record and holds it against the chain; nothing is written.
///
/// # Errors
/// [`ActivationError`]
pub fn open_record(
    ledger: &dyn Ledger,
    job: &JobId,
    identities: &Identities,
    now: Timestamp,
) -> Result<RegistrationRecord, ActivationError> {
    let line = ledger.job(job)?.ok_or(ActivationError::NotHeld)?;
    if line.status != JobStatus::Held {
        return Err(ActivationError::NotHeld);
    }
    let held = with_record(ledger, line)?;
    opened(ledger, &sealed_of(&held)?, identities, now)
}

fn opened(
    ledger: &dyn Ledger,
    told: &Sealed,
    identities: &Identities,
    now: Timestamp,
) -> Result<RegistrationRecord, ActivationError> {
    let sealed = ledger.blob(told.sealed)?.ok_or(ActivationError::NoRecord)?;
    is_the_one(&open_text(&sealed, false, identities)?, told, now)
}

/// Pure: the registration that the chain tells of, and sound as far as can be told without roots.
fn is_the_one(plain: &[u8], told: &Sealed, now: Timestamp) -> Result<RegistrationRecord, ActivationError> {
    let not = |what: String| ActivationError::NotTheRecord(what);
    if BlobHash::of(plain) != told.record {
        return Err(not("its hash is another".into()));
    }
    let record = RegistrationRecord::from_bytes(plain).map_err(|error| not(error.to_string()))?;
    if record.credential != told.credential {
        return Err(not("it is of another passkey".into()));
    }
    if record.aaguid != told.aaguid {
        return Err(not(format!("it is of a key of model {}, not {}", record.aaguid, told.aaguid)));
    }
    let object = AttestationObject::take_apart(&record.attestation_object).map_err(|error| not(error.to_string()))?;
    let client_data = record.client_data();
    let asked = record.was_asked();
    // Roots and metadata were looked at by the bench; what can be looked at without them is looked at again.
    let expected = Expected {
        rp_id: &record.rp_id,
        client_data_hash: client_data.hash(),
        algorithms: &asked.algorithms,
        aaguid: told.aaguid,
        excluded: &[],
        cred_protect: asked.cred_protect,
        hmac_secret: if asked.hmac_secret { Wanted::Wished } else { Wanted::No },
    };
    let trust = Trust { metadata: None, roots: &Anchors::none(), enforced: false, now };
    let report = check_registration(&object.answer(), &expected, &trust);
    match report.failures().next() {
        Some((_, failed)) => Err(not(failed.to_string())),
        None => Ok(record),
    }
}

/// What activating takes.
pub struct Activation<'a> {
    /// The ledger.
    pub ledger: &'a dyn Ledger,
    /// Where resume keys are; one that a stop left is destroyed on the way.
    pub resume: &'a dyn ResumeStore,
    /// The tenant.
    pub graph: &'a Graph,
    /// Time.
    pub clock: &'a dyn Clock,
    /// An activation key's identity.
    pub identities: &'a Identities,
    /// `[bench] key_name`.
    pub name: &'a NameTemplate,
    /// Who activates.
    pub by: &'a str,
    /// How long reads are repeated until Entra shows what it accepted.
    pub list_lag: Duration,
    /// How long after a challenge's expiry a lost registration may still turn up.
    pub settling: SignedDuration,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activated {
    /// The method.
    pub method: MethodId,
    /// The try whose key it is.
    pub attempt: Attempt,
}

impl Activation<'_> {
    /// Registers a held key, and sees that the tenant shows it.
    ///
    /// # Errors
    /// [`ActivationError`]; where it was sent, the same call asks what became of it before it sends again.
    pub fn carry_out(&self, job: &JobId) -> Result<Activated, ActivationError> {
        let claim = self.ledger.claim(job)?;
        let done = self.claimed(job, &claim);
        let released = self.ledger.release(&claim);
        let done = done?;
        released?;
        Ok(done)
    }

    fn claimed(&self, job: &JobId, claim: &crate::ledger::Claim) -> Result<Activated, ActivationError> {
        // Read under the claim: nobody else moves it now.
        let line = self.ledger.job(job)?.ok_or(ActivationError::NotHeld)?;
        if line.status != JobStatus::Held {
            return Err(ActivationError::NotHeld);
        }
        let (user, ordinal) = (line.user.clone(), line.ordinal);
        let held = with_record(self.ledger, line)?;
        let told = sealed_of(&held)?;
        // Before anything is sent the tenant is asked: it tells its time as well, by which a hold runs out.
        let shown = self.graph.passkey_of(&user, &told.credential).map_err(ProvisionError::from)?;
        let now = self.graph.server_now();
        let HeldJob { state, .. } = held;
        if let (State::Held { .. }, Some(method)) = (&state, shown) {
            return Err(ActivationError::Elsewhere(method.id));
        }
        // What was sent before it ran out is asked for, however late that is.
        if matches!(state, State::Held { .. }) && now >= told.expires {
            return Err(ActivationError::Expired(told.expires));
        }
        let record = opened(self.ledger, &told, self.identities, now)?;
        let key = state.current().map(|at| at.key.clone()).ok_or(ActivationError::NotHeld)?;
        let mut journey = Journey {
            job: job.clone(),
            user: user.clone(),
            rules: WantedRules { minimum: None, forced: ForcedChange::NotAsked },
            settling: self.settling,
            hold: None,
            claim: claim.clone(),
            state,
        };
        let mut desk = Desk { with: self, user, ordinal, key, record, job: job.clone(), detail: None };
        let rest = journey.drive(self.ledger, &mut desk, Event::Received { by: self.by.to_owned() })?;
        match (rest, journey.state) {
            (Rest::Finished, State::Finished { method, at, .. }) => Ok(Activated { method, attempt: at.attempt }),
            (Rest::Parked { code }, _) if code == EXPIRED => Err(ActivationError::Expired(told.expires)),
            (Rest::Parked { code }, _) => Err(ActivationError::Rests { code, detail: desk.detail }),
            (_, State::Held { .. }) => Err(ActivationError::Expired(told.expires)),
            _ => Err(ActivationError::Rests { code: "unexpected".into(), detail: None }),
        }
    }
}

/// The hands of whoever activates: no key is in them.
struct Desk<'a> {
    with: &'a Activation<'a>,
    user: UserId,
    ordinal: u32,
    key: KeyRef,
    record: RegistrationRecord,
    job: JobId,
    detail: Option<String>,
}

impl Desk<'_> {
    fn blocked(&mut self, error: &GraphError) -> Event {
        self.detail = Some(words(error));
        Event::Blocked { code: pausing_code(error).unwrap_or("tenant-down").to_owned() }
    }
}

impl Hands for Desk<'_> {
    fn perform(&mut self, effect: &Effect, state: &State) -> Result<Outcome, DriveError> {
        let with = self.with;
        let event = match effect {
            Effect::Register { again } => {
                let name = name_of(with.name, &self.key, self.ordinal, with.clock.now());
                let (user, record) = (&self.user, &self.record);
                let outgoing = Outgoing { user, record, display_name: &name, again: *again, held: true };
                match outgoing.send(with.graph) {
                    Ok(answer) => {
                        self.detail = answer.detail.or(self.detail.take());
                        answer.event
                    }
                    Err(error) => self.blocked(&error),
                }
            }
            Effect::FindMethod => {
                let credential = &self.record.credential;
                let look = Look {
                    user: &self.user,
                    credential,
                    patience: with.list_lag,
                    give_up: &|| false,
                    wait: &|pause| with.clock.sleep(pause),
                };
                match look.until_found(with.graph, with.clock, &|| ()) {
                    Ok(event) => event,
                    Err(error) => self.blocked(&error),
                }
            }
            Effect::DestroyResumeKey => {
                let attempt = state.current().map_or(0, |at| at.attempt);
                with.resume
                    .destroy(&self.job, attempt)
                    .map_err(|error| DriveError::Bench { code: "resume-store", what: error.to_string() })?;
                Event::ResumeKeyDestroyed
            }
            _ => Event::Blocked { code: "unexpected".into() },
        };
        Ok(event.into())
    }

    fn holds_back(&self, _: &Effect, _: &State) -> Option<&'static str> {
        None
    }

    fn now(&self) -> Timestamp {
        self.with.graph.server_now()
    }
}

/// Why the activation keys were not changed. The ledger is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// No key was ever held here.
    #[error("no key was ever held here: the first run takes the activation keys of the settings")]
    NoneYet,
    /// The new ones are the old ones.
    #[error("these are the activation keys in force already")]
    Same,
    /// A record does not open.
    #[error("the held registration of job {job} can't be sealed again: {why}")]
    Stuck {
        /// Whose.
        job: JobId,
        /// Why.
        why: Box<ActivationError>,
    },
    /// A record does not seal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The ledger.
    #[error(transparent)]
    Run(#[from] ProvisionError),
}

/// Other activation keys: every held registration is opened with an identity in force and sealed to the new ones, all of it in
/// one write. `by` says who, and why. Gives how many; with `write` false nothing is written.
///
/// # Errors
/// [`RekeyError`].
pub fn change_keys(
    ledger: &dyn Ledger,
    to: &Recipients,
    identities: &Identities,
    (by, now, write): (String, Timestamp, bool),
) -> Result<usize, RekeyError> {
    let in_force = keys_in_force(ledger).map_err(ProvisionError::from)?.ok_or(RekeyError::NoneYet)?;
    let keys = to.fingerprints().0;
    if in_force == keys {
        return Err(RekeyError::Same);
    }
    let mut append = Append::entry(Entry::Handover(HandoverEntry::ActivationKeysSet { keys: keys.clone(), by }));
    let mut count = 0;
    for held in all_held(ledger)? {
        let told = match sealed_of(&held) {
            Ok(told) => told,
            Err(ActivationError::NoRecord) => continue,
            Err(why) => return Err(RekeyError::Stuck { job: held.line.job, why: Box::new(why) }),
        };
        let job = held.line.job;
        let record = opened(ledger, &told, identities, now)
            .map_err(|why| RekeyError::Stuck { job: job.clone(), why: Box::new(why) })?;
        let again = seal_document(to, &record.to_bytes())?;
        let (sealed, before, to) = (BlobHash::of(&again), told.sealed, keys.clone());
        append.entries.push(Entry::Handover(HandoverEntry::HoldResealed {
            job,
            attempt: told.attempt,
            before,
            sealed,
            to,
        }));
        append = append.with_document(again);
        count += 1;
    }
    if write {
        ledger.append(append).map_err(ProvisionError::from)?;
    }
    Ok(count)
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod at_other_desks;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webauthn::attestation::samples;
    use crate::webauthn::client_data::ClientData;

    #[test]
    fn a_record_is_sent_only_where_hash_passkey_model_and_signature_are_the_chains() {
        // An attestation that Entra accepted, and client data that it was not made for.
        let record = RegistrationRecord::new(
            &samples::accepted().answer(),
            &ClientData::create(b"0123456789abcdef", "login.microsoft.com"),
            "login.microsoft.com",
            Timestamp::UNIX_EPOCH,
            Vec::new(),
        )
        .expect("a record");
        let plain = record.to_bytes();
        let told = |hash: &[u8], credential: &CredentialId, aaguid: Aaguid| Sealed {
            attempt: 1,
            record: BlobHash::of(hash),
            sealed: BlobHash::of(b"sealed"),
            credential: credential.clone(),
            aaguid,
            expires: Timestamp::UNIX_EPOCH,
        };
        let (own, model) = (&record.credential, record.aaguid);
        let why = |told: &Sealed| match is_the_one(&plain, told, Timestamp::UNIX_EPOCH) {
            Err(ActivationError::NotTheRecord(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(why(&told(b"another", own, model)).contains("its hash is another"));
        assert!(why(&told(&plain, &CredentialId::new(vec![8; 32]), model)).contains("of another passkey"));
        assert!(why(&told(&plain, own, Aaguid::ZERO)).contains("of a key of model"));
        let unsound = why(&told(&plain, own, model));
        let told_before = ["its hash is another", "of another passkey", "of a key of model"];
        assert!(!told_before.iter().any(|why| unsound.contains(why)), "its signature is looked at: {unsound}");
    }
}
