//! `keybench tenant apply`.

use clap::Args;

use super::super::{CliError, Context, Exit};

/// `keybench tenant apply`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant apply pilot.toml")]
pub struct ApplyArgs {
    /// The wanted state, in TOML (docs/POLICY.md)
    #[arg(value_name = "FILE")]
    pub file: std::path::PathBuf,
    /// Show the plan and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

pub(super) fn run(_context: &Context<'_>, _args: &ApplyArgs) -> Result<Exit, CliError> {
    Err(super::not_yet("apply"))
}
