//! `keybench escrow`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `keybench escrow …`
#[derive(Debug, Subcommand)]
pub enum EscrowCommand {
    /// Make a custodian's identity and print its recipient
    ///
    /// Run it on the custodian's own machine. The file is the custodian's alone; the recipient goes into the bench's settings.
    Keygen(KeygenArgs),
    /// Open one person's PIN; this is written to the ledger
    ///
    /// Prints the PIN and only the PIN. Who opened it and why is in the ledger before it is shown.
    Open(OpenArgs),
}

/// `keybench escrow keygen`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench escrow keygen --out kim-custodian.txt")]
pub struct KeygenArgs {
    /// The identity's file; must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `keybench escrow open`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench escrow open --identity kim.txt --job 7H2KQ0M4XA --as \"Kim Lee\" --reason \"PIN letter\"
  keybench escrow open --identity kim.txt --identity sam.txt --job 7H2KQ0M4XA \\
      --as \"Kim Lee, Sam Roe\" --reason \"letter lost\" --to-stdout | lp")]
pub struct OpenArgs {
    /// A custodian's identity; under dual control give two
    #[arg(long, value_name = "FILE", required = true, action = clap::ArgAction::Append)]
    pub identity: Vec<PathBuf>,
    /// Which job's PIN
    #[arg(long, value_name = "ID")]
    pub job: String,
    /// Who opens it
    #[arg(long = "as", value_name = "NAME")]
    pub by: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Print it even where stdout is not a terminal
    #[arg(long)]
    pub to_stdout: bool,
}
