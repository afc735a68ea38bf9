//! `keybench status`.

use clap::Args;

use crate::model::JobStatus;

/// `keybench status`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench status
  keybench status --only failed
  keybench status --json | jq -r .upn")]
pub struct StatusArgs {
    /// Only jobs that stand here
    #[arg(long, value_name = "STATUS")]
    pub only: Option<Only>,
}

/// The states a job can be shown by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Only {
    /// No key yet
    Waiting,
    /// A key has been begun
    Begun,
    /// Done
    Finished,
    /// The last try failed
    Failed,
    /// Not allowed to have a key
    Refused,
    /// Set aside
    Parked,
}

impl From<Only> for JobStatus {
    fn from(only: Only) -> Self {
        match only {
            Only::Waiting => Self::Waiting,
            Only::Begun => Self::Begun,
            Only::Finished => Self::Finished,
            Only::Failed => Self::Failed,
            Only::Refused => Self::Refused,
            Only::Parked => Self::Parked,
        }
    }
}
