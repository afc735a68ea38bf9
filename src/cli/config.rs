//! `keybench config`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{CliError, Context, Exit};
use crate::config::{ConfigError, settings_file, template};
use crate::platform::places::Places;

/// `keybench config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write a commented settings file, readable by you alone
    Init(InitArgs),
}

/// `keybench config init`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench config init
  keybench config init --config /srv/bench/keybench.toml

Every setting is in the file with its default, commented out. Fill in [tenant] id and client_id and
[escrow] recipients; then run keybench doctor.")]
pub struct InitArgs {
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

pub(super) fn run(context: &Context<'_>, command: &ConfigCommand) -> Result<Exit, CliError> {
    let ConfigCommand::Init(args) = command;
    let places = Places::find(context.environment);
    let (path, _) = settings_file(context.global.config.as_deref(), context.environment, places.as_ref().ok())
        .ok_or(ConfigError::NoHome)?;
    template::write(&path, args.force)?;
    context.output.answer(&format!("{}", path.display()));
    context.output.json(&json!({ "event": "config", "file": path.display().to_string() }));
    context
        .output
        .progress("Written. Fill in [tenant] id and client_id, and [escrow] recipients; then run `keybench doctor`.");
    Ok(Exit::Done)
}
