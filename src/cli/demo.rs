//! `keybench demo`.

use std::path::PathBuf;

use clap::Args;

/// `keybench demo`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench demo
  keybench demo --keys 40 --ports 8 --seed 7
  keybench demo --json | jq -c 'select(.event == \"finished\")'")]
pub struct DemoArgs {
    /// Keys to provision
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub keys: u32,
    /// Ports of the simulated hub
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub ports: u32,
    /// Same seed, same day
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Where ledger, manifest and custodian's identity go [else a new folder among the temporary files]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
