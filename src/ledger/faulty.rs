//! A ledger that stops at the n-th write, as a killed process would: before the commit, so that nothing of the write is
//! there, or after it, so that all of it is there and nobody was told. From then on every call fails.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::entry::{Attempt, BlobHash, Entry};
use super::error::LedgerError;
use super::jobs::{JobFilter, JobLine};
use super::{Append, Claim, Head, Ledger, Recorded, Resealed, SealReceipt, SeenHead};
use crate::model::{BenchId, JobId, Person, SealedPin, UserId};

/// On which side of the commit to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing of the write is kept.
    BeforeCommit,
    /// All of it is kept, but the caller never hears of it.
    AfterCommit,
}

/// A ledger with a fault planned. Reopen the ledger inside to go on "after the restart".
pub struct Faulty {
    inner: Arc<dyn Ledger>,
    stop_at: u64,
    when: When,
    writes: AtomicU64,
    stopped: AtomicBool,
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Faulty {{ stop_at: {}, when: {:?}, writes: {} }}", self.stop_at, self.when, self.writes())
    }
}

impl Faulty {
    /// Stops at the `stop_at`-th write; the first is 1. 0 never stops.
    pub fn new(inner: Arc<dyn Ledger>, stop_at: u64, when: When) -> Self {
        Self { inner, stop_at, when, writes: AtomicU64::new(0), stopped: AtomicBool::new(false) }
    }

    /// Never stops; counts only.
    pub fn counting(inner: Arc<dyn Ledger>) -> Self {
        Self::new(inner, 0, When::BeforeCommit)
    }

    /// How many writes were asked for: `append`, `append_seal`, `reseal`, `forget`, `claim` and `release`.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Whether it has stopped.
    pub fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn read<T>(&self, read: impl FnOnce(&dyn Ledger) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        if self.has_stopped() { Err(LedgerError::Stopped) } else { read(&*self.inner) }
    }

    fn write<T>(&self, write: impl FnOnce(&dyn Ledger) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        if self.has_stopped() {
            return Err(LedgerError::Stopped);
        }
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if number != self.stop_at {
            return write(&*self.inner);
        }
        self.stopped.store(true, Ordering::SeqCst);
        if self.when == When::AfterCommit {
            write(&*self.inner)?;
        }
        Err(LedgerError::Stopped)
    }
}

impl Ledger for Faulty {
    fn bench(&self) -> &BenchId {
        self.inner.bench()
    }
    fn head(&self) -> Result<Head, LedgerError> {
        self.read(|inner| inner.head())
    }
    fn append(&self, what: Append) -> Result<Head, LedgerError> {
        self.write(|inner| inner.append(what))
    }
    fn append_seal(&self, claim: &Claim, attempt: Attempt, sealed: &SealedPin) -> Result<SealReceipt, LedgerError> {
        self.write(|inner| inner.append_seal(claim, attempt, sealed))
    }
    fn sealed_pin(&self, job: &JobId, attempt: Attempt) -> Result<Option<(SealedPin, SealReceipt)>, LedgerError> {
        self.read(|inner| inner.sealed_pin(job, attempt))
    }
    fn envelope(&self, job: &JobId, attempt: Attempt) -> Result<Option<SealedPin>, LedgerError> {
        self.read(|inner| inner.envelope(job, attempt))
    }
    fn reseal(&self, set: Entry, envelopes: Vec<Resealed>) -> Result<Head, LedgerError> {
        self.write(|inner| inner.reseal(set, envelopes))
    }
    fn blob(&self, hash: BlobHash) -> Result<Option<Vec<u8>>, LedgerError> {
        self.read(|inner| inner.blob(hash))
    }
    fn person(&self, user: &UserId) -> Result<Option<Person>, LedgerError> {
        self.read(|inner| inner.person(user))
    }
    fn people(&self) -> Result<Vec<Person>, LedgerError> {
        self.read(|inner| inner.people())
    }
    fn forget(&self, user: &UserId, reason: &str) -> Result<Head, LedgerError> {
        self.write(|inner| inner.forget(user, reason))
    }
    fn entries_of(&self, job: &JobId) -> Result<Vec<Recorded>, LedgerError> {
        self.read(|inner| inner.entries_of(job))
    }
    fn visit(&self, from_seq: u64, visitor: &mut dyn FnMut(Recorded) -> ControlFlow<()>) -> Result<(), LedgerError> {
        self.read(|inner| inner.visit(from_seq, visitor))
    }
    fn claim(&self, job: &JobId) -> Result<Claim, LedgerError> {
        self.write(|inner| inner.claim(job))
    }
    fn release(&self, claim: &Claim) -> Result<(), LedgerError> {
        self.write(|inner| inner.release(claim))
    }
    fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobLine>, LedgerError> {
        self.read(|inner| inner.jobs(filter))
    }
    fn job(&self, job: &JobId) -> Result<Option<JobLine>, LedgerError> {
        self.read(|inner| inner.job(job))
    }
    fn verify(&self, seen: Option<SeenHead>) -> Result<Head, LedgerError> {
        self.read(|inner| inner.verify(seen))
    }
}
