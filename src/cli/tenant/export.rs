//! `keybench tenant export`.

use clap::Args;

use super::super::{CliError, Context, Exit};

/// `keybench tenant export`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant export --out tenant.toml")]
pub struct ExportArgs {
    /// Where to write [else stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<std::path::PathBuf>,
}

pub(super) fn run(_context: &Context<'_>, _args: &ExportArgs) -> Result<Exit, CliError> {
    Err(super::not_yet("export"))
}
