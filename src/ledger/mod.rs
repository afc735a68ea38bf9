//! What happened, kept.
//!
//! Promise: what a call here says it kept is still there after a crash, a lost mains plug or a killed process at any
//! instant; an append is there wholly or not at all; nothing that was appended is ever changed; and a change made behind
//! our back is found and named ([`Ledger::verify`]). `docs/LEDGER.md` argues why, and tells how to check it by hand.
//!
//! Exceptions: the side tables (sealed PINs, registration records, people) are replaceable, because a person can ask to be
//! forgotten; the chain holds only hashes of what they hold. And a chain can't know its own length: entries cut off its
//! end are found only by comparing with the mirror, or with a [`Head`] that was printed in a summary.
//!
//! | file | what |
//! |---|---|
//! | [`entry`] | every kind of entry ever written |
//! | [`chain`] | how entries hang together, and what is wrong when they don't |
//! | [`claim`] | a bench's hold on a job |
//! | [`jobs`] | where every job stands: a projection of the entries |
//! | [`sqlite`] | the ledger in one file on this machine |
//! | [`mirror`] | the second copy, somewhere else |
//! | [`openings`] | who opened a PIN, and such records as older versions kept beside the ledger |
//! | [`memory`] | the model: the same promise without a disk |
//! | `conformance` (tests) | the story that every backend must tell |
//! | [`faulty`] | a ledger that stops at the n-th write, for tests |
//! | [`export`] | the chain as rows for auditors |
//! | [`audit_file`] | such rows checked by themselves, without the ledger |

pub mod audit_file;
pub mod chain;
pub mod claim;
#[cfg(test)]
mod conformance;
pub mod entry;
pub mod error;
pub mod export;
pub mod faulty;
pub mod jobs;
pub mod memory;
pub mod mirror;
pub mod openings;
mod place;
mod receipt;
mod rules;
pub mod sqlite;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;

pub use chain::{ChainFault, Head, Row, SeenHead};
pub use claim::Claim;
pub use entry::{Act, Attempt, BlobHash, Counts, Entry, ForcedChange, HandoverEntry, RunEnd, SelfParcel, TenantEntry};
pub use error::LedgerError;
pub use faulty::{Faulty, When};
pub use jobs::{JobFilter, JobLine};
pub use memory::{MemoryLedger, MemoryStore};
pub use place::path_of_url;
pub use receipt::SealReceipt;
pub use sqlite::{
    Opening, SqliteLedger, open_alone, open_desk, open_reader, open_writer, rename_all, restore, set_aside,
};

use crate::model::{BenchId, JobId, JobStatus, Person, SealedPin, UserId};

/// An entry as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Position, from 1, without a gap.
    pub seq: u64,
    /// When it was appended, by the bench's clock.
    pub at: Timestamp,
    /// Which bench appended it.
    pub bench: BenchId,
    /// What happened.
    pub entry: Entry,
    /// Its link in the chain: see [`chain::link`].
    pub hash: [u8; 32],
}

impl Recorded {
    /// When it was done: what came home in another desk's log was done before it came.
    pub fn done_at(&self) -> Timestamp {
        let (mut at, mut entry) = (self.at, &self.entry);
        // It may have come by way of a third desk.
        while let Entry::Handover(HandoverEntry::Elsewhere { at: there, done, .. }) = entry {
            (at, entry) = (*there, done);
        }
        at
    }
}

/// What is to be kept in one go: all of it or nothing.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// Entries, in order. At least one, when anything else is given: a change of the side tables without an entry would
    /// be a change that nobody can see. Not the kinds that have a call of their own: `LedgerCreated`, `PinSealed`
    /// ([`Ledger::append_seal`]), `Claimed` ([`Ledger::claim`]), `Forgotten` ([`Ledger::forget`]) and `Restored`.
    pub entries: Vec<Entry>,
    /// Documents, by hash. Each must be named by one among [`Self::entries`] ([`Entry::documents`]), so that it has an owner.
    pub blobs: Vec<(BlobHash, Vec<u8>)>,
    /// People, as they are to be known from now on.
    pub people: Vec<Person>,
    /// The claim under which this is written. When it is void by now, nothing is written. `None` for what belongs to no
    /// single job: runs, plans.
    pub claim: Option<Claim>,
    /// The position up to which the writer has read: when an entry about one of these jobs was appended after it, by anybody,
    /// nothing is written; where an entry here is about no job, the same goes for others about none. For desks, which decide by
    /// what they have read and claim no job.
    pub as_of: Option<u64>,
}

