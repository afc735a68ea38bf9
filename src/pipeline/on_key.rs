//! What the driver has done on a key. Every answer of the key, and every way of not answering, becomes an event here.

use super::event::{Event, NotOpened};
use super::fitness::KeyFacts;
use super::step::WantedRules;
use crate::ctap2::command::config::PinRules;
use crate::ctap2::command::get_assertion::GetAssertion;
use crate::ctap2::command::get_info::GetInfo;
use crate::ctap2::command::make_credential::{
    CredentialProtection, Extensions, MakeCredential, NewCredential, RelyingParty, User,
};
use crate::ctap2::error::CtapError;
use crate::ctap2::session::{
    Assert, Blank, Configure, Done, Make, Manage, NoAttempt, Opened, PinError, PinSet, Session, Unsettled,
};
use crate::ctap2::status::Status;
use crate::ctap2::transport::{TransportError, Unwatched, Watcher};
use crate::ledger::SealReceipt;
use crate::ledger::entry::ForcedChange;
use crate::model::{CredentialId, KeyRef, Pin};
use crate::pin::KeyPinFacts;
use crate::webauthn::assertion::{ExpectedFlags, verify_assertion};
use crate::webauthn::client_data::ClientData;
use crate::webauthn::creation_options::{CreationOptions, CredProtect, truncate_for_key};
use crate::webauthn::record::{RegistrationRecord, Witness};

/// How often one key may answer nonsense, or not at all, before it is treated as gone.
const NONSENSE: u32 = 4;
/// PIN tries that are left to the key's owner: fewer are never spent by the bench.
const FLOOR: u8 = 3;

enum Held {
    Blank(Session<Blank>),
    PinSet(Session<PinSet>),
    /// It is gone, or can't be talked to any more.
    Lost,
}

/// The key in a lane's port.
pub struct KeyHand {
    held: Held,
    /// What the key last said of itself.
    info: GetInfo,
    /// More words on the last thing that did not go well.
    detail: Option<String>,
    /// How often the outcome of a command had to be asked for afterwards.
    nonsense: u32,
}

/// The facts that the fitness check wants, from getInfo.
pub fn facts(info: &GetInfo) -> KeyFacts {
    KeyFacts {
        aaguid: info.aaguid,
        ctap2: info.is_fido2(),
        client_pin: info.pin_is_set(),
        resident_keys: info.has_resident_keys(),
        hmac_secret: info.has_extension("hmac-secret"),
        pin_not_enough: info.options.is("noMcGaPermissionsWithClientPin"),
        room: info.remaining_credentials,
        algorithms: info.algorithms.clone(),
    }
}

/// The facts that the PIN policy wants, from getInfo.
pub fn pin_facts(info: &GetInfo) -> KeyPinFacts {
    let narrow = |value: Option<u64>| value.map(|value| u32::try_from(value).unwrap_or(u32::MAX));
    KeyPinFacts {
        min_pin_length: narrow(info.min_pin_length),
        max_pin_length: narrow(info.max_pin_length),
        complexity: info.pin_complexity_policy == Some(true),
        can_set_pin_rules: info.has_pin_rules(),
    }
}

impl KeyHand {
    /// A key that was just opened.
    pub fn blank(session: Session<Blank>) -> Self {
        Self { info: session.info().clone(), held: Held::Blank(session), detail: None, nonsense: 0 }
    }

    /// A key that was just opened and has a PIN.
    pub fn pin_set(session: Session<PinSet>) -> Self {
        Self { info: session.info().clone(), held: Held::PinSet(session), detail: None, nonsense: 0 }
    }

    /// What the key last said of itself.
    pub fn info(&self) -> &GetInfo {
        &self.info
    }

    /// Which key this is.
    pub fn key_ref(&self) -> Option<KeyRef> {
        match &self.held {
            Held::Blank(session) => Some(session.key_ref()),
            Held::PinSet(session) => Some(session.key_ref()),
            Held::Lost => None,
        }
    }

    /// Its serial number is no other key's: see [`Session::serial_is_proof`].
    pub fn serial_is_proof(&self) -> bool {
        match &self.held {
            Held::Blank(session) => session.serial_is_proof(),
            Held::PinSet(session) => session.serial_is_proof(),
            Held::Lost => false,
        }
    }

    /// How often its answers could not be made out. A wire may fail once; a key that does it again and again is no use.
    pub fn nonsense(&self) -> u32 {
        self.nonsense
    }

