//! The ledger in one SQLite file on this machine: WAL, synced on every commit, one bench, desks that write beside it, readers.
//!
//! Order of a write: transaction committed and synced, then the mirror, then the answer. So the mirror is never ahead of a
//! ledger that merely crashed, and a ledger that is behind its mirror was put back from an old copy.
//!
//! What several programs write is put in order by two things: a transaction takes SQLite's lock, in the order in which they
//! asked for it, before it reads the head that it builds on, and the mirror is written in turns, each of which begins by looking where it ends. Nothing is kept in memory
//! that another program could make untrue.

mod lock;
mod open;
mod owed;
mod restore;
mod tables;
mod trouble;
mod verify;

#[cfg(test)]
mod desk_tests;
#[cfg(test)]
mod old_ledgers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use open::{Opening, open_alone, open_desk, open_reader, open_writer};
pub use restore::{rename_all, restore, set_aside};

use super::claim::{self, Decision, Hold};
use super::entry::{Attempt, BlobHash, Entry};
use super::error::LedgerError;
use super::jobs::{self, JobFilter, JobLine};
use super::mirror::Mirror;
use super::{Append, Claim, Head, Ledger, Recorded, Resealed, Row, SealReceipt, SeenHead, rules};
use crate::model::{BenchId, JobId, Person, SealedPin, UserId};
use crate::platform::lock::FileLock;
use crate::world::Clock;
use lock::{Lock, Role};
use open::Pages;
use tables::Pen;
use trouble::Trouble;

/// How many rows are read at a time where all are wanted.
const PAGE: usize = 1000;

/// How long a seal waits for its turn at the mirror: another program that is there writes a page at most.
const MIRROR_NEEDED: Duration = Duration::from_secs(10);
/// How long anything else of a bench does; what it misses gets there before the next seal's receipt.
const MIRROR_LATER: Duration = Duration::from_millis(200);
/// How long the log's emptying may keep others from writing while it waits for readers.
const SCRUB: Duration = Duration::from_millis(250);

/// A ledger in an SQLite file. From [`open_writer`], [`open_desk`] and [`open_alone`] it writes, from [`open_reader`] every write
/// is refused.
pub struct SqliteLedger {
    path: PathBuf,
    bench: BenchId,
    /// Random for each opening. Another session of the same bench is dead, because only one can hold the lock; of a desk's
    /// that has a job, its own lock tells.
    session: String,
    /// `None` in a reader.
    clock: Option<Arc<dyn Clock>>,
    inner: Mutex<Inner>,
}

struct Inner {
    db: Connection,
    mirror: Option<Mirror>,
    /// A commit failed in a way that leaves open what is on the disk: nothing more until the file is opened again.
    broken: Option<String>,
    /// `None` in a reader.
    role: Option<Role>,
    lock: Option<Lock>,
    /// The jobs that this desk has claimed, and the lock that tells others that it lives.
    claimed: Option<(FileLock, BTreeSet<JobId>)>,
}

impl fmt::Debug for SqliteLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteLedger({})", self.path.display())
    }
}

/// A transaction that writes.
struct Writing<'a> {
    db: Transaction<'a>,
    head: Head,
    now: Timestamp,
    bench: &'a BenchId,
    session: &'a str,
}

impl Writing<'_> {
    fn put(&mut self, entry: &Entry) -> Result<(), Trouble> {
        self.put_all(std::slice::from_ref(entry))
    }

    fn put_all(&mut self, entries: &[Entry]) -> Result<(), Trouble> {
        let mut pen = Pen::new(&self.db)?;
        for entry in entries {
            self.head = pen.put(self.head, self.now, self.bench, entry)?;
        }
        Ok(())
    }

    fn check(&self, claim: &Claim) -> Result<(), Trouble> {
        let hold = tables::hold(&self.db, claim.job())?;
        if claim::holds(claim, hold.as_ref(), self.bench, self.session) {
            return Ok(());
        }
        Err(rules::lost(claim).into())
    }
}

