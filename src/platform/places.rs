//! Where things are kept unless the settings say otherwise.
//!
//! | | settings | ledger, resume keys | logs |
//! |---|---|---|---|
//! | Linux | `$XDG_CONFIG_HOME/keybench` (`~/.config/keybench`) | `$XDG_DATA_HOME/keybench` (`~/.local/share/keybench`) | `$XDG_STATE_HOME/keybench` (`~/.local/state/keybench`) |
//! | macOS | `~/Library/Application Support/keybench` | the same | the same |
//! | Windows | `%ProgramData%\keybench` | the same | the same |
//!
//! On Windows there is one place for the whole machine: the bench runs elevated, often under another account than the one
//! that is signed in, and two ledgers on one bench would be the worst outcome.

use std::path::{Path, PathBuf};

/// The default places of this account, or of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    config: PathBuf,
    data: PathBuf,
    state: PathBuf,
}

/// There is no place to keep anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no folder for the bench's data: {0}. Next: name the places in a settings file and pass it with --config"
)]
pub struct NoPlace(pub String);

impl Places {
    /// This account's, by the system's custom.
    ///
    /// # Errors
    /// [`NoPlace`] when there is no home folder, or on Windows no `ProgramData`.
    pub fn find() -> Result<Self, NoPlace> {
        find()
    }

    /// Everything under one folder: for simulated benches and tests.
    pub fn under(folder: &Path) -> Self {
        Self { config: folder.to_owned(), data: folder.to_owned(), state: folder.to_owned() }
    }

    /// The settings file.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The folder of the ledger.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The ledger.
    pub fn ledger_file(&self) -> PathBuf {
        self.data.join("ledger.sqlite")
    }

    /// The store of resume keys. Leave it out of backups: a copy of it and of the ledger together opens PINs.
    pub fn resume_dir(&self) -> PathBuf {
        self.data.join("resume")
    }

    /// Logs and records of traffic.
    pub fn log_dir(&self) -> PathBuf {
        self.state.join("logs")
    }
}

const NAME: &str = "keybench";

#[cfg(not(any(windows, target_os = "macos")))]
fn find() -> Result<Places, NoPlace> {
    use etcetera::BaseStrategy as _;
    let base = etcetera::base_strategy::Xdg::new().map_err(|error| NoPlace(error.to_string()))?;
    let state = base.state_dir().unwrap_or_else(|| base.data_dir());
    Ok(Places { config: base.config_dir().join(NAME), data: base.data_dir().join(NAME), state: state.join(NAME) })
}

#[cfg(target_os = "macos")]
fn find() -> Result<Places, NoPlace> {
    use etcetera::BaseStrategy as _;
    let base = etcetera::base_strategy::Apple::new().map_err(|error| NoPlace(error.to_string()))?;
    Ok(Places::under(&base.data_dir().join(NAME)))
}

#[cfg(windows)]
fn find() -> Result<Places, NoPlace> {
    std::env::var_os("ProgramData")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .map(|path| Places::under(&path.join(NAME)))
        .ok_or_else(|| NoPlace("%ProgramData% is not set".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_apart_and_under_ours() {
        let places = Places::under(Path::new("bench"));
        let all = [places.config_file(), places.ledger_file(), places.resume_dir(), places.log_dir()];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert!(all.iter().all(|path| path.starts_with("bench")));
        // The store of resume keys is a folder of its own: it is private, and left out of backups.
        assert!(!places.ledger_file().starts_with(places.resume_dir()));
    }

    #[test]
    fn the_systems_places_are_absolute() {
        if let Ok(places) = Places::find() {
            assert!(places.config_file().is_absolute() && places.data().is_absolute());
            assert!(places.data().ends_with(NAME));
        }
    }
}
