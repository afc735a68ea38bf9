//! The key that lets a bench go on with an unfinished job: made for that job, kept outside the ledger, destroyed with it.
//!
//! Promise: what [`ResumeStore::create`] has returned is on disk; after [`ResumeStore::destroy`] the key is gone, so that the
//! finished PIN opens neither with the bench's final disk nor with an earlier copy of the ledger alone. Exceptions: a backup
//! or a snapshot of the store's own directory keeps what was in it then (leave it out of backups), and so may a flash disk's
//! spare blocks.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::identity::identity_file;
use crate::model::JobId;
use crate::platform::private::{self, PrivateError, Readers};

/// One job's resume key.
pub struct ResumeKey(age::x25519::Identity);

impl ResumeKey {
    /// A new one from the system's randomness.
    pub fn generate() -> Self {
        Self(age::x25519::Identity::generate())
    }

    pub(super) fn identity(&self) -> &age::x25519::Identity {
        &self.0
    }

    pub(super) fn recipient(&self) -> age::x25519::Recipient {
        self.0.to_public()
    }
}

impl fmt::Debug for ResumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeKey(…)")
    }
}

/// Why the store is no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The file system keeps this account out.
    #[error("this account can't use the store of resume keys: {source}. Next: run keybench under the account that owns {}, or name another place for the bench's data", .store.display())]
    NoAccess {
        /// Its directory.
        store: PathBuf,
        /// What happened.
        source: PrivateError,
    },
    /// Other accounts can get in, or it is no directory.
    #[error(transparent)]
    NotPrivate(PrivateError),
    /// A key's file holds something else.
    #[error(
        "the resume key of job {job} is damaged, so this bench can't go on with its PIN. Next: a custodian can still open it with `keybench escrow open --job {job}`; or reset the key and start the job again"
    )]
    Damaged {
        /// Whose.
        job: JobId,
    },
    /// The job's id can't be a file's name.
    #[error("the job's id can't name a file; it was not made by this version of keybench")]
    BadJob,
    /// A store other than files failed.
    #[error("the store of resume keys failed: {0}")]
    Other(String),
}

/// Where resume keys are kept: a directory of files; later also the system's keyring. Tries count from 1; each has a key of
/// its own.
pub trait ResumeStore: Send + Sync {
    /// Makes sure, before the first key is touched, that keys can be written, read and destroyed here by this account.
    ///
    /// # Errors
    /// [`ResumeError`].
    fn probe(&self) -> Result<(), ResumeError>;

    /// Makes a job's key, durable before this returns. One that is there already (from before a crash) is returned instead:
    /// what was sealed with it stays open.
    ///
    /// # Errors
    /// [`ResumeError`]; nothing may be sealed then.
    fn create(&self, job: &JobId, attempt: u32) -> Result<ResumeKey, ResumeError>;

    /// The key, if it was not destroyed.
    ///
    /// # Errors
    /// [`ResumeError`].
    fn load(&self, job: &JobId, attempt: u32) -> Result<Option<ResumeKey>, ResumeError>;

    /// Destroys it, durably. `Ok` when it is gone already, so that it can be repeated on restart.
    ///
    /// # Errors
    /// [`ResumeError`]; then it may still be there, and the ledger must not say otherwise.
    fn destroy(&self, job: &JobId, attempt: u32) -> Result<(), ResumeError>;

    /// All keys there are, in no order: a restart destroys those of finished jobs.
    ///
    /// # Errors
    /// [`ResumeError`].
    fn list(&self) -> Result<Vec<(JobId, u32)>, ResumeError>;
}

/// One file a key, 0600, in a directory of its own, 0700.
#[derive(Debug, Clone)]
pub struct DirResumeStore {
    dir: PathBuf,
}

impl DirResumeStore {
    /// The store in this directory, made when missing.
    ///
    /// # Errors
    /// [`ResumeError::NoAccess`] when it can't be made, [`ResumeError::NotPrivate`] when others may enter it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, ResumeError> {
        let store = Self { dir: dir.into() };
        private::create_private_dir(&store.dir).map_err(|error| store.no_access(error))?;
        Ok(store)
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn no_access(&self, source: PrivateError) -> ResumeError {
        match source {
            PrivateError::Io { .. } => ResumeError::NoAccess { store: self.dir.clone(), source },
            other => ResumeError::NotPrivate(other),
        }
    }

    fn file(&self, job: &JobId, attempt: u32) -> Result<PathBuf, ResumeError> {
        let name = job.as_str();
        // Letters and digits only: no path, no hidden file, no device name with an ending.
        if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(ResumeError::BadJob);
        }
        Ok(self.dir.join(format!("{name}.{attempt}.key")))
    }

    fn read(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, ResumeError> {
        match fs::read(path) {
            Ok(content) => Ok(Some(Zeroizing::new(content))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.no_access(PrivateError::io("reading", path, error))),
        }
    }
}

impl ResumeStore for DirResumeStore {
    fn probe(&self) -> Result<(), ResumeError> {
        private::create_private_dir(&self.dir).map_err(|error| self.no_access(error))?;
        let path = self.dir.join(format!(".probe-{}", std::process::id()));
        private::write_atomic(&path, b"probe", Readers::OnlyMe).map_err(|error| self.no_access(error))?;
        let back = self.read(&path)?;
        private::wipe(&path).map_err(|error| self.no_access(error))?;
        if back.as_deref().map(Vec::as_slice) != Some(b"probe") {
            return Err(ResumeError::Other(format!("{} does not give back what was written", self.dir.display())));
        }
        // Another account's keys here would stop a job in the middle.
        for (job, attempt) in self.list()? {
            self.read(&self.file(&job, attempt)?)?;
        }
        Ok(())
    }

