//! What can go wrong with a ledger. `Display` is the fact and its cause; [`LedgerError::next`] is the next step.

use std::path::PathBuf;

use jiff::Timestamp;

use super::chain::ChainFault;
use super::entry::{Attempt, BlobHash};
use crate::model::{BenchId, JobId};

/// Why the ledger could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The disk has no room.
    #[error("the ledger {} could not be written: the disk is full. Nothing was half-written", path.display())]
    DiskFull {
        /// The ledger or its mirror.
        path: PathBuf,
    },
    /// The file or its directory may only be read.
    #[error("the ledger {} can't be written: the file or its directory is read-only", path.display())]
    ReadOnlyFile {
        /// The ledger.
        path: PathBuf,
    },
    /// This ledger was opened for reading.
    #[error("the ledger was opened for reading only")]
    ReadOnly,
    /// The file is damaged.
    #[error("the ledger {} is damaged: {what}", path.display())]
    Corrupt {
        /// The ledger.
        path: PathBuf,
        /// What SQLite or we found.
        what: String,
    },
    /// The file is something else.
    #[error("{} is not a keybench ledger: {what}", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
        /// How we know.
        what: String,
    },
    /// A newer keybench wrote it.
    #[error(
        "the ledger {} was written by a newer keybench (its schema is {found}; this program knows up to {known})",
        path.display()
    )]
    NewerSchema {
        /// The ledger.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema we know.
        known: i64,
    },
    /// A reader can't bring the schema up to date.
    #[error("the ledger {} has an older schema ({found}; this program wants {known})", path.display())]
    OlderSchema {
        /// The ledger.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The schema we want.
        known: i64,
    },
    /// There is no such file.
    #[error("there is nothing at {}", path.display())]
    Missing {
        /// Where we looked.
        path: PathBuf,
    },
    /// A second copy must be another file.
    #[error("the ledger and its mirror are the same file, {}", path.display())]
    MirrorIsLedger {
        /// That file.
        path: PathBuf,
    },
    /// Something is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// One bench writes at a time, and nobody beside whoever needs the ledger alone.
    #[error("the ledger {} is in use by another keybench{}", path.display(), holder.as_deref().map(|who| format!(" ({who})")).unwrap_or_default())]
    InUse {
        /// The ledger.
        path: PathBuf,
        /// Process, computer, bench and since when, as far as it can be told.
        holder: Option<String>,
    },
    /// Another program holds a lock inside the file for too long.
    #[error("the ledger {} stayed locked by another program", path.display())]
    Locked {
        /// The ledger.
        path: PathBuf,
    },
    /// The place can't keep the promise.
    #[error(
        "the ledger {} lies on a network share ({kind}): locks and syncs there can't be relied on, so a PIN could be lost",
        path.display()
    )]
    NetworkShare {
        /// The ledger.
        path: PathBuf,
        /// The kind of share.
        kind: String,
    },
    /// The URL names no ledger we can open.
    #[error("`{url}` names no ledger: {why}")]
    BadUrl {
        /// As it was given.
        url: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Reading or writing failed.
    #[error("the ledger {} could not be used: {what}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        what: String,
    },
    /// A commit failed in a way that leaves open whether it is on the disk.
    #[error("the ledger {} failed while writing ({what}); whether the last entry is on the disk is unknown", path.display())]
    Uncertain {
        /// The ledger.
        path: PathBuf,
        /// What the system said.
        what: String,
    },
    /// An entry is there, and its chain link is right, but we can't read it.
    #[error("entry {seq} of the ledger can't be read: {what}")]
    UnknownEntry {
        /// Its position.
        seq: u64,
        /// Why.
        what: String,
    },
    /// The chain or a side table is not as it was written.
    #[error("the ledger was changed behind our back: {0}")]
    Chain(#[from] ChainFault),
    /// The mirror can't be written.
    #[error("the ledger's mirror {} can't be written: {what}. The ledger itself has the entry", path.display())]
    Mirror {
        /// The mirror.
        path: PathBuf,
        /// What the system said.
        what: String,
    },
    /// Sealed PINs are out of the ledger and not yet out of its mirror.
    #[error("the ledger has changed, but its mirror {} still holds sealed PINs that are no longer in the ledger: {what}", mirror.display())]
    MirrorOwes {
        /// The mirror.
        mirror: PathBuf,
        /// What was in the way.
        what: String,
    },
    /// The mirror can't be read.
    #[error("the ledger's mirror {} is damaged in {}: {what}", path.display(), line.map_or("its last line".to_owned(), |line| format!("line {line}")))]
    MirrorCorrupt {
        /// The mirror.
        path: PathBuf,
        /// The line, from 1; `None` for the last one, when it was looked for from the end.
        line: Option<u64>,
        /// What is wrong.
        what: String,
    },
    /// The mirror knows more than the ledger.
    #[error(
        "the ledger {} is older than its mirror {}: it ends at entry {ledger_seq}, the mirror at entry {mirror_seq}. {}",
        path.display(), mirror.display(),
        match ledger_seq {
            0 => "The ledger was lost, or the settings name another place for it than before",
            _ => "An old copy of the ledger was probably put back",
        }
    )]
    OlderThanMirror {
        /// The ledger.
        path: PathBuf,
        /// The mirror.
        mirror: PathBuf,
        /// The ledger's last entry; 0 when there is no ledger.
        ledger_seq: u64,
        /// The mirror's last entry.
        mirror_seq: u64,
    },
    /// The mirror is another ledger's, or the two have gone separate ways.
    #[error("the mirror {} does not belong to the ledger {}: they differ at entry {seq}", mirror.display(), path.display())]
    ForeignMirror {
        /// The ledger.
        path: PathBuf,
        /// The mirror.
        mirror: PathBuf,
        /// Where they differ.
        seq: u64,
    },
    /// Another bench has the job.
    #[error("job {job} is held by bench {bench} until {expires}")]
    ClaimedElsewhere {
        /// The job.
        job: JobId,
        /// Who holds it.
        bench: BenchId,
        /// Until when.
        expires: Timestamp,
    },
    /// Somebody took the job over.
    #[error("this bench no longer holds job {job}: nothing was written")]
    ClaimLost {
        /// The job.
        job: JobId,
    },
    /// What was decided rests on what is no longer so.
    #[error("another keybench wrote about {} meanwhile: nothing was written here", if job.is_empty() { "the same".to_owned() } else { format!("job {job}") })]
    Overtaken {
        /// The job; empty where it is about none.
        job: String,
    },
    /// A try has one PIN for good.
    #[error("try {attempt} of job {job} has a sealed PIN already")]
    AlreadySealed {
        /// The job.
        job: JobId,
        /// The try.
        attempt: Attempt,
    },
    /// What was asked would break a promise.
    #[error("the ledger does not take this: {0}")]
    NotAllowed(String),
    /// A kept blob is not what its hash says.
    #[error("the bytes kept under {0} are others")]
    BlobMismatch(BlobHash),
    /// A [`super::Faulty`] ledger reached its write.
    #[error("the ledger stopped, as the test asked it to")]
    Stopped,
}