impl SqliteLedger {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held rolled its transaction back: what is inside is still sound.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Trouble>) -> Result<T, LedgerError> {
        let inner = self.inner();
        inner.usable(&self.path)?;
        read(&inner.db).map_err(|trouble| trouble.tell(&self.path))
    }

    /// A page at a time, so that a long visit keeps nobody from writing and the visitor may ask the ledger.
    fn pages(
        &self,
        from_seq: u64,
        page: impl Fn(&Connection, u64, usize) -> Result<Vec<Row>, Trouble>,
        take: &mut dyn FnMut(Row) -> Result<ControlFlow<()>, LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut from = from_seq;
        loop {
            let rows = self.read(|db| page(db, from, PAGE))?;
            let Some(last) = rows.last() else { return Ok(()) };
            from = last.seq.saturating_add(1);
            for row in rows {
                if take(row)?.is_break() {
                    return Ok(());
                }
            }
        }
    }

    /// One transaction. All of it is on the disk when this returns, or nothing.
    fn write<T>(
        &self,
        inner: &mut Inner,
        write: impl FnOnce(&mut Writing<'_>) -> Result<T, Trouble>,
    ) -> Result<(T, Head), LedgerError> {
        let clock = self.clock.as_ref().ok_or(LedgerError::ReadOnly)?;
        inner.usable(&self.path)?;
        let told = |trouble: Trouble| trouble.tell(&self.path);
        let next = lock::next(&self.path)?;
        let db =
            inner.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| told(error.into()))?;
        drop(next);
        let head = tables::head(&db).map_err(told)?;
        let mut writing = Writing { db, head, now: clock.now(), bench: &self.bench, session: &self.session };
        // An error drops the transaction, which rolls back.
        let value = write(&mut writing).map_err(told)?;
        let Writing { db, head, .. } = writing;
        match db.commit() {
            Ok(()) => Ok((value, head)),
            Err(error) => Err(match trouble::tell(&self.path, &error) {
                // The commit's frames may have reached the disk although their sync failed, and the next opening may find
                // them. Only reading the file again can tell.
                LedgerError::Io { path, what } => {
                    inner.broken = Some(what.clone());
                    LedgerError::Uncertain { path, what }
                }
                other => other,
            }),
        }
    }

    /// Adds to the mirror without syncing it, and without waiting long for a turn. What it misses now it gets before the next
    /// seal's receipt.
    fn mirror_later(&self, inner: &mut Inner) {
        if let Err(error) = inner.catch_up(&self.path, false) {
            tracing::warn!("{error}; {}", error.next());
        }
    }
}

impl Inner {
    fn usable(&self, path: &Path) -> Result<(), LedgerError> {
        match &self.broken {
            Some(what) => Err(LedgerError::Uncertain { path: path.to_owned(), what: what.clone() }),
            None => Ok(()),
        }
    }

    /// Writes to the mirror what it does not have, a page in each turn.
    fn catch_up(&mut self, path: &Path, sync: bool) -> Result<(), LedgerError> {
        let Some(mirror) = &mut self.mirror else { return Ok(()) };
        // A desk is in no hurry, and a bench must find on the disk what it finds in the mirror.
        let sync = sync || self.role == Some(Role::Desk);
        let told = |trouble: Trouble| trouble.tell(path);
        loop {
            let Some(turn) = lock::turn(path, if sync { MIRROR_NEEDED } else { MIRROR_LATER })? else {
                let what = "another keybench is writing to it for too long".to_owned();
                return Err(LedgerError::Mirror { path: mirror.path().to_owned(), what });
            };
            if mirror.refresh()? {
                let last = mirror.last();
                let ours = tables::row_at(&self.db, last.seq).map_err(told)?;
                if last.seq > 0 && ours.is_none_or(|row| row.hash != last.hash) {
                    let (path, mirror) = (path.to_owned(), mirror.path().to_owned());
                    return Err(LedgerError::ForeignMirror { path, mirror, seq: last.seq });
                }
            }
            let rows = tables::rows_from(&self.db, mirror.last().seq.saturating_add(1), PAGE).map_err(told)?;
            let all = rows.len() < PAGE;
            let mut lines = Vec::with_capacity(rows.len());
            for row in rows {
                let seal = match row.may_be_seal() {
                    true => tables::seal_by_entry(&self.db, row.seq).map_err(told)?,
                    false => None,
                };
                lines.push((row, seal));
            }
            mirror.add(&lines)?;
            drop(turn);
            if all {
                return if sync { mirror.sync() } else { Ok(()) };
            }
        }
    }

