//! The complete check: every link, and every side table against the chain.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, TransactionBehavior};

use super::super::chain::{ChainFault, Checker, Head, Row, SeenHead};
use super::super::entry::{Attempt, BlobHash, Entry};
use super::super::error::LedgerError;
use super::super::jobs::{JobFilter, JobLine, advance};
use super::trouble::Trouble;
use super::{PAGE, tables};
use crate::model::{JobId, UserId};

/// What the chain says the side tables must hold.
#[derive(Default)]
struct Expected {
    jobs: BTreeMap<JobId, JobLine>,
    /// The last seal of each try, and where it stands.
    seals: BTreeMap<(JobId, Attempt), u64>,
    forgotten: BTreeMap<UserId, u64>,
}

pub(super) fn verify(db: &Connection, seen: Option<SeenHead>) -> Result<Head, Trouble> {
    // One view of the file, also beside a bench that writes.
    let view = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Deferred)?;
    let sound: String = view.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        let path = db.path().unwrap_or_default().into();
        return Err(LedgerError::Corrupt { path, what: sound }.into());
    }
    let (head, expected) = chain(&view, seen)?;
    jobs(&view, &expected)?;
    seals(&view, &expected)?;
    blobs(&view)?;
    Ok(head)
}

fn chain(db: &Connection, seen: Option<SeenHead>) -> Result<(Head, Expected), Trouble> {
    let mut checker = Checker::new();
    let mut expected = Expected::default();
    let mut seen_it = seen.is_none_or(|seen| seen.is(&Head::EMPTY));
    let mut from = 0;
    loop {
        let rows = tables::rows_from(db, from, PAGE)?;
        let Some(last) = rows.last() else { break };
        from = last.seq.saturating_add(1);
        for row in rows {
            if let Err(fault) = checker.next(&row) {
                return Err(explain(db, &checker, fault)?.into());
            }
            seen_it |= seen.is_some_and(|seen| seen.is(&checker.head()));
            expected.take(db, row)?;
        }
    }
    let head = checker.head();
    match seen {
        Some(seen) if !seen_it => Err(ChainFault::HeadNotFound { seen, head }.into()),
        _ if head.seq == 0 => Err(ChainFault::Missing { seq: 1 }.into()),
        _ => Ok((head, expected)),
    }
}

/// A row that is not in its place may stand somewhere else: that is a better answer than "altered".
fn explain(db: &Connection, checker: &Checker, fault: ChainFault) -> Result<ChainFault, Trouble> {
    let mut from = 0;
    loop {
        let rows = tables::rows_from(db, from, PAGE)?;
        let Some(last) = rows.last() else { return Ok(fault) };
        from = last.seq.saturating_add(1);
        if let Some(row) = rows.iter().find(|row| checker.is_next_elsewhere(row)) {
            let seq = checker.head().seq.saturating_add(1);
            return Ok(ChainFault::Moved { seq, found_at: row.seq });
        }
    }
}

impl Expected {
    fn take(&mut self, db: &Connection, row: Row) -> Result<(), Trouble> {
        let recorded = tables::understand(row)?;
        let seq = recorded.seq;
        let copy: Option<String> =
            db.prepare("SELECT job FROM entries WHERE seq = ?1")?.query_row([tables::int(seq)], |row| row.get(0))?;
        // The copy of the job's id is outside the hash; entries_of relies on it.
        if copy.as_deref() != recorded.entry.job().map(JobId::as_str) {
            return Err(ChainFault::Altered { seq }.into());
        }
        match &recorded.entry {
            Entry::PinSealed { job, attempt, .. } => {
                self.seals.insert((job.clone(), *attempt), seq);
            }
            Entry::Forgotten { user, .. } => {
                self.forgotten.insert(user.clone(), seq);
            }
            _ => {}
        }
        if let Some(job) = recorded.entry.job() {
            let line = advance(self.jobs.remove(job), &recorded).ok_or_else(|| ChainFault::JobList(job.clone()))?;
            self.jobs.insert(job.clone(), line);
        }
        Ok(())
    }

    /// Whether the person was forgotten after this entry.
    fn forgot(&self, job: &JobId, seq: u64) -> Option<&UserId> {
        let user = &self.jobs.get(job)?.user;
        self.forgotten.get(user).is_some_and(|at| *at > seq).then_some(user)
    }
}

fn jobs(db: &Connection, expected: &Expected) -> Result<(), Trouble> {
    let lines = tables::lines(db, &JobFilter::all())?;
    for line in &lines {
        if expected.jobs.get(&line.job) != Some(line) {
            return Err(ChainFault::JobList(line.job.clone()).into());
        }
    }
    let listed: BTreeSet<&JobId> = lines.iter().map(|line| &line.job).collect();
    match expected.jobs.keys().find(|job| !listed.contains(job)) {
        Some(job) => Err(ChainFault::JobList(job.clone()).into()),
        None => Ok(()),
    }
}

fn seals(db: &Connection, expected: &Expected) -> Result<(), Trouble> {
    for ((job, attempt), seq) in &expected.seals {
        let fault = match (tables::seal(db, job, *attempt)?, expected.forgot(job, *seq)) {
            (None, Some(_)) => continue,
            (None, None) => ChainFault::SealMissing { job: job.clone(), attempt: *attempt },
            (Some(_), Some(user)) => ChainFault::NotForgotten(user.clone()),
            (Some((at, sealed)), None) if at == *seq => {
                tables::check_seal(db, job, *attempt, *seq, &sealed)?;
                continue;
            }
            // An older envelope was put back in place of the newer one.
            (Some(_), None) => ChainFault::SealAltered { job: job.clone(), attempt: *attempt },
        };
        return Err(fault.into());
    }
    let kept: i64 = db.query_row("SELECT count(*) FROM seals", [], |row| row.get(0))?;
    let known = expected.seals.iter().filter(|((job, _), seq)| expected.forgot(job, **seq).is_none()).count();
    if kept == tables::int(known as u64) {
        return Ok(());
    }
    let mut statement = db.prepare("SELECT job, attempt FROM seals")?;
    let all = statement.query_map([], |row| Ok((JobId::new(row.get::<_, String>(0)?), row.get::<_, Attempt>(1)?)))?;
    for found in all {
        let (job, attempt) = found?;
        if !expected.seals.contains_key(&(job.clone(), attempt)) {
            return Err(ChainFault::SealAltered { job, attempt }.into());
        }
    }
    Ok(())
}

fn blobs(db: &Connection) -> Result<(), Trouble> {
    let mut statement = db.prepare("SELECT hash, bytes FROM blobs")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let hash = BlobHash(row.get(0)?);
        if BlobHash::of(row.get_ref(1)?.as_blob().unwrap_or_default()) != hash {
            return Err(ChainFault::BlobAltered(hash).into());
        }
    }
    Ok(())
}
