//! The audit: the chain as rows for people who were not there. Who got which key, when, by whom, and which checks it passed; never
//! a PIN, because an entry can't hold one.
//!
//! A row holds the entry's own text and hash, so that the chain can be checked from the rows alone ([`super::audit_file`]). What
//! stands beside it for people follows from the entries up to it, and is derived again by that check. Exception: user principal
//! names come from the side table, which is outside the chain.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::Value;

use super::chain::Row;
use super::entry::{BlobHash, Entry};
use super::error::LedgerError;
use super::{Ledger, Recorded};
use crate::model::{BenchId, JobId, KeyRef, Upn, UserId};

/// The columns of a row, in order. `seq`, `at`, `bench`, `body` and `hash` are the entry itself.
pub const COLUMNS: [&str; 17] = [
    "seq", "at", "bench", "kind", "act", "job", "user", "upn", "attempt", "serial", "model", "aaguid", "firmware",
    "by", "checks", "body", "hash",
];

/// One row: one entry. What does not apply is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Position in the chain.
    pub seq: u64,
    /// When, UTC, as it was written.
    pub at: String,
    /// By which bench or desk.
    pub bench: String,
    /// The entry's kind, e.g. `pin-sealed`.
    pub kind: String,
    /// For entries of the tenant and of the hand-over: which act.
    pub act: String,
    /// The job, if it is about one.
    pub job: String,
    /// The person's object id, if it is about one.
    pub user: String,
    /// The person's UPN as last planned; none once forgotten.
    pub upn: String,
    /// Which try.
    pub attempt: String,
    /// The key of that try: its serial number.
    pub serial: String,
    /// Its model.
    pub model: String,
    /// Its model's AAGUID.
    pub aaguid: String,
    /// Its firmware.
    pub firmware: String,
    /// Who: the entry's own word, else the operator of the run it belongs to.
    pub by: String,
    /// Which checks the passkey passed, where they were made and where its job was finished.
    pub checks: String,
    /// The entry as JSON, byte for byte as it is hashed.
    pub body: String,
    /// Its link in the chain.
    pub hash: BlobHash,
}

impl AuditRow {
    /// The cells, in the order of [`COLUMNS`].
    pub fn cells(&self) -> [String; COLUMNS.len()] {
        [
            self.seq.to_string(),
            self.at.clone(),
            self.bench.clone(),
            self.kind.clone(),
            self.act.clone(),
            self.job.clone(),
            self.user.clone(),
            self.upn.clone(),
            self.attempt.clone(),
            self.serial.clone(),
            self.model.clone(),
            self.aaguid.clone(),
            self.firmware.clone(),
            self.by.clone(),
            self.checks.clone(),
            self.body.clone(),
            self.hash.to_string(),
        ]
    }
}

/// What the entries up to here tell, for the columns beside an entry. Pure.
#[derive(Debug, Default)]
pub(super) struct Teller {
    users: BTreeMap<JobId, UserId>,
    keys: BTreeMap<JobId, KeyRef>,
    checks: BTreeMap<JobId, String>,
    /// The operator of the run that each bench is at.
    operators: BTreeMap<BenchId, String>,
}

impl Teller {
    /// The row of the next entry; `upn` is left empty.
    pub(super) fn row(&mut self, recorded: &Recorded, stored: Row) -> Result<AuditRow, LedgerError> {
        let seq = recorded.seq;
        let unreadable = |error: serde_json::Error| LedgerError::UnknownEntry { seq, what: error.to_string() };
        let told: Value = serde_json::from_str(&stored.body).map_err(unreadable)?;
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        match &recorded.entry {
            Entry::JobPlanned { job, user, .. } => drop(self.users.insert(job.clone(), user.clone())),
            Entry::AttemptStarted { job, key, .. } => {
                self.keys.insert(job.clone(), key.clone());
                self.checks.remove(job);
            }
            Entry::CredentialProved { job, checks, .. } => drop(self.checks.insert(job.clone(), checks.join("; "))),
            Entry::RunStarted { operator, .. } => drop(self.operators.insert(recorded.bench.clone(), operator.clone())),
            _ => {}
        }
        let job = recorded.entry.job();
        let user = recorded.entry.user().or_else(|| job.and_then(|job| self.users.get(job)));
        let key = match &recorded.entry {
            Entry::KeyRefused { key, .. } => Some(key),
            entry if told["attempt"].is_u64() || matches!(entry, Entry::Finished { .. }) => {
                job.and_then(|job| self.keys.get(job))
            }
            _ => None,
        };
        let own = ["by", "operator"].into_iter().map(text).find(|by| !by.is_empty());
        let elsewhere = told["done"]["by"].as_str().map(str::to_owned);
        let by = own.or(elsewhere).or_else(|| self.operators.get(&recorded.bench).cloned()).unwrap_or_default();
        let proved = matches!(recorded.entry, Entry::CredentialProved { .. } | Entry::Finished { .. });
        let checks = job.filter(|_| proved).and_then(|job| self.checks.get(job)).cloned().unwrap_or_default();
        if matches!(recorded.entry, Entry::RunEnded { .. }) {
            self.operators.remove(&recorded.bench);
        }
        let optional = |text: Option<String>| text.unwrap_or_default();
        Ok(AuditRow {
            seq,
            kind: text("kind"),
            act: text("act"),
            job: optional(job.map(ToString::to_string)),
            user: optional(user.map(ToString::to_string)),
            upn: String::new(),
            attempt: optional(told["attempt"].as_u64().map(|attempt| attempt.to_string())),
            serial: optional(key.and_then(|key| key.serial.as_ref()).map(ToString::to_string)),
            model: optional(key.and_then(|key| key.model.clone())),
            aaguid: optional(key.map(|key| key.aaguid.to_string())),
            firmware: optional(key.and_then(|key| key.firmware.as_ref()).map(ToString::to_string)),
            by,
            checks,
            at: stored.at,
            bench: stored.bench,
            body: stored.body,
            hash: BlobHash(stored.hash),
        })
    }
}

/// Gives every entry to `take`, in order, with the person's UPN where the ledger still has it. One pass.
///
/// # Errors
/// [`LedgerError`] when the ledger can't be read.
pub fn audit(ledger: &dyn Ledger, take: &mut dyn FnMut(AuditRow) -> ControlFlow<()>) -> Result<(), LedgerError> {
    let upns: BTreeMap<String, Upn> =
        ledger.people()?.into_iter().map(|person| (person.id.to_string(), person.upn)).collect();
    let mut teller = Teller::default();
    let mut broken = None;
    ledger.visit_rows(&mut |stored| match stored.understand().and_then(|recorded| teller.row(&recorded, stored)) {
        Ok(mut row) => {
            row.upn = upns.get(&row.user).map(ToString::to_string).unwrap_or_default();
            take(row)
        }
        Err(error) => {
            broken = Some(error);
            ControlFlow::Break(())
        }
    })?;
    broken.map_or(Ok(()), Err)
}
