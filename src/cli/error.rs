//! The one error that people see: fact, cause, next step, and the exit code.
//!
//! ```text
//! Error: The key in port 3 (serial 19283746) already has a PIN.
//!   It was not set by this bench: the ledger has no entry for this key.
//! Next: if the key is yours to wipe, run `keybench key reset --serial 19283746`, then re-insert it.
//! ```

use std::fmt;

use crate::config::{ConfigError, SecretError};
use crate::roster::RosterError;

use super::exit::Exit;

/// An error as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// The program's exit code.
    pub exit: Exit,
    /// A code of [`super::codes`].
    pub code: &'static str,
    /// What happened: a sentence.
    pub fact: String,
    /// Why: sentences, or a list of places. May be empty.
    pub causes: Vec<String>,
    /// What to do now, to follow "Next: ". May be empty where the causes say it.
    pub next: String,
}

impl CliError {
    /// An error without causes.
    pub fn new(exit: Exit, code: &'static str, fact: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, code, fact: fact.into(), causes: Vec::new(), next: next.into() }
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fact)?;
        for cause in &self.causes {
            for line in cause.lines() {
                write!(f, "\n  {line}")?;
            }
        }
        if !self.next.is_empty() {
            write!(f, "\nNext: {}", self.next)?;
        }
        Ok(())
    }
}

impl std::error::Error for CliError {}

fn things(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let usage = |code, fact: String, next: String| Self::new(Exit::Usage, code, fact, next);
        match error {
            ConfigError::NotFound { path } => usage(
                "config-not-found",
                format!("There is no settings file {}.", path.display()),
                "check the name, or make one with `keybench config init`.".into(),
            ),
            ConfigError::Unreadable { path, cause } => usage(
                "config-unreadable",
                format!("{} can't be read.", path.display()),
                "make it readable to this account, as UTF-8 text.".into(),
            )
            .because(cause),
            ConfigError::Exposed { path, why, fix } => {
                usage("file-exposed", format!("{} is open to others: {why}.", path.display()), fix).because(
                    "Whoever can change it could send tokens and PINs elsewhere; whoever can read a secret has it.",
                )
            }
            ConfigError::Wrong(problems) => {
                let fact = format!("The settings have {}.", things(problems.list.len(), "problem", "problems"));
                let mut error =
                    usage("config-wrong", fact, "correct these; `keybench config init` shows every setting.".into());
                error.causes = problems.lines();
                error
            }
            ConfigError::Missing { path, names } => usage(
                "config-missing",
                format!("The settings lack {}.", names.join(", ")),
                format!("set {} in {}.", if names.len() == 1 { "it" } else { "them" }, path.display()),
            ),
            ConfigError::Secret(error) => {
                let next = match &error {
                    SecretError::EnvironmentShared { .. } => {
                        "unset KEYBENCH_CLIENT_SECRET and name a file in tenant.client_secret_file."
                    }
                    SecretError::Nowhere => {
                        "name a file in tenant.client_secret_file, or start keybench at a terminal."
                    }
                    SecretError::NoFile { .. } => {
                        "check the name in the settings; a relative one counts from their folder."
                    }
                    SecretError::Empty { .. } | SecretError::NotOneLine { .. } => {
                        "put the secret there, on one line and nothing else."
                    }
                };
                let code = match &error {
                    SecretError::NoFile { setting: "tenant.key_file", .. } => "certificate-unreadable",
                    _ => "client-secret",
                };
                usage(code, sentence(&error.to_string()), next.into())
            }
            ConfigError::Exists { path } => usage(
                "config-exists",
                format!("{} exists already; nothing was changed.", path.display()),
                "edit it, or replace it with `keybench config init --force`.".into(),
            ),
            ConfigError::Unwritable { path, cause } => usage(
                "config-unwritable",
                format!("{} can't be written.", path.display()),
                "choose another place with --config.".into(),
            )
            .because(cause),
            ConfigError::NoHome => usage(
                "no-home",
                "This account has no home folder to keep settings in.".into(),
                "name a settings file with --config.".into(),
            ),
        }
    }
}

impl From<RosterError> for CliError {
    fn from(error: RosterError) -> Self {
        let count = things(error.problems.len(), "problem", "problems");
        let mut shown = Self::new(
            Exit::Usage,
            "roster-wrong",
            format!("The roster {} has {count}; nothing was started.", error.source),
            "correct these and run the same command again.",
        );
        shown.causes = error.lines();
        shown
    }
}

/// First letter large, unless the first word is a file's or a setting's name; a full stop at the end.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let first = text.split([' ', ':', ',']).next().unwrap_or_default();
    let is_name = first.contains(['.', '/', '\\', '_', '-', '[', '`']);
    let mut chars = text.chars();
    match chars.next() {
        Some(start) if !is_name => format!("{}{}.", start.to_uppercase(), chars.as_str()),
        _ => format!("{text}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fact_cause_and_next_step_each_have_their_line() {
        let error = CliError::new(Exit::Keys, "no-key", "There is no key.", "put one in.").because("one\ntwo");
        assert_eq!(error.to_string(), "There is no key.\n  one\n  two\nNext: put one in.");
    }
}
