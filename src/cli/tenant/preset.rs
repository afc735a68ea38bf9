//! `keybench tenant preset`: a wanted state to begin with.

use clap::{Args, Subcommand};

use super::super::{CliError, Context, Exit};

/// `keybench tenant preset …`
#[derive(Debug, Subcommand)]
pub enum PresetCommand {
    /// A pilot group that signs in with keys
    Pilot(PilotArgs),
}

/// `keybench tenant preset pilot`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant preset pilot --group Keys > pilot.toml")]
pub struct PilotArgs {
    /// The pilot group: name or object id
    #[arg(long, value_name = "GROUP")]
    pub group: String,
}

pub(super) fn run(_context: &Context<'_>, _command: &PresetCommand) -> Result<Exit, CliError> {
    Err(super::not_yet("preset"))
}
