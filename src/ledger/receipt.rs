//! Proof that a PIN is recoverable.

use super::entry::{Attempt, BlobHash};
use crate::model::JobId;

/// Exists only for a sealed PIN that the ledger (and its mirror, where there is one) holds durably. Setting a PIN on a key
/// takes one: that is how "no key ever holds a PIN that nobody can recover" is kept by the compiler.
#[derive(Debug, PartialEq, Eq)]
pub struct SealReceipt {
    job: JobId,
    attempt: Attempt,
    envelope: BlobHash,
}

impl SealReceipt {
    /// Only a ledger may say so, after its commit returned or when it read the seal back.
    pub(in crate::ledger) fn new(job: JobId, attempt: Attempt, envelope: BlobHash) -> Self {
        Self { job, attempt, envelope }
    }

    /// A receipt for nothing, so that the CTAP2 layer can be tested without a ledger.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self::new(JobId::new("TEST"), 1, BlobHash::of(b"test"))
    }

    /// The job it was sealed for.
    pub fn job(&self) -> &JobId {
        &self.job
    }

    /// The try it was sealed for.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// SHA-256 of the custodians' envelope.
    pub fn envelope(&self) -> BlobHash {
        self.envelope
    }
}
