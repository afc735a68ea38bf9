//! Writing down what is done to people's accounts: before it is done, and how it went.
//!
//! Promise: no write to an account without an entry before it; the entry after it says done, failed, or (by its absence) that
//! nobody knows. What is secret is not in what is handed in here: a password, a pass or a seed is left out of the document by
//! its maker. Exception: none.

use serde_json::Value;

use crate::graph::GraphError;
use crate::ledger::{Append, BlobHash, Entry, Ledger, LedgerError, TenantEntry};
use crate::model::{ChangeId, TenantId, UserId};
use crate::world::{Entropy, NoEntropy};

/// Crockford's base32: nothing in it is misread over a phone.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why something could not be written down. Nothing was done then.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A change has no id without randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// Who does it, where, and where it is written down.
pub struct AccountJournal<'a> {
    /// Where.
    pub ledger: &'a dyn Ledger,
    /// For ids.
    pub entropy: &'a dyn Entropy,
    /// The tenant.
    pub tenant: TenantId,
    /// The operating system's name for who does it.
    pub operator: String,
    /// Object id of the signed-in account, or the application's id.
    pub account: String,
}

/// A write that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Intended<'a> {
    /// Whom it is about.
    pub user: Option<&'a UserId>,
    /// The operator's word for what is changed.
    pub area: &'a str,
    /// Method and path below the version, with ids and no names.
    pub call: &'a str,
    /// What was there before.
    pub before: Option<&'a Value>,
    /// What is sent, without what is secret in it.
    pub sent: Option<&'a Value>,
}

impl AccountJournal<'_> {
    /// Writes down what is about to be done. Only then may it be done.
    ///
    /// # Errors
    /// [`JournalError`]: nothing may be sent.
    pub fn intend(&self, what: Intended<'_>) -> Result<ChangeId, JournalError> {
        let change = self.new_change()?;
        let document = |value: Option<&Value>| value.map(|value| value.to_string().into_bytes());
        let (before, sent) = (document(what.before), document(what.sent));
        let entry = TenantEntry::AccountChangeIntended {
            change: change.clone(),
            tenant: self.tenant.clone(),
            user: what.user.cloned(),
            area: what.area.to_owned(),
            call: what.call.to_owned(),
            before: before.as_deref().map(BlobHash::of),
            sent: sent.as_deref().map(BlobHash::of),
            operator: self.operator.clone(),
            account: self.account.clone(),
        };
        let mut append = Append::entry(Entry::Tenant(entry));
        for bytes in before.into_iter().chain(sent) {
            append = append.with_document(bytes);
        }
        self.ledger.append(append)?;
        Ok(change)
    }

    /// It is done. `facts` are entries that say what became of it, e.g. `PassIssued`.
    ///
    /// # Errors
    /// When the ledger can't be written.
    pub fn done(
        &self,
        change: &ChangeId,
        request: Option<&str>,
        facts: impl IntoIterator<Item = TenantEntry>,
    ) -> Result<(), LedgerError> {
        self.done_with(change, request, facts, None)
    }

    /// As [`Self::done`], with a document that one of the facts names.
    ///
    /// # Errors
    /// When the ledger can't be written.
    pub fn done_with(
        &self,
        change: &ChangeId,
        request: Option<&str>,
        facts: impl IntoIterator<Item = TenantEntry>,
        document: Option<Vec<u8>>,
    ) -> Result<(), LedgerError> {
        let done = TenantEntry::ChangeDone { change: change.clone(), after: None, request: request.map(str::to_owned) };
        let entries = facts.into_iter().chain([done]).map(Entry::Tenant);
        let mut append = Append::entries(entries);
        if let Some(document) = document {
            append = append.with_document(document);
        }
        self.ledger.append(append).map(drop)
    }

    /// It was refused. A write whose outcome is unknown is left without this: the account is read before anything else.
    ///
    /// # Errors
    /// When the ledger can't be written.
    pub fn failed(&self, change: &ChangeId, why: &GraphError) -> Result<(), LedgerError> {
        if why.kind() == crate::graph::ErrorKind::Unknown {
            return Ok(());
        }
        let entry = TenantEntry::ChangeFailed {
            change: change.clone(),
            code: why.kind().word().to_owned(),
            request: why.ids().client_request_id.clone(),
        };
        self.ledger.append(Append::entry(Entry::Tenant(entry))).map(drop)
    }

    /// Ten characters, 50 random bits.
    fn new_change(&self) -> Result<ChangeId, NoEntropy> {
        let mut bytes = [0u8; 10];
        self.entropy.fill(&mut bytes)?;
        // infallible: masked to 0..32
        let text: String = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
        Ok(ChangeId::new(text))
    }
}
