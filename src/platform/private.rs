//! Files and directories that nobody but this account may read, and files that nobody else may write.
//!
//! Promise: a private file is private from the moment it exists; what [`write_atomic`] has returned from survives a loss of
//! power; a reader sees the old content or the new, never half of it. Exceptions: an administrator can read everything;
//! on Windows a file takes the rights of its directory for the moment between its making and the setting of its own, and
//! directories can't be synced there (NTFS journals names itself).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

#[cfg(not(windows))]
#[path = "private/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "private/windows.rs"]
mod system;

#[cfg(any(windows, test))]
mod sddl;

/// Why a file or directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// The file system said no.
    #[error("{what} {} failed: {source}", .path.display())]
    Io {
        /// What was tried, e.g. `creating`.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Something else is there.
    #[error("{} is not a {wanted}", .path.display())]
    WrongKind {
        /// What was found there.
        path: PathBuf,
        /// What should be there.
        wanted: &'static str,
    },
    /// Another account can reach what must be private.
    #[error("{} can be opened by other accounts ({detail}); it holds secrets. Next: {remedy}", .path.display())]
    Exposed {
        /// What.
        path: PathBuf,
        /// How that was seen, e.g. `mode 0755`.
        detail: String,
        /// What to do.
        remedy: String,
    },
    /// Another account could have written it.
    #[error("{} can be changed by other accounts ({detail}), so it can't be trusted. Next: {remedy}", .path.display())]
    WritableByOthers {
        /// What.
        path: PathBuf,
        /// How that was seen.
        detail: String,
        /// What to do.
        remedy: String,
    },
}

impl PrivateError {
    /// Wraps a system error with what was being done.
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}

/// Makes a directory (and its parents) that only this account may enter. One that is there already is checked, not changed.
///
/// # Errors
/// [`PrivateError::Exposed`] when it exists and others may enter it; [`PrivateError::WrongKind`] when it is no directory.
pub fn create_private_dir(path: &Path) -> Result<(), PrivateError> {
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => Err(PrivateError::WrongKind { path: path.to_owned(), wanted: "directory" }),
        Ok(_) => system::check_private(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|error| PrivateError::io("creating", parent, error))?;
            }
            match system::make_dir(path) {
                // Somebody else was quicker: then it is an existing one.
                Err(PrivateError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                    system::check_private(path)
                }
                other => other,
            }
        }
        Err(error) => Err(PrivateError::io("looking at", path, error)),
    }
}

/// Makes a new file, open for writing, that only this account may read or write.
///
/// # Errors
/// When it exists already ([`io::ErrorKind::AlreadyExists`] inside [`PrivateError::Io`]) or can't be made.
pub fn create_private(path: &Path) -> Result<File, PrivateError> {
    system::make_file(path)
}

/// Opens a private file to write at its end; makes it when it is missing, refuses one that others may read.
///
/// # Errors
/// [`PrivateError`].
pub fn append_private(path: &Path) -> Result<File, PrivateError> {
    match system::make_file(path) {
        Ok(file) => Ok(file),
        Err(PrivateError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            system::check_private(path)?;
            File::options().append(true).open(path).map_err(|error| PrivateError::io("opening", path, error))
        }
        Err(error) => Err(error),
    }
}

/// Checks that only this account may open the file or directory.
///
/// # Errors
/// [`PrivateError::Exposed`], or [`PrivateError::Io`] when it can't be looked at.
pub fn check_private(path: &Path) -> Result<(), PrivateError> {
    system::check_private(path)
}

/// Checks that nobody but this account and the administrator may change the file or replace it.
///
/// # Errors
/// [`PrivateError::WritableByOthers`], or [`PrivateError::Io`] when it can't be looked at.
pub fn check_not_writable_by_others(path: &Path) -> Result<(), PrivateError> {
    system::check_not_writable_by_others(path)
}

/// Who may read a file that [`write_atomic`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// This account only.
    OnlyMe,
    /// Whoever the directory and the umask allow.
    AsUsual,
}