    /// Its PIN's tries are used up. Asks the key.
    pub fn is_blocked(&mut self) -> bool {
        match &mut self.held {
            Held::PinSet(session) => session.pin_retries().is_ok_and(|retries| retries.left == 0),
            Held::Blank(_) | Held::Lost => false,
        }
    }

    /// Lets its light blink for a moment; `false` when it can't, or is gone.
    pub fn wink(&mut self) -> bool {
        match &mut self.held {
            Held::Blank(session) => session.wink().is_ok(),
            Held::PinSet(session) => session.wink().is_ok(),
            Held::Lost => false,
        }
    }

    /// No PIN is set on it.
    pub fn is_blank(&self) -> bool {
        matches!(self.held, Held::Blank(_))
    }

    /// More words on the last failure; taken once.
    pub fn take_detail(&mut self) -> Option<String> {
        self.detail.take()
    }

    fn hold(&mut self, opened: Opened) {
        self.held = match opened {
            Opened::Blank(session) => {
                self.info = session.info().clone();
                Held::Blank(session)
            }
            Opened::PinSet(session) => {
                self.info = session.info().clone();
                Held::PinSet(session)
            }
            Opened::NoPin(_) | Opened::U2fOnly(_) => Held::Lost,
        };
    }

    fn settle(&mut self, session: Session<Unsettled>) {
        match session.settle() {
            Ok(opened) => self.hold(opened),
            Err(unreadable) => {
                self.detail = Some(unreadable.error.to_string());
                self.held = Held::Lost;
            }
        }
    }

    /// Looks again at the key over the same device. False when it can't be talked to.
    fn look(&mut self) -> bool {
        let settled = match std::mem::replace(&mut self.held, Held::Lost) {
            Held::Blank(session) => session.settle(),
            Held::PinSet(session) => session.settle(),
            Held::Lost => return false,
        };
        match settled {
            Ok(opened) => self.hold(opened),
            Err(unreadable) if unreadable.error.is_gone() => self.detail = Some(unreadable.error.to_string()),
            // One answer may get lost on the way.
            Err(unreadable) => self.settle(unreadable.session),
        }
        !matches!(self.held, Held::Lost)
    }

    /// The wire failed or the key talked nonsense, and what it did is unknown: look, so that the question can be asked.
    fn unsure(&mut self, error: &CtapError) -> Event {
        self.detail = Some(error.to_string());
        self.nonsense = self.nonsense.saturating_add(1);
        if !error.is_gone() && self.nonsense <= NONSENSE && self.look() { Event::Resumed } else { Event::KeyGone }
    }

    /// setPIN.
    pub fn set_pin(&mut self, pin: &Pin, kept: &SealReceipt) -> Event {
        let session = match std::mem::replace(&mut self.held, Held::Lost) {
            Held::Blank(session) => session,
            Held::PinSet(session) => {
                // Nothing has been sent, so this PIN is somebody else's, and ours must not be tried on it.
                self.held = Held::PinSet(session);
                return Event::PinNotSet { code: "has-pin".into() };
            }
            Held::Lost => return Event::KeyGone,
        };
        let failed = match session.set_pin(pin, kept, &mut Unwatched) {
            Ok(session) => {
                self.info = session.info().clone();
                self.held = Held::PinSet(session);
                return Event::PinSet;
            }
            Err(failed) => failed,
        };
        let refused = failed.error.status().is_some() || matches!(failed.error, CtapError::NotPossible(_));
        self.detail = Some(failed.error.to_string());
        let gone = failed.error.is_gone();
        let done = failed.done;
        if gone {
            return Event::KeyGone;
        }
        self.settle(failed.session);
        match (&self.held, done) {
            (Held::Lost, _) => Event::KeyGone,
            (_, Done::Yes) => Event::PinSet,
            (_, Done::No) if refused => Event::PinNotSet { code: "set-pin-refused".into() },
            (Held::PinSet(_), _) => Event::PinSeen { present: true },
            (Held::Blank(_), _) => Event::PinNotSet { code: "set-pin-refused".into() },
        }
    }

    /// Is a PIN set?
    pub fn look_at_pin(&mut self) -> Event {
        if !self.look() {
            return Event::KeyGone;
        }
        Event::PinSeen { present: matches!(self.held, Held::PinSet(_)) }
    }

    fn session(&mut self) -> Result<&mut Session<PinSet>, Event> {
        match &mut self.held {
            Held::PinSet(session) => Ok(session),
            // It has no PIN: not the key whose PIN we set.
            Held::Blank(_) => Err(Event::NotOpened(NotOpened::NoPin)),
            Held::Lost => Err(Event::KeyGone),
        }
    }