    /// For as long as sealed PINs are taken out of ledger and mirror, nobody else writes.
    fn alone<T>(
        &mut self,
        path: &Path,
        work: impl FnOnce(&mut Self) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let Some(lock) = &mut self.lock else { return Err(LedgerError::ReadOnly) };
        match self.role {
            Some(Role::Alone) => work(self),
            Some(Role::Bench) => {
                lock.keep_desks_out(path)?;
                let done = work(self);
                if let Some(lock) = &mut self.lock {
                    lock.let_desks_in(path)?;
                }
                done
            }
            Some(Role::Desk) => Err(rules::not_at_a_desk()),
            None => Err(LedgerError::ReadOnly),
        }
    }

    /// Takes sealed PINs out of the ledger by `write`, and then out of its log and its mirror. Nobody else writes meanwhile.
    fn take_out(
        &mut self,
        path: &Path,
        write: impl FnOnce(&mut Self) -> Result<Head, LedgerError>,
    ) -> Result<Head, LedgerError> {
        self.alone(path, |inner| {
            if let Some(mirror) = &inner.mirror {
                owed::note(path, mirror.path())?;
            }
            let head = write(inner)?;
            inner.scrub();
            match inner.settle_mirror(path) {
                Ok(()) => Ok(head),
                Err(error) => {
                    let mirror = inner.mirror.as_ref().map_or_else(PathBuf::new, |mirror| mirror.path().to_owned());
                    Err(LedgerError::MirrorOwes { mirror, what: error.to_string() })
                }
            }
        })
    }

    /// Writes what was deleted out of the write-ahead log as well. A reader that is in the middle of something may keep
    /// it from being emptied; the next checkpoint does it then.
    fn scrub(&mut self) {
        let emptied = self
            .db
            .busy_timeout(SCRUB)
            .and_then(|()| self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        let emptied = emptied.and(open::be_patient(&mut self.db));
        if let Err(error) = emptied {
            tracing::warn!("the write-ahead log could not be emptied yet: {error}");
        }
    }

    /// A desk without a claimed job is in no other desk's way.
    fn let_others_claim(&mut self) {
        self.claimed.take_if(|(_, jobs)| jobs.is_empty());
    }
}

impl Ledger for SqliteLedger {
    fn bench(&self) -> &BenchId {
        &self.bench
    }

    fn head(&self) -> Result<Head, LedgerError> {
        self.read(tables::head)
    }

    fn append(&self, what: Append) -> Result<Head, LedgerError> {
        let owners = rules::check(&what)?;
        let mut inner = self.inner();
        // A plan of everybody goes through all indexes, in no order.
        let of_many = what.entries.len() > PAGE && inner.role != Some(Role::Alone);
        if of_many {
            Pages::OfMany.keep(&inner.db);
        }
        let written = self.write(&mut inner, |writing| {
            if let Some(claim) = &what.claim {
                writing.check(claim)?;
            }
            if let Some(seen) = what.as_of {
                let about: BTreeSet<Option<&JobId>> = what.entries.iter().map(Entry::job).collect();
                for job in about {
                    if tables::last_about(&writing.db, job)? > seen {
                        return Err(rules::overtaken(job).into());
                    }
                }
            }
            tables::put_people(&writing.db, &what.people)?;
            writing.put_all(&what.entries)?;
            for entry in &what.entries {
                if let Entry::ResumeKeyDestroyed { job, attempt } = entry {
                    tables::empty_resume(&writing.db, job, *attempt)?;
                }
                if let Some((job, document)) = entry.removes() {
                    tables::remove_blob(&writing.db, job, document)?;
                }
            }
            for (hash, bytes) in &what.blobs {
                let Some(owner) = owners.get(hash) else { continue };
                tables::put_blob(&writing.db, *hash, owner, bytes)?;
            }
            Ok(())
        });
        if of_many {
            Pages::OfOne.keep(&inner.db);
        }
        let ((), head) = written?;
        if what.entries.iter().any(|entry| entry.removes().is_some()) {
            inner.scrub();
        }
        self.mirror_later(&mut inner);
        Ok(head)
    }

