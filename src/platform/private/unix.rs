//! Modes and owners.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::{PrivateError, parent_of};

pub(super) fn make_dir(path: &Path) -> Result<(), PrivateError> {
    DirBuilder::new().mode(0o700).create(path).map_err(|error| PrivateError::io("creating", path, error))
}

pub(super) fn make_file(path: &Path) -> Result<File, PrivateError> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| PrivateError::io("creating", path, error))
}

pub(super) fn check_private(path: &Path) -> Result<(), PrivateError> {
    let found = fs::metadata(path).map_err(|error| PrivateError::io("looking at", path, error))?;
    let mode = found.mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(PrivateError::Exposed {
        path: path.to_owned(),
        detail: format!("mode {mode:04o}"),
        remedy: format!("chmod go-rwx '{}'", path.display()),
    })
}

pub(super) fn check_not_writable_by_others(path: &Path) -> Result<(), PrivateError> {
    let found = fs::metadata(path).map_err(|error| PrivateError::io("looking at", path, error))?;
    if found.mode() & 0o022 != 0 {
        return Err(PrivateError::WritableByOthers {
            path: path.to_owned(),
            detail: format!("mode {:04o}", found.mode() & 0o777),
            remedy: format!("chmod go-w '{}'", path.display()),
        });
    }
    #[cfg(target_os = "linux")]
    {
        let me = rustix::process::geteuid().as_raw();
        if found.uid() != me && found.uid() != 0 {
            return Err(PrivateError::WritableByOthers {
                path: path.to_owned(),
                detail: format!("it belongs to user {} and not to you", found.uid()),
                remedy: "make a file of your own, e.g. with keybench config init".to_owned(),
            });
        }
    }
    // Where everybody may rename and nothing is sticky, anybody can put another file in its place.
    let dir = parent_of(path);
    let around = fs::metadata(dir).map_err(|error| PrivateError::io("looking at", dir, error))?;
    if around.mode() & 0o002 != 0 && around.mode() & 0o1000 == 0 {
        return Err(PrivateError::WritableByOthers {
            path: path.to_owned(),
            detail: format!("anybody may replace files in {}", dir.display()),
            remedy: format!("chmod o-w '{}'", dir.display()),
        });
    }
    Ok(())
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
