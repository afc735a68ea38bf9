//! `keybench tenant undo`.

use clap::Args;

use super::super::{CliError, Context, Exit};

/// `keybench tenant undo`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant undo 4K7Q2M")]
pub struct UndoArgs {
    /// The change, as `tenant apply` printed it
    #[arg(value_name = "ID")]
    pub id: String,
}

pub(super) fn run(_context: &Context<'_>, _args: &UndoArgs) -> Result<Exit, CliError> {
    Err(super::not_yet("undo"))
}
