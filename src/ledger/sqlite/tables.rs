//! Every statement that reads or writes a table, once.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Statement, params};

use super::super::chain::{ChainFault, Head, Row, link};
use super::super::claim::Hold;
use super::super::entry::{Attempt, BlobHash, Entry};
use super::super::error::LedgerError;
use super::super::jobs::{JobFilter, JobLine, advance};
use super::super::{Recorded, rules};
use super::trouble::Trouble;
use crate::model::{BatchId, BenchId, JobId, JobStatus, Person, SealedPin, TenantId, UserId};

type Done<T> = Result<T, Trouble>;

/// SQLite's integers are signed; ours count from 0 and stay far below 2^63.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A negative number was not written by us; as 0 it fails the chain's check.
fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The columns of [`Row`], in order.
const ROW: &str = "seq, at, bench, body, hash";

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row { seq: uint(row.get(0)?), at: row.get(1)?, bench: row.get(2)?, body: row.get(3)?, hash: row.get(4)? })
}

pub(super) fn head(db: &Connection) -> Done<Head> {
    let found = db
        .prepare("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok(Head { seq: uint(row.get(0)?), hash: row.get(1)? }))
        .optional()?;
    Ok(found.unwrap_or(Head::EMPTY))
}

pub(super) fn row_at(db: &Connection, seq: u64) -> Done<Option<Row>> {
    let sql = format!("SELECT {ROW} FROM entries WHERE seq = ?1");
    Ok(db.prepare(&sql)?.query_row([int(seq)], row).optional()?)
}

/// At most `limit` rows from `seq` on.
pub(super) fn rows_from(db: &Connection, seq: u64, limit: usize) -> Done<Vec<Row>> {
    let sql = format!("SELECT {ROW} FROM entries WHERE seq >= ?1 ORDER BY seq LIMIT ?2");
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map(params![int(seq), int(limit as u64)], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// At most `limit` rows from `seq` on that are about no job.
pub(super) fn jobless_rows_from(db: &Connection, seq: u64, limit: usize) -> Done<Vec<Row>> {
    let sql = format!("SELECT {ROW} FROM entries WHERE job IS NULL AND seq >= ?1 ORDER BY seq LIMIT ?2");
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map(params![int(seq), int(limit as u64)], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The position of the last entry about a job; 0 before the first.
pub(super) fn last_about(db: &Connection, job: Option<&JobId>) -> Done<u64> {
    let last = match job {
        Some(job) => {
            let sql = "SELECT coalesce(max(seq), 0) FROM entries WHERE job = ?1";
            db.prepare(sql)?.query_row([job.as_str()], |row| row.get(0))?
        }
        None => {
            let sql = "SELECT coalesce(max(seq), 0) FROM entries WHERE job IS NULL";
            db.prepare(sql)?.query_row([], |row| row.get(0))?
        }
    };
    Ok(uint(last))
}

pub(super) fn rows_of(db: &Connection, job: &JobId) -> Done<Vec<Row>> {
    let sql = format!("SELECT {ROW} FROM entries WHERE job = ?1 ORDER BY seq");
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map([job.as_str()], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What holds held jobs and ends their holds, in order: rows are chosen by how the entry begins, so that the others are not read.
/// The cross join keeps SQLite from going through all entries in order to find those of a few jobs.
pub(super) fn rows_of_holds(db: &Connection) -> Done<Vec<Row>> {
    let sql = format!(
        "SELECT {} FROM jobs CROSS JOIN entries ON entries.job = jobs.job
         WHERE jobs.status = ?1 AND (entries.body GLOB ?2 OR entries.body GLOB ?3) ORDER BY entries.seq",
        ROW.split(", ").map(|column| format!("entries.{column}")).collect::<Vec<_>>().join(", ")
    );
    let begins = |act: &str| format!(r#"{{"kind":"handover","act":"{act}",*"#);
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map(params![status_text(JobStatus::Held), begins("held"), begins("hold-ended")], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A row as an entry.
#[expect(clippy::needless_pass_by_value, reason = "rows are read one after another and not kept")]
pub(super) fn understand(row: Row) -> Result<Recorded, LedgerError> {
    row.understand()
}

/// Writes entries and moves their jobs' lines on. The statements are prepared once: a plan has 100,000 entries.
pub(super) struct Pen<'c> {
    row: Statement<'c>,
    line: Statement<'c>,
    new_line: Statement<'c>,
    moved_line: Statement<'c>,
}

impl<'c> Pen<'c> {
    pub(super) fn new(db: &'c Connection) -> Done<Self> {
        Ok(Self {
            row: db.prepare("INSERT INTO entries (seq, at, bench, job, body, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?,
            line: db.prepare(&format!("SELECT {LINE} FROM jobs WHERE job = ?1"))?,
            new_line: db.prepare(
                "INSERT INTO jobs (job, tenant, user, ordinal, batch, status, attempt, code, in_flight, at, used)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?,
            moved_line: db.prepare(
                "UPDATE jobs SET tenant = ?2, user = ?3, ordinal = ?4, batch = ?5, status = ?6, attempt = ?7, code = ?8,
                 in_flight = ?9, at = ?10, used = ?11 WHERE job = ?1",
            )?,
        })
    }

    /// Writes one entry after `head`.
    pub(super) fn put(&mut self, head: Head, at: Timestamp, bench: &BenchId, entry: &Entry) -> Done<Head> {
        let seq = head.seq.saturating_add(1);
        let (text, body) = (at.to_string(), body(entry)?);
        let hash = link(&head.hash, seq, &text, bench.as_str(), &body);
        let row = Row { seq, at: text, bench: bench.as_str().to_owned(), body, hash };
        self.take_over(&row, &Recorded { seq, at, bench: bench.clone(), entry: entry.clone(), hash })?;
        Ok(row.head())
    }

    /// Writes a row as it stands.
    pub(super) fn take_over(&mut self, row: &Row, recorded: &Recorded) -> Done<()> {
        let job = recorded.entry.job();
        self.row.execute(params![int(row.seq), row.at, row.bench, job.map(JobId::as_str), row.body, row.hash])?;
        let Some(job) = job else { return Ok(()) };
        let before = self.line.query_row([job.as_str()], line).optional()?;
        let statement = if before.is_none() { &mut self.new_line } else { &mut self.moved_line };
        let line = advance(before, recorded).ok_or_else(|| rules::unplanned(job))?;
        statement.execute(params![
            line.job.as_str(),
            line.tenant.as_str(),
            line.user.as_str(),
            line.ordinal,
            line.batch.as_str(),
            status_text(line.status),
            line.attempt,
            line.code,
            line.in_flight,
            line.at.to_string(),
            line.used.map(|at| at.to_string()),
        ])?;
        Ok(())
    }
}

pub(super) fn body(entry: &Entry) -> Result<String, LedgerError> {
    // An entry is made of texts, numbers and lists, so this can't fail; it is not worth a panic to rely on it.
    serde_json::to_string(entry).map_err(|error| LedgerError::NotAllowed(error.to_string()))
}

const LINE: &str = "job, tenant, user, ordinal, batch, status, attempt, code, in_flight, at, used";

fn line(row: &rusqlite::Row<'_>) -> rusqlite::Result<JobLine> {
    let broken = |column: usize, what: &str| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what.to_owned().into())
    };
    let time = |column: usize, text: &str| text.parse().map_err(|_| broken(column, "not a time"));
    Ok(JobLine {
        job: JobId::new(row.get::<_, String>(0)?),
        tenant: TenantId::new(row.get::<_, String>(1)?),
        user: UserId::new(row.get::<_, String>(2)?),
        ordinal: row.get(3)?,
        batch: BatchId::new(row.get::<_, String>(4)?),
        status: status_of(row.get_ref(5)?.as_str()?).ok_or_else(|| broken(5, "no such status"))?,
        attempt: row.get(6)?,
        code: row.get(7)?,
        in_flight: row.get(8)?,
        at: time(9, row.get_ref(9)?.as_str()?)?,
        used: row.get_ref(10)?.as_str_or_null()?.map(|text| time(10, text)).transpose()?,
    })
}

pub(super) fn line_of(db: &Connection, job: &JobId) -> Done<Option<JobLine>> {
    let sql = format!("SELECT {LINE} FROM jobs WHERE job = ?1");
    Ok(db.prepare(&sql)?.query_row([job.as_str()], line).optional()?)
}

pub(super) fn lines(db: &Connection, filter: &JobFilter) -> Done<Vec<JobLine>> {
    let sql = format!(
        "SELECT {LINE} FROM jobs
         WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR batch = ?2) ORDER BY nr"
    );
    let of_user = format!(
        "SELECT {LINE} FROM jobs
         WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR batch = ?2) AND user = ?3 ORDER BY nr"
    );
    let tenant = filter.tenant.as_ref().map(TenantId::as_str);
    let batch = filter.batch.as_ref().map(BatchId::as_str);
    let found = match &filter.user {
        None => db.prepare(&sql)?.query_map(params![tenant, batch], line)?.collect::<Result<_, _>>()?,
        Some(user) => {
            db.prepare(&of_user)?.query_map(params![tenant, batch, user.as_str()], line)?.collect::<Result<_, _>>()?
        }
    };
    Ok(found)
}

fn status_text(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Waiting => "waiting",
        JobStatus::Begun => "begun",
        JobStatus::Finished => "finished",
        JobStatus::Held => "held",
        JobStatus::Failed => "failed",
        JobStatus::Refused => "refused",
        JobStatus::Parked => "parked",
    }
}

fn status_of(text: &str) -> Option<JobStatus> {
    use JobStatus::{Begun, Failed, Finished, Held, Parked, Refused, Waiting};
    [Waiting, Begun, Finished, Held, Failed, Refused, Parked].into_iter().find(|status| status_text(*status) == text)
}

pub(super) fn hold(db: &Connection, job: &JobId) -> Done<Option<Hold>> {
    let found = db
        .prepare("SELECT fence, bench, session, expires, released FROM claims WHERE job = ?1")?
        .query_row([job.as_str()], |row| {
            Ok(Hold {
                fence: uint(row.get(0)?),
                bench: BenchId::new(row.get::<_, String>(1)?),
                session: row.get(2)?,
                // A time that can't be read was not written by us: the claim is over.
                expires: row.get_ref(3)?.as_str()?.parse().unwrap_or(Timestamp::MIN),
                released: row.get(4)?,
            })
        })
        .optional()?;
    Ok(found)
}

pub(super) fn put_hold(db: &Connection, job: &JobId, hold: &Hold) -> Done<()> {
    db.prepare(
        "INSERT INTO claims (job, fence, bench, session, expires, released) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (job) DO UPDATE SET fence = ?2, bench = ?3, session = ?4, expires = ?5, released = ?6",
    )?
    .execute(params![
        job.as_str(),
        int(hold.fence),
        hold.bench.as_str(),
        hold.session,
        hold.expires.to_string(),
        hold.released
    ])?;
    Ok(())
}

/// A sealed PIN with the position of the entry that has its hash.
pub(super) fn seal(db: &Connection, job: &JobId, attempt: Attempt) -> Done<Option<(u64, SealedPin)>> {
    let found = db
        .prepare("SELECT custodian, resume, dual, seq FROM seals WHERE job = ?1 AND attempt = ?2")?
        .query_row(params![job.as_str(), attempt], |row| {
            Ok((uint(row.get(3)?), SealedPin { custodian: row.get(0)?, resume: row.get(1)?, dual: row.get(2)? }))
        })
        .optional()?;
    Ok(found)
}

pub(super) fn seal_by_entry(db: &Connection, seq: u64) -> Done<Option<SealedPin>> {
    let found = db
        .prepare("SELECT custodian, resume, dual FROM seals WHERE seq = ?1")?
        .query_row([int(seq)], |row| Ok(SealedPin { custodian: row.get(0)?, resume: row.get(1)?, dual: row.get(2)? }))
        .optional()?;
    Ok(found)
}

/// The entries of all envelopes that are in the ledger.
pub(super) fn sealed_at(db: &Connection) -> Done<BTreeSet<u64>> {
    let mut statement = db.prepare("SELECT seq FROM seals")?;
    let all = statement.query_map([], |row| row.get(0).map(uint))?;
    Ok(all.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn put_seal(db: &Connection, job: &JobId, attempt: Attempt, seq: u64, sealed: &SealedPin) -> Done<()> {
    db.prepare(
        "INSERT INTO seals (job, attempt, seq, custodian, resume, dual) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (job, attempt) DO UPDATE SET seq = ?3, custodian = ?4, resume = ?5, dual = ?6",
    )?
    .execute(params![job.as_str(), attempt, int(seq), sealed.custodian, sealed.resume, sealed.dual])?;
    Ok(())
}

pub(super) fn empty_resume(db: &Connection, job: &JobId, attempt: Attempt) -> Done<()> {
    db.prepare("UPDATE seals SET resume = x'' WHERE job = ?1 AND attempt = ?2")?
        .execute(params![job.as_str(), attempt])?;
    Ok(())
}

/// Checks a sealed PIN against the entry that has its hash. An emptied resume copy has nothing to check.
pub(super) fn check_seal(db: &Connection, job: &JobId, attempt: Attempt, seq: u64, sealed: &SealedPin) -> Done<()> {
    let altered = || ChainFault::SealAltered { job: job.clone(), attempt };
    let row = row_at(db, seq)?.ok_or(ChainFault::Missing { seq })?;
    match understand(row)?.entry {
        Entry::PinSealed { job: other, attempt: try_, envelope, resume, dual }
            if other == *job
                && try_ == attempt
                && envelope == BlobHash::of(&sealed.custodian)
                && dual == sealed.dual
                && (sealed.resume.is_empty() || resume == BlobHash::of(&sealed.resume)) =>
        {
            Ok(())
        }
        _ => Err(altered().into()),
    }
}

pub(super) fn put_blob(db: &Connection, hash: BlobHash, owner: &rules::Owner, bytes: &[u8]) -> Done<()> {
    db.prepare("INSERT INTO blobs (hash, job, user, bytes) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hash) DO NOTHING")?
        .execute(params![
            hash.0,
            owner.job.as_ref().map(JobId::as_str),
            owner.user.as_ref().map(UserId::as_str),
            bytes
        ])?;
    Ok(())
}

/// Removes a document, if it is this job's.
pub(super) fn remove_blob(db: &Connection, job: &JobId, hash: BlobHash) -> Done<()> {
    db.prepare("DELETE FROM blobs WHERE hash = ?1 AND job = ?2")?.execute(params![hash.0, job.as_str()])?;
    Ok(())
}

pub(super) fn blob(db: &Connection, hash: BlobHash) -> Done<Option<Vec<u8>>> {
    let found: Option<Vec<u8>> =
        db.prepare("SELECT bytes FROM blobs WHERE hash = ?1")?.query_row([hash.0], |row| row.get(0)).optional()?;
    match found {
        Some(bytes) if BlobHash::of(&bytes) != hash => Err(ChainFault::BlobAltered(hash).into()),
        found => Ok(found),
    }
}

pub(super) fn put_people(db: &Connection, people: &[Person]) -> Done<()> {
    let mut statement =
        db.prepare("INSERT INTO people (user, person) VALUES (?1, ?2) ON CONFLICT (user) DO UPDATE SET person = ?2")?;
    for person in people {
        let text = serde_json::to_string(person).map_err(|error| LedgerError::NotAllowed(error.to_string()))?;
        statement.execute(params![person.id.as_str(), text])?;
    }
    Ok(())
}

fn read_person(row: &rusqlite::Row<'_>) -> rusqlite::Result<Person> {
    serde_json::from_str(row.get_ref(0)?.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
}

pub(super) fn person(db: &Connection, user: &UserId) -> Done<Option<Person>> {
    let sql = "SELECT person FROM people WHERE user = ?1";
    Ok(db.prepare(sql)?.query_row([user.as_str()], read_person).optional()?)
}

pub(super) fn people(db: &Connection) -> Done<Vec<Person>> {
    let mut statement = db.prepare("SELECT person FROM people ORDER BY user")?;
    let rows = statement.query_map([], read_person)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Empties the side tables of what belongs to a person.
pub(super) fn forget(db: &Connection, user: &UserId) -> Done<()> {
    for sql in [
        "DELETE FROM people WHERE user = ?1",
        "DELETE FROM seals WHERE job IN (SELECT job FROM jobs WHERE user = ?1)",
        "DELETE FROM blobs WHERE user = ?1 OR job IN (SELECT job FROM jobs WHERE user = ?1)",
    ] {
        db.prepare(sql)?.execute([user.as_str()])?;
    }
    Ok(())
}

/// The positions of every seal ever made for a job, or for one of its tries.
pub(super) fn seal_entries(db: &Connection, job: &JobId, attempt: Attempt) -> Done<Vec<u64>> {
    let mut found = Vec::new();
    for row in rows_of(db, job)? {
        let recorded = understand(row)?;
        if let Entry::PinSealed { attempt: try_, .. } = recorded.entry
            && attempt == try_
        {
            found.push(recorded.seq);
        }
    }
    Ok(found)
}
