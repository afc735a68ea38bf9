//! Where settings and bench data live on each system.
//!
//! | | settings | data |
//! |---|---|---|
//! | Linux, macOS | `$XDG_CONFIG_HOME/keybench/config.toml`, else `~/.config/…` | `$XDG_DATA_HOME/keybench/`, else `~/.local/share/…` |
//! | Windows | `%ProgramData%\keybench\config.toml` | `%ProgramData%\keybench\` |
//!
//! On Windows everything is machine-wide, because the account that runs the bench elevated is often not the account that
//! is signed in, and two ledgers on one bench would be the result.

use std::path::{Path, PathBuf};

use super::problem::ConfigError;
use super::reader::Environment;

/// The folders of this account, or of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Where the settings file is looked for when nobody names one.
    pub settings: PathBuf,
    /// Where the ledger and the resume keys are kept unless the settings say otherwise.
    pub data: PathBuf,
}

impl Places {
    /// Asks the environment.
    ///
    /// # Errors
    /// [`ConfigError::NoHome`] when neither a home folder nor the XDG variables are known.
    pub fn find(environment: Environment<'_>) -> Result<Self, ConfigError> {
        let (config, data) = if cfg!(windows) {
            let machine = absolute(environment, "ProgramData").ok_or(ConfigError::NoHome)?;
            (machine.clone(), machine)
        } else {
            let home = absolute(environment, "HOME");
            let below = |variable: &str, rest: &str| {
                absolute(environment, variable).or_else(|| home.as_ref().map(|home| home.join(rest)))
            };
            (
                below("XDG_CONFIG_HOME", ".config").ok_or(ConfigError::NoHome)?,
                below("XDG_DATA_HOME", ".local/share").ok_or(ConfigError::NoHome)?,
            )
        };
        Ok(Self { settings: config.join("keybench").join("config.toml"), data: data.join("keybench") })
    }
}

/// A path from the environment. Relative ones are ignored, as the XDG base directory specification asks.
fn absolute(environment: Environment<'_>, name: &str) -> Option<PathBuf> {
    environment(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// A path out of the settings: relative ones count from the settings file's folder, so that they mean the same from
/// wherever the command is started.
pub(super) fn beside(file: Option<&Path>, path: &str) -> PathBuf {
    let path = PathBuf::from(path.trim());
    match file.and_then(Path::parent) {
        Some(folder) if path.is_relative() => folder.join(path),
        _ => path,
    }
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    #[test]
    fn xdg_variables_come_before_home() {
        let home = |name: &str| (name == "HOME").then(|| "/home/kim".to_owned());
        let places = Places::find(&home).expect("places");
        assert_eq!(places.settings, PathBuf::from("/home/kim/.config/keybench/config.toml"));
        assert_eq!(places.data, PathBuf::from("/home/kim/.local/share/keybench"));
        let xdg = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some("/etc/bench".to_owned()),
            "XDG_DATA_HOME" => Some("relative/is/ignored".to_owned()),
            "HOME" => Some("/home/kim".to_owned()),
            _ => None,
        };
        let places = Places::find(&xdg).expect("places");
        assert_eq!(places.settings, PathBuf::from("/etc/bench/keybench/config.toml"));
        assert_eq!(places.data, PathBuf::from("/home/kim/.local/share/keybench"));
        assert!(matches!(Places::find(&|_| None), Err(ConfigError::NoHome)));
    }
}