    fn create(&self, job: &JobId, attempt: u32) -> Result<ResumeKey, ResumeError> {
        if let Some(existing) = self.load(job, attempt)? {
            return Ok(existing);
        }
        let key = ResumeKey::generate();
        let content = identity_file(&key.0, Timestamp::now());
        private::write_atomic(&self.file(job, attempt)?, content.as_bytes(), Readers::OnlyMe)
            .map_err(|error| self.no_access(error))?;
        Ok(key)
    }

    fn load(&self, job: &JobId, attempt: u32) -> Result<Option<ResumeKey>, ResumeError> {
        let Some(content) = self.read(&self.file(job, attempt)?)? else {
            return Ok(None);
        };
        let damaged = || ResumeError::Damaged { job: job.clone() };
        let text = std::str::from_utf8(&content).map_err(|_| damaged())?;
        let secret = text.lines().find(|line| !line.is_empty() && !line.starts_with('#')).ok_or_else(damaged)?;
        secret.parse().map(|identity| Some(ResumeKey(identity))).map_err(|_| damaged())
    }

    fn destroy(&self, job: &JobId, attempt: u32) -> Result<(), ResumeError> {
        private::wipe(&self.file(job, attempt)?).map_err(|error| self.no_access(error))
    }

    fn list(&self) -> Result<Vec<(JobId, u32)>, ResumeError> {
        let failed = |error| self.no_access(PrivateError::io("listing", &self.dir, error));
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let parts = name.to_str().and_then(|name| name.strip_suffix(".key")?.split_once('.'));
            // Anything else is not ours to judge.
            let Some((job, attempt)) = parts.and_then(|(job, attempt)| Some((JobId::new(job), attempt.parse().ok()?)))
            else {
                continue;
            };
            if self.file(&job, attempt).is_ok() {
                all.push((job, attempt));
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, DirResumeStore) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = DirResumeStore::open(dir.path().join("resume")).expect("opens");
        (dir, store)
    }

    fn job(text: &str) -> JobId {
        JobId::new(text)
    }

    #[test]
    fn a_key_is_kept_until_it_is_destroyed() {
        let (_dir, store) = store();
        let made = store.create(&job("A"), 1).expect("makes");
        let again = DirResumeStore::open(store.dir()).expect("opens");
        let loaded = again.load(&job("A"), 1).expect("reads").expect("there");
        assert_eq!(made.recipient().to_string(), loaded.recipient().to_string());
        // After a crash the same key comes back; another try has another.
        let repeated = again.create(&job("A"), 1).expect("makes");
        assert_eq!(made.recipient().to_string(), repeated.recipient().to_string());
        let second = again.create(&job("A"), 2).expect("makes");
        assert_ne!(made.recipient().to_string(), second.recipient().to_string());
        let mut listed = again.list().expect("lists");
        listed.sort();
        assert_eq!(listed, [(job("A"), 1), (job("A"), 2)]);

        again.destroy(&job("A"), 1).expect("destroys");
        again.destroy(&job("A"), 1).expect("can be repeated");
        assert!(again.load(&job("A"), 1).expect("reads").is_none());
        assert_eq!(again.list().expect("lists"), [(job("A"), 2)]);
    }

    #[test]
    fn nothing_of_a_destroyed_key_is_left_in_the_store() {
        let (_dir, store) = store();
        store.create(&job("A"), 1).expect("makes");
        store.destroy(&job("A"), 1).expect("destroys");
        assert_eq!(fs::read_dir(store.dir()).expect("lists").count(), 0);
    }

    #[test]
    fn a_damaged_key_and_strange_names() {
        let (_dir, store) = store();
        fs::write(store.dir().join("A.1.key"), "AGE-SECRET-KEY-1HALF").expect("writes");
        let error = store.load(&job("A"), 1).expect_err("damaged");
        assert!(matches!(&error, ResumeError::Damaged { .. }) && !error.to_string().contains("HALF"));
        assert!(store.create(&job("A"), 1).is_err(), "what a PIN may be sealed to is not overwritten");
        for bad in ["", "..", "a/b", "a b", "a.b", &"x".repeat(65)] {
            assert!(matches!(store.create(&job(bad), 1), Err(ResumeError::BadJob)), "{bad}");
        }
        fs::write(store.dir().join("readme.txt"), "").expect("writes");
        fs::write(store.dir().join("A.x.key"), "").expect("writes");
        assert_eq!(store.list().expect("lists"), [(job("A"), 1)]);
        assert_eq!(format!("{:?}", ResumeKey::generate()), "ResumeKey(…)");
    }

    #[cfg(unix)]
    #[test]
    fn files_are_private_and_a_store_that_is_not_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, store) = store();
        store.probe().expect("works");
        store.create(&job("A"), 1).expect("makes");
        let mode = fs::metadata(store.dir().join("A.1.key")).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        store.probe().expect("works with keys in it");
        fs::set_permissions(store.dir(), fs::Permissions::from_mode(0o750)).expect("changes");
        assert!(matches!(store.probe(), Err(ResumeError::NotPrivate(_))));
        assert!(DirResumeStore::open(store.dir()).is_err());
    }
}