/// Writes a whole file so that it is there entirely or not at all: a neighbour file is written and synced, takes the name
/// of the old one, and the directory is synced.
///
/// # Errors
/// [`PrivateError::Io`]; the old content is untouched then.
pub fn write_atomic(path: &Path, content: &[u8], readers: Readers) -> Result<(), PrivateError> {
    let neighbour = neighbour_of(path);
    // One that an earlier crash left behind is of no use to anybody.
    match fs::remove_file(&neighbour) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(PrivateError::io("removing", &neighbour, error));
        }
        _ => {}
    }
    let mut file = match readers {
        Readers::OnlyMe => system::make_file(&neighbour)?,
        Readers::AsUsual => {
            File::create_new(&neighbour).map_err(|error| PrivateError::io("creating", &neighbour, error))?
        }
    };
    let written = file.write_all(content).and_then(|()| file.sync_all());
    drop(file);
    let done = written
        .map_err(|error| PrivateError::io("writing", &neighbour, error))
        .and_then(|()| fs::rename(&neighbour, path).map_err(|error| PrivateError::io("replacing", path, error)));
    if let Err(error) = done {
        let _ = fs::remove_file(&neighbour); // the first error is the one to tell
        return Err(error);
    }
    sync_dir_of(path)
}

/// Overwrites a file with zeros, removes it and syncs its directory. `Ok` when it is not there.
/// A copying file system or a flash disk may keep the old blocks; what the overwriting adds is for those that don't.
///
/// # Errors
/// [`PrivateError::Io`]; the file may then still be there.
pub fn wipe(path: &Path) -> Result<(), PrivateError> {
    let length = match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Err(PrivateError::WrongKind { path: path.to_owned(), wanted: "file" }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return sync_dir_of(path),
        Err(error) => return Err(PrivateError::io("looking at", path, error)),
    };
    let overwritten = File::options().write(true).open(path).and_then(|mut file| {
        io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
        file.sync_all()
    });
    // A disk without room, or one that is failing, must not keep the name either.
    fs::remove_file(path).map_err(|error| PrivateError::io("removing", path, error))?;
    sync_dir_of(path)?;
    overwritten.map_err(|error| PrivateError::io("overwriting", path, error))
}

/// Syncs the directory that holds `path`, so that a new or removed name survives a loss of power.
///
/// # Errors
/// [`PrivateError::Io`].
pub fn sync_dir_of(path: &Path) -> Result<(), PrivateError> {
    let dir = parent_of(path);
    system::sync_dir(dir).map_err(|error| PrivateError::io("syncing", dir, error))
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn neighbour_of(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_entirely_and_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.toml");
        write_atomic(&path, b"one", Readers::OnlyMe).expect("writes");
        // What a crash left behind does not stop the next one.
        fs::write(neighbour_of(&path), b"half").expect("writes");
        write_atomic(&path, b"two", Readers::OnlyMe).expect("replaces");
        assert_eq!(fs::read(&path).expect("reads"), b"two");
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1);
        check_private(&path).expect("private");
    }

    #[test]
    fn wiping_removes_and_can_be_repeated() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        write_atomic(&path, b"secret", Readers::OnlyMe).expect("writes");
        wipe(&path).expect("wipes");
        assert!(!path.exists());
        wipe(&path).expect("nothing to do");
        assert!(wipe(dir.path()).is_err(), "a directory is no file");
    }

    #[cfg(unix)]
    #[test]
    fn wiping_overwrites_before_removing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        write_atomic(&path, b"secret", Readers::OnlyMe).expect("writes");
        let other_name = dir.path().join("kept");
        fs::hard_link(&path, &other_name).expect("links");
        wipe(&path).expect("wipes");
        assert_eq!(fs::read(other_name).expect("reads"), [0; 6]);
    }

    #[cfg(unix)]
    #[test]
    fn modes_are_set_and_checked() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let dir = tempfile::tempdir().expect("a directory");
        let inner = dir.path().join("a/b");
        create_private_dir(&inner).expect("makes");
        create_private_dir(&inner).expect("is content with it");
        assert_eq!(mode(&inner), 0o700);
        let file = inner.join("f");
        drop(create_private(&file).expect("makes"));
        assert_eq!(mode(&file), 0o600);
        assert!(create_private(&file).is_err(), "made only once");
        append_private(&file).expect("opens").write_all(b"x").expect("writes");
        check_not_writable_by_others(&file).expect("nobody else may");

        fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).expect("changes");
        assert!(matches!(check_not_writable_by_others(&file), Err(PrivateError::WritableByOthers { .. })));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("changes");
        check_not_writable_by_others(&file).expect("reading is no writing");
        assert!(matches!(append_private(&file), Err(PrivateError::Exposed { .. })));
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).expect("changes");
        assert!(matches!(create_private_dir(&inner), Err(PrivateError::Exposed { .. })));
        // Where everybody may rename files, a file's own mode means nothing.
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o777)).expect("changes");
        assert!(matches!(check_not_writable_by_others(&file), Err(PrivateError::WritableByOthers { .. })));
        assert!(matches!(create_private_dir(&file), Err(PrivateError::WrongKind { .. })));
    }
}
