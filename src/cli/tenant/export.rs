//! `keybench tenant export`: the tenant's policies as they are, as a file.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::at_tenant::AtTenant;
use crate::cli::{CliError, Context, Exit};
use crate::tenant::export::export;
use crate::tenant::read;

/// `keybench tenant export`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant export --out tenant.toml
  keybench tenant export > tenant.toml

Changes nothing. Planning the file on the same tenant changes nothing either: what a file can't say
stands in it as a comment, with the reason. What only Graph's beta tells is read from there.")]
pub struct ExportArgs {
    /// Where to write; an existing file is not replaced [else stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

pub(super) fn run(context: &Context<'_>, args: &ExportArgs) -> Result<Exit, CliError> {
    let at = AtTenant::sign_in(context)?;
    context.output.progress("Reading the tenant's policies …");
    let (current, unread) = read::everything(&at.reach())?;
    let names = read::names_in(&at.graph, &current)?;
    let when = at.clock.now().strftime("%Y-%m-%d").to_string();
    let text = export(&current, &names, &unread, &when);
    super::write(context, args.out.as_deref(), &text)?;
    context.output.json(&json!({ "event": "exported", "unread": unread, "toml": text }));
    Ok(Exit::Done)
}
