//! `keybench run`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, Context, Exit};
use crate::config::{Settings, Tenant};
use crate::model::Upn;
use crate::roster::Roster;
use crate::roster::decode::LARGEST;

/// `keybench run`
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

/// What a run rests on, read and checked before anything is asked of the tenant or a key.
#[derive(Debug)]
pub struct Prepared {
    /// The settings.
    pub settings: Settings,
    /// What signing in needs.
    pub tenant: Tenant,
    /// The roster; `None` when only a group is given.
    pub roster: Option<Roster>,
    /// What names the batch: the roster's full path, else the group as it was given.
    pub source: String,
    /// From `--allow-privileged`.
    pub allow_privileged: Vec<Upn>,
}

/// Reads settings and roster.
///
/// # Errors
/// Everything that is wrong with the first of settings, options and roster that has something wrong; nothing was started.
pub fn prepare(context: &Context<'_>, args: &RunArgs) -> Result<Prepared, CliError> {
    let settings = context.settings()?;
    let tenant = settings.tenant()?;
    settings.custodians()?;
    let allow_privileged = args
        .allow_privileged
        .iter()
        .map(|name| {
            Upn::parse(name).ok_or_else(|| {
                let fact = format!("--allow-privileged {name} is not of the form name@domain.");
                CliError::new(Exit::Usage, "usage", fact, "give the person's user principal name.")
            })
        })
        .collect::<Result<_, _>>()?;
    let roster = args.roster.as_deref().map(read_roster).transpose()?;
    let source = match (&args.roster, &args.group) {
        (Some(path), _) => path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string(),
        (None, group) => group.clone().unwrap_or_default(),
    };
    Ok(Prepared { settings, tenant, roster, source, allow_privileged })
}

fn read_roster(path: &Path) -> Result<Roster, CliError> {
    let unreadable = |cause: String| {
        let fact = format!("The roster {} can't be read.", path.display());
        CliError::new(Exit::Usage, "roster-unreadable", fact, "check the name and your rights.").because(cause)
    };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = Vec::new();
    // One byte more than a roster may have, so that a larger one is seen to be larger without being read.
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    Ok(Roster::read(&path.display().to_string(), &bytes)?)
}
