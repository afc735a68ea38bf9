//! `keybench tenant plan`: what applying a file would change, and what that does to people.

use std::path::PathBuf;

use clap::Args;

use super::policies::File;
use super::{confirm, shown};
use crate::cli::at_tenant::AtTenant;
use crate::cli::{CliError, Context, Exit};

/// `keybench tenant plan`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant plan pilot.toml
  keybench tenant plan pilot.toml --people \"All staff\"      look at their sign-in methods too
  keybench tenant plan pilot.toml --json | jq -c 'select(.event == \"effect\")'

Changes nothing. What the file does not speak of is left as it is. Whom it would lock out is found
from the sign-in methods of the people in the groups that the file names; name more groups with
--people. Calls of Graph's beta are marked so.")]
pub struct PlanArgs {
    /// The wanted state, in TOML (docs/POLICY.md)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Look at the people of this group as well; may be given several times
    #[arg(long, value_name = "GROUP")]
    pub people: Vec<String>,
}

pub(super) fn run(context: &Context<'_>, args: &PlanArgs) -> Result<Exit, CliError> {
    let file = File::read(&args.file)?;
    let at = AtTenant::sign_in(context)?;
    let planned = at.plan_file(context, &file, &args.people)?;
    let said = confirm::said(&at.settings, &at.tenant)?;
    shown::plan(context, &planned.plan, &planned.names, &said);
    Ok(Exit::Done)
}