impl Append {
    /// One entry and nothing else.
    pub fn entry(entry: Entry) -> Self {
        Self { entries: vec![entry], ..Self::default() }
    }

    /// Entries and nothing else.
    pub fn entries(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self { entries: entries.into_iter().collect(), ..Self::default() }
    }

    /// Under this claim.
    #[must_use]
    pub fn under(mut self, claim: &Claim) -> Self {
        self.claim = Some(claim.clone());
        self
    }

    /// Only if nothing about these jobs, or about none, was written after this head, which was asked for before they were looked at.
    #[must_use]
    pub fn as_of(mut self, seen: Head) -> Self {
        self.as_of = Some(seen.seq);
        self
    }

    /// Whether an entry here is about this job, or about none as that one.
    fn is_about(&self, job: Option<&JobId>) -> bool {
        self.entries.iter().any(|entry| entry.job() == job)
    }

    /// With this document: a registration record, a policy as it was.
    #[must_use]
    pub fn with_document(mut self, bytes: Vec<u8>) -> Self {
        self.blobs.push((BlobHash::of(&bytes), bytes));
        self
    }
}

/// A custodians' envelope that takes the place of an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// The job.
    pub job: JobId,
    /// Whose try's PIN.
    pub attempt: Attempt,
    /// The age file.
    pub custodian: Vec<u8>,
    /// Sealed to two groups, one inside the other.
    pub dual: bool,
}

/// A ledger. Every call blocks; a write returns once it is on the disk.
///
/// A failed write has changed nothing, unless its error says otherwise ([`LedgerError::outcome_unknown`]).
pub trait Ledger: Send + Sync {
    /// The bench that writes here.
    fn bench(&self) -> &BenchId;

    /// The last entry's position and hash.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read.
    fn head(&self) -> Result<Head, LedgerError>;

    /// Keeps all of it or nothing, and returns once it is on the disk.
    ///
    /// `ResumeKeyDestroyed` among the entries also empties that seal's resume copy, and what an entry [`Entry::removes`] is
    /// removed, from the log as well.
    ///
    /// # Errors
    /// [`LedgerError::NotAllowed`] for what [`Append`] forbids, [`LedgerError::ClaimLost`], [`LedgerError::Overtaken`], or what
    /// the disk said.
    fn append(&self, what: Append) -> Result<Head, LedgerError>;

    /// Keeps a sealed PIN, and returns once it is on the disk and in the mirror. Only then may a key get the PIN.
    ///
    /// # Errors
    /// [`LedgerError::AlreadySealed`]: a try has one PIN for good. [`LedgerError::Mirror`]: the ledger has the seal, but
    /// its mirror has not; there is no receipt, and [`Ledger::sealed_pin`] gives one when the mirror works again.
    fn append_seal(&self, claim: &Claim, attempt: Attempt, sealed: &SealedPin) -> Result<SealReceipt, LedgerError>;

    /// Reads a sealed PIN back, with a receipt, after making sure that the mirror has it as well. `None` when there is
    /// none, or its person was forgotten. `resume` is empty once `ResumeKeyDestroyed` was written.
    ///
    /// # Errors
    /// [`LedgerError::ReadOnly`] from a reader, which can't vouch for the mirror: it has [`Ledger::envelope`].
    fn sealed_pin(&self, job: &JobId, attempt: Attempt) -> Result<Option<(SealedPin, SealReceipt)>, LedgerError>;

    /// Reads a sealed PIN back for a custodian to open.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be read or is not what the chain says it is.
    fn envelope(&self, job: &JobId, attempt: Attempt) -> Result<Option<SealedPin>, LedgerError>;

    /// Changes the custodians and replaces their envelopes, all of it or nothing: `set` is the `CustodiansSet`, and each
    /// envelope gets a `PinSealed` with its new hash. Resume copies stay.
    ///
    /// # Errors
    /// [`LedgerError::NotAllowed`] when `set` is another kind of entry, or there is no such seal.
    fn reseal(&self, set: Entry, envelopes: Vec<Resealed>) -> Result<Head, LedgerError>;

    /// A document. `None` when it was never kept, or its person was forgotten.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be read or its hash differs.
    fn blob(&self, hash: BlobHash) -> Result<Option<Vec<u8>>, LedgerError>;

