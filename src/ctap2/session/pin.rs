//! Setting a PIN, and trying one.

use std::marker::PhantomData;

use super::authorised::{Authorised, Purpose};
use super::{Blank, Core, PinSet, Session, Unsettled};
use crate::ctap2::command::Command;
use crate::ctap2::command::client_pin::{self, PinRetries};
use crate::ctap2::command::get_info::get_info;
use crate::ctap2::error::{CtapError, Malformed};
use crate::ctap2::pin_protocol::{Protocol, SharedSecret};
use crate::ctap2::status::Status;
use crate::ctap2::transport::Watcher;
use crate::ledger::SealReceipt;
use crate::model::Pin;

/// Whether something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Done {
    /// Certainly not.
    No,
    /// Nobody knows: look.
    Unknown,
    /// Certainly.
    Yes,
}

impl Done {
    fn after(error: &CtapError) -> Self {
        if error.surely_undone() { Self::No } else { Self::Unknown }
    }
}

/// The PIN was not set, or it may have been.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct SetPinFailed {
    /// Why.
    #[source]
    pub error: CtapError,
    /// Whether the key has the PIN all the same.
    pub done: Done,
    /// The key: settle it to see whether it has a PIN now.
    pub session: Session<Unsettled>,
}

/// Why no try may be spent.
#[derive(Debug, thiserror::Error)]
pub enum NoAttempt {
    /// The rest is for the key's owner.
    #[error("the key has {left} PIN tries left, and keybench leaves the last {floor} alone")]
    TooFew {
        /// Tries left.
        left: u8,
        /// Tries that are not ours to spend.
        floor: u8,
    },
    /// 0x34, or told by the counter.
    #[error("after three wrong PINs in a row the key wants to be taken out and put back")]
    Replug,
    /// 0x32.
    #[error("the key's PIN is blocked for good; only a reset helps")]
    Blocked,
    /// The counter could not be read.
    #[error(transparent)]
    Ctap(#[from] CtapError),
}

/// Why a try did not lead to a token or a new PIN.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The PIN is wrong, and not only refused because it must be changed.
    #[error("the PIN is wrong{}", match .left { Some(left) => format!("; {left} tries are left"), None => String::new() })]
    Wrong {
        /// Tries left, when they could be read.
        left: Option<u8>,
    },
    /// The PIN may well be right, but nothing can be done before it is changed.
    #[error("the key wants its PIN changed before it does anything else")]
    ChangeForced,
    /// 0x34.
    #[error("after three wrong PINs in a row the key wants to be taken out and put back")]
    Replug,
    /// 0x32.
    #[error("the key's PIN is blocked for good; only a reset helps")]
    Blocked,
    /// 0x37 to changePIN: length, complexity, or the old PIN again.
    #[error("the key's rules for PINs refuse the new PIN")]
    RuledOut,
    /// Option noMcGaPermissionsWithClientPin.
    #[error(
        "this key makes and uses passkeys only with its own user verification (such as a fingerprint), not with a PIN"
    )]
    NotByPin,
    /// Anything else; no try was spent unless the wire failed.
    #[error(transparent)]
    Ctap(#[from] CtapError),
}

impl PinError {
    /// Reads what a key's status means for a PIN; forced changes have been looked for already.
    fn from_status(error: CtapError) -> Self {
        match error.status() {
            Some(Status::PinBlocked) => Self::Blocked,
            Some(Status::PinAuthBlocked) => Self::Replug,
            _ => Self::Ctap(error),
        }
    }
}

impl Core {
    fn protocol(&self) -> Result<Protocol, CtapError> {
        Protocol::choose(self.info.pin_protocols.as_deref())
            .ok_or(CtapError::Unsupported("PIN protocol that keybench speaks (one or two)"))
    }

    fn pin_retries(&mut self) -> Result<PinRetries, CtapError> {
        let protocol = self.protocol()?;
        client_pin::pin_retries(&mut *self.link, protocol)
    }

    fn agree(&mut self) -> Result<SharedSecret, CtapError> {
        let protocol = self.protocol()?;
        client_pin::agree(&mut *self.link, protocol, &*self.tools.entropy)
    }

    fn check_length(&self, pin: &Pin) -> Result<(), CtapError> {
        let length = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        if length(pin.code_points()) < self.info.minimum_pin() {
            return Err(CtapError::NotPossible("the PIN is shorter than this key allows"));
        }
        if length(pin.expose().len()) > self.info.maximum_pin() {
            return Err(CtapError::NotPossible("the PIN is longer than this key allows"));
        }
        Ok(())
    }

    /// After "PIN invalid" or "policy violation": is a change forced? Asked before anybody hears of a wrong PIN, because keys
    /// answer the right PIN with 0x31 (OpenSK) or 0x37 (fido-authenticator) while a change is forced, and count nothing.
    fn refused_pin(&mut self, error: CtapError) -> PinError {
        if !matches!(error.status(), Some(Status::PinInvalid | Status::PinPolicyViolation)) {
            return PinError::from_status(error);
        }
        if let Ok(info) = get_info(&mut *self.link) {
            self.info = info;
        }
        if self.info.forces_pin_change() {
            return PinError::ChangeForced;
        }
        match error.status() {
            Some(Status::PinInvalid) => self.wrong_pin(),
            _ => PinError::from_status(error),
        }
    }

    fn wrong_pin(&mut self) -> PinError {
        let left = self.pin_retries().ok().map(|retries| retries.left);
        if left == Some(0) { PinError::Blocked } else { PinError::Wrong { left } }
    }
}

