//! `keybench tenant plan`.

use clap::Args;

use super::super::{CliError, Context, Exit};

/// `keybench tenant plan`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant plan pilot.toml")]
pub struct PlanArgs {
    /// The wanted state, in TOML (docs/POLICY.md)
    #[arg(value_name = "FILE")]
    pub file: std::path::PathBuf,
}

pub(super) fn run(_context: &Context<'_>, _args: &PlanArgs) -> Result<Exit, CliError> {
    Err(super::not_yet("plan"))
}