    /// A person, as last planned.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be read.
    fn person(&self, user: &UserId) -> Result<Option<Person>, LedgerError>;

    /// Everybody, by object id.
    ///
    /// # Errors
    /// [`LedgerError`] when they can't be read.
    fn people(&self) -> Result<Vec<Person>, LedgerError>;

    /// Empties the side tables of what belongs to a person: name, addresses, sealed PINs, registration records. Appends
    /// `Forgotten`, also when there was nothing to empty.
    ///
    /// # Errors
    /// [`LedgerError::NotAllowed`] while one of the person's jobs has a key begun: its PIN must stay recoverable.
    fn forget(&self, user: &UserId, reason: &str) -> Result<Head, LedgerError>;

    /// Everything about a job, in order.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be read.
    fn entries_of(&self, job: &JobId) -> Result<Vec<Recorded>, LedgerError>;

    /// Everything from a position on, in order, until the visitor breaks.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be read.
    fn visit(&self, from_seq: u64, visitor: &mut dyn FnMut(Recorded) -> ControlFlow<()>) -> Result<(), LedgerError>;

    /// Everything that is about no job, in order: custodians, runs, the tenant's settings, passes. A small part of a ledger, and
    /// found without reading the rest.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be read.
    fn visit_jobless(&self, visitor: &mut dyn FnMut(Recorded) -> ControlFlow<()>) -> Result<(), LedgerError> {
        self.visit(1, &mut |recorded| match recorded.entry.job() {
            Some(_) => ControlFlow::Continue(()),
            None => visitor(recorded),
        })
    }

    /// Every entry as it is stored, byte for byte, in order, until the visitor breaks.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be read.
    fn visit_rows(&self, visitor: &mut dyn FnMut(Row) -> ControlFlow<()>) -> Result<(), LedgerError> {
        let mut broken = None;
        self.visit(1, &mut |recorded| match serde_json::to_string(&recorded.entry) {
            Ok(body) => {
                let (at, bench) = (recorded.at.to_string(), recorded.bench.as_str().to_owned());
                visitor(Row { seq: recorded.seq, at, bench, body, hash: recorded.hash })
            }
            Err(error) => {
                broken = Some(LedgerError::UnknownEntry { seq: recorded.seq, what: error.to_string() });
                ControlFlow::Break(())
            }
        })?;
        broken.map_or(Ok(()), Err)
    }

    /// Takes the job for this bench. A claim that this bench left behind when it died is retaken at once; one that this
    /// process holds is returned as it is while half of its time is left.
    ///
    /// # Errors
    /// [`LedgerError::ClaimedElsewhere`] while another bench holds it.
    fn claim(&self, job: &JobId) -> Result<Claim, LedgerError>;

    /// Lets the job go. Doing it twice, or with a void claim, changes nothing.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be written.
    fn release(&self, claim: &Claim) -> Result<(), LedgerError>;

    /// Where jobs stand, in the order in which they were planned. One pass.
    ///
    /// # Errors
    /// [`LedgerError`] when they can't be read.
    fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobLine>, LedgerError>;

    /// Where one job stands.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be read.
    fn job(&self, job: &JobId) -> Result<Option<JobLine>, LedgerError>;

    /// Until when each held key can be registered; those whose hold has ended are left out. Reads what is about held jobs, and nothing
    /// else.
    ///
    /// # Errors
    /// [`LedgerError`] when it can't be read.
    fn held_until(&self) -> Result<BTreeMap<JobId, Timestamp>, LedgerError> {
        let mut until = BTreeMap::new();
        for line in self.jobs(&JobFilter::all())?.into_iter().filter(|line| line.status == JobStatus::Held) {
            let entries = self.entries_of(&line.job)?;
            if let Some(expires) = entries.iter().fold(None, |until, one| jobs::hold_after(until, &one.entry)) {
                until.insert(line.job, expires);
            }
        }
        Ok(until)
    }

    /// Checks every link of the chain, every side table against it, and, when one is given, that a head seen earlier is
    /// still in it. Takes time in proportion to the ledger.
    ///
    /// # Errors
    /// [`LedgerError::Chain`] names the entry that was altered, is missing or was moved.
    fn verify(&self, seen: Option<SeenHead>) -> Result<Head, LedgerError>;
}
