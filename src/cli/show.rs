//! `keybench show`.

use clap::Args;

/// `keybench show`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench show 7H2KQ0M4XA             a job
  keybench show 19283746               a key, by serial number
  keybench show kim@contoso.com        a person")]
pub struct ShowArgs {
    /// A job's id, a key's serial number, or a person's user principal name or object id
    #[arg(value_name = "JOB|SERIAL|UPN")]
    pub what: String,
}
