//! How far a job got, as people and reports see it (the exact state is `pipeline::state`'s), and what its batch asks of the hand-over.

use serde::{Deserialize, Serialize};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// No key yet.
    Waiting,
    /// A key has been begun; the same command goes on with it.
    Begun,
    /// The key is registered, read back and hardened.
    Finished,
    /// The key is made and hardened; it is registered when its person has received it.
    Held,
    /// The last try failed; the person needs another one.
    Failed,
    /// The directory or the policy refuses this person.
    Refused,
    /// Set aside: left the roster, or the run ended before it.
    Parked,
}

/// When the PINs of a batch may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseRule {
    /// After the parcel arrived and somebody made sure who holds the key.
    OnReceipt,
    /// When it suits.
    AnyTime,
}

impl ReleaseRule {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OnReceipt, Self::AnyTime];

    /// In settings, in options and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::OnReceipt => "on-receipt",
            Self::AnyTime => "any-time",
        }
    }

    /// Lets a PIN leave that `other` keeps back.
    pub fn is_looser_than(self, other: Self) -> bool {
        (self, other) == (Self::AnyTime, Self::OnReceipt)
    }
}