    fn append_seal(&self, claim: &Claim, attempt: Attempt, sealed: &SealedPin) -> Result<SealReceipt, LedgerError> {
        let envelope = BlobHash::of(&sealed.custodian);
        let entry = Entry::PinSealed {
            job: claim.job().clone(),
            attempt,
            envelope,
            resume: BlobHash::of(&sealed.resume),
            dual: sealed.dual,
        };
        let mut inner = self.inner();
        self.write(&mut inner, |writing| {
            writing.check(claim)?;
            // Asked of the chain, not of the side table: a forgotten seal was one too.
            if !tables::seal_entries(&writing.db, claim.job(), attempt)?.is_empty() {
                return Err(LedgerError::AlreadySealed { job: claim.job().clone(), attempt }.into());
            }
            writing.put(&entry)?;
            tables::put_seal(&writing.db, claim.job(), attempt, writing.head.seq, sealed)
        })?;
        inner.catch_up(&self.path, true)?;
        Ok(SealReceipt::new(claim.job().clone(), attempt, envelope))
    }

    fn sealed_pin(&self, job: &JobId, attempt: Attempt) -> Result<Option<(SealedPin, SealReceipt)>, LedgerError> {
        if self.clock.is_none() {
            return Err(LedgerError::ReadOnly);
        }
        let Some(sealed) = self.envelope(job, attempt)? else { return Ok(None) };
        self.inner().catch_up(&self.path, true)?;
        let receipt = SealReceipt::new(job.clone(), attempt, BlobHash::of(&sealed.custodian));
        Ok(Some((sealed, receipt)))
    }

    fn envelope(&self, job: &JobId, attempt: Attempt) -> Result<Option<SealedPin>, LedgerError> {
        self.read(|db| {
            let Some((seq, sealed)) = tables::seal(db, job, attempt)? else { return Ok(None) };
            tables::check_seal(db, job, attempt, seq, &sealed)?;
            Ok(Some(sealed))
        })
    }

    fn reseal(&self, set: Entry, envelopes: Vec<Resealed>) -> Result<Head, LedgerError> {
        rules::changes_custodians(&set)?;
        self.inner().take_out(&self.path, |inner| {
            let ((), head) = self.write(inner, |writing| {
                writing.put(&set)?;
                for Resealed { job, attempt, custodian, dual } in envelopes {
                    let Some((seq, before)) = tables::seal(&writing.db, &job, attempt)? else {
                        return Err(rules::no_such_seal(&job, attempt).into());
                    };
                    tables::check_seal(&writing.db, &job, attempt, seq, &before)?;
                    let before_hash = tables::row_at(&writing.db, seq)?.map(tables::understand).transpose()?;
                    let resume = match before_hash.map(|recorded| recorded.entry) {
                        // The resume copy may be empty by now; its hash stays what it was.
                        Some(Entry::PinSealed { resume, .. }) => resume,
                        _ => BlobHash::of(&before.resume),
                    };
                    let envelope = BlobHash::of(&custodian);
                    writing.put(&Entry::PinSealed { job: job.clone(), attempt, envelope, resume, dual })?;
                    let after = SealedPin { custodian, resume: before.resume, dual };
                    tables::put_seal(&writing.db, &job, attempt, writing.head.seq, &after)?;
                }
                Ok(())
            })?;
            Ok(head)
        })
    }

    fn blob(&self, hash: BlobHash) -> Result<Option<Vec<u8>>, LedgerError> {
        self.read(|db| tables::blob(db, hash))
    }

    fn person(&self, user: &UserId) -> Result<Option<Person>, LedgerError> {
        self.read(|db| tables::person(db, user))
    }

    fn people(&self) -> Result<Vec<Person>, LedgerError> {
        self.read(tables::people)
    }

    fn forget(&self, user: &UserId, reason: &str) -> Result<Head, LedgerError> {
        self.inner().take_out(&self.path, |inner| {
            let ((), head) = self.write(inner, |writing| {
                let filter = JobFilter { user: Some(user.clone()), ..JobFilter::default() };
                rules::may_forget(&tables::lines(&writing.db, &filter)?)?;
                tables::forget(&writing.db, user)?;
                writing.put(&Entry::Forgotten { user: user.clone(), reason: reason.to_owned() })
            })?;
            Ok(head)
        })
    }