    /// Does the PIN open the key?
    pub fn prove_pin(&mut self, pin: &Pin) -> Event {
        let outcome = self.with_token(pin, Manage, |_| Ok(()));
        match outcome {
            Ok(()) => Event::PinProved,
            // A key without credential management: any other purpose proves the PIN as well.
            Err(Trouble::Pin(PinError::Ctap(CtapError::Unsupported(_)))) => {
                match self.with_token(pin, Assert { rp_id: "keybench.invalid".into() }, |_| Ok(())) {
                    Ok(()) => Event::PinProved,
                    Err(trouble) => self.trouble(trouble, |_| Event::NotOpened(NotOpened::Untried)),
                }
            }
            Err(trouble) => self.trouble(trouble, |_| Event::NotOpened(NotOpened::Untried)),
        }
    }

    /// Gets a token for one purpose and uses it.
    fn with_token<P: crate::ctap2::session::Purpose, T>(
        &mut self,
        pin: &Pin,
        purpose: P,
        act: impl FnOnce(crate::ctap2::session::Authorised<'_, P>) -> Result<T, CtapError>,
    ) -> Result<T, Trouble> {
        let session = self.session().map_err(Trouble::Event)?;
        let attempt = session.attempt(FLOOR).map_err(Trouble::NoAttempt)?;
        let authorised = attempt.authorise(pin, purpose).map_err(Trouble::Pin)?;
        act(authorised).map_err(Trouble::Ctap)
    }

    /// Turns trouble into an event; `refused` is asked what the key's "no" means here.
    fn trouble(&mut self, trouble: Trouble, refused: impl FnOnce(&CtapError) -> Event) -> Event {
        match trouble {
            Trouble::Event(event) => event,
            Trouble::NoAttempt(no) => {
                self.detail = Some(no.to_string());
                match no {
                    NoAttempt::TooFew { .. } | NoAttempt::Blocked => Event::NotOpened(NotOpened::Untried),
                    NoAttempt::Replug => Event::KeyGone,
                    NoAttempt::Ctap(error) => self.ctap(&error, refused),
                }
            }
            Trouble::Pin(error) => {
                self.detail = Some(error.to_string());
                match error {
                    PinError::Wrong { .. } => Event::NotOpened(NotOpened::Wrong),
                    PinError::Blocked | PinError::RuledOut => Event::NotOpened(NotOpened::Untried),
                    PinError::ChangeForced => Event::NotOpened(NotOpened::ChangeForced),
                    PinError::Replug => Event::KeyGone,
                    PinError::NotByPin => Event::NotMade { code: "pin-not-enough".into() },
                    PinError::Ctap(error) => self.ctap(&error, refused),
                }
            }
            Trouble::Ctap(error) => self.ctap(&error, refused),
        }
    }

    fn ctap(&mut self, error: &CtapError, refused: impl FnOnce(&CtapError) -> Event) -> Event {
        self.detail = Some(error.to_string());
        match error {
            CtapError::Refused { .. }
            | CtapError::Unsupported(_)
            | CtapError::NotPossible(_)
            | CtapError::Wire(TransportError::TooLong { .. }) => refused(error),
            CtapError::NoEntropy(_) => Event::Blocked { code: "no-entropy".into() },
            CtapError::Wire(_) | CtapError::Malformed { .. } => self.unsure(error),
        }
    }

    /// makeCredential: the touch.
    ///
    /// # Errors
    /// The event, when nothing was made or nobody knows.
    pub fn make_credential(
        &mut self,
        pin: &Pin,
        options: &CreationOptions,
        watch: &mut dyn Watcher,
    ) -> Result<NewCredential, Event> {
        let mut request = request(options, &self.info);
        let session = self.session()?;
        if let Err(error) = session.fit_exclude_list(&mut request) {
            return Err(self.ctap(&error, not_made));
        }
        let made = self.with_token(pin, Make { rp_id: options.rp.id.clone() }, |authorised| {
            authorised.make_credential(&request, watch)
        });
        made.map_err(|trouble| match trouble {
            Trouble::Ctap(CtapError::Wire(TransportError::Cancelled { confirmed: true })) => Event::TouchCancelled,
            Trouble::Ctap(CtapError::Wire(TransportError::Deadline { confirmed: true, .. })) => Event::TouchTimedOut,
            other => self.trouble(other, not_made),
        })
    }

    /// The credentials of this person, or of anybody, for this site.
    pub fn list_credentials(&mut self, pin: &Pin, rp_id: &str, user_id: Option<&[u8]>) -> Event {
        match self.with_token(pin, Manage, |mut authorised| authorised.credentials_of(rp_id)) {
            Ok(all) => Event::CredentialsListed(
                all.into_iter()
                    .filter(|stored| user_id.is_none_or(|user| stored.user_id == user))
                    .map(|stored| stored.id)
                    .collect(),
            ),
            Err(trouble) => self.trouble(trouble, |_| Event::CredentialsUnlistable),
        }
    }

    /// deleteCredential.
    pub fn remove_credential(&mut self, pin: &Pin, credential: &CredentialId) -> Event {
        match self.with_token(pin, Manage, |mut authorised| authorised.delete_credential(credential)) {
            Ok(_) => Event::CredentialRemoved(credential.clone()),
            Err(trouble) => self.trouble(trouble, |_| Event::CredentialUnremovable { code: "not-removable".into() }),
        }
    }

    /// The proof: without a touch the key signs a challenge of ours with the new credential.
    pub fn prove(&mut self, pin: &Pin, record: &RegistrationRecord, challenge: &[u8; 32]) -> Event {
        let client_data = ClientData::get(challenge, &record.rp_id);
        let request = GetAssertion {
            rp_id: record.rp_id.clone(),
            client_data_hash: *client_data.hash(),
            allow: vec![record.credential.clone()],
            touch: false,
        };
        let signed = self.with_token(pin, Assert { rp_id: record.rp_id.clone() }, |authorised| {
            authorised.get_assertion(&request, &mut Unwatched)
        });
        let (assertion, expected) = match signed {
            Ok(assertion) => (assertion, ExpectedFlags::SILENT_WITH_PIN),
            // Some keys sign silently only without a token; that proves the credential as well, if not the PIN again.
            Err(Trouble::Ctap(CtapError::Refused {
                status: Status::UnsupportedOption | Status::InvalidOption | Status::UpRequired,
                ..
            })) => match self.silent(&record.rp_id, &record.credential, client_data.hash()) {
                Ok(Some(assertion)) => (assertion, ExpectedFlags::SILENT),
                Ok(None) => return Event::CheckFailed { code: "proof-failed".into() },
                Err(event) => return event,
            },
            Err(trouble) => {
                let event = self.trouble(trouble, |_| Event::CheckFailed { code: "proof-failed".into() });
                return match event {
                    Event::NotOpened(why) => Event::CheckFailed { code: why.code().into() },
                    Event::NotMade { .. } => Event::CheckFailed { code: "proof-failed".into() },
                    event => event,
                };
            }
        };
        let verified = verify_assertion(
            &record.public_key_cose,
            &record.rp_id,
            client_data.hash(),
            &assertion.auth_data,
            &assertion.signature,
            expected,
        );
        match verified {
            Ok(_) => Event::Proved { checks: vec!["proof".into()] },
            Err(error) => {
                self.detail = Some(error.to_string());
                Event::CheckFailed { code: "proof-failed".into() }
            }
        }
    }

    fn silent(
        &mut self,
        rp_id: &str,
        credential: &CredentialId,
        hash: &[u8; 32],
    ) -> Result<Option<crate::ctap2::command::get_assertion::Assertion>, Event> {
        let answer = match &mut self.held {
            Held::PinSet(session) => session.silent_assertion(rp_id, credential, *hash),
            Held::Blank(session) => session.silent_assertion(rp_id, credential, *hash),
            Held::Lost => return Err(Event::KeyGone),
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) if error.status().is_some() => Ok(None),
            Err(error) => Err(self.unsure(&error)),
        }
    }

