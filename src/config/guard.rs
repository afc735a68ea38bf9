//! Who else could have written, or could read, a file we rely on.
//!
//! Promise: a settings file is believed only when nobody but its owner (this account or an administrator) can change or
//! replace it, and a secret's file only when nobody else can read it; `platform::private` knows how each system tells.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::problem::ConfigError;
use crate::platform::private::{self, PrivateError, Readers};

/// The most bytes a settings or secret file may have.
const LARGEST: u64 = 1024 * 1024;

/// What must not be possible to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// Changing it.
    Change,
    /// Changing it or reading it.
    Read,
}

/// Opens, checks and reads it.
pub(super) fn read_guarded(path: &Path, guard: Guard) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let unreadable = |cause: String| ConfigError::Unreadable { path: path.to_owned(), cause };
    let mut file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ConfigError::NotFound { path: path.to_owned() },
        _ => unreadable(error.to_string()),
    })?;
    let metadata = file.metadata().map_err(|error| unreadable(error.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable("it is not a file".to_owned()));
    }
    if metadata.len() > LARGEST {
        return Err(unreadable("it is larger than 1 MiB".to_owned()));
    }
    check(path, guard)?;
    // Room for all of it beforehand, so that growing leaves no unwiped copy behind.
    let room = usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.by_ref().take(LARGEST).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    Ok(bytes)
}

fn check(path: &Path, guard: Guard) -> Result<(), ConfigError> {
    if guard == Guard::Read {
        private::check_private(path).map_err(|error| exposed(path, error))?;
    }
    private::check_not_writable_by_others(path).map_err(|error| exposed(path, error))
}

fn exposed(path: &Path, error: PrivateError) -> ConfigError {
    match error {
        PrivateError::Exposed { path, detail, remedy } | PrivateError::WritableByOthers { path, detail, remedy } => {
            ConfigError::Exposed { path, why: detail, fix: remedy }
        }
        other => ConfigError::Unreadable { path: path.to_owned(), cause: other.to_string() },
    }
}

/// Writes a file that only this account can read, all of it or nothing; `replace` allows an existing one to be overwritten.
pub(super) fn write_private(path: &Path, content: &[u8], replace: bool) -> Result<(), ConfigError> {
    let unwritable = |cause: String| ConfigError::Unwritable { path: path.to_owned(), cause };
    if !replace && path.symlink_metadata().is_ok() {
        return Err(ConfigError::Exists { path: path.to_owned() });
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        private::create_private_dir(folder).map_err(|error| unwritable(error.to_string()))?;
    }
    private::write_atomic(path, content, Readers::OnlyMe).map_err(|error| unwritable(error.to_string()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "content").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
        (folder, path)
    }

    #[test]
    fn what_others_may_write_is_not_believed() {
        for (mode, changes, reads) in [
            (0o600, true, true),
            (0o644, true, false),
            (0o664, false, false),
            (0o602, false, false),
            (0o400, true, true),
        ] {
            let (_folder, path) = file(mode);
            assert_eq!(read_guarded(&path, Guard::Change).is_ok(), changes, "{mode:o}");
            assert_eq!(read_guarded(&path, Guard::Read).is_ok(), reads, "{mode:o}");
        }
    }

    #[test]
    fn a_folder_open_to_everybody_is_not_believed() {
        let (folder, path) = file(0o600);
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("mode");
        assert!(matches!(read_guarded(&path, Guard::Change), Err(ConfigError::Exposed { .. })));
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o1777)).expect("mode");
        assert!(read_guarded(&path, Guard::Change).is_ok());
    }

    #[test]
    fn a_private_file_is_not_overwritten_unasked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er/file");
        write_private(&path, b"one", false).expect("written");
        assert!(matches!(write_private(&path, b"two", false), Err(ConfigError::Exists { .. })));
        write_private(&path, b"two", true).expect("replaced");
        assert_eq!(std::fs::read(&path).expect("read"), b"two");
        assert_eq!(std::fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
    }
}
