//! How entries hang together. Pure.
//!
//! Each entry's hash covers the hash before it, so a changed, removed or moved entry breaks every link after it. What is
//! hashed are the texts as they are stored, never a re-serialization: a new version of the program can't break old links.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::Recorded;
use super::entry::{Attempt, BlobHash};
use super::error::LedgerError;
use crate::model::{BenchId, JobId, UserId};

/// The hash "before" the first entry.
pub const GENESIS: [u8; 32] = [0; 32];

/// The last entry's position and hash. Shown as `seq:first 16 hexadecimal digits`, e.g. `48:9f86d081884c7d65`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// Position of the last entry.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Head {
    /// Before anything was written.
    pub const EMPTY: Self = Self { seq: 0, hash: GENESIS };
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.seq)?;
        self.hash.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({self})")
    }
}

/// A head as somebody noted it down: the position and the first half of the hash's digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenHead {
    seq: u64,
    start: [u8; 8],
}

impl SeenHead {
    /// Reads what [`Head`] shows; `None` when the text is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, start) = text.trim().split_once(':')?;
        if start.len() != 16 || !start.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let start = u64::from_str_radix(start, 16).ok()?.to_be_bytes();
        Some(Self { seq: seq.parse().ok()?, start })
    }

    /// The position that was noted.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether it is this one.
    pub fn is(&self, head: &Head) -> bool {
        *self == Self::from(*head)
    }
}

impl From<Head> for SeenHead {
    fn from(head: Head) -> Self {
        let mut start = [0; 8];
        start.iter_mut().zip(head.hash).for_each(|(slot, byte)| *slot = byte);
        Self { seq: head.seq, start }
    }
}

impl fmt::Display for SeenHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:016x}", self.seq, u64::from_be_bytes(self.start))
    }
}

/// One entry as it is stored: texts, not yet understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Position.
    pub seq: u64,
    /// RFC 3339, UTC.
    pub at: String,
    /// By which bench.
    pub bench: String,
    /// The entry as JSON.
    pub body: String,
    /// Its link.
    pub hash: [u8; 32],
}

impl Row {
    /// What it says.
    ///
    /// # Errors
    /// [`LedgerError::UnknownEntry`].
    pub fn understand(&self) -> Result<Recorded, LedgerError> {
        let unknown = |what: String| LedgerError::UnknownEntry { seq: self.seq, what };
        let at = self.at.parse().map_err(|error: jiff::Error| unknown(error.to_string()))?;
        let entry = serde_json::from_str(&self.body).map_err(|error| unknown(error.to_string()))?;
        Ok(Recorded { seq: self.seq, at, bench: BenchId::new(self.bench.clone()), entry, hash: self.hash })
    }

    /// What kind of entry it is, without reading it: the kind is the first member of every entry (serde writes the tag first).
    pub fn kind(&self) -> &str {
        self.body.strip_prefix(r#"{"kind":""#).and_then(|rest| rest.split('"').next()).unwrap_or_default()
    }

    /// The act of an entry of the hand-over; empty for every other kind.
    pub fn act(&self) -> &str {
        self.body
            .strip_prefix(r#"{"kind":"handover","act":""#)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or_default()
    }

    /// The link it should have after an entry with this hash.
    pub(super) fn link_after(&self, before: &[u8; 32]) -> [u8; 32] {
        link(before, self.seq, &self.at, &self.bench, &self.body)
    }

    pub(super) fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash }
    }

    /// Whether it is worth looking for a sealed PIN beside it.
    pub(super) fn may_be_seal(&self) -> bool {
        self.kind() == "pin-sealed"
    }
}