    /// Whether this is the key that made a credential: it signs for it, without touch and PIN.
    pub fn owns(&mut self, witness: &Witness, challenge: &[u8; 32]) -> bool {
        let client_data = ClientData::get(challenge, &witness.rp_id);
        let Ok(Some(assertion)) = self.silent(&witness.rp_id, &witness.credential, client_data.hash()) else {
            return false;
        };
        verify_assertion(
            &witness.public_key_cose,
            &witness.rp_id,
            client_data.hash(),
            &assertion.auth_data,
            &assertion.signature,
            ExpectedFlags::default(),
        )
        .is_ok()
    }

    /// Minimum length and forced change, in one command.
    pub fn set_rules(&mut self, pin: &Pin, wanted: WantedRules) -> Event {
        let rules = PinRules {
            minimum: wanted.minimum.map(|minimum| u8::try_from(minimum).unwrap_or(u8::MAX)),
            rp_ids: Vec::new(),
            force_change: wanted.forced == ForcedChange::Forced,
        };
        match self.with_token(pin, Configure, |authorised| authorised.set_pin_rules(&rules)) {
            Ok(now) => {
                Event::RulesTaken { minimum: u32::try_from(now.minimum).unwrap_or(u32::MAX), forced: now.forced }
            }
            Err(trouble) => self.trouble(trouble, |_| Event::RulesRefused { code: "rules-refused".into() }),
        }
    }

