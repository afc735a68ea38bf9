//! Who else could have written, or could read, a file we rely on.
//!
//! Promise: on Unix a settings file is believed only when nobody but its owner (this account or root) can change it, and a
//! secret's file only when nobody else can read it. Exception: on Windows the folder's inherited access list is relied
//! on; it is not read here.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::problem::ConfigError;

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

/// Opens, checks the open file (so that it can't be swapped in between), and reads it.
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
    check(path, &metadata, guard)?;
    // Room for all of it beforehand, so that growing leaves no unwiped copy behind.
    let room = usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.by_ref().take(LARGEST).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    Ok(bytes)
}

#[cfg(unix)]
fn check(path: &Path, metadata: &Metadata, guard: Guard) -> Result<(), ConfigError> {
    use std::os::unix::fs::MetadataExt as _;

    let mode = metadata.mode() & 0o777;
    let (forbidden, right) = match guard {
        Guard::Change => (0o022, "go-w"),
        Guard::Read => (0o077, "go="),
    };
    if mode & forbidden != 0 {
        return Err(ConfigError::Exposed {
            path: path.to_owned(),
            why: format!("its mode is {mode:04o}"),
            fix: format!("chmod {right} {}", path.display()),
        });
    }
    #[cfg(target_os = "linux")]
    {
        let me = rustix::process::geteuid().as_raw();
        if metadata.uid() != me && metadata.uid() != 0 {
            return Err(ConfigError::Exposed {
                path: path.to_owned(),
                why: format!("it belongs to user {} and not to you", metadata.uid()),
                fix: "make a file of your own with keybench config init".to_owned(),
            });
        }
    }
    // Whoever may write the folder may put another file in its place; the sticky bit (as on /tmp) forbids just that.
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Ok(about) = std::fs::metadata(folder)
        && about.mode() & 0o002 != 0
        && about.mode() & 0o1000 == 0
    {
        return Err(ConfigError::Exposed {
            path: folder.to_owned(),
            why: "everybody may put files there".to_owned(),
            fix: format!("chmod o-w {}", folder.display()),
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check(_path: &Path, _metadata: &Metadata, _guard: Guard) -> Result<(), ConfigError> {
    Ok(())
}

/// Writes a file that only this account can read; `replace` allows an existing one to be overwritten.
pub(super) fn write_private(path: &Path, content: &[u8], replace: bool) -> Result<(), ConfigError> {
    use std::io::Write as _;

    let unwritable =
        |error: std::io::Error| ConfigError::Unwritable { path: path.to_owned(), cause: error.to_string() };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(unwritable)?;
    }
    if replace {
        // Removed rather than truncated: an old file keeps its mode, and may be a link to somewhere else.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unwritable(error)),
            _ => {}
        }
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => ConfigError::Exists { path: path.to_owned() },
        _ => unwritable(error),
    })?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(unwritable)
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
