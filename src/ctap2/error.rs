//! Why something could not be had from a key. The wire's trouble, the key's refusal and the key's nonsense are three
//! different things, and only the second is an answer.

use super::cbor::CborError;
use super::command::Command;
use super::status::{Retry, Status};
use super::transport::TransportError;
use crate::world::NoEntropy;

/// An answer that is not what the specification says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not even a status byte.
    #[error("the answer is empty")]
    Empty,
    /// Not CBOR.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A member that must be there is missing.
    #[error("member 0x{0:02X} is missing")]
    Missing(u8),
    /// A member has the wrong type, length or range.
    #[error("member 0x{0:02X} is not what it should be")]
    Wrong(u8),
    /// Anything else.
    #[error("{0}")]
    Other(&'static str),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CtapError {
    /// The wire failed; see [`CtapError::surely_undone`].
    #[error(transparent)]
    Wire(#[from] TransportError),
    /// The key said no.
    #[error("{command}: {status}")]
    Refused {
        /// What was asked.
        command: Command,
        /// The answer.
        status: Status,
    },
    /// The key answered nonsense, though it may have done what was asked.
    #[error("{command}: the key's answer is malformed: {what}")]
    Malformed {
        /// What was asked.
        command: Command,
        /// What is wrong with it.
        what: Malformed,
    },
    /// The key does not have it; nothing was sent.
    #[error("this key has no {0}")]
    Unsupported(&'static str),
    /// The key's own rules, told by getInfo, forbid it; nothing was sent.
    #[error("{0}")]
    NotPossible(&'static str),
    /// No random bytes; nothing was sent.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl CtapError {
    /// The key's status, if it gave one.
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The key has certainly not done what it was asked. Where this is false, look before asking again.
    pub fn surely_undone(&self) -> bool {
        match self {
            Self::Wire(error) => error.surely_undone(),
            Self::Malformed { .. } => false,
            Self::Refused { .. } | Self::Unsupported(_) | Self::NotPossible(_) | Self::NoEntropy(_) => true,
        }
    }

    /// Whether trying again can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { status, .. } => status.retry(),
            Self::Wire(TransportError::Cancelled { .. } | TransportError::Deadline { .. }) => Retry::WithTouch,
            Self::Wire(TransportError::TooLong { .. }) => Retry::Never,
            Self::Wire(TransportError::Hid(super::transport::HidError::InvalidCommand)) => Retry::Never,
            Self::Wire(TransportError::Hid(_) | TransportError::Garbled(_)) => Retry::Soon,
            Self::Wire(TransportError::Silent { .. } | TransportError::Device(_)) => Retry::Replug,
            Self::Wire(TransportError::NoEntropy(_)) | Self::NoEntropy(_) => Retry::Soon,
            Self::Malformed { .. } | Self::Unsupported(_) | Self::NotPossible(_) => Retry::Never,
        }
    }

    /// We stopped it, or nobody touched the key in time: no failure of the key's.
    pub fn is_no_touch(&self) -> bool {
        match self {
            Self::Wire(TransportError::Cancelled { .. } | TransportError::Deadline { .. }) => true,
            Self::Refused { status, .. } => {
                matches!(status, Status::UserActionTimeout | Status::ActionTimeout | Status::KeepaliveCancel)
            }
            _ => false,
        }
    }

    /// The key is not in the port any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Wire(error) if error.is_gone())
    }
}