    /// What getInfo says of the PIN rules. A key without a PIN is not the one whose PIN we set, whatever its rules are.
    pub fn look_at_rules(&mut self) -> Event {
        if !self.look() {
            return Event::KeyGone;
        }
        if self.is_blank() {
            return Event::NotOpened(NotOpened::NoPin);
        }
        Event::RulesSeen {
            minimum: u32::try_from(self.info.minimum_pin()).unwrap_or(u32::MAX),
            forced: self.info.forces_pin_change(),
        }
    }
}

enum Trouble {
    Event(Event),
    NoAttempt(NoAttempt),
    Pin(PinError),
    Ctap(CtapError),
}

/// What the key's "no" to makeCredential means. A cancel that nobody asked for is a touch that did not come.
fn not_made(error: &CtapError) -> Event {
    let code = match error.status() {
        Some(Status::UserActionTimeout | Status::ActionTimeout | Status::KeepaliveCancel) => {
            return Event::TouchTimedOut;
        }
        Some(Status::CredentialExcluded) => "credential-excluded",
        Some(Status::KeyStoreFull) => "key-full",
        Some(Status::OperationDenied) => "touch-refused",
        _ if matches!(error, CtapError::Wire(TransportError::TooLong { .. })) => "request-too-long",
        _ => "not-made",
    };
    Event::NotMade { code: code.into() }
}

/// The tenant's wishes as a CTAP2 request to this key.
fn request(options: &CreationOptions, info: &GetInfo) -> MakeCredential {
    MakeCredential {
        client_data_hash: *options.client_data().hash(),
        rp: RelyingParty {
            id: options.rp.id.clone(),
            name: (!options.rp.name.is_empty()).then(|| options.rp.name.clone()),
        },
        user: User {
            id: options.user.id.clone(),
            name: Some(truncate_for_key(&options.user.name).to_owned()).filter(|name| !name.is_empty()),
            display_name: Some(truncate_for_key(&options.user.display_name).to_owned()).filter(|name| !name.is_empty()),
        },
        algorithms: options.algorithms.clone(),
        exclude: options.exclude_list().cloned().collect(),
        resident: true,
        extensions: Extensions {
            hmac_secret: asks_hmac_secret(options, info),
            cred_protect: options.extensions.cred_protect.filter(|_| info.has_extension("credProtect")).map(|level| {
                match level {
                    CredProtect::Optional => CredentialProtection::UvOptional,
                    CredProtect::OptionalWithList => CredentialProtection::UvOptionalWithList,
                    CredProtect::Required => CredentialProtection::UvRequired,
                }
            }),
            min_pin_length: false,
        },
        enterprise_attestation: None,
    }
}

/// hmac-secret is asked for where tenant and key both know it.
pub fn asks_hmac_secret(options: &CreationOptions, info: &GetInfo) -> bool {
    options.extensions.hmac_create_secret && info.has_extension("hmac-secret")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctap2::command::Command;

    #[test]
    fn a_no_to_make_credential_is_told_by_its_reason() {
        let refused = |status| CtapError::Refused { command: Command::MakeCredential, status };
        let code = |error: &CtapError| match not_made(error) {
            Event::NotMade { code } => code,
            other => format!("{other:?}"),
        };
        let too_long = CtapError::Wire(TransportError::TooLong { length: 1500, max: 1024 });
        assert_eq!(code(&too_long), "request-too-long");
        assert_eq!(code(&refused(Status::KeyStoreFull)), "key-full");
        assert_eq!(code(&refused(Status::CredentialExcluded)), "credential-excluded");
        // A cancel that was not ours is no reason to rest: nobody would go on.
        assert_eq!(code(&refused(Status::KeepaliveCancel)), "TouchTimedOut");
        assert_eq!(code(&refused(Status::InvalidLength)), "not-made");
    }
}
