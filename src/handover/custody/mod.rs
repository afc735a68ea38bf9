//! Work on sealed PINs away from the bench: a signed bundle goes to the mail room, and what was done there comes home.
//!
//! ```text
//! bench ledger ─► give: bundle ─► take ─► mail room's own ledger: letters, packing, openings
//!       ▲                                                   │
//!       └──────────── take ◄──────── give: log ◄────────────┘
//! ```
//!
//! Promise: a file whose bytes or signer are not the expected ones changes nothing; taking a file twice changes nothing; a
//! take that was cut off is finished by taking the file again; a log brings home acts of the hand-over and nothing else, each
//! with its own time and desk; who was forgotten here is not brought back by a file of a desk that still
//! knows them, unless it brings a new key or parcel of theirs. Exception: a bundle holds names and addresses in clear, and PINs only as they are sealed; the sealed
//! registrations of held keys stay at the bench, where they are activated.

mod file;
mod give;
mod take;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ledger::{Attempt, Entry, HandoverEntry};
use crate::model::{BatchId, BenchId, JobId, Person, ReleaseRule};

pub use file::{FileError, Opened, SigningKey, open, sign};
pub use give::{bundle, log};
pub use take::{TakeError, Taken, take};

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Jobs to work on.
    Bundle,
    /// What was done.
    Log,
}

/// A file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Which of the two.
    pub kind: Kind,
    /// Who wrote it.
    pub desk: BenchId,
    /// When.
    pub made: Timestamp,
    /// The writer's ledger at that time: position and hash, as `ledger verify --head` takes it.
    pub head: String,
    /// The batch that was asked for.
    pub batch: Option<BatchId>,
    /// Whom the PINs are sealed to; in a bundle.
    pub custodians: Option<Custodians>,
    /// Job by job.
    pub jobs: Vec<JobPart>,
    /// What those jobs' batches ask; in a bundle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<BatchRule>,
    /// Parcels for people who register themselves: they are about no job. Of a log what was done there, of a bundle all that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parcels: Vec<Happened>,
    /// The people of those parcels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
}

/// What a batch asks of the hand-over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRule {
    /// The batch.
    pub batch: BatchId,
    /// When its PINs may leave.
    pub release: ReleaseRule,
}

/// Fingerprints of the custodians in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custodians {
    /// First group.
    pub first: Vec<String>,
    /// Second group; empty unless PINs are under dual control.
    pub second: Vec<String>,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobPart {
    /// It.
    pub job: JobId,
    /// Whose; in a bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// What happened, in order.
    pub entries: Vec<Happened>,
    /// Sealed PINs; in a bundle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<Seal>,
}

/// An entry of the writer's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happened {
    /// Its position there.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub entry: Entry,
}

/// A custodians' envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// Whose try's PIN.
    pub attempt: Attempt,
    /// The age file, in base64.
    pub custodian: String,
    /// Sealed to two groups, one inside the other.
    pub dual: bool,
}

/// What a desk away from the bench may do and bring home. Everything else is the bench's to say.
fn is_act(entry: &Entry) -> bool {
    match entry {
        Entry::PinOpened { .. } | Entry::Revoked { .. } | Entry::Tenant(_) => true,
        Entry::Handover(act) => !matches!(
            act,
            HandoverEntry::CustodyGiven { .. }
                | HandoverEntry::CustodyPartner { .. }
                | HandoverEntry::CustodyTaken { .. }
                | HandoverEntry::Elsewhere { .. }
                | HandoverEntry::HoldChosen { .. }
                | HandoverEntry::Held { .. }
                | HandoverEntry::HoldResealed { .. }
                | HandoverEntry::HoldEnded { .. }
                | HandoverEntry::ActivationBegun { .. }
                | HandoverEntry::ActivationKeysSet { .. }
                | HandoverEntry::BatchRuled { .. }
        ),
        _ => false,
    }
}

/// An act on a parcel for somebody who registers themselves.
fn is_of_self_parcel(entry: &Entry) -> bool {
    matches!(entry, Entry::Handover(act) if act.is_of_self_parcel())
}
