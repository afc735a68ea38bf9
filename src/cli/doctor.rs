//! `keybench doctor`.

use clap::Args;

/// `keybench doctor`
///
/// Everything that can be known before the first touch: settings, rights to open keys, the keys in the ports, the ledger,
/// the clock, signing in, permissions, and what the tenant's passkey policy allows.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench doctor
  keybench doctor --offline            without the tenant")]
pub struct DoctorArgs {
    /// Leave the tenant out
    #[arg(long)]
    pub offline: bool,
}
