//! `keybench ledger`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `keybench ledger …`
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Recompute every hash of the chain and compare
    Verify(VerifyArgs),
    /// Rebuild a lost or old ledger from its mirror
    Restore(RestoreArgs),
}

/// `keybench ledger verify`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench ledger verify
  keybench ledger verify --head 5b1c…  a run's summary printed it")]
pub struct VerifyArgs {
    /// A head hash noted earlier, which must be in the chain
    #[arg(long, value_name = "HASH")]
    pub head: Option<String>,
}

/// `keybench ledger restore`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench ledger restore
  keybench ledger restore --mirror /media/second-disk/keybench-mirror

The ledger that is there is kept beside the new one.")]
pub struct RestoreArgs {
    /// The mirror [else the one of the settings]
    #[arg(long, value_name = "PATH")]
    pub mirror: Option<PathBuf>,
}
