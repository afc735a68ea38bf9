//! The model: what a ledger promises, without a disk. The other backends are compared with it, operation by operation; the
//! pipeline's tests use it where only the promise matters. Several benches may open one store, as with a database server.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::chain::{ChainFault, GENESIS, Head, SeenHead, link};
use super::claim::{self, Decision, Hold};
use super::entry::{Attempt, BlobHash, Entry};
use super::error::LedgerError;
use super::jobs::{JobFilter, JobLine, advance};
use super::{Append, Claim, Ledger, Recorded, Resealed, SealReceipt, rules};
use crate::model::{BenchId, JobId, Person, SealedPin, UserId};
use crate::world::Clock;

/// What is kept; it outlives the ledgers that are opened on it, as a file outlives a process.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    rows: Vec<(Recorded, String)>,
    order: Vec<JobId>,
    jobs: BTreeMap<JobId, JobLine>,
    holds: BTreeMap<JobId, Hold>,
    seals: BTreeMap<(JobId, Attempt), (BlobHash, SealedPin)>,
    blobs: BTreeMap<BlobHash, (rules::Owner, Vec<u8>)>,
    people: BTreeMap<UserId, Person>,
    sessions: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a ledger on it, as a process would that starts now.
    pub fn open(&self, bench: BenchId, clock: Arc<dyn Clock>) -> MemoryLedger {
        let mut kept = self.kept();
        kept.sessions += 1;
        let session = kept.sessions.to_string();
        if kept.rows.is_empty() {
            let created = Entry::LedgerCreated { nonce: "memory".into(), version: env!("CARGO_PKG_VERSION").into() };
            kept.put(clock.now(), &bench, created);
        }
        drop(kept);
        MemoryLedger { store: self.clone(), bench, session, clock }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A ledger in memory.
pub struct MemoryLedger {
    store: MemoryStore,
    bench: BenchId,
    session: String,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for MemoryLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryLedger({})", self.bench)
    }
}

impl Kept {
    fn head(&self) -> Head {
        self.rows.last().map_or(Head::EMPTY, |(row, _)| Head { seq: row.seq, hash: row.hash })
    }

    /// Can't fail: what could be wrong was looked at before.
    fn put(&mut self, at: Timestamp, bench: &BenchId, entry: Entry) {
        let before = self.head();
        let seq = before.seq + 1;
        let body = serde_json::to_string(&entry).unwrap_or_default();
        let hash = link(&before.hash, seq, &at.to_string(), bench.as_str(), &body);
        let recorded = Recorded { seq, at, bench: bench.clone(), entry, hash };
        if let Some(job) = recorded.entry.job().cloned() {
            let line = self.jobs.remove(&job);
            if line.is_none() {
                self.order.push(job.clone());
            }
            if let Some(line) = advance(line, &recorded) {
                self.jobs.insert(job, line);
            }
        }
        self.rows.push((recorded, body));
    }

    fn planned(&self, job: &JobId) -> Result<(), LedgerError> {
        if self.jobs.contains_key(job) { Ok(()) } else { Err(rules::unplanned(job)) }
    }

    fn was_sealed(&self, job: &JobId, attempt: Attempt) -> bool {
        self.rows.iter().any(|(row, _)| {
            matches!(&row.entry, Entry::PinSealed { job: other, attempt: try_, .. } if other == job && *try_ == attempt)
        })
    }
}

impl MemoryLedger {
    fn holds(&self, kept: &Kept, claim: &Claim) -> bool {
        claim::holds(claim, kept.holds.get(claim.job()), &self.bench, &self.session)
    }
}

impl Ledger for MemoryLedger {
    fn bench(&self) -> &BenchId {
        &self.bench
    }

    fn head(&self) -> Result<Head, LedgerError> {
        Ok(self.store.kept().head())
    }

