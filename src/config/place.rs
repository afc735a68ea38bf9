//! What a path in the settings counts from.

use std::path::{Path, PathBuf};

/// A path out of the settings: relative ones count from the settings file's folder, so that they mean the same from
/// wherever the command is started.
pub(super) fn beside(file: Option<&Path>, path: &str) -> PathBuf {
    let path = PathBuf::from(path.trim());
    match file.and_then(Path::parent) {
        Some(folder) if path.is_relative() => folder.join(path),
        _ => path,
    }
}