/// A link: SHA-256 of the hash before, the position as 8 bytes, then time, bench and body, each after its length as
/// 8 bytes. Numbers are big-endian; texts are UTF-8.
pub fn link(before: &[u8; 32], seq: u64, at: &str, bench: &str, body: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(seq.to_be_bytes());
    for part in [at, bench, body] {
        // usize is at most 64 bits wide on every target.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// What is wrong with a chain or a side table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// The entry's text or hash was changed.
    #[error("entry {seq} was altered")]
    Altered {
        /// Which.
        seq: u64,
    },
    /// The entry was removed.
    #[error("entry {seq} is missing")]
    Missing {
        /// Which.
        seq: u64,
    },
    /// The entry was moved.
    #[error("entry {seq} was moved: it stands at {found_at}")]
    Moved {
        /// Where it belongs.
        seq: u64,
        /// Where it is.
        found_at: u64,
    },
    /// The ledger ends before, or differs at, a head that was seen earlier.
    #[error("the head {seen} that was seen earlier is not in it; it ends at {head}")]
    HeadNotFound {
        /// The earlier head.
        seen: SeenHead,
        /// The present one.
        head: Head,
    },
    /// A sealed PIN is missing, though its person was not forgotten.
    #[error("the sealed PIN of job {job}, try {attempt} is missing")]
    SealMissing {
        /// The job.
        job: JobId,
        /// The try.
        attempt: Attempt,
    },
    /// A sealed PIN is not the one whose hash is in the chain.
    #[error("the sealed PIN of job {job}, try {attempt} was altered")]
    SealAltered {
        /// The job.
        job: JobId,
        /// The try.
        attempt: Attempt,
    },
    /// A registration record is not what its hash says.
    #[error("the registration record {0} was altered")]
    BlobAltered(BlobHash),
    /// A forgotten person is there.
    #[error("the person {0} was forgotten, and something of theirs is there")]
    NotForgotten(UserId),
    /// The list of jobs does not follow from the entries.
    #[error("the list of jobs differs from the entries at job {0}")]
    JobList(JobId),
}

/// Checks rows one after another.
#[derive(Debug)]
pub(super) struct Checker {
    last: Head,
}

impl Checker {
    /// From the first entry on.
    pub(super) fn new() -> Self {
        Self { last: Head::EMPTY }
    }

    /// From the entry after `last` on, which is taken as it is.
    pub(super) fn after(last: Head) -> Self {
        Self { last }
    }

    /// The next row. A row that does not follow is `Missing` when its position leaves a gap, else `Altered`;
    /// [`Self::is_next_elsewhere`] tells whether the right one still stands somewhere else.
    pub(super) fn next(&mut self, row: &Row) -> Result<(), ChainFault> {
        let expected = self.last.seq.saturating_add(1);
        if row.seq != expected {
            return Err(ChainFault::Missing { seq: expected });
        }
        if link(&self.last.hash, row.seq, &row.at, &row.bench, &row.body) != row.hash {
            return Err(ChainFault::Altered { seq: row.seq });
        }
        self.last = row.head();
        Ok(())
    }

    pub(super) fn head(&self) -> Head {
        self.last
    }

    /// Whether `row`, wherever it stands, is the one that belongs next: then it was moved from there.
    pub(super) fn is_next_elsewhere(&self, row: &Row) -> bool {
        let expected = self.last.seq.saturating_add(1);
        row.seq != expected && link(&self.last.hash, expected, &row.at, &row.bench, &row.body) == row.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_covers_each_part_and_where_it_ends() {
        let first = link(&GENESIS, 1, "2027-01-15T08:00:00Z", "us", "{}");
        // Computed with Python's hashlib from the description in docs/LEDGER.md.
        assert_eq!(BlobHash(first).to_string(), "a8fb14016c312393e5f049ffab4504d61c28c258fde53afe0db55f0d4f345d81");
        assert_ne!(first, link(&first, 1, "2027-01-15T08:00:00Z", "us", "{}"));
        assert_ne!(first, link(&GENESIS, 2, "2027-01-15T08:00:00Z", "us", "{}"));
        assert_ne!(first, link(&GENESIS, 1, "2027-01-15T08:00:00Zu", "s", "{}"));
    }

    #[test]
    fn a_printed_head_is_known_again() {
        let head = Head { seq: 48, hash: link(&GENESIS, 1, "", "", "") };
        let seen = SeenHead::parse(&head.to_string()).expect("a head");
        assert!(seen.is(&head) && !seen.is(&Head { seq: 49, ..head }) && !seen.is(&Head { hash: GENESIS, ..head }));
        assert_eq!(seen.to_string(), head.to_string());
        for bad in ["", "48", "48:", "48:12", "x:0123456789abcdef", "48:+123456789abcdef", "48:0123456789abcdeg"] {
            assert_eq!(SeenHead::parse(bad), None, "{bad}");
        }
    }
}