    fn append(&self, what: Append) -> Result<Head, LedgerError> {
        let owners = rules::check(&what)?;
        let mut kept = self.store.kept();
        if let Some(claim) = &what.claim
            && !self.holds(&kept, claim)
        {
            return Err(rules::lost(claim));
        }
        let mut planned_here = Vec::new();
        for entry in &what.entries {
            match entry {
                Entry::JobPlanned { job, .. } => planned_here.push(job),
                entry => match entry.job() {
                    Some(job) if !planned_here.contains(&job) => kept.planned(job)?,
                    _ => {}
                },
            }
        }
        if let Some(seen) = what.as_of
            && let Some((row, _)) = kept.rows.iter().find(|(row, _)| row.seq > seen && what.is_about(row.entry.job()))
        {
            return Err(rules::overtaken(row.entry.job()));
        }
        let now = self.clock.now();
        for person in what.people {
            kept.people.insert(person.id.clone(), person);
        }
        for entry in what.entries {
            if let Entry::ResumeKeyDestroyed { job, attempt } = &entry
                && let Some((_, sealed)) = kept.seals.get_mut(&(job.clone(), *attempt))
            {
                sealed.resume.clear();
            }
            if let Some((job, document)) = entry.removes()
                && kept.blobs.get(&document).is_some_and(|(owner, _)| owner.job.as_ref() == Some(job))
            {
                kept.blobs.remove(&document);
            }
            kept.put(now, &self.bench, entry);
        }
        for (hash, bytes) in what.blobs {
            if let Some(owner) = owners.get(&hash) {
                kept.blobs.entry(hash).or_insert_with(|| (owner.clone(), bytes));
            }
        }
        Ok(kept.head())
    }

    fn append_seal(&self, claim: &Claim, attempt: Attempt, sealed: &SealedPin) -> Result<SealReceipt, LedgerError> {
        let mut kept = self.store.kept();
        if !self.holds(&kept, claim) {
            return Err(rules::lost(claim));
        }
        let job = claim.job().clone();
        if kept.was_sealed(&job, attempt) {
            return Err(LedgerError::AlreadySealed { job, attempt });
        }
        let (envelope, resume) = (BlobHash::of(&sealed.custodian), BlobHash::of(&sealed.resume));
        let entry = Entry::PinSealed { job: job.clone(), attempt, envelope, resume, dual: sealed.dual };
        kept.put(self.clock.now(), &self.bench, entry);
        kept.seals.insert((job.clone(), attempt), (resume, sealed.clone()));
        Ok(SealReceipt::new(job, attempt, envelope))
    }

    fn sealed_pin(&self, job: &JobId, attempt: Attempt) -> Result<Option<(SealedPin, SealReceipt)>, LedgerError> {
        Ok(self.envelope(job, attempt)?.map(|sealed| {
            let receipt = SealReceipt::new(job.clone(), attempt, BlobHash::of(&sealed.custodian));
            (sealed, receipt)
        }))
    }

    fn envelope(&self, job: &JobId, attempt: Attempt) -> Result<Option<SealedPin>, LedgerError> {
        Ok(self.store.kept().seals.get(&(job.clone(), attempt)).map(|(_, sealed)| sealed.clone()))
    }

    fn reseal(&self, set: Entry, envelopes: Vec<Resealed>) -> Result<Head, LedgerError> {
        rules::changes_custodians(&set)?;
        let mut kept = self.store.kept();
        for new in &envelopes {
            if !kept.seals.contains_key(&(new.job.clone(), new.attempt)) {
                return Err(rules::no_such_seal(&new.job, new.attempt));
            }
        }
        let now = self.clock.now();
        kept.put(now, &self.bench, set);
        for Resealed { job, attempt, custodian, dual } in envelopes {
            let Some((resume, sealed)) = kept.seals.get_mut(&(job.clone(), attempt)) else { continue };
            let (envelope, resume) = (BlobHash::of(&custodian), *resume);
            (sealed.custodian, sealed.dual) = (custodian, dual);
            kept.put(now, &self.bench, Entry::PinSealed { job, attempt, envelope, resume, dual });
        }
        Ok(kept.head())
    }

