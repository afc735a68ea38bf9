//! From bench to hand: paper, parcels, receipts, and keys that come back or get lost.
//!
//! As everywhere in the chain: no PIN, no name, no address.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attempt, BlobHash, Entry};
use crate::model::{BenchId, JobId, UserId};

/// One act of the hand-over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HandoverEntry {
    /// A PIN letter is about to be printed. Until it is confirmed, nobody knows whether paper exists.
    LetterClaimed {
        /// The job.
        job: JobId,
        /// Whose try's PIN.
        attempt: Attempt,
        /// The sheet's reference, as printed on it.
        sheet: String,
        /// A reprint says why; empty for the first.
        reason: String,
        /// The operating system's name for who did it.
        by: String,
    },
    /// The letter left us: for the printer or as a file.
    LetterPrinted {
        /// The job.
        job: JobId,
        /// The sheet.
        sheet: String,
        /// Where to, e.g. `file` or `ipp`.
        to: String,
    },
    /// Somebody has seen the good sheet, or the spoiled one.
    LetterConfirmed {
        /// The job.
        job: JobId,
        /// The sheet.
        sheet: String,
        /// It came out well; a spoiled one is to be destroyed and printed again.
        good: bool,
    },
    /// A key label was printed.
    LabelPrinted {
        /// The job; none for a REJECT label or stock.
        job: Option<JobId>,
        /// What the label's code says.
        code: String,
    },
    /// A signed bundle, or a log of what was done with one, was written for another desk.
    CustodyGiven {
        /// SHA-256 of the file.
        file: BlobHash,
        /// How many jobs are in it.
        jobs: u64,
        /// The operating system's name for who did it.
        by: String,
    },
    /// Files signed with this key are taken from that desk from here on.
    CustodyPartner {
        /// The desk, as it calls itself.
        desk: BenchId,
        /// Fingerprint of its signing key: SHA-256, first 16 hexadecimal digits.
        signer: String,
        /// The operating system's name for who compared it.
        by: String,
    },
    /// The job's story up to here was copied from another desk's bundle: the `entries` entries about the job before this one.
    CustodyTaken {
        /// The job.
        job: JobId,
        /// Whose bundle.
        desk: BenchId,
        /// The last entry of that desk's ledger that is in it.
        upto: u64,
        /// How many were copied this time.
        entries: u64,
    },
    /// Something that was done at another desk, come home in its log.
    Elsewhere {
        /// Which desk.
        desk: BenchId,
        /// Its position in that desk's ledger.
        seq: u64,
        /// When it was done.
        at: Timestamp,
        /// What.
        done: Box<Entry>,
    },
}

impl HandoverEntry {
    /// The job it is about, if it is about one.
    pub fn job(&self) -> Option<&JobId> {
        match self {
            Self::LetterClaimed { job, .. } | Self::LetterPrinted { job, .. } | Self::LetterConfirmed { job, .. } => {
                Some(job)
            }
            Self::LabelPrinted { job, .. } => job.as_ref(),
            Self::CustodyGiven { .. } | Self::CustodyPartner { .. } => None,
            Self::CustodyTaken { job, .. } => Some(job),
            Self::Elsewhere { done, .. } => done.job(),
        }
    }

    /// The person it is about, if it is about one and names no job.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Elsewhere { done, .. } => done.user(),
            _ => None,
        }
    }

    /// Documents in the side table that it names.
    pub fn documents(&self) -> Vec<BlobHash> {
        Vec::new()
    }
}
