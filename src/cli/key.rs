//! `keybench key`.

use clap::{Args, Subcommand};

/// `keybench key …`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// The keys in the ports
    List(ListArgs),
    /// What one key can do and what state it is in
    Info(InfoArgs),
    /// Wipe a key: PIN and all passkeys on it are gone
    ///
    /// Asks for the last four characters of the serial number (or the port's name), then for a re-plug and a touch.
    Reset(ResetArgs),
}

/// `keybench key list`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench key list
  keybench key list --json")]
pub struct ListArgs {}

/// `keybench key info`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench key info                    the only key there is
  keybench key info --port 1-4.2")]
pub struct InfoArgs {
    /// Which key
    #[command(flatten)]
    pub which: Which,
}

/// `keybench key reset`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench key reset --serial 19283746
  keybench key reset --port 1-4.2")]
pub struct ResetArgs {
    /// Which key
    #[command(flatten)]
    pub which: Which,
}

/// One key, by port or serial number.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub struct Which {
    /// The key in this port
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// The key with this serial number
    #[arg(long, value_name = "SERIAL")]
    pub serial: Option<String>,
}