    fn blob(&self, hash: BlobHash) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.store.kept().blobs.get(&hash).map(|(_, bytes)| bytes.clone()))
    }

    fn person(&self, user: &UserId) -> Result<Option<Person>, LedgerError> {
        Ok(self.store.kept().people.get(user).cloned())
    }

    fn people(&self) -> Result<Vec<Person>, LedgerError> {
        Ok(self.store.kept().people.values().cloned().collect())
    }

    fn forget(&self, user: &UserId, reason: &str) -> Result<Head, LedgerError> {
        let mut kept = self.store.kept();
        // In the order of planning, as the other ledgers go through them: the answer names the first.
        let theirs: Vec<&JobLine> =
            kept.order.iter().filter_map(|job| kept.jobs.get(job)).filter(|line| line.user == *user).collect();
        rules::may_forget(theirs.iter().copied())?;
        let theirs: Vec<JobId> = theirs.into_iter().map(|line| line.job.clone()).collect();
        kept.people.remove(user);
        kept.seals.retain(|(job, _), _| !theirs.contains(job));
        kept.blobs.retain(|_, (owner, _)| {
            owner.user.as_ref() != Some(user) && owner.job.as_ref().is_none_or(|job| !theirs.contains(job))
        });
        let entry = Entry::Forgotten { user: user.clone(), reason: reason.to_owned() };
        kept.put(self.clock.now(), &self.bench, entry);
        Ok(kept.head())
    }

    fn entries_of(&self, job: &JobId) -> Result<Vec<Recorded>, LedgerError> {
        let kept = self.store.kept();
        Ok(kept.rows.iter().map(|(row, _)| row).filter(|row| row.entry.job() == Some(job)).cloned().collect())
    }

    fn visit(&self, from_seq: u64, visitor: &mut dyn FnMut(Recorded) -> ControlFlow<()>) -> Result<(), LedgerError> {
        let mut seq = from_seq.max(1);
        loop {
            // The visitor may ask the ledger, so the lock is not held while it looks.
            let row = usize::try_from(seq - 1).ok().and_then(|index| self.store.kept().rows.get(index).cloned());
            let Some((row, _)) = row else { return Ok(()) };
            if visitor(row).is_break() {
                return Ok(());
            }
            seq += 1;
        }
    }

    fn claim(&self, job: &JobId) -> Result<Claim, LedgerError> {
        let mut kept = self.store.kept();
        kept.planned(job)?;
        let now = self.clock.now();
        match claim::decide(job, kept.holds.get(job), (&self.bench, &self.session), now, false) {
            Decision::Keep(claim) => Ok(claim),
            Decision::Leave { bench, expires } => {
                Err(LedgerError::ClaimedElsewhere { job: job.clone(), bench, expires })
            }
            Decision::Take(claim) => {
                let (fence, expires) = (claim.fence(), claim.expires());
                kept.put(now, &self.bench, Entry::Claimed { job: job.clone(), fence, expires });
                let (bench, session) = (self.bench.clone(), self.session.clone());
                kept.holds.insert(job.clone(), Hold { fence, bench, session, expires, released: false });
                Ok(claim)
            }
        }
    }

    fn release(&self, claim: &Claim) -> Result<(), LedgerError> {
        let mut kept = self.store.kept();
        if self.holds(&kept, claim)
            && let Some(hold) = kept.holds.get_mut(claim.job())
        {
            hold.released = true;
        }
        Ok(())
    }

    fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobLine>, LedgerError> {
        let kept = self.store.kept();
        let lines = kept.order.iter().filter_map(|job| kept.jobs.get(job));
        Ok(lines.filter(|line| filter.takes(line)).cloned().collect())
    }

    fn job(&self, job: &JobId) -> Result<Option<JobLine>, LedgerError> {
        Ok(self.store.kept().jobs.get(job).cloned())
    }

    fn verify(&self, seen: Option<SeenHead>) -> Result<Head, LedgerError> {
        let kept = self.store.kept();
        let mut before = GENESIS;
        let mut seen_it = seen.is_none_or(|seen| seen.is(&Head::EMPTY));
        for (row, body) in &kept.rows {
            let hash = link(&before, row.seq, &row.at.to_string(), row.bench.as_str(), body);
            if hash != row.hash {
                return Err(ChainFault::Altered { seq: row.seq }.into());
            }
            before = hash;
            seen_it |= seen.is_some_and(|seen| seen.is(&Head { seq: row.seq, hash }));
        }
        match seen {
            Some(seen) if !seen_it => Err(ChainFault::HeadNotFound { seen, head: kept.head() }.into()),
            _ => Ok(kept.head()),
        }
    }
}
