//! Where settings and bench data live on each system unless somebody says otherwise.
//!
//! | | settings | ledger, resume keys | logs |
//! |---|---|---|---|
//! | Linux, macOS | `$XDG_CONFIG_HOME/keybench` (`~/.config/keybench`) | `$XDG_DATA_HOME/keybench` (`~/.local/share/keybench`) | `$XDG_STATE_HOME/keybench` (`~/.local/state/keybench`) |
//! | Windows | `%ProgramData%\keybench` | the same | the same |
//!
//! On Windows there is one place for the whole machine: the bench runs elevated, often under another account than the one
//! that is signed in, and two ledgers on one bench would be the worst outcome.

use std::path::{Path, PathBuf};

/// What the environment holds under a name.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The default places of this account, or of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    config: PathBuf,
    data: PathBuf,
    state: PathBuf,
}

/// There is no place to keep anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no folder for the bench's data: {0} is not set. Next: name a settings file with --config")]
pub struct NoPlace(pub &'static str);

const NAME: &str = "keybench";

impl Places {
    /// By the system's custom.
    ///
    /// # Errors
    /// [`NoPlace`] when neither `HOME` nor the XDG variables are set, or on Windows no `ProgramData`.
    pub fn find(environment: Environment<'_>) -> Result<Self, NoPlace> {
        if cfg!(windows) {
            let machine = absolute(environment, "ProgramData").ok_or(NoPlace("ProgramData"))?;
            return Ok(Self::under(&machine.join(NAME)));
        }
        let home = absolute(environment, "HOME");
        let below = |variable: &str, rest: &str| {
            let base = absolute(environment, variable).or_else(|| home.as_ref().map(|home| home.join(rest)));
            base.map(|base| base.join(NAME)).ok_or(NoPlace("HOME"))
        };
        Ok(Self {
            config: below("XDG_CONFIG_HOME", ".config")?,
            data: below("XDG_DATA_HOME", ".local/share")?,
            state: below("XDG_STATE_HOME", ".local/state")?,
        })
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

    /// Logs and records of traffic.
    pub fn log_dir(&self) -> PathBuf {
        self.state.join("logs")
    }
}

/// The ledger among the bench's data.
pub fn ledger_file(data: &Path) -> PathBuf {
    data.join("ledger.db")
}

/// The store of resume keys among the bench's data. Leave it out of backups: a copy of it and of the ledger together opens
/// PINs.
pub fn resume_dir(data: &Path) -> PathBuf {
    data.join("resume")
}

/// A path from the environment. Relative ones are ignored, as the XDG base directory specification asks.
fn absolute(environment: Environment<'_>, name: &str) -> Option<PathBuf> {
    environment(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_apart_and_under_ours() {
        let places = Places::under(Path::new("bench"));
        let data = places.data();
        let all = [places.config_file(), ledger_file(data), resume_dir(data), places.log_dir()];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert!(all.iter().all(|path| path.starts_with("bench")));
        // The store of resume keys is a folder of its own: it is private, and left out of backups.
        assert!(!ledger_file(data).starts_with(resume_dir(data)));
    }

    #[cfg(not(windows))]
    #[test]
    fn xdg_variables_come_before_home() {
        let home = |name: &str| (name == "HOME").then(|| "/home/kim".to_owned());
        let places = Places::find(&home).expect("places");
        assert_eq!(places.config_file(), PathBuf::from("/home/kim/.config/keybench/config.toml"));
        assert_eq!(places.data(), Path::new("/home/kim/.local/share/keybench"));
        assert_eq!(places.log_dir(), PathBuf::from("/home/kim/.local/state/keybench/logs"));
        let xdg = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some("/etc/bench".to_owned()),
            "XDG_DATA_HOME" => Some("relative/is/ignored".to_owned()),
            "HOME" => Some("/home/kim".to_owned()),
            _ => None,
        };
        let places = Places::find(&xdg).expect("places");
        assert_eq!(places.config_file(), PathBuf::from("/etc/bench/keybench/config.toml"));
        assert_eq!(places.data(), Path::new("/home/kim/.local/share/keybench"));
        assert_eq!(Places::find(&|_| None), Err(NoPlace("HOME")));
    }
}
