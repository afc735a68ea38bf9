//! What is wrong with the settings, all of it at once, each with its place.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The settings file; line and column count from 1, the column in characters.
    File {
        /// Line.
        line: u32,
        /// Column.
        column: u32,
    },
    /// The settings file as a whole: something is missing from it.
    WholeFile,
    /// An environment variable, by name.
    Environment(String),
    /// A command line option, by name.
    Flag(String),
}

/// One thing that is wrong. It never repeats a value that could be a secret put in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// The setting, `section.key`; empty when the file can't be read as TOML.
    pub field: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// All that is wrong in one set of settings, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The file; `None` when there was none and only the environment or the options can be wrong.
    pub file: Option<PathBuf>,
    /// At least one.
    pub list: Vec<Problem>,
}

impl Problems {
    /// One line per problem: `FILE:LINE:COLUMN: section.key: what`.
    pub fn lines(&self) -> Vec<String> {
        self.list
            .iter()
            .map(|problem| {
                let file = || self.file.as_ref().map_or_else(|| "settings".into(), |path| path.display().to_string());
                let place = match &problem.origin {
                    Origin::File { line, column } => format!("{}:{line}:{column}", file()),
                    Origin::WholeFile => file(),
                    Origin::Environment(name) => format!("environment {name}"),
                    Origin::Flag(name) => format!("option {name}"),
                };
                match problem.field.as_str() {
                    "" => format!("{place}: {}", problem.what),
                    field => format!("{place}: {field}: {}", problem.what),
                }
            })
            .collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file was named and isn't there.
    #[error("there is no settings file {}", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be read.
    #[error("the settings file {} can't be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// Somebody else could have written it.
    #[error("{} can be changed by others: {why}", path.display())]
    Exposed {
        /// The file or its folder.
        path: PathBuf,
        /// Who can do what.
        why: String,
        /// What to type to mend it.
        fix: String,
    },
    /// It was read, and is wrong.
    #[error("{0}")]
    Wrong(Problems),
    /// The command needs settings that nobody made.
    #[error("the settings lack {}", names.join(", "))]
    Missing {
        /// The file they would be in.
        path: PathBuf,
        /// `section.key` of each.
        names: Vec<&'static str>,
    },
    /// The client secret can't be had.
    #[error("{0}")]
    Secret(SecretError),
    /// `config init` would overwrite a file.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file can't be written.
    #[error("{} can't be written: {cause}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The system doesn't say where settings live.
    #[error("this account has no home folder to keep settings in")]
    NoHome,
}

/// Why the client secret can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment would hand it to programs that keybench starts.
    #[error("KEYBENCH_CLIENT_SECRET is set, and the age plugin of a recipient ({plugin}) would inherit it")]
    EnvironmentShared {
        /// The recipient's plugin.
        plugin: String,
    },
    /// It is in none of the places, and nobody can be asked.
    #[error(
        "there is no client secret: no tenant.client_secret_file, no KEYBENCH_CLIENT_SECRET, and no terminal to ask at"
    )]
    Nowhere,
    /// A setting names a file that isn't there.
    #[error("{setting} names {}, and there is no such file", path.display())]
    NoFile {
        /// The setting.
        setting: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// The place holds nothing.
    #[error("the client secret from {from} is empty")]
    Empty {
        /// The place.
        from: String,
    },
    /// It isn't one line of text.
    #[error("the client secret from {from} is not one line of text")]
    NotOneLine {
        /// The place.
        from: String,
    },
}
