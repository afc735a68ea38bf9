//! What SQLite says, in the ledger's words.

use std::path::Path;

use rusqlite::ErrorCode;

use super::super::chain::ChainFault;
use super::super::error::LedgerError;

/// SQLite's error, or ours, inside a transaction.
#[derive(Debug)]
pub(super) enum Trouble {
    Sql(rusqlite::Error),
    Ledger(LedgerError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<ChainFault> for Trouble {
    fn from(fault: ChainFault) -> Self {
        Self::Ledger(fault.into())
    }
}

impl Trouble {
    pub(super) fn tell(self, path: &Path) -> LedgerError {
        match self {
            Self::Ledger(error) => error,
            Self::Sql(error) => tell(path, &error),
        }
    }
}

pub(super) fn tell(path: &Path, error: &rusqlite::Error) -> LedgerError {
    let path = path.to_owned();
    let what = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LedgerError::DiskFull { path },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => LedgerError::ReadOnlyFile { path },
        Some(ErrorCode::DatabaseCorrupt) => LedgerError::Corrupt { path, what },
        Some(ErrorCode::NotADatabase) => LedgerError::NotALedger { path, what },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LedgerError::Locked { path },
        Some(_) => LedgerError::Io { path, what },
        // A column that is not of the type we wrote, or the like: the file was changed.
        None => LedgerError::Corrupt { path, what },
    }
}
