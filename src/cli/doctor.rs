//! `keybench doctor`.

use clap::Args;

/// `keybench doctor`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench doctor
  keybench doctor --offline            without the tenant")]
pub struct DoctorArgs {
    /// Leave the tenant out
    #[arg(long)]
    pub offline: bool,
}
