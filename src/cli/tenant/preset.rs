//! `keybench tenant preset`: a wanted state to begin with.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::{CliError, Context, Exit};
use crate::model::Aaguid;
use crate::tenant::preset::{Pilot, pilot};

/// `keybench tenant preset …`
#[derive(Debug, Subcommand)]
pub enum PresetCommand {
    /// A pilot group that signs in with keys
    ///
    /// Writes a commented file: passkeys, passes, Authenticator, what a pilot should not have, and the Conditional Access
    /// policies around registering, joining and signing in. Asks the tenant nothing.
    Pilot(PilotArgs),
}

/// `keybench tenant preset pilot`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant preset pilot --group Keys --break-glass \"Break glass\" --out pilot.toml
  keybench tenant preset pilot --group Keys --break-glass \"Break glass\" --countries NL,BE \\
      --aaguids 2fc0579f-8113-47ea-b116-bb5a8db9202a --out pilot.toml")]
pub struct PilotArgs {
    /// The pilot group: name or object id
    #[arg(long, value_name = "GROUP")]
    pub group: String,
    /// A group of accounts that no policy may apply to; may be given several times
    #[arg(long, value_name = "GROUP")]
    pub break_glass: Vec<String>,
    /// Countries to register from, by ISO 3166 [else anywhere]
    #[arg(long, value_name = "NL,…", value_delimiter = ',', value_parser = country)]
    pub countries: Vec<String>,
    /// Key models to allow [else any]
    #[arg(long, value_name = "AAGUID,…", value_delimiter = ',', value_parser = aaguid)]
    pub aaguids: Vec<Aaguid>,
    /// Where to write; an existing file is not replaced [else stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

fn country(text: &str) -> Result<String, String> {
    let code = text.trim().to_ascii_uppercase();
    let is_code = code.len() == 2 && code.chars().all(|c| c.is_ascii_alphabetic());
    if is_code { Ok(code) } else { Err("a country is two letters, e.g. NL".to_owned()) }
}

fn aaguid(text: &str) -> Result<Aaguid, String> {
    Aaguid::parse(text).ok_or_else(|| "an AAGUID is a GUID; `keybench key info` shows a key's".to_owned())
}

pub(super) fn run(context: &Context<'_>, command: &PresetCommand) -> Result<Exit, CliError> {
    let PresetCommand::Pilot(args) = command;
    let wanted = Pilot {
        group: args.group.trim(),
        break_glass: &args.break_glass,
        countries: &args.countries,
        aaguids: &args.aaguids,
    };
    let text = pilot(&wanted);
    super::write(context, args.out.as_deref(), &text)?;
    context.output.json(&json!({ "event": "preset", "toml": text }));
    Ok(Exit::Done)
}