impl Session<Blank> {
    /// Gives the key its first PIN. The receipt says that a custodian can open it whatever happens next.
    ///
    /// # Errors
    /// [`SetPinFailed`]: its `done` says whether the key may have the PIN.
    pub fn set_pin(
        mut self,
        pin: &Pin,
        _kept: &SealReceipt,
        watch: &mut dyn Watcher,
    ) -> Result<Session<PinSet>, SetPinFailed> {
        let core = &mut *self.core;
        let outcome =
            core.check_length(pin).and_then(|()| core.agree()).map_err(|error| (error, Done::No)).and_then(|secret| {
                client_pin::set_pin(&mut *core.link, &secret, pin, &*core.tools.entropy, watch).map_err(|error| {
                    let done = Done::after(&error);
                    (error, done)
                })
            });
        let outcome = outcome.and_then(|()| get_info(&mut *core.link).map_err(|error| (error, Done::Yes)));
        match outcome {
            Ok(info) if info.pin_is_set() == Some(true) => {
                core.info = info;
                Ok(Session::new(self.core))
            }
            Ok(info) => {
                core.info = info;
                let what = Malformed::Other("it took a PIN and says that it has none");
                let error = CtapError::Malformed { command: Command::GetInfo, what };
                Err(SetPinFailed { error, done: Done::Unknown, session: self.into_unsettled() })
            }
            Err((error, done)) => Err(SetPinFailed { error, done, session: self.into_unsettled() }),
        }
    }
}

impl Session<PinSet> {
    /// Tries left; free.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn pin_retries(&mut self) -> Result<PinRetries, CtapError> {
        self.core.pin_retries()
    }

    /// Built-in verification tries left, on keys that have it; free.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn uv_retries(&mut self) -> Result<u8, CtapError> {
        let protocol = self.core.protocol()?;
        client_pin::uv_retries(&mut *self.core.link, protocol)
    }

    /// Reads the retry counter, and gives one try when more than `floor` are left.
    ///
    /// # Errors
    /// [`NoAttempt`].
    pub fn attempt(&mut self, floor: u8) -> Result<Attempt<'_>, NoAttempt> {
        let retries = match self.pin_retries() {
            Ok(retries) => retries,
            Err(error) => {
                return Err(match error.status() {
                    Some(Status::PinBlocked) => NoAttempt::Blocked,
                    Some(Status::PinAuthBlocked) => NoAttempt::Replug,
                    _ => NoAttempt::Ctap(error),
                });
            }
        };
        match retries.left {
            0 => Err(NoAttempt::Blocked),
            left if left <= floor => Err(NoAttempt::TooFew { left, floor }),
            _ if retries.needs_replug == Some(true) => Err(NoAttempt::Replug),
            left => Ok(Attempt { core: &mut self.core, left, one: PhantomData }),
        }
    }
}

/// The right to try one PIN once, on the key it was counted on.
#[must_use = "an attempt that is not used is lost"]
pub struct Attempt<'s> {
    core: &'s mut Core,
    left: u8,
    /// Not to be made elsewhere, cloned or copied.
    one: PhantomData<()>,
}

impl std::fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attempt(one of {})", self.left)
    }
}

impl<'s> Attempt<'s> {
    /// Tries that were left before this one.
    pub fn left(&self) -> u8 {
        self.left
    }

    /// Gets a token for one purpose.
    ///
    /// # Errors
    /// [`PinError`]. While a PIN change is forced nothing is sent, and no try is spent.
    pub fn authorise<P: Purpose>(self, pin: &Pin, purpose: P) -> Result<Authorised<'s, P>, PinError> {
        let core = self.core;
        purpose.check(&core.info)?;
        // The counter says nothing about this: it has to be as the key sees it now.
        core.info = get_info(&mut *core.link)?;
        if core.info.forces_pin_change() {
            return Err(PinError::ChangeForced);
        }
        if P::MAKES_OR_ASSERTS && core.info.options.is("noMcGaPermissionsWithClientPin") {
            return Err(PinError::NotByPin);
        }
        let secret = core.agree()?;
        let asked = core.info.has_permissions().then(|| (P::PERMISSIONS, purpose.rp_id()));
        match client_pin::token(&mut *core.link, &secret, pin, asked, &*core.tools.entropy) {
            Ok(token) => Ok(Authorised::new(core, token, purpose)),
            Err(error) => Err(core.refused_pin(error)),
        }
    }

    /// Changes the PIN; the receipt is for the new one. This works while a change is forced.
    ///
    /// # Errors
    /// [`PinError`]. After trouble on the wire either PIN may be the right one.
    pub fn change_pin(self, old: &Pin, new: &Pin, _kept: &SealReceipt) -> Result<(), PinError> {
        let core = self.core;
        core.check_length(new)?;
        let secret = core.agree()?;
        match client_pin::change_pin(&mut *core.link, &secret, old, new, &*core.tools.entropy) {
            Ok(()) => {
                // Whether a change is still forced; stale facts are refreshed at the next authorise as well.
                if let Ok(info) = get_info(&mut *core.link) {
                    core.info = info;
                }
                Ok(())
            }
            Err(error) => Err(match error.status() {
                Some(Status::PinInvalid) => core.wrong_pin(),
                Some(Status::PinPolicyViolation) => PinError::RuledOut,
                _ => PinError::from_status(error),
            }),
        }
    }
}
