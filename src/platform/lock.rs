//! A file's advisory lock, let go in so many words.
//!
//! Closing the file is not enough: a child process that is being started has a copy of every handle until it becomes its
//! own program, and with it the lock. The system lets go for us only when the process dies.

use std::fs::{File, TryLockError};

/// A lock that is held as long as this lives.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Takes the lock of an open file.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] while somebody else holds it.
    pub fn take(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        Ok(Self(file))
    }

    /// Takes a share of the lock: others may share it, and nobody has it for itself.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] while somebody has it for itself.
    pub fn share(file: File) -> Result<Self, TryLockError> {
        file.try_lock_shared()?;
        Ok(Self(file))
    }

    /// The file, for whoever holds its lock.
    pub fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!("a lock can't be let go before its file is closed: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_handle_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || File::create(directory.path().join("lock")).expect("a file");
        let lock = FileLock::take(open()).expect("free");
        let copy = lock.0.try_clone().expect("as a child process has it");
        assert!(matches!(FileLock::take(open()), Err(TryLockError::WouldBlock)));
        drop(lock);
        FileLock::take(open()).expect("let go");
        drop(copy);
    }

    #[test]
    fn a_lock_is_shared_or_held_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || File::create(directory.path().join("lock")).expect("a file");
        let shares = [FileLock::share(open()).expect("free"), FileLock::share(open()).expect("shared")];
        assert!(matches!(FileLock::take(open()), Err(TryLockError::WouldBlock)));
        drop(shares);
        let alone = FileLock::take(open()).expect("free");
        assert!(matches!(FileLock::share(open()), Err(TryLockError::WouldBlock)));
        drop(alone);
    }
}
