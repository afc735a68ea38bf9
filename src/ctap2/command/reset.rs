//! authenticatorReset (CTAP 2.1 §6.6): every credential and the PIN are gone for good.
//!
//! Keys allow it only within 10 s (older ones 5 s) of being plugged in, and want a touch. Some (OpenSK) allow nothing but
//! getInfo before it, on one channel: so the caller sends INIT, getInfo, reset, and nothing else.

use super::{Command, call};
use crate::ctap2::error::CtapError;
use crate::ctap2::status::Status;
use crate::ctap2::transport::{Patience, Transport, Watcher};

/// Why a key was not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// 0x30, or 0x34 from some YubiKeys: it was plugged in too long ago, or something else talked to it first.
    #[error("the key was plugged in too long ago to be reset, or another program talked to it first")]
    TooLate,
    /// 0x27.
    #[error("the reset was declined at the key")]
    Declined,
    /// 0x2F, 0x3A from older keys, 0x2D, or our own limit.
    #[error("nobody touched the key in time, or the reset was cancelled")]
    NotTouched,
    /// getInfo's `transportsForReset` does not name USB; nothing was sent.
    #[error("this key can't be reset over USB")]
    NotOverUsb,
    /// Anything else.
    #[error(transparent)]
    Ctap(#[from] CtapError),
}

/// Resets the key.
///
/// # Errors
/// [`ResetError`].
pub fn reset(link: &mut dyn Transport, watch: &mut dyn Watcher) -> Result<(), ResetError> {
    match call(link, Command::Reset, None, Patience::Person, watch) {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.status() {
            Some(Status::NotAllowed | Status::PinAuthBlocked) => ResetError::TooLate,
            Some(Status::OperationDenied) => ResetError::Declined,
            _ if error.is_no_touch() && error.surely_undone() => ResetError::NotTouched,
            _ => ResetError::Ctap(error),
        }),
    }
}