    fn entries_of(&self, job: &JobId) -> Result<Vec<Recorded>, LedgerError> {
        let rows = self.read(|db| tables::rows_of(db, job))?;
        rows.into_iter().map(tables::understand).collect()
    }

    fn visit(&self, from_seq: u64, visitor: &mut dyn FnMut(Recorded) -> ControlFlow<()>) -> Result<(), LedgerError> {
        self.pages(from_seq, tables::rows_from, &mut |row| Ok(visitor(tables::understand(row)?)))
    }

    fn visit_rows(&self, visitor: &mut dyn FnMut(Row) -> ControlFlow<()>) -> Result<(), LedgerError> {
        self.pages(1, tables::rows_from, &mut |row| Ok(visitor(row)))
    }

    fn visit_jobless(&self, visitor: &mut dyn FnMut(Recorded) -> ControlFlow<()>) -> Result<(), LedgerError> {
        self.pages(1, tables::jobless_rows_from, &mut |row| Ok(visitor(tables::understand(row)?)))
    }

    fn claim(&self, job: &JobId) -> Result<Claim, LedgerError> {
        let mut inner = self.inner();
        let role = inner.role;
        if role == Some(Role::Desk) && inner.claimed.is_none() {
            inner.claimed = Some((lock::claims(&self.path)?, BTreeSet::new()));
        }
        let claimed = self.write(&mut inner, |writing| {
            let hold = tables::hold(&writing.db, job)?;
            let lives = match &hold {
                Some(hold) => lock::may_live(&self.path, role, hold.is_a_desks())?,
                None => false,
            };
            match claim::decide(job, hold.as_ref(), (writing.bench, writing.session), writing.now, lives) {
                Decision::Keep(claim) => Ok(claim),
                Decision::Leave { bench, expires } => {
                    Err(LedgerError::ClaimedElsewhere { job: job.clone(), bench, expires }.into())
                }
                Decision::Take(claim) => {
                    let (fence, expires) = (claim.fence(), claim.expires());
                    writing.put(&Entry::Claimed { job: job.clone(), fence, expires })?;
                    let (bench, session) = (writing.bench.clone(), writing.session.to_owned());
                    tables::put_hold(&writing.db, job, &Hold { fence, bench, session, expires, released: false })?;
                    Ok(claim)
                }
            }
        });
        if let (Ok(_), Some((_, jobs))) = (&claimed, &mut inner.claimed) {
            jobs.insert(job.clone());
        }
        inner.let_others_claim();
        let (claim, _) = claimed?;
        self.mirror_later(&mut inner);
        Ok(claim)
    }

    fn release(&self, claim: &Claim) -> Result<(), LedgerError> {
        let mut inner = self.inner();
        self.write(&mut inner, |writing| {
            let hold = tables::hold(&writing.db, claim.job())?;
            match hold {
                Some(hold) if claim::holds(claim, Some(&hold), writing.bench, writing.session) => {
                    tables::put_hold(&writing.db, claim.job(), &Hold { released: true, ..hold })
                }
                _ => Ok(()),
            }
        })?;
        if let Some((_, jobs)) = &mut inner.claimed {
            jobs.remove(claim.job());
        }
        inner.let_others_claim();
        Ok(())
    }

    fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobLine>, LedgerError> {
        self.read(|db| tables::lines(db, filter))
    }

    fn job(&self, job: &JobId) -> Result<Option<JobLine>, LedgerError> {
        self.read(|db| tables::line_of(db, job))
    }

    fn held_until(&self) -> Result<BTreeMap<JobId, Timestamp>, LedgerError> {
        let mut until = BTreeMap::new();
        for row in self.read(tables::rows_of_holds)? {
            let recorded = tables::understand(row)?;
            let Some(job) = recorded.entry.job() else { continue };
            match jobs::hold_after(until.get(job).copied(), &recorded.entry) {
                Some(expires) => until.insert(job.clone(), expires),
                None => until.remove(job),
            };
        }
        Ok(until)
    }

    fn verify(&self, seen: Option<SeenHead>) -> Result<Head, LedgerError> {
        self.read(|db| verify::verify(db, seen))
    }
}
