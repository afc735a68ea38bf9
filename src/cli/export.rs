//! `keybench export`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `keybench export …`
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// One line a finished key: whose, which, where to; never a PIN
    Manifest(ManifestArgs),
    /// The ledger's entries, one JSON line each, for auditors; no names and no PINs
    Audit(AuditArgs),
}

/// `keybench export manifest`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench export manifest --out manifest.csv

The file is CSV in UTF-8, readable by you alone; cells that a spreadsheet would take for a formula
are guarded.")]
pub struct ManifestArgs {
    /// The file; replaced if it is there
    #[arg(long, value_name = "FILE.csv")]
    pub out: PathBuf,
}

/// `keybench export audit`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench export audit --out audit.jsonl")]
pub struct AuditArgs {
    /// The file; replaced if it is there
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: PathBuf,
}
