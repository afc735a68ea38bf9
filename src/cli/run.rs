//! `keybench run`.

use std::path::PathBuf;

use clap::Args;

/// `keybench run`
///
/// Checks every person first, then provisions one key after another, on as many ports as there are. Stop it when you
/// like: the same command goes on where it stopped, and counts what is finished.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench run people.csv
  keybench run people.csv --ports 1-4.1,1-4.2 --idle 10
  keybench run --group \"New starters\" --strict
  keybench run people.csv --sim-keys 4        simulated keys, only against a simulated tenant

The roster is CSV with a header line: upn, and if you like serial, keys, key_kind, first_device,
street, postal_code, city, country. Keys that are plugged in when the run starts need a yes, or
naming their ports with --ports.")]
pub struct RunArgs {
    /// Who gets a key: a CSV file
    #[arg(value_name = "ROSTER.csv", required_unless_present = "group")]
    pub roster: Option<PathBuf>,
    /// The members of this group (name or object id); with a roster: only those of the roster who are members
    #[arg(long, value_name = "NAME|ID")]
    pub group: Option<String>,
    /// Ports to use, by name (see keybench key list)
    #[arg(long, value_name = "all|PORT,…", value_delimiter = ',')]
    pub ports: Vec<String>,
    /// Simulated ports with simulated keys and an operator who touches them, until the queue is empty
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub sim_keys: Option<u32>,
    /// Stop before the first key if anybody is refused
    #[arg(long)]
    pub strict: bool,
    /// End after so many minutes without a key
    #[arg(long, value_name = "MIN", value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub idle: Option<u32>,
    /// This person holds a role and gets a key all the same; may be given several times
    #[arg(long, value_name = "UPN")]
    pub allow_privileged: Vec<String>,
}