impl LedgerError {
    /// The next step for the person in front of it.
    pub fn next(&self) -> String {
        match self {
            Self::DiskFull { path } => {
                format!("make room on the disk that holds {}, then run the same command again", path.display())
            }
            Self::ReadOnlyFile { path } => {
                format!("give the account that runs keybench the right to write {} and its directory", path.display())
            }
            Self::ReadOnly => "this is a mistake in keybench: please report it".to_owned(),
            Self::Corrupt { path, .. } => format!(
                "keep {} as it is; put a backup in its place, or run `keybench ledger restore` with the mirror",
                path.display()
            ),
            Self::NotALedger { .. } => "check `[ledger] url` in the settings; nothing was changed".to_owned(),
            Self::NewerSchema { .. } => {
                "use the version of keybench that wrote it, or a newer one; nothing was changed".to_owned()
            }
            Self::OlderSchema { .. } => {
                "start `keybench run` once, which brings it up to date; this command changed nothing".to_owned()
            }
            Self::Missing { .. } => {
                "check `[ledger] url` and `mirror` in the settings; `keybench run` makes a new ledger".to_owned()
            }
            Self::MirrorIsLedger { .. } => {
                "set `[ledger] mirror` to a path on another disk or computer; nothing was changed".to_owned()
            }
            Self::Exists { .. } => "choose a path where nothing is yet, or move that file away".to_owned(),
            Self::InUse { .. } => {
                "wait until that keybench ends, or end it; reading commands such as `keybench status` work \
                                   beside it, and beside a bench also letters, packing and openings"
                    .to_owned()
            }
            Self::Locked { .. } => "close other programs that have the file open, e.g. sqlite3 or a backup".to_owned(),
            Self::NetworkShare { .. } => {
                "put the ledger on a disk of this computer, and set `[ledger] mirror` for a second copy".to_owned()
            }
            Self::BadUrl { .. } => "write `[ledger] url = \"sqlite:PATH\"`".to_owned(),
            Self::Io { .. } => "check the disk and the rights, then run the same command again".to_owned(),
            Self::Uncertain { .. } => {
                "check the disk, then run the same command again: it reads what is there and settles it".to_owned()
            }
            Self::UnknownEntry { .. } => "use the version of keybench that wrote it, or a newer one".to_owned(),
            Self::Chain(_) | Self::BlobMismatch(_) => {
                "keep the file as evidence; put a backup in its place, or run `keybench ledger restore` with the mirror"
                    .to_owned()
            }
            Self::Mirror { path, .. } => format!(
                "make {} writable again, then run the same command; no key got a PIN that the mirror does not have",
                path.display()
            ),
            Self::MirrorOwes { mirror, .. } => format!(
                "make {} writable again: the next run, or the next command that has the ledger alone, takes them out",
                mirror.display()
            ),
            Self::MirrorCorrupt { path, .. } => format!(
                "move {} away: keybench writes a new mirror from the ledger when it starts next",
                path.display()
            ),
            Self::OlderThanMirror { mirror, .. } => format!(
                "move the ledger away and run `keybench ledger restore --mirror {}`, or put the newer ledger back",
                mirror.display()
            ),
            Self::ForeignMirror { .. } => {
                "check `[ledger] url` and `mirror` in the settings; if both are right, keep both files as evidence"
                    .to_owned()
            }
            Self::ClaimedElsewhere { expires, .. } => {
                format!("let that bench finish, or wait until {expires}; the other people go on")
            }
            Self::Overtaken { .. } => "run the same command again: it looks at what is there now".to_owned(),
            Self::ClaimLost { .. } => "leave this key aside; the bench that holds the job now settles it".to_owned(),
            Self::AlreadySealed { .. } | Self::NotAllowed(_) | Self::Stopped => {
                "run the same command again; if it says this again, please report it".to_owned()
            }
        }
    }

    /// Whether the write may have reached the disk although the call failed. After every other error nothing was written.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Uncertain { .. } | Self::Mirror { .. } | Self::Stopped)
    }
}
